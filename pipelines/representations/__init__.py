"""Music to arrays and back: a file for each representation."""
