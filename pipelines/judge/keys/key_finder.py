"""Finds the tonic and the mode of music from its notes alone, with a probability.

For each of the twelve tonics and six modes, what is counted in the notes is weighed relative to
that tonic; the probabilities are the softmax of the 72 sums (a conditional logit, McFadden 1974).
The weights are learned from tunes with a `K:` field. Counted are, relative to the tonic: how long
and how often each pitch class sounds, on downbeats and in long notes; the first and last notes of
the tune and its strains; the lowest and highest note; steps and leaps from one pitch class to
another; and which triads the bars outline. So music that is transposed has its key transposed.
"""

import functools
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from pipelines.judge import shapes
from pipelines.judge.finding import CannotBeJudged, Known
from pipelines.music import keys
from pipelines.music.abc.grid import WHOLE
from pipelines.music.note_sequence import NoteSequence
from pipelines.representations.abc_tokens import strains
from pipelines.representations.abc_tokens.written import Key, Tune
from pipelines.runtime import cores
from pipelines.runtime.app import UserError

MODES = ("MAJOR", "MINOR", "DORIAN", "MIXOLYDIAN", "PHRYGIAN", "LYDIAN")
FEWEST_NOTES = 6
FEWEST_PITCHES = 3
# Semitones above the tonic that belong to a mode. Minor has both sixths and both sevenths, since
# tunes in minor raise them before the tonic.
SCALES: Mapping[str, frozenset[int]] = {
    "MAJOR": frozenset((0, 2, 4, 5, 7, 9, 11)),
    "MINOR": frozenset((0, 2, 3, 5, 7, 8, 9, 10, 11)),
    "DORIAN": frozenset((0, 2, 3, 5, 7, 9, 10)),
    "MIXOLYDIAN": frozenset((0, 2, 4, 5, 7, 9, 10)),
    "PHRYGIAN": frozenset((0, 1, 3, 5, 7, 8, 10)),
    "LYDIAN": frozenset((0, 2, 4, 6, 7, 9, 11)),
}

# Features by pitch class, 24 by triad, and by pairs of pitch classes: their rows for each tonic.
_CLASSES, _TRIADS, _PAIRS = 18, 4, 3
_SIZE = 12 * _CLASSES + 24 * _TRIADS + 144 * _PAIRS
_LEAP = 3
_LONG = 1.5
# A bar outlines the triads whose direction its notes point to, by this much of a softmax.
_SHARPNESS = 8.0
# What weights of several modes have in common is learned together: all modes, those with a minor
# third, those with a minor seventh, and each mode.
_SHARED = np.array(
    [
        [1, 1, 1, 1, 1, 1],
        [0, 1, 1, 0, 1, 0],
        [0, 1, 1, 1, 1, 0],
        *np.eye(len(MODES)),
    ]
)
# So many passages fill some 2 MB.
_AT_ONCE = 32
_PENALTY = 3.0
_STEPS = 120
_TEMPERATURES = np.geomspace(0.5, 3, 61)


class Passage(NamedTuple):
    """Notes whose key is wanted.

    Attributes:
      sounds: int array shaped [notes, 4]: pitch, length, bar and place, as in `strains.Sound`.
      closing: bool array shaped [notes]: whether a note is the last one of a strain.
    """

    sounds: np.ndarray
    closing: np.ndarray


def passages(tune: Tune) -> list[Passage]:
    """The whole tune, and each of its strains that has a note."""
    sounds = np.array(strains.sounds(tune), int).reshape(-1, 4)
    ends = np.cumsum([len(part) for part in strains.parts(tune)])
    cuts = np.searchsorted(sounds[:, 2], ends)
    closing = np.zeros(len(sounds), bool)
    closing[cuts[cuts > 0] - 1] = True
    starts = np.append(0, cuts[:-1])
    found = [Passage(sounds, closing)]
    found += [
        Passage(sounds[a:b], closing[a:b]) for a, b in zip(starts, cuts, strict=True) if a < b
    ]
    return found


