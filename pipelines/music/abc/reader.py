"""ABC notation to NoteSequences.

The project reads the notation itself and uses no engine: none tells where a written bar is in the
performance, which pickups, sections, chord symbols and the lines of warnings need, and to find that
out one has to read the notation anyway. This reader keeps all of 5,397 tunes of five real
tunebooks. Their notes as written agree with abc2midi 4.84 in 99.5% of tunes, with symusic 0.6.0
(abc2midi's engine) in 99.4%, with music21 10.5.1 and with abcjs 6.7.2 in 96.6%;
experiments/tunes/README.md explains the rest. symusic is 1.9 times as fast as this reader, music21
70 times slower.
"""

import bisect
import operator
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

from pipelines.music import note_sequence
from pipelines.music.abc import headers
from pipelines.music.abc.lines import is_placeholder
from pipelines.music.abc.notation import notate
from pipelines.music.abc.playing import Performance, play, written_notes
from pipelines.music.abc.score import WHOLE, Score, Ticks, of_whole
from pipelines.music.abc.tunebook import TuneText
from pipelines.music.limits import MAX_NOTES, MAX_SECONDS, Rejected
from pipelines.music.note_sequence import NoteSequence

VELOCITY = 90
_MAX_INT32 = 2**31 - 1
_Modes = NoteSequence.KeySignature.Mode
_Chord = NoteSequence.TextAnnotation.CHORD_SYMBOL
# A tune with more notes is no placeholder.
_PLACEHOLDER_NOTES = 32


def read(
    tune: TuneText, max_seconds: float = MAX_SECONDS, max_notes: int = MAX_NOTES
) -> NoteSequence:
    """Reads one tune.

    Args:
      tune: its text.
      max_seconds: how long it may last as played.
      max_notes: how many notes it may have as played.

    Returns:
      The tune as it is played, all voices. tfrecords/README.md says what is in which field.

    Raises:
      Rejected: "no_notes", "placeholder", "too_long" or "too_many_notes".
    """
    score = notate(tune, max_notes)
    if score.notes() <= _PLACEHOLDER_NOTES and is_placeholder(tune.lines):
        raise Rejected("placeholder", "its notes are only the begin of the alphabet")
    return perform(score, max_seconds, max_notes)


def perform(
    score: Score, max_seconds: float = MAX_SECONDS, max_notes: int = MAX_NOTES
) -> NoteSequence:
    """Plays a score out; arguments and result as those of `read`.

    Raises:
      Rejected: "no_notes", "too_long" or "too_many_notes".
    """
    played = play(score, max_notes)
    clock = _Clock(played.tempos)
    seconds = clock.seconds(max(note.end for note in played.notes))
    if seconds > max_seconds:
        raise Rejected("too_long", f"{seconds:.0f} seconds")
    sequence = NoteSequence()
    _add_notes(sequence, played, clock)
    _add_signatures(sequence, played, clock)
    _add_texts(sequence, score, played, clock)
    return sequence


def written(tune: TuneText) -> list[list[tuple[int, Fraction]]]:
    """Pitches and lengths, in whole notes, of each voice as written: ties joined, no repeats."""
    return [
        [(pitch, of_whole(length)) for pitch, length in written_notes(voice.bars)]
        for voice in notate(tune).voices
    ]


class BarSpan(NamedTuple):
    """When a written bar of the first voice is heard, in seconds; `bar` is its index there."""

    bar: int
    start: float
    end: float


def bar_spans(score: Score, max_notes: int = MAX_NOTES) -> list[BarSpan]:
    """When the bars of a score are heard, in the order in which they are played.

    A bar that is repeated has a span for each time. The times are those of `perform`.

    Raises:
      Rejected: "no_notes", "too_long" or "too_many_notes".
    """
    played = play(score, max_notes)
    clock = _Clock(played.tempos)
    return [
        BarSpan(bar, clock.seconds(start), clock.seconds(end)) for bar, start, end in played.bars
    ]


