"""The formats that music is read from: MIDI, MusicXML and ABC notation.

What a file is shows in its bytes, whatever it is called. A name counts where the bytes are of no
format: a file called `.mid` that is none is a damaged one.
"""

from collections.abc import Iterator
from typing import NamedTuple

from pipelines.music import midi_reader, musicxml
from pipelines.music.abc import reader, tunebook
from pipelines.music.limits import Limits, Rejected
from pipelines.music.note_sequence import NoteSequence

MIDI = (".mid", ".midi", ".smf", ".kar")
MUSICXML = (".musicxml", ".mxl")
SCORES = (*MIDI, *MUSICXML)
_MIDI_BEGIN = b"MThd"
# Any more than what `scores` looks at is not needed to tell what a file is.
LOOKED_AT = musicxml.LOOKED_AT
_DEFAULT_LIMITS = Limits()


class Unread(NamedTuple):
    """A tune that cannot be read: the first line of it in its file, and why."""

    line: int
    reason: str


def max_bytes(limits: Limits) -> int:
    """The size of the largest file that `scores` reads."""
    return max(musicxml.MAX_BYTES, midi_reader.byte_limit(limits.max_notes))


def has_score(name: str, begin: bytes) -> bool:
    """Whether a file is MIDI or MusicXML, or is called so.

    Args:
      name: the file's name.
      begin: its first LOOKED_AT bytes.
    """
    if name.lower().endswith(SCORES) or begin.startswith(_MIDI_BEGIN):
        return True
    return not begin.startswith(b"PK") and musicxml.is_musicxml(begin)


def scores(name: str, data: bytes, limits: Limits = _DEFAULT_LIMITS) -> list[NoteSequence] | None:
    """Reads MIDI and MusicXML.

    Args:
      name: the file's name.
      data: its bytes.
      limits: what a piece may not exceed.

    Returns:
      One piece without an id; or the patterns of a MIDI file of type 2, which are no voices of one
      piece, each with the number of its track as its id. None where it is neither, and is not
      called so.

    Raises:
      Rejected: if it cannot be read.
    """
    lower = name.lower()
    if data.startswith(_MIDI_BEGIN) or lower.endswith(MIDI):
        return _midi(data, limits)
    if musicxml.is_musicxml(data) or lower.endswith(MUSICXML):
        return [musicxml.read(data, *limits)]
    return None


def tunes(data: bytes) -> Iterator[NoteSequence | Unread]:
    """Reads the tunes of a tunebook in ABC notation.

    Args:
      data: the bytes of the file.

    Yields:
      Each tune, or why it cannot be read. Its id is its number, or "line7" where it has none; a
      number that was there before has the line after it.

    Raises:
      Rejected: "not_text", before the first tune.
    """
    names: set[str] = set()
    for tune in tunebook.tunes(tunebook.decode(data)):
        name = tune.reference or f"line{tune.line}"
        name = f"{name}:{tune.line}" if name in names else name
        names.add(name)
        try:
            sequence = reader.read(tune)
        except Rejected as error:
            yield Unread(tune.line, error.detail)
            continue
        except Exception as error:
            # Whatever one tune does to the reader, the other tunes of its book are still read.
            yield Unread(tune.line, f"the reader failed: {error!r}")
            continue
        sequence.id = name
        yield sequence


def _midi(data: bytes, limits: Limits) -> list[NoteSequence]:
    """The piece of a MIDI file, or those of its patterns that have notes, numbered by tracks."""
    patterns = midi_reader.patterns(data)
    if not patterns:
        return [midi_reader.midi_to_note_sequence(data, *limits)]
    pieces = []
    for number, pattern in enumerate(patterns, start=1):
        try:
            pieces.append(midi_reader.midi_to_note_sequence(pattern, *limits))
        except Rejected as rejected:
            if rejected.reason != "no_notes":
                raise
            continue
        pieces[-1].id = str(number)
    if not pieces:
        raise Rejected("no_notes", "no note begins and ends in the file")
    return pieces
