"""NoteSequence records to batches of training examples."""
