"""The commands of the melody curves, each a program of its own."""
