"""What a criterion is, and what it finds in a tune."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from pipelines.representations.abc_tokens.written import Tune

# A tune of more bars is a book without numbers, or no tune.
MAX_BARS = 2000


class CannotBeJudged(Exception):
    """A tune that a criterion cannot judge: the message says why, in one line."""


class Mark(NamedTuple):
    """A bar in which something is found.

    Attributes:
      bar: its place in `Tune.bars`, from 0.
      text: what is found there, in a few words.
    """

    bar: int
    text: str


class Finding(NamedTuple):
    """What a criterion finds in a tune.

    Attributes:
      measure: the higher the better; comparable between tunes.
      says: what it finds, in a few words.
      evidence: the same in detail, as JSON values.
      marks: the bars that it finds something in.
    """

    measure: float
    says: str
    evidence: dict[str, Any]
    marks: tuple[Mark, ...] = ()


class Known(NamedTuple):
    """A tune of a corpus, from which a criterion learns.

    Attributes:
      id: that of its record.
      corpus: the folder of its tunebook.
      group: the same number for versions of one tune.
      tune: the tune.
    """

    id: str
    corpus: str
    group: int
    tune: Tune


Arrays = Mapping[str, np.ndarray]
Judge = Callable[[Tune], Finding]


class Criterion(NamedTuple):
    """One question that is asked of a tune.

    Attributes:
      name: what it is called in verdicts and flags.
      summary: the question, in one line.
      stage: 1 where a tune that fails is rejected, 2 where tunes are graded.
      learn: makes what it has to know from tunes of training and of validation: arrays that
        `np.load` reads without pickle. The same tunes give the same arrays.
      open: makes a judge of these arrays. It raises `CannotBeJudged`.
      rejects: of stage 1: a tune is rejected where at most this share of people's tunes is no
        better.
      keeps_tunes: whether what it knows are the tunes themselves. Then it learns all tunes in the
        end, also those by which scores are calibrated.
    """

    name: str
    summary: str
    stage: int
    learn: Callable[[Sequence[Known], Sequence[Known]], Arrays]
    open: Callable[[Arrays], Judge]
    rejects: float = 0.02
    keeps_tunes: bool = False
