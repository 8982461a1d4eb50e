"""NoteSequences and notation: MIDI and ABC, in and out."""
