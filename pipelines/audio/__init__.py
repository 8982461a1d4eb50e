"""Music as sound: NoteSequences to samples, and samples to files."""
