"""A model of the notes of tunes: how likely each note is, given what stands around it.

A network of one hidden layer sees a note's context (`note_contexts`) and gives a probability to
each pitch. It sees both sides of a note, as masked language models do (J. Devlin et al., "BERT",
2019), so it prices a note better than a model that writes tunes from left to right, and it writes
none itself.

It is learnt twice, each time from half of the tunes. A tune that one half has, or a version of it,
is priced by the model of the other half: a tune that was learnt is no surprise.
"""

import hashlib
from collections.abc import Iterable, Sequence

import numpy as np
import scipy.sparse

from pipelines.judge.finding import Arrays
from pipelines.judge.note_contexts import REACH, SIZES, Contexts
from pipelines.runtime.progress import Progress

HALVES = 2
_HIDDEN = 160
_PITCHES = 2 * REACH + 1
_PASSES, _LAST_PASSES = 5, 2
_RATE, _LAST_RATE = 1e-3, 2e-4
_BATCH, _BLOCK = 256, 20_480
# A tune is recognised by the smallest hashes of its runs of so many intervals.
_RUN, _HASHES = 12, 4
_LEAST = 1e-9


def half_of(group: int) -> int:
    """The half that the versions of a tune are in."""
    digest = hashlib.blake2b(str(group).encode(), digest_size=1).digest()
    return digest[0] % HALVES


def fit(
    tunes: Sequence[tuple[int, Contexts]], pitches: Sequence[tuple[int, np.ndarray]]
) -> dict[str, np.ndarray]:
    """Learns both halves.

    Args:
      tunes: the half of each tune, and its notes.
      pitches: the half of each tune, and the MIDI pitches of its notes.

    Returns:
      The arrays that a `NoteModel` is made of.
    """
    made: dict[str, np.ndarray] = {}
    for half in range(HALVES):
        weights = _fit_half([tune for which, tune in tunes if which == half], half)
        made.update({f"{name}{half}": value for name, value in weights.items()})
        found = [_fingerprint(pitch) for which, pitch in pitches if which == half]
        made[f"fingerprints{half}"] = np.unique(np.concatenate([np.zeros(0, np.uint32), *found]))
    return made


def _fit_half(tunes: Sequence[Contexts], seed: int) -> dict[str, np.ndarray]:
    # scikit-learn: its perceptron takes sparse rows, and a pass takes some ten seconds.
    from sklearn.neural_network import MLPClassifier

    columns = np.concatenate([tune.columns for tune in tunes])
    pitches = np.concatenate([tune.pitches for tune in tunes])
    rows = _rows(columns)
    network = MLPClassifier(
        (_HIDDEN,), alpha=1e-5, batch_size=_BATCH, learning_rate_init=_RATE, random_state=seed
    )
    rng = np.random.default_rng(seed)
    passes = _PASSES + _LAST_PASSES
    blocks = -(-len(pitches) // _BLOCK)
    with Progress(f"blocks of notes learnt, half {seed + 1} of {HALVES}", passes * blocks) as told:
        for number in range(passes):
            if number == _PASSES:
                # The optimiser keeps its moments, and goes on in smaller steps.
                network._optimizer.learning_rate_init = _LAST_RATE
            order = rng.permutation(len(pitches))
            for block in range(blocks):
                some = order[block * _BLOCK : (block + 1) * _BLOCK]
                network.partial_fit(rows[some], pitches[some], classes=np.arange(_PITCHES))
                told.update(number * blocks + block + 1)
    (first, second), (first_bias, second_bias) = network.coefs_, network.intercepts_
    return {
        "first": first.astype(np.float16), "first_bias": first_bias.astype(np.float16),
        "second": second.astype(np.float16), "second_bias": second_bias.astype(np.float16),
    }  # fmt: skip


class NoteModel:
    """The model of the notes.

    Args:
      arrays: from `fit`.
    """

    def __init__(self, arrays: Arrays):
        self._halves = [
            [arrays[f"{name}{half}"].astype(np.float32)
             for name in ("first", "first_bias", "second", "second_bias")]
            for half in range(HALVES)
        ]  # fmt: skip
        self._fingerprints = [
            frozenset(arrays[f"fingerprints{half}"].tolist()) for half in range(HALVES)
        ]

    def unfamiliar(self, pitches: np.ndarray) -> list[int]:
        """The halves that have no version of a tune.

        Args:
          pitches: the MIDI pitches of the tune, one after another.
        """
        mine = _fingerprint(pitches)
        return [
            half for half, known in enumerate(self._fingerprints) if known.isdisjoint(mine.tolist())
        ]

    def probabilities(self, notes: Contexts, halves: Iterable[int]) -> np.ndarray:
        """The probability of each pitch for each note: float32 [notes, 2 * REACH + 1].

        Args:
          notes: the notes in what stands around them.
          halves: which models are asked; the mean of several counts.
        """
        found = [_softmax(self._halves[half], notes.columns) for half in halves]
        return np.mean(found, axis=0)


def bits(probabilities: np.ndarray, pitches: np.ndarray) -> np.ndarray:
    """The surprise of each note: float [notes]."""
    return -np.log2(probabilities[np.arange(len(pitches)), pitches] + _LEAST)


def _softmax(weights: Sequence[np.ndarray], columns: np.ndarray) -> np.ndarray:
    first, first_bias, second, second_bias = weights
    hidden = _rows(columns) @ first + first_bias
    found = np.maximum(hidden, 0) @ second + second_bias
    found = np.exp(found - found.max(axis=1, keepdims=True))
    return found / found.sum(axis=1, keepdims=True)


def _rows(columns: np.ndarray) -> scipy.sparse.csr_array:
    """Contexts as rows with a one for each number that describes a note: [notes, sum(SIZES)]."""
    ends = np.arange(0, columns.size + 1, columns.shape[1])
    ones = np.ones(columns.size, np.float32)
    return scipy.sparse.csr_array((ones, columns.ravel(), ends), (len(columns), sum(SIZES)))


def _fingerprint(pitches: np.ndarray) -> np.ndarray:
    """The smallest hashes of a tune's runs of intervals, uint32, at most _HASHES.

    Versions have runs in common, and of the same runs the same hashes are smallest (min-hash,
    A. Z. Broder, 1997).
    """
    intervals = np.diff(pitches).astype(np.int8)
    runs = {intervals[at : at + _RUN].tobytes() for at in range(len(intervals) - _RUN + 1)}
    hashes = sorted(
        int.from_bytes(hashlib.blake2b(run, digest_size=4).digest(), "big") for run in runs
    )
    return np.array(hashes[:_HASHES], np.uint32)
