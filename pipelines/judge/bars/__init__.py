"""Bars: how long they are, and which dance they move as."""
