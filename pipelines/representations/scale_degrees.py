"""The melody of a NoteSequence as degrees of the scale, the same in every key and octave.

Every number is an index of a vocabulary; 0 stands for what is not there.
"""

import operator
from typing import NamedTuple

import numpy as np

from pipelines.music import keys, melody
from pipelines.music.note_sequence import NoteSequence
from pipelines.music.timing import TempoMap

# Fewer notes than this are no tune to name.
MIN_NOTES = 4
# Later notes are ignored: as played, nine of ten folk tunes are shorter.
MAX_NOTES = 256

# Ticks of a quarter note: whole numbers for triplets and for sixteenths.
_TICKS = 12
# Semitones up and down from the tonic that is nearest to the mean pitch; intervals likewise.
_REACH = 24
# In ticks, from a thirty-second note to more than a whole one.
_LENGTHS = np.array([1.5, 2, 3, 4, 6, 8, 9, 12, 16, 18, 24, 36, 48, 60])
# In ticks: the longest common bar is 6/4 or 12/8.
_BAR = 6 * _TICKS
_METERS = ((2, 2), (2, 4), (3, 4), (4, 4), (3, 8), (6, 8), (9, 8), (12, 8), (3, 2), (6, 4))
_Mode = NoteSequence.KeySignature
_MODES = (
    _Mode.MAJOR,
    _Mode.MINOR,
    _Mode.DORIAN,
    _Mode.MIXOLYDIAN,
    _Mode.PHRYGIAN,
    _Mode.LYDIAN,
    _Mode.LOCRIAN,
)

# The sizes of the vocabularies: of each column of the notes, of meters and of modes.
NOTE_SIZES = {
    "pitch": 2 * _REACH + 2,
    "interval": 2 * _REACH + 2,
    "length": len(_LENGTHS) + 1,
    "position": _BAR + 1,
}
# Free meter, a rare one, and those above.
METERS = len(_METERS) + 2
# An unknown one, and those above.
MODES = len(_MODES) + 1

# Times are counted in this many parts of a tick, a power of two: what lies between two ticks, as
# thirty-second notes and the ticks of MIDI files do, is then exact and rounds the same way however
# its seconds were rounded.
_PARTS = 1024
# Some centuries of quarter notes; their parts are still exact as doubles.
_MOST_QUARTERS = 2.0**34


class NoMelodyError(ValueError):
    """A NoteSequence has no melody that can be read.

    Args:
      reason: why, in a few words, for counting.
      detail: what is wrong with this piece.
    """

    def __init__(self, reason: str, detail: str):
        super().__init__(f"{reason}: {detail}")
        self.reason = reason


class Melody(NamedTuple):
    """What the tune tower sees.

    Attributes:
      notes: uint8 array shaped [notes, 4], at most MAX_NOTES of them, with columns
        pitch: semitones above the tonic, clipped to two octaves around it, from 1;
        interval: semitones from the note before, clipped likewise, 0 for the first note;
        length: the nearest of some note lengths, from 1;
        position: where in the bar it begins, in twelfths of a quarter note, from 1; 0 in free
          meter.
      meter: 0 for free meter, 1 for a rare one, from 2 the known ones.
      mode: from 1; 0 is reserved for an unknown one.
      chords: how many notes were left out because a higher one begins together with them.
    """

    notes: np.ndarray
    meter: int
    mode: int
    chords: int

    def degrees(self) -> np.ndarray:
        """Each note's pitch class above the tonic, and its length as in `notes`: [notes, 2]."""
        pitches = self.notes[:, 0].astype(np.int64)
        # Pitch 1 is the tonic two octaves below.
        return np.stack([(pitches - 1) % 12, self.notes[:, 2]], axis=1)


