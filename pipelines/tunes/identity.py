"""Keys that recognise the versions of a tune: pieces with a key in common are one tune.

A tune goes by several titles and is written in many ways, so each piece has several keys, made of
its titles and of its melody. `splits` makes groups of the pieces that share keys.

Measured on 5,397 tunes of five collections (Nottingham, O'Neill's, Ryan's, Aird's, Litten's), which
make 4,183 groups: 535 of two tunes, 237 of more. The largest has 14 versions, all of the Cuckoo's
Nest family. All 782 pairs with 30 successive intervals in common are together. Before runs were
keys, when there were 4,223 groups: of 391 pairs whose sequences of intervals have a similarity over
0.9 by edit distance, at least 387 were together; of the 287 over 0.95, all (at least 283 by their
melodies alone). Of 50 random pairs that melody alone joined, each had four bars in common; some 10
were not similar in the rest. Of 50 pairs that the title alone joined, 4 were different tunes of one
name (London, Manchester, Camp Meeting, Morris Off), which cannot be told from versions that differ
a lot.
"""

import bisect
import math
import operator
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from pipelines.music import melody, note_sequence
from pipelines.music.note_sequence import NoteSequence
from pipelines.music.timing import TempoMap
from pipelines.tunes import runs, title_text

# The kinds of keys, which keys begin with. A phrase counts for less than the others: tunes with a
# phrase in common are one tune only where they have a title in common, too.
TITLE, MELODY, RUN, PHRASE = "title:", "melody:", "run:", "phrase:"

# Melodies with a verbatim passage of 30 intervals in common share a run, unless it is too plain.
_RUNS = runs.Sampling(length=24, window=7)
_PHRASES = runs.Sampling(length=10, window=7)


def keys(sequence: NoteSequence) -> tuple[str, ...]:
    """Makes the keys of a piece, each once; a piece of drums alone has none.

    Args:
      sequence: a tune whose first full bar begins at a multiple of the bar, as
        `pipelines.music.abc.reader` gives it.
    """
    notes = melody.first_voice(sequence)
    if not notes:
        return ()
    bars = _Bars(sequence)
    times, pitches = _onsets(notes, sequence, bars)
    compared = bisect.bisect_right(times, _MAX_BARS * bars.points)
    found = dict.fromkeys(_melody_keys(times[:compared], pitches[:compared], bars))
    for kind, sampling in ((RUN, _RUNS), (PHRASE, _PHRASES)):
        found.update(dict.fromkeys(kind + run.hex() for run in runs.sample(pitches, sampling)))
    found.update(dict.fromkeys(title_keys(note_sequence.titles(sequence), sequence)))
    return tuple(found)


def title_keys(titles: Iterable[str], sequence: NoteSequence) -> Iterator[str]:
    """Makes the keys of a piece that are made of titles of it, whatever it is played by."""
    bars = _Bars(sequence)
    for title in titles:
        for words in title_text.title_words(title):
            yield from _title_keys(words, bars)


def _title_keys(words: tuple[str, ...], bars: "_Bars") -> Iterator[str]:
    yield f"{TITLE}{title_text.fold(words)}"
    # "Teetotaller's Reel" is "The Teetotaller", but "Paddy Ryan's Jig" is not "Paddy Ryan's Reel".
    named = list(words)
    while named and named[-1] in title_text.KINDS:
        named.pop()
    if not title_text.names_nothing(named):
        stem = title_text.fold(named).rstrip("s")
        yield f"{TITLE}{stem} {bars.kind}"


# Melodies

# Different tunes may share by chance a window of four bars with fewer pitches or changes.
_MIN_PITCHES, _MIN_CHANGES = 5, 8
_WINDOW_BARS, _MAX_BARS = 4, 32
_OPENING_NOTES = 20
# Melodies of fewer notes are not compared.
_MIN_NOTES = 6
# In points: seconds are rounded, so times that differ by less are equal.
_ROUNDING = 1e-3


class _Bars:
    """How the bars of a piece are compared.

    Attributes:
      points: how many points of a bar are compared.
      quarters: quarter notes between these points.
      kind: names the meter, which keeps melodies apart that are equal at these points.
    """

    def __init__(self, sequence: NoteSequence):
        if sequence.time_signatures:
            meter = sequence.time_signatures[0]
            numerator, denominator = meter.numerator, meter.denominator
        else:
            numerator, denominator = 4, 4
        if (numerator, denominator) in ((12, 8), (6, 4)):
            # Others write such a bar as two, in 6/8 or 3/4.
            numerator //= 2
        compound = denominator >= 8 and numerator % 3 == 0 and numerator > 3
        beats = numerator // 3 if compound else numerator
        self.points = 6 if beats % 3 == 0 else 4 if beats % 2 == 0 else max(beats, 4)
        self.quarters = 4 * numerator / denominator / self.points
        self.kind = f"{'compound' if compound else 'simple'} {self.points}"


