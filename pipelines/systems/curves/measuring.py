"""What a model of curves says of tunes: the bits of each curve, and whether it was the likeliest.

Curves count as equal where they are so on the grid, so that a model which tells apart how music21
rounds their times pays nothing for that: it pays for the sum of their probabilities.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pipelines.representations import curves
from pipelines.representations.curves import Signature, Vocabulary
from pipelines.systems.curves import tunes
from pipelines.systems.curves.model import Model
from pipelines.systems.curves.tunes import Tune

_BATCH = 64
_COLUMNS = len(curves.CONTEXT)


class Scored(NamedTuple):
    """What a model, or a baseline, says of the curves of a tune.

    Attributes:
      bits: float array shaped [curves]; NaN for one that it does not predict, or cannot as no
        training tune has it.
      right: bool array shaped [curves], whether it was the likeliest; false where it is NaN above.
    """

    bits: np.ndarray
    right: np.ndarray


class Classes:
    """The ids of a vocabulary by what they are on the grid.

    Args:
      vocabulary: the curves of a model.

    Attributes:
      of_id: int array shaped [ids]: the class of each.
      steps: int array shaped [classes, 2], as `Vocabulary.steps` gives them.
    """

    def __init__(self, vocabulary: Vocabulary):
        self.steps, of_id = np.unique(vocabulary.steps(), axis=0, return_inverse=True)
        self.of_id = of_id.reshape(-1)
        self._numbers = {tuple(pair): number for number, pair in enumerate(self.steps.tolist())}

    def of(self, melody: curves.Tune) -> np.ndarray:
        """The classes of a tune's curves, -1 where no training tune has one: int [curves]."""
        pairs = zip(np.diff(melody.pitches).tolist(), np.diff(melody.onsets).tolist())
        return np.array([self._numbers.get(pair, -1) for pair in pairs], np.int64)


def score(model: Model, melodies: Sequence[curves.Tune]) -> list[Scored]:
    """Scores tunes, each curve by what the model is given of those before it.

    A model with windows begins anew in each, as it was trained, and predicts none of the first
    `ahead` curves.
    """
    hparams, classes = model.hparams, Classes(model.vocabulary)
    found = []
    pieces: list[tuple[int, int, np.ndarray]] = []  # Tune, first step, inputs.
    for number, melody in enumerate(melodies):
        ids = model.vocabulary.ids(tunes.curves_of(melody, hparams))
        inputs = tunes.inputs_of(melody, ids, hparams)[: _steps(model, len(ids))]
        size = hparams.window or max(len(inputs), 1)
        pieces += [(number, i, inputs[i : i + size]) for i in range(0, len(inputs), size)]
        found.append(Scored(np.full(len(ids), np.nan), np.zeros(len(ids), bool)))
    truth = [classes.of(melody) for melody in melodies]
    pieces.sort(key=lambda piece: len(piece[2]))
    batch = _BATCH * 8 if hparams.window else _BATCH
    for start in range(0, len(pieces), batch):
        chosen = pieces[start : start + batch]
        longest = max(len(inputs) for *_, inputs in chosen)
        columns = chosen[0][2].shape[1]
        padded = np.full((len(chosen), longest, columns), tunes.NOTHING, np.int32)
        for row, (*_, inputs) in zip(padded, chosen, strict=True):
            row[: len(inputs)] = inputs
        logits = model.forward(padded, start_states(model, len(chosen)))[0].numpy()
        for (number, first, inputs), of_piece in zip(chosen, logits, strict=True):
            begin = first + _offset(model)
            span = slice(begin, begin + len(inputs))
            bits, right = judge(of_piece[: len(inputs)], truth[number][span], classes)
            found[number].bits[span], found[number].right[span] = bits, right
    return found


def _offset(model: Model) -> int:
    """The curve that the output of the first step predicts."""
    return model.hparams.ahead - (1 if model.hparams.context else 0)


def _steps(model: Model, number: int) -> int:
    """How many steps of a tune with so many curves predict one of them."""
    return max(number - _offset(model), 0)