class Found(NamedTuple):
    """The key that music is in.

    Attributes:
      key: the likeliest one.
      probability: how likely it is.
      probabilities: float array shaped [12, len(MODES)]: that of each tonic and mode.
    """

    key: Key
    probability: float
    probabilities: np.ndarray

    def of(self, key: Key) -> float:
        """How likely another key is; 0 for a mode that is not looked for."""
        if key.mode not in MODES:
            return 0.0
        return float(self.probabilities[key.tonic, MODES.index(key.mode)])

    @property
    def tonic_probability(self) -> float:
        """How likely its tonic is, in whatever mode."""
        return float(self.probabilities[self.key.tonic].sum())


class KeyFinder:
    """Finds keys with what was learned.

    Args:
      arrays: what `learn` made.
    """

    def __init__(self, arrays: Mapping[str, np.ndarray]):
        shapes.require(arrays, {"key_weights": (_SIZE, len(MODES)), "key_biases": (len(MODES),)})
        self._weights = np.asarray(arrays["key_weights"], np.float64)
        self._biases = np.asarray(arrays["key_biases"], np.float64)

    def find(self, tune: Tune) -> Found:
        """The key of a tune; raises `CannotBeJudged` where it has too few notes for one."""
        whole = passages(tune)[0]
        require_notes(whole)
        return self.find_in([whole])[0]

    def find_in(self, some: Sequence[Passage]) -> list[Found]:
        """The key of each passage; each has at least one note."""
        found: list[Found] = []
        for start in range(0, len(some), _AT_ONCE):
            relative = _features(some[start : start + _AT_ONCE])[:, _rows()]
            scores = relative @ self._weights + self._biases
            weights = np.exp(scores - scores.max(axis=(1, 2), keepdims=True))
            weights /= weights.sum(axis=(1, 2), keepdims=True)
            found += map(_found, weights)
        return found


def _found(probabilities: np.ndarray) -> Found:
    tonic, mode = np.unravel_index(probabilities.argmax(), probabilities.shape)
    key = Key(int(tonic), MODES[mode])
    return Found(key, float(probabilities[tonic, mode]), probabilities)


def require_notes(passage: Passage) -> None:
    """Raises `CannotBeJudged` where notes are too few to be in a key."""
    count = len(passage.sounds)
    if count < FEWEST_NOTES:
        has = {0: "no notes", 1: "one note"}.get(count, f"{count} notes")
        raise CannotBeJudged(f"it has {has}; a mode needs {FEWEST_NOTES} or more")
    classes = len(set((passage.sounds[:, 0] % 12).tolist()))
    if classes < FEWEST_PITCHES:
        pitches = "one pitch" if classes == 1 else f"{classes} pitches"
        raise CannotBeJudged(
            f"its notes have {pitches} but for octaves; a mode needs {FEWEST_PITCHES} or more"
        )


def name(key: Key) -> str:
    """What a key is called: "D dorian"."""
    return f"{tonic_name(key)} {key.mode.lower()}"


def tonic_name(key: Key) -> str:
    """The letter of a key's tonic with its sharp or flat."""
    spelled = _spelled(key).name
    return spelled[: 2 if spelled[1:2] in ("b", "#") else 1]


def note_name(pitch: int, key: Key) -> str:
    """What a pitch is called in a key: "C natural" where its signature has C sharp, or "G#"."""
    spelled = _spelled(key)
    letter, _, alteration = spelled.spell(pitch)
    if alteration == 0 and spelled.alteration(letter):
        return f"{letter} natural"
    return letter + {-2: "bb", -1: "b", 0: "", 1: "#", 2: "##"}[alteration]


@functools.cache
def _spelled(key: Key) -> keys.Key:
    mode = NoteSequence.KeySignature.Mode.Value(key.mode)
    return keys.from_signature(NoteSequence.KeySignature(key=key.tonic, mode=mode))


# Features


