"""The baselines: Kneser-Ney of order 5, and the same mixed with a PPM of the tune so far."""

from collections.abc import Callable, Sequence

import numpy as np

from models import ppm
from models.kneser_ney import KneserNey
from pipelines.examples.written_tunes import Tune
from pipelines.representations.abc_tokens import vocabulary

UNIGRAM, KNESER_NEY, WITH_PPM = "unigram", "kneser_ney", "kneser_ney+ppm"
ORDER = 5
# Chosen on the validation tunes; experiments/tune_lm has the figures.
PPM_ORDER = 8
# Added to each count where the parts of tokens are counted.
_SMOOTHING = 0.5

Prices = Callable[[Tune], np.ndarray]


def begin(tune: Tune) -> int:
    """The symbol that begins a tune for Kneser-Ney: its first meter and mode, which are given."""
    meter = vocabulary.METERS.index(tune.given.meter)
    mode = vocabulary.MODES.index(tune.given.key.mode)
    return vocabulary.SIZE + meter * len(vocabulary.MODES) + mode


def base(tunes: Sequence[Tune]) -> np.ndarray:
    """What tokens cost that no tune has: what they are, and how long, each by its own frequency.

    Args:
      tunes: those of training.

    Returns:
      Float64 array shaped [SIZE], a distribution.
    """
    what = np.full(vocabulary.WHATS, _SMOOTHING)
    note_length = np.full(vocabulary.LENGTH_IDS - 1, _SMOOTHING)
    rest_length = np.full(len(vocabulary.LENGTHS), _SMOOTHING)
    for tune in tunes:
        steps = tune.steps
        what += np.bincount(steps.what, minlength=vocabulary.WHATS)
        noted, rested = steps.is_note, steps.what == vocabulary.REST
        note_length += np.bincount(steps.length[noted] - 1, minlength=len(note_length))
        rest_length += np.bincount((steps.length[rested] - 1) // 2, minlength=len(rest_length))
    what /= what.sum()
    signs, rest, pitches = np.split(what, [vocabulary.SIGNS, vocabulary.SIGNS + 1])
    notes = np.outer(pitches, note_length / note_length.sum()).ravel()
    return np.concatenate([signs, rest * rest_length / rest_length.sum(), notes])


def fit(training: Sequence[Tune], validation: Sequence[Tune]) -> dict[str, Prices]:
    """Fits all baselines.

    Args:
      training: the tunes that are counted.
      validation: the tunes that say how much the tune so far counts.

    Returns:
      For each baseline a function from a tune to the probabilities of its tokens.
    """
    of_parts = base(training)
    sequences = [(begin(tune), tune.steps.tokens.tolist()) for tune in training]
    unigram = KneserNey(sequences, of_parts, order=1)
    grams = KneserNey(sequences, of_parts, order=ORDER)

    def of_grams(tune: Tune) -> np.ndarray:
        return grams.probabilities(begin(tune), tune.steps.tokens.tolist())

    def so_far(tune: Tune) -> ppm.Predicted:
        return ppm.predict(tune.steps.tokens.tolist(), PPM_ORDER)

    mixture = ppm.fit(
        [of_grams(tune) for tune in validation], [so_far(tune) for tune in validation], PPM_ORDER
    )
    return {
        UNIGRAM: lambda tune: unigram.probabilities(begin(tune), tune.steps.tokens.tolist()),
        KNESER_NEY: of_grams,
        WITH_PPM: lambda tune: mixture.probabilities(of_grams(tune), so_far(tune)),
    }
