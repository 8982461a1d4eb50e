"""The form of a tune in letters: AABB, and abac for the phrases of a strain.

Capitals stand for strains as they are played, small letters for phrases. The same letter means the
same notes; a prime (A') means that so much of the time has the same notes that it is a variation;
a star (a*) means that it is the same moved to other degrees of the scale, or by octaves.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pipelines.judge.forms.form_features import BLOCK, Laid

# All notes are the same, but for rounding.
_SAME = 1 - 1e-6
# A variation has the same notes for this share of the time at least.
VARIED = 0.7
# A sequence has the same steps for this share of the time; they differ by a semitone at most.
_SEQUENCE = 0.8
_RHYTHM = 0.7
_FEWEST_PITCHES = 3
_PHRASES = 4
_MOST_PITCH = 128


class Letters(NamedTuple):
    """The form of a tune.

    Attributes:
      form: the strains as they are played, such as "AABB".
      phrases: of each strain, such as "abac"; "" where it does not fall into phrases of whole
        bars.
    """

    form: str
    phrases: list[str]


def letters(laid: Laid) -> Letters:
    """Names the parts of a tune that are alike with the same letters."""
    parts: list[range] = []
    owners: list[int] = []
    phrases = []
    for number, (start, size) in enumerate(zip(laid.starts, laid.sizes, strict=True)):
        blocks = _written_out(laid, start, size)
        parts += blocks
        owners += [number] * len(blocks)
        phrases.append(_phrases(laid, blocks[0]))
    names = _named(laid, parts, "ABCDEFGHIJKLMNOPQRSTUVWXYZ")
    form = ""
    for number, strain in enumerate(laid.strains):
        own = "".join(name for name, owner in zip(names, owners, strict=True) if owner == number)
        form += own * (2 if strain.repeats else 1)
    return Letters(form, phrases)


def _written_out(laid: Laid, start: int, size: int) -> list[range]:
    """The blocks of a strain in which repeats are written out; else the whole strain."""
    whole = [range(start, start + size)]
    if size < 2 * BLOCK or size % BLOCK:
        return whole
    blocks = [range(at, at + BLOCK) for at in range(start, start + size, BLOCK)]
    alike = [_alike(laid, a, b) >= VARIED for i, b in enumerate(blocks) for a in blocks[:i]]
    return blocks if any(alike) else whole


def _phrases(laid: Laid, bars: range) -> str:
    """The letters of the phrases of a strain, of which there are four."""
    if len(bars) % _PHRASES or not len(bars):
        return ""
    size = len(bars) // _PHRASES
    parts = [range(at, at + size) for at in range(bars.start, bars.stop, size)]
    return "".join(_named(laid, parts, "abcd"))


def _named(laid: Laid, parts: Sequence[range], alphabet: str) -> list[str]:
    """A name for each part, after the earliest part that it is most alike."""
    names: list[str] = []
    firsts: list[range] = []
    for part in parts:
        alike = [_alike(laid, first, part) for first in firsts]
        best = int(np.argmax(alike)) if alike else -1
        if alike and alike[best] >= _SAME:
            names.append(alphabet[best])
        elif alike and alike[best] >= VARIED:
            names.append(alphabet[best] + "'")
        elif any(moved := [_is_sequence(laid, first, part) for first in firsts]):
            names.append(alphabet[moved.index(True)] + "*")
        else:
            # After the alphabet all others share its last letter.
            names.append(alphabet[min(len(firsts), len(alphabet) - 1)])
            if len(firsts) < len(alphabet):
                firsts.append(part)
    return names


def _alike(laid: Laid, a: range, b: range) -> float:
    """The share of the time with the same notes, bar by bar; 0 where they have other lengths."""
    if len(a) != len(b):
        return 0.0
    return float(laid.alike[np.arange(a.start, a.stop), np.arange(b.start, b.stop)].mean())


def _is_sequence(laid: Laid, a: range, b: range) -> bool:
    if len(a) != len(b):
        return False
    if laid.rhythm[np.arange(a.start, a.stop), np.arange(b.start, b.stop)].mean() < _RHYTHM:
        return False
    x, y = laid.grid[a.start : a.stop], laid.grid[b.start : b.stop]
    both = (x > 0) & (y > 0)
    if len(set(x[both].tolist())) < _FEWEST_PITCHES:
        return False
    steps = np.bincount((y[both].astype(int) - x[both]) + _MOST_PITCH, minlength=2 * _MOST_PITCH)
    return bool((steps[1:] + steps[:-1]).max() >= _SEQUENCE * both.sum())
