"""Trained models in small folders, to share: their files, and how they are found by name."""