class _Clock:
    """Ticks to seconds: exact until the last step, which rounds once."""

    def __init__(self, tempos: list[tuple[Ticks, Fraction]]):
        # Among several tempos at one time the last one holds.
        self._stretches: list[tuple[Ticks, Fraction, Fraction]] = []
        seconds = Fraction(0)
        for number, (time, qpm) in enumerate(tempos):
            if number:
                before, _, rate = self._stretches[-1]
                seconds += (time - before) * rate
            # A whole note has four quarters; a minute 60 seconds.
            self._stretches.append((time, seconds, Fraction(240) / (qpm * WHOLE)))
        _, _, rate = self._stretches[0]
        self._numerator, self._denominator = rate.numerator, rate.denominator

    def seconds(self, time: Ticks) -> float:
        """Seconds since the begin: the double that is nearest to the exact value."""
        if len(self._stretches) == 1:
            # Python divides integers of any size to the nearest double.
            return time.numerator * self._numerator / (time.denominator * self._denominator)
        at = bisect.bisect_right(self._stretches, time, key=operator.itemgetter(0)) - 1
        if at < 0:
            raise ValueError(f"no tempo holds at {time}")
        start, seconds, rate = self._stretches[at]
        return float(seconds + (time - start) * rate)


@lru_cache(maxsize=4096)
def _ratio(length: Ticks) -> tuple[int, int]:
    """A length in whole notes; 0, 0 where nested rhythms make it too fine for NoteSequence."""
    whole = of_whole(length)
    if max(whole.numerator, whole.denominator) > _MAX_INT32:
        return 0, 0
    return whole.numerator, whole.denominator


def _add_notes(sequence: NoteSequence, played: Performance, clock: _Clock) -> None:
    add, seconds = sequence.notes.add, clock.seconds
    end_time = 0.0
    notes = sorted(played.notes, key=lambda note: (note.start, note.instrument, note.pitch))
    for start, end, pitch, instrument, program in notes:
        if end <= start:
            continue
        numerator, denominator = _ratio(end - start)
        end_seconds = seconds(end)
        add(
            pitch=pitch,
            velocity=VELOCITY,
            start_time=seconds(start),
            end_time=end_seconds,
            numerator=numerator,
            denominator=denominator,
            instrument=instrument,
            program=program,
        )
        if end_seconds > end_time:
            end_time = end_seconds
    sequence.total_time = end_time
    for instrument, name in enumerate(played.names):
        if name:
            sequence.instrument_infos.add(instrument=instrument, name=name)


def _add_signatures(sequence: NoteSequence, played: Performance, clock: _Clock) -> None:
    sequence.ticks_per_quarter = 220
    for time, qpm in played.tempos:
        sequence.tempos.add(time=clock.seconds(time), qpm=float(qpm))
    for time, meter in played.meters:
        if meter:
            sequence.time_signatures.add(
                time=clock.seconds(time), numerator=meter[0], denominator=meter[1]
            )
    for time, key in played.keys:
        # NoteSequence has no key without a tonic; 0 is what a reader that ignores modes expects.
        sequence.key_signatures.add(
            time=clock.seconds(time), key=key.tonic or 0, mode=_Modes.Value(key.mode)
        )
    for time, number in played.sections:
        sequence.section_annotations.add(time=clock.seconds(time), section_id=number)


def _add_texts(sequence: NoteSequence, score: Score, played: Performance, clock: _Clock) -> None:
    sequence.source_info.source_type = NoteSequence.SourceInfo.SCORE_BASED
    sequence.source_info.encoding_type = NoteSequence.SourceInfo.ABC
    for letter, value in score.headers:
        note_sequence.add_field(sequence, letter, value[: headers.MAX_CHARACTERS])
    texts = sequence.text_annotations
    if score.grace_notes:
        texts.add(text=f"grace_notes:{score.grace_notes}")
    for line, what in score.warnings + played.warnings:
        note_sequence.add_warning(sequence, line, what)
    for time, text in played.chord_symbols:
        texts.add(time=clock.seconds(time), text=text, annotation_type=_Chord)
