"""Sounds of performances: rendered, in folders, through a spectrogram and back."""
