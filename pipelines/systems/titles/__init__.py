"""Titles for tunes and tunes for titles: text encoders, a dual tower, retrieval."""
