"""Separation: mixtures, a network of masks for them, and what takes a song apart."""
