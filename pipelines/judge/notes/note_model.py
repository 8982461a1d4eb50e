"""A model of the notes of tunes: how likely each note is, given what stands around it.

A network of one hidden layer sees a note's context (`note_contexts`) and gives a probability to
each pitch. It sees both sides of a note, as masked language models do (J. Devlin et al., "BERT",
2019), so it prices a note better than a model that writes tunes from left to right, and it writes
none itself.

It is learnt several times, each time without a part of the tunes. A tune that one part has, or a
version of it, is priced by the model that was learnt without that part: a tune that was learnt is
no surprise. Other tunes are priced by all models together.
"""

import hashlib
from collections.abc import Iterable, Sequence

import numpy as np
import scipy.sparse

from pipelines.judge import shapes
from pipelines.judge.finding import Arrays
from pipelines.judge.notes.note_contexts import REACH, SIZES, Contexts
from pipelines.runtime.progress import Progress

PARTS = 3
_HIDDEN = 256
_PITCHES = 2 * REACH + 1
# Passes over the notes, and the size of the steps in each.
_RATES = (1e-3, 1e-3, 1e-3, 1e-3, 3e-4, 1e-4)
_BATCH, _BLOCK = 256, 20_480
# A tune is recognised by the smallest hashes of its runs of so many intervals.
_RUN, _HASHES = 12, 4
_LEAST = 1e-9
_STORED = ("first", "scale", "first_bias", "second", "second_bias")


def part_of(group: int) -> int:
    """The part that the versions of a tune are in."""
    digest = hashlib.blake2b(str(group).encode(), digest_size=2).digest()
    return int.from_bytes(digest, "big") % PARTS


def fit(
    tunes: Sequence[Contexts], pitches: Sequence[np.ndarray], parts: Sequence[int]
) -> dict[str, np.ndarray]:
    """Learns the models.

    Args:
      tunes: the notes of each tune.
      pitches: the MIDI pitches of each tune.
      parts: the part of each tune.

    Returns:
      The arrays that a `NoteModel` is made of.
    """
    made: dict[str, np.ndarray] = {}
    for part in range(PARTS):
        others = [tune for tune, which in zip(tunes, parts, strict=True) if which != part]
        made.update({f"{name}{part}": value for name, value in _fit_one(others, part).items()})
        found = [
            fingerprint(some) for some, which in zip(pitches, parts, strict=True) if which == part
        ]
        made[f"fingerprints{part}"] = np.unique(np.concatenate([np.zeros(0, np.uint32), *found]))
    return made


def _fit_one(tunes: Sequence[Contexts], part: int) -> dict[str, np.ndarray]:
    # scikit-learn: its perceptron takes sparse rows, and a pass takes some ten seconds.
    from sklearn.neural_network import MLPClassifier

    pitches = np.concatenate([tune.pitches for tune in tunes])
    rows = _rows(np.concatenate([tune.columns for tune in tunes]))
    network = MLPClassifier((_HIDDEN,), alpha=1e-5, batch_size=_BATCH, random_state=part)
    network.learning_rate_init = _RATES[0]
    rng = np.random.default_rng(part)
    blocks = -(-len(pitches) // _BLOCK)
    told = f"blocks of notes learnt, model {part + 1} of {PARTS}"
    with Progress(told, len(_RATES) * blocks) as progress:
        for number, rate in enumerate(_RATES):
            if number:
                # The optimiser keeps its moments, and goes on in smaller steps.
                network._optimizer.learning_rate_init = rate
            order = rng.permutation(len(pitches))
            for block in range(blocks):
                some = order[block * _BLOCK : (block + 1) * _BLOCK]
                network.partial_fit(rows[some], pitches[some], classes=np.arange(_PITCHES))
                progress.update(number * blocks + block + 1)
    (first, second), (first_bias, second_bias) = network.coefs_, network.intercepts_
    # The first layer has nearly all the weights: 8 bits each, with a scale for each unit.
    scale = np.maximum(np.abs(first).max(axis=0), _LEAST) / 127
    return {
        "first": np.round(first / scale).astype(np.int8),
        "scale": scale.astype(np.float32),
        "first_bias": first_bias.astype(np.float16),
        "second": second.astype(np.float16),
        "second_bias": second_bias.astype(np.float16),
    }


class NoteModel:
    """The models of the notes.

    Args:
      arrays: from `fit`.

    Raises:
      KeyError, ValueError: as of `shapes.require`.
    """

    def __init__(self, arrays: Arrays):
        self._layers = []
        for part in range(PARTS):
            first, *others = (f"{name}{part}" for name in _STORED)
            sizes = (("units",), ("units",), ("units", _PITCHES), (_PITCHES,))
            shapes.require(arrays, dict(zip(others, sizes, strict=True)))
            units = len(arrays[others[0]])
            shapes.require(arrays, {first: (sum(SIZES), units)}, shapes.NUMBERS)
            shapes.require(arrays, {f"fingerprints{part}": ("n",)}, shapes.NUMBERS)
            found = [arrays[f"{name}{part}"].astype(np.float32) for name in _STORED]
            weights, scale, *rest = found
            self._layers.append((weights * scale, *rest))
        self._fingerprints = [
            frozenset(arrays[f"fingerprints{part}"].tolist()) for part in range(PARTS)
        ]

    def knowing(self, pitches: np.ndarray) -> list[int]:
        """The parts that have a version of a tune.

        Args:
          pitches: the MIDI pitches of the tune, one after another.
        """
        mine = fingerprint(pitches).tolist()
        return [part for part, known in enumerate(self._fingerprints) if not known.isdisjoint(mine)]

    def without(self, parts: Sequence[int]) -> list[int]:
        """The models that were learnt without some parts; all where there is none."""
        return list(parts) if len(parts) == 1 else list(range(PARTS))

    def probabilities(self, notes: Contexts, models: Iterable[int]) -> np.ndarray:
        """The probability of each pitch for each note: float32 [notes, 2 * REACH + 1].

        Args:
          notes: the notes in what stands around them.
          models: those that are asked, by the part that each was learnt without; the mean of
            several counts.
        """
        rows = _rows(notes.columns)
        return np.mean([_softmax(self._layers[model], rows) for model in models], axis=0)


def bits(probabilities: np.ndarray, pitches: np.ndarray) -> np.ndarray:
    """The surprise of each note: float [notes]."""
    return -np.log2(probabilities[np.arange(len(pitches)), pitches] + _LEAST)


def _softmax(layers: Sequence[np.ndarray], rows: scipy.sparse.csr_array) -> np.ndarray:
    first, first_bias, second, second_bias = layers
    found = np.maximum(rows @ first + first_bias, 0) @ second + second_bias
    found = np.exp(found - found.max(axis=1, keepdims=True))
    return found / found.sum(axis=1, keepdims=True)


def _rows(columns: np.ndarray) -> scipy.sparse.csr_array:
    """Contexts as rows with a one for each number that describes a note: [notes, sum(SIZES)]."""
    ends = np.arange(0, columns.size + 1, columns.shape[1])
    ones = np.ones(columns.size, np.float32)
    return scipy.sparse.csr_array((ones, columns.ravel(), ends), (len(columns), sum(SIZES)))


def fingerprint(pitches: np.ndarray) -> np.ndarray:
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