def read(sequence: NoteSequence, guess_key: bool = False) -> Melody:
    """Reads the melody of a piece (`pipelines.music.melody`), the highest note of each chord.

    The tonic and the mode are those of the key signature. They are guessed from the notes where
    there is no signature, where it does not fit the notes, and in MIDI files, whose signatures are
    often left at C major and know no modes.

    Args:
      sequence: a tune, unquantized.
      guess_key: whether to guess the key in any case.

    Raises:
      NoMelodyError: for fewer than MIN_NOTES notes, or times that are not finite or too late.
    """
    notes = melody.first_voice(sequence)
    if len(notes) < MIN_NOTES:
        raise NoMelodyError(
            "too few notes", f"{len(notes)} in its first voice, drums aside; {MIN_NOTES} are needed"
        )
    times = np.array([(note.start_time, note.end_time) for note in notes])
    quarters = TempoMap(sequence.tempos)
    parts, counted = _in_parts(quarters, times)
    if not counted.all():
        raise NoMelodyError("broken times", "a note at no time that can be counted")
    pitches = np.array([note.pitch for note in notes])
    ticks = _in_ticks(parts[:, 0])
    top = melody.highest(ticks, pitches, parts[:, 1])
    if len(top) < MIN_NOTES:
        raise NoMelodyError(
            "too few notes", f"{len(top)} that do not begin together; {MIN_NOTES} are needed"
        )
    starts, pitches = ticks[top], pitches[top]
    lengths = np.maximum(parts[top, 1] - parts[top, 0], 1)
    tonic, mode = _key(sequence, pitches, lengths, guess_key)
    meter, position = _meter(sequence, quarters, starts)
    columns = np.stack(
        [
            _clipped(pitches - _reference(pitches, lengths, tonic)),
            np.append(0, _clipped(np.diff(pitches))),
            1 + np.abs(np.log(lengths[:, None] / (_LENGTHS * _PARTS))).argmin(axis=1),
            position,
        ],
        axis=1,
    )
    return Melody(columns[:MAX_NOTES].astype(np.uint8), meter, mode, len(notes) - len(top))


def _in_parts(quarters: TempoMap, seconds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Times in parts of ticks, and which of them are finite and early enough to be counted."""
    with np.errstate(over="ignore", invalid="ignore"):
        at = quarters(seconds)
    # NaN compares as false.
    counted = np.abs(at) < _MOST_QUARTERS
    parts = np.round(np.where(counted, at, 0) * (_TICKS * _PARTS))
    return parts.astype(np.int64), counted


def _in_ticks(parts: np.ndarray) -> np.ndarray:
    """The nearest ticks; halfway between two, the later."""
    return (parts + _PARTS // 2) // _PARTS


def _clipped(semitones: np.ndarray) -> np.ndarray:
    return np.clip(semitones, -_REACH, _REACH) + _REACH + 1


def _reference(pitches: np.ndarray, lengths: np.ndarray, tonic: int) -> int:
    """The tonic, of any octave, that is nearest to the mean pitch; of two as near, the higher."""
    # In integers, so that rounding makes no difference between octaves.
    total = sum(lengths.tolist())
    above = sum(map(operator.mul, pitches.tolist(), lengths.tolist())) - tonic * total
    return tonic + 12 * ((above + 6 * total) // (12 * total))


def _key(
    sequence: NoteSequence, pitches: np.ndarray, lengths: np.ndarray, guess: bool
) -> tuple[int, int]:
    """The pitch class of the tonic, and the mode as an index."""
    last = int(pitches[-1])
    # Counted from the last note, which is mostly the tonic, so that a guess is the same in every
    # key.
    weights = np.bincount((pitches - last) % 12, weights=lengths, minlength=12).tolist()
    if not guess and sequence.source_info.encoding_type != NoteSequence.SourceInfo.MIDI:
        signatures = sorted(sequence.key_signatures, key=lambda one: one.time)
        for signature in signatures[:1]:
            if signature.mode in _MODES:
                tonic = signature.key - last
                moved = _Mode(key=tonic % 12, mode=signature.mode)
                if keys.fits(keys.from_signature(moved), weights):
                    return signature.key % 12, 1 + _MODES.index(signature.mode)
    tonic, mode = keys.guess_tonic(weights, 0)
    return (tonic + last) % 12, 1 + _MODES.index(mode)


def _meter(
    sequence: NoteSequence, quarters: TempoMap, starts: np.ndarray
) -> tuple[int, np.ndarray]:
    """The meter of the first note as an index, and where in its bar each note begins."""
    given = sequence.time_signatures
    parts, counted = _in_parts(quarters, np.array([one.time for one in given], float))
    signatures = [
        (time, one.numerator, one.denominator)
        for time, one, known in zip(_in_ticks(parts).tolist(), given, counted.tolist(), strict=True)
        if known and one.numerator > 0 and one.denominator > 0
    ]
    # Sorting is stable: of several at one time the last one given holds.
    signatures.sort(key=lambda one: one[0])
    from_midi = sequence.source_info.encoding_type == NoteSequence.SourceInfo.MIDI
    if from_midi and not any(time <= 0 for time, _, _ in signatures):
        # The MIDI file format says so.
        signatures.insert(0, (0, 4, 4))
    position = np.zeros(len(starts), np.int64)
    for time, numerator, denominator in signatures:
        bar = max(1, round(4 * _TICKS * numerator / denominator))
        within = starts >= time
        position[within] = 1 + (starts[within] - time) % bar % _BAR
    if not signatures:
        return 0, position
    begun = [signature for signature in signatures if signature[0] <= starts[0]]
    meter = (begun or signatures[:1])[-1][1:]
    return (2 + _METERS.index(meter) if meter in _METERS else 1), position
