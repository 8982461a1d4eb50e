"""What a piece may not exceed, and how a reader says that it leaves a piece out."""

from typing import NamedTuple

MAX_SECONDS = 1800.0
MAX_NOTES = 100_000


class Limits(NamedTuple):
    """What a piece may not exceed."""

    max_seconds: float = MAX_SECONDS
    max_notes: int = MAX_NOTES


class Rejected(Exception):
    """A piece that is left out of the records, and why.

    Args:
      reason: one of a small set of words, to count by: "malformed", "too_long" ...
      detail: what exactly is wrong with this piece.
    """

    def __init__(self, reason: str, detail: str):
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
