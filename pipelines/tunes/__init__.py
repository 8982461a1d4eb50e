"""Which pieces are versions of one tune, by title and by melody."""
