"""Faults that are planted in tunes, to see whether a judge finds them."""