def _melody_keys(times: list[float], pitches: list[int], bars: _Bars) -> Iterator[str]:
    """Keys of a melody from its first full bar on.

    Args:
      times, pitches: from `_onsets`.
      bars: how its bars are compared.

    Yields:
      A key for each four bars: the pitches at a few points of each bar, relative to the first. So
      what lies between these points, a pickup, repeats that are written out, the unit length and
      the tempo make no difference, nor does the end of the fourth bar, where a pickup may be.
      Where these pitches are too plain to tell tunes apart, all pitches of the four bars.
      A key of the first notes: their intervals, whatever the meter.
      Where nothing of this is distinct enough, one key of the whole opening.
    """
    if len(pitches) < _MIN_NOTES:
        return
    found = False
    points = bars.points
    size = _WINDOW_BARS * points
    compared = size - points // 3
    skeleton = _skeleton(times, pitches, points)
    for start in range(0, len(skeleton) - size + 1, size):
        window = skeleton[start : start + compared]
        changes = sum(map(operator.ne, window, window[1:]))
        if changes >= _MIN_CHANGES and len(set(window)) >= _MIN_PITCHES:
            found = True
            yield f"{MELODY}{bars.kind} {_relative(window)}"
            continue
        # A passage of broken chords, for example, is plain at these points, but not in all notes.
        first, last = (bisect.bisect_left(times, t - _ROUNDING) for t in (start, start + compared))
        notes = pitches[first:last]
        if len(notes) >= _OPENING_NOTES and len(set(notes)) >= _MIN_PITCHES:
            found = True
            yield f"{MELODY}notes {_relative(notes)}"
    opening = next((i for i, time in enumerate(times) if time >= -_ROUNDING), len(times))
    notes = pitches[opening : opening + _OPENING_NOTES]
    if len(notes) == _OPENING_NOTES and len(set(notes)) >= _MIN_PITCHES:
        found = True
        yield f"{MELODY}opening {_relative(notes)}"
    if not found:
        whole = _opening(times, pitches, size)
        if len(whole) >= _MIN_NOTES and len({pitch for _, pitch in whole}) > 2:
            rhythm = ",".join(str(round(time * 12)) for time, _ in whole)
            yield f"{MELODY}{bars.kind} {_relative([pitch for _, pitch in whole])} {rhythm}"


def _onsets(
    notes: Sequence[NoteSequence.Note], sequence: NoteSequence, bars: _Bars
) -> tuple[list[float], list[int]]:
    """Onsets and pitches of a melody, the highest note of each chord.

    Returns:
      Onsets in points after the begin of the first full bar, those of a pickup negative; pitches.
    """
    seconds = np.array([(note.start_time, note.end_time) for note in notes])
    starts, ends = TempoMap(sequence.tempos)(seconds).T / bars.quarters
    pitches = np.array([note.pitch for note in notes])
    # Notes whose onsets differ by rounding alone begin together.
    order = np.argsort(starts, kind="stable")
    together = np.empty(len(starts), np.int64)
    together[order] = np.cumsum(np.diff(starts[order], prepend=starts[order[0]]) > _ROUNDING)
    top = melody.highest(together, pitches, ends)
    times = starts[top]
    times -= math.ceil(times[0] / bars.points - _ROUNDING) * bars.points
    return times.tolist(), pitches[top].tolist()


def _skeleton(times: list[float], pitches: list[int], points: int) -> bytes:
    """The pitch at each point; a note is held over rests and to the end of the last bar."""
    skeleton = bytearray()
    held = pitches[0]
    for time, pitch in zip(times, pitches):
        missing = math.ceil(time - _ROUNDING) - len(skeleton)
        if missing > 0:
            skeleton += bytes((held,)) * missing
        held = pitch
    bars = int(times[-1] + _ROUNDING) // points + 1
    skeleton += bytes((held,)) * (bars * points - len(skeleton))
    return bytes(skeleton[: _MAX_BARS * points])


def _opening(times: list[float], pitches: list[int], size: int) -> list[tuple[float, int]]:
    """Onsets and pitches of the first eight bars, or of four where the next four repeat them."""
    first, second = (
        [(t - start, p) for t, p in zip(times, pitches) if start <= t + _ROUNDING < start + size]
        for start in (0, size)
    )
    repeated = len(first) == len(second) and all(
        a[1] == b[1] and abs(a[0] - b[0]) < 2 * _ROUNDING for a, b in zip(first, second)
    )
    return first if repeated else first + [(time + size, pitch) for time, pitch in second]


def _relative(pitches: bytes | list[int]) -> str:
    return bytes((pitch - pitches[0]) & 255 for pitch in pitches).hex()
