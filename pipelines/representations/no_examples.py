"""What converters raise among themselves where a piece gives no example."""


class NoExamplesError(ValueError):
    """A NoteSequence that a converter can make no example of; the message says why."""