def _features(some: Sequence[Passage]) -> np.ndarray:
    """What is counted in passages, by pitch classes as they are: [passages, _SIZE]."""
    count = len(some)
    sizes = np.array([len(passage.sounds) for passage in some])
    owner = np.repeat(np.arange(count), sizes)
    pitch, ticks, bar, place = np.concatenate([passage.sounds for passage in some]).T
    closing = np.flatnonzero(np.concatenate([passage.closing for passage in some]))
    pc, length = pitch % 12, ticks / WHOLE
    last = np.cumsum(sizes) - 1
    first = last - sizes + 1
    opening = closing[:-1] + 1
    opening = opening[owner[opening] == owner[opening - 1]]
    strong = np.flatnonzero(place == 0)
    turns = np.flatnonzero(np.diff(owner[strong]))
    number = np.cumsum(np.append(0, (np.diff(bar) != 0) | (np.diff(owner) != 0)))
    closes = np.zeros(number[-1] + 1, bool)
    closes[number[closing]] = True
    mean_length = np.add.reduceat(length, first) / sizes

    def shares(which: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
        """How often some notes are each pitch class, by passage."""
        return _shares(owner[which], pc[which], weights, count, 12)

    def sounding(which: np.ndarray) -> np.ndarray:
        """How long they sound as each pitch class."""
        return shares(which, length[which])

    everywhere = np.arange(len(pc))
    by_class = [
        sounding(everywhere),
        np.sqrt(sounding(everywhere)),
        np.sign(sounding(everywhere)),
        np.sqrt(shares(everywhere)),
        np.sqrt(sounding(strong)),
        shares(last),
        shares(first),
        shares(strong[np.append(0, turns + 1)] if len(strong) else strong),
        shares(strong[np.append(turns, len(strong) - 1)] if len(strong) else strong),
        _shares(np.arange(count), np.minimum.reduceat(pitch, first) % 12, None, count, 12),
        _shares(np.arange(count), np.maximum.reduceat(pitch, first) % 12, None, count, 12),
        shares(np.maximum(last - 1, first)),
        shares(closing),
        shares(opening),
        sounding(np.flatnonzero(closes[number])),
        sounding(np.flatnonzero(length > _LONG * mean_length[owner])),
        sounding(np.flatnonzero(bar >= bar[last][owner] - 1)),
        sounding(np.flatnonzero(bar <= bar[first][owner] + 1)),
    ]
    pairs = np.flatnonzero(owner[:-1] == owner[1:])
    leaps = pairs[np.abs(pitch[pairs + 1] - pitch[pairs]) >= _LEAP]
    cadences = last[sizes > 1] - 1
    by_pair = [
        np.sqrt(_shares(owner[at], 12 * pc[at] + pc[at + 1], None, count, 144))
        for at in (pairs, cadences, leaps)
    ]
    outlines = _outlines(number, owner, pc, length)
    return np.concatenate([*by_class, *outlines, *by_pair], axis=1)


def _shares(
    owner: np.ndarray, what: np.ndarray, weights: np.ndarray | None, count: int, size: int
) -> np.ndarray:
    """The share of each value below `size` for each owner below `count`; zeros without any."""
    counts = np.bincount(size * owner + what, weights, size * count).reshape(count, size)
    return counts / np.maximum(counts.sum(axis=1, keepdims=True), 1e-9)


def _outlines(
    number: np.ndarray, owner: np.ndarray, pc: np.ndarray, length: np.ndarray
) -> list[np.ndarray]:
    """Which major and minor triads bars outline: in the mean, the last, second, and first bar."""
    bars = number[-1] + 1
    sums = np.bincount(12 * number + pc, length, 12 * bars).reshape(bars, 12)
    cosines = sums @ _triads().T / np.linalg.norm(sums, axis=1, keepdims=True)
    weights = np.exp(_SHARPNESS * (cosines - cosines.max(axis=1, keepdims=True)))
    weights /= weights.sum(axis=1, keepdims=True)
    starts = np.append(0, np.flatnonzero(np.diff(number)) + 1)
    first = np.append(0, np.flatnonzero(np.diff(owner[starts])) + 1)
    last = np.append(first[1:], bars) - 1
    means = np.add.reduceat(weights, first) / (last - first + 1)[:, None]
    return [means, weights[last], weights[np.minimum(first + 1, last)], weights[first]]


@functools.cache
def _triads() -> np.ndarray:
    """The major and the minor triad on each pitch class, by turns: [24, 12], of norm 1."""
    root = np.repeat(np.arange(12), 2)
    found = np.zeros((24, 12))
    for steps in (np.zeros(24, int), np.tile((4, 3), 12), np.full(24, 7)):
        found[np.arange(24), (root + steps) % 12] = 1 / np.sqrt(3)
    return found


@functools.cache
def _rows() -> np.ndarray:
    """Where the features relative to each tonic stand among those as they are: [12, _SIZE]."""
    tonic = np.arange(12)[:, None]
    above = (np.arange(12) + tonic) % 12
    triads = (2 * above[:, :, None] + np.arange(2)).reshape(12, 24)
    pairs = (12 * above[:, :, None] + above[:, None, :]).reshape(12, 144)
    found = [above + 12 * i for i in range(_CLASSES)]
    found += [triads + 12 * _CLASSES + 24 * i for i in range(_TRIADS)]
    found += [pairs + 12 * _CLASSES + 24 * _TRIADS + 144 * i for i in range(_PAIRS)]
    return np.concatenate(found, axis=1)


# Learning


def learn(train: Sequence[Known], validation: Sequence[Known]) -> dict[str, np.ndarray]:
    """Learns to find keys from tunes whose `K:` field names one.

    Args:
      train: what the weights are fitted to.
      validation: what the probabilities are calibrated on, by a temperature.

    Returns:
      the arrays of `KeyFinder`.

    Raises:
      UserError: where no tune of training is in a key.
    """
    # Several criteria learn keys, of the same tunes.
    return dict(_learned(tuple(train), tuple(validation)))


@functools.lru_cache(maxsize=1)
def _learned(train: Sequence[Known], validation: Sequence[Known]) -> dict[str, np.ndarray]:
    inputs, targets = _examples(train)
    if not len(targets):
        raise UserError("no tune of training has a K: field that names a key; convert others")
    weights, biases = _fitted(inputs, targets)
    inputs, targets = _examples(validation)
    scores = (inputs @ weights + biases).reshape(len(inputs), 12 * len(MODES))
    losses = [_loss(scores / temperature, targets) for temperature in _TEMPERATURES]
    temperature = _TEMPERATURES[int(np.argmin(losses))] if len(targets) else 1.0
    return {
        "key_weights": (weights / temperature).astype(np.float32),
        "key_biases": (biases / temperature).astype(np.float32),
    }


def _examples(known: Sequence[Known]) -> tuple[np.ndarray, np.ndarray]:
    """Features relative to each tonic, [tunes, 12, _SIZE], and the number of each tune's key."""
    examples, targets = [], []
    for one in known:
        key = one.tune.bars[0].key
        whole = passages(one.tune)[0]
        try:
            require_notes(whole)
        except CannotBeJudged:
            continue
        if key.mode in MODES:
            examples.append(whole)
            targets.append(key.tonic * len(MODES) + MODES.index(key.mode))
    if not examples:
        return np.zeros((0, 12, _SIZE), np.float32), np.zeros(0, int)
    return _features(examples).astype(np.float32)[:, _rows()], np.array(targets)


def _loss(scores: np.ndarray, targets: np.ndarray) -> float:
    """The cross entropy of scores shaped [tunes, keys]."""
    from scipy.special import logsumexp  # Only learning needs it.

    return float((logsumexp(scores, axis=1) - scores[np.arange(len(targets)), targets]).sum())


def _fitted(inputs: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The weights, [_SIZE, modes], and the biases of the modes, by penalised likelihood."""
    from scipy.optimize import minimize  # Only learning needs it.

    flat = inputs.reshape(-1, _SIZE)
    examples = np.arange(len(targets))
    shape = (_SIZE, len(_SHARED))
    split = _SIZE * len(_SHARED)

    def objective(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        """What is to be least: the penalised loss, and its slope in each parameter."""
        parts = parameters[:split].reshape(shape)
        scores = (flat @ (parts @ _SHARED).astype(np.float32)).astype(float)
        scores += parameters[split:]
        scores = scores.reshape(len(targets), -1)
        loss = _loss(scores, targets) + _PENALTY / 2 * (parts**2).sum()
        residual = np.exp(scores - scores.max(axis=1, keepdims=True))
        residual /= residual.sum(axis=1, keepdims=True)
        residual[examples, targets] -= 1
        residual = residual.reshape(-1, len(MODES))
        slope = (flat.T @ residual.astype(np.float32)).astype(float)
        slope = slope @ _SHARED.T + _PENALTY * parts
        return loss, np.append(slope.ravel(), residual.sum(axis=0))

    start = np.zeros(split + len(MODES))
    options = {"maxiter": _STEPS}
    with cores.compute_on_one():  # SciPy, too, which is loaded only now.
        found = minimize(objective, start, jac=True, method="L-BFGS-B", options=options).x
    return found[:split].reshape(shape) @ _SHARED, found[split:]
