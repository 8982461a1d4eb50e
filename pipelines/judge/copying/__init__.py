"""Copies: tunes laid out to be compared, an index of them, and their alignment."""
