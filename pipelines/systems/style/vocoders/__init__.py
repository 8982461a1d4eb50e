"""Vocoders: networks that draw samples from mels."""
