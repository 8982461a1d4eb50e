"""Reads records as batches of training examples, and converts NoteSequences to tensors."""