def judge(logits: np.ndarray, truth: np.ndarray, classes: Classes) -> tuple[np.ndarray, np.ndarray]:
    """The bits of the true classes, and whether the likeliest id is of them.

    Args:
      logits: float [steps, ids].
      truth: int [steps]; -1 for what no id stands for, which gives NaN and false.
      classes: those of the ids.
    """
    likeliest = classes.of_id[logits.argmax(axis=1)]
    exact = logits.astype(np.float64)
    probabilities = np.exp(exact - exact.max(axis=1, keepdims=True))
    of_truth = np.where(classes.of_id == truth[:, None], probabilities, 0).sum(axis=1)
    with np.errstate(divide="ignore"):
        bits = np.log2(probabilities.sum(axis=1)) - np.log2(of_truth)
    return np.where(truth < 0, np.nan, bits), (likeliest == truth) & (truth >= 0)


def quick(model: Model, held_out: Sequence[Tune]) -> dict[str, float]:
    """The bits a note and the accuracy on all curves that the model predicts."""
    scored = score(model, [tune.melody for tune in held_out])
    bits = np.concatenate([one.bits for one in scored])
    right = np.concatenate([one.right for one in scored])
    predicted = ~np.isnan(bits)
    if not predicted.any():
        return {"bits_per_note": np.inf, "accuracy": 0.0}
    return {"bits_per_note": bits[predicted].mean(), "accuracy": right[predicted].mean()}


def right_ahead(model: Model, melodies: Sequence[curves.Tune], ahead: int) -> list[np.ndarray]:
    """Whether the curve `ahead` steps on is foretold, where all curves but the last are guesses.

    From each note on, the model goes on with the likeliest curve so often. It must have context.

    Args:
      model: one that predicts one step ahead.
      melodies: the tunes.
      ahead: how many steps, at least 1.

    Returns:
      For each tune a bool array shaped [curves]; the first `ahead` - 1 are false.
    """
    classes = Classes(model.vocabulary)
    steps = model.vocabulary.steps()
    truth = [classes.of(melody) for melody in melodies]
    found = [np.zeros(len(one), bool) for one in truth]
    ids = [model.vocabulary.ids(melody.curves()) for melody in melodies]
    inputs = [tunes.inputs_of(*pair, model.hparams) for pair in zip(melodies, ids, strict=True)]
    states = start_states(model, len(melodies))
    for at in range(max(map(len, truth))):
        # Tunes that are over go on with padding, which nobody looks at.
        rows = np.array([one[at] if at < len(one) else [-1] * (1 + _COLUMNS) for one in inputs])
        logits, states = step(model, rows[:, None], states)
        going = [i for i in range(len(melodies)) if at + ahead <= len(truth[i])]
        if not going:
            break
        places = [(int(melodies[i].onsets[at]), int(melodies[i].pitches[at])) for i in going]
        guesses = logits[going].argmax(axis=1)
        rolled = states[:, :, going]
        for _ in range(ahead - 1):
            places = [
                (onset + parts, pitch + semitones)
                for (onset, pitch), (semitones, parts) in zip(places, steps[guesses].tolist())
            ]
            rows = row_of(guesses, [melodies[i].signature(at[0]) for i, at in zip(going, places)],
                          places)  # fmt: skip
            logits, rolled = step(model, rows, rolled)
            guesses = logits.argmax(axis=1)
        for i, guess in zip(going, guesses.tolist(), strict=True):
            where = at + ahead - 1
            found[i][where] = classes.of_id[guess] == truth[i][where]
    return found


def start_states(model: Model, batch: int) -> np.ndarray:
    """The states before a sequence: zeros shaped [layers, 2, batch, units]."""
    return np.zeros((model.hparams.layers, 2, batch, model.hparams.units), np.float32)


def step(model: Model, inputs: np.ndarray, states: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The logits after the last step, float [batch, ids], and the states.

    Args:
      model: the model.
      inputs: int [batch, steps, columns].
      states: those before, as `start_states` gives them.
    """
    logits, after = model.forward(inputs.astype(np.int32), states)
    return logits[:, -1].numpy(), after.numpy()


def row_of(
    ids: np.ndarray, signatures: Sequence[Signature], notes: Sequence[tuple[int, int]]
) -> np.ndarray:
    """The input of a step with context: int array shaped [batch, 1, columns].

    Args:
      ids: those of the curves that lead to the notes.
      signatures: what holds at each note.
      notes: pairs of onset and pitch.
    """
    known = [curves.context(one, *note) for one, note in zip(signatures, notes, strict=True)]
    return np.column_stack([ids, np.array(known)])[:, None].astype(np.int32)
