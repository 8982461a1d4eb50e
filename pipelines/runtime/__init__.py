"""What every job needs, whatever it does with music."""
