"""Has a tune form? Its strains and phrases, which of them repeat, and what is missing.

What is measured is how much likelier the tune is to be a tune of people than one whose bars were
shuffled, whose strains were swapped, that lost a strain, or whose last strain is of another tune:
for each of these a logistic regression on `form_features` is learned.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from pipelines.judge import logistic, shapes
from pipelines.judge.faults import tune_faults
from pipelines.judge.finding import (
    MAX_BARS,
    Arrays,
    CannotBeJudged,
    Criterion,
    Finding,
    Judge,
    Known,
    Mark,
)
from pipelines.judge.forms import form_features, form_letters
from pipelines.judge.forms.form_features import BLOCK, Laid
from pipelines.judge.keys import key_finder
from pipelines.judge.keys.key_finder import KeyFinder
from pipelines.representations.abc_tokens import strains
from pipelines.representations.abc_tokens.strains import Sound
from pipelines.representations.abc_tokens.written import Key, Tune
from pipelines.runtime.progress import Progress

_MOST_SAID = 8
_OTHER_STRAIN = "another tune's strain"
FAULTS = ("bars shuffled", "strains swapped", "strain dropped", _OTHER_STRAIN)
_ATTEMPTS = 10
_SEED = 11
# Features are clipped to so many standard deviations of tunes of people.
_REACH = 6.0
_PENALTY = 100.0


class _Weights(NamedTuple):
    """What is learned beside keys.

    Attributes:
      means, scales: float arrays shaped [features]: of tunes of people.
      weights: float array shaped [len(FAULTS), features].
      biases: float array shaped [len(FAULTS)].
    """

    means: np.ndarray
    scales: np.ndarray
    weights: np.ndarray
    biases: np.ndarray

    def odds(self, features: np.ndarray) -> np.ndarray:
        """How much likelier each fault is than a tune of people, in nats."""
        return self.weights @ _standard(features, self.means, self.scales) + self.biases


def _standard(features: np.ndarray, means: np.ndarray, scales: np.ndarray) -> np.ndarray:
    return np.clip((features - means) / scales, -_REACH, _REACH)


class _Read(NamedTuple):
    """A tune as this criterion reads it."""

    laid: Laid
    heard: list[Sound]
    key: Key
    features: np.ndarray


def _read(tune: Tune, finder: KeyFinder) -> _Read:
    if len(tune.bars) > MAX_BARS:
        raise CannotBeJudged(f"it has {len(tune.bars)} bars; form is judged of {MAX_BARS} at most")
    heard = strains.sounds(tune)
    try:
        key = finder.find(tune).key
    except CannotBeJudged as why:
        raise CannotBeJudged(str(why).replace("a mode needs", "form needs")) from why
    if not form_features.strains_of(tune):
        raise CannotBeJudged("no strain of it is as long as a bar")
    laid = form_features.lay(tune, heard)
    if not laid.onsets.any():
        raise CannotBeJudged("all its notes are in pickups")
    return _Read(laid, heard, key, form_features.features(laid, key.tonic))


# Judging


def _open(arrays: Arrays) -> Judge:
    finder = KeyFinder(arrays)
    wanted = {"means": ("n",), "scales": ("n",), "weights": (len(FAULTS), "n")}
    shapes.require(arrays, {**wanted, "biases": (len(FAULTS),)})
    weights = _Weights(*(np.asarray(arrays[name], float) for name in _Weights._fields))
    return lambda tune: _judge(tune, finder, weights)


def _judge(tune: Tune, finder: KeyFinder, weights: _Weights) -> Finding:
    read = _read(tune, finder)
    laid = read.laid
    odds = weights.odds(read.features)
    written = form_letters.letters(laid)
    marks = list(_missing(read))
    says = [*_in_short(written.form, laid.sizes), *(mark.text for mark in marks[:1])]
    evidence: dict[str, Any] = {
        "form": written.form,
        "strains": [
            {
                "from_bar": strain.bars[0] + 1,  # Counted from 1.
                "bars": len(strain.bars),
                "repeats": strain.repeats,
                "endings": len(strain.endings),
                "phrases": phrases,
            }
            for strain, phrases in zip(laid.strains, written.phrases, strict=True)
        ],
        "missing": [mark.text for mark in marks],
        "like": {name: round(float(1 / (1 + np.exp(-x))), 4) for name, x in zip(FAULTS, odds)},
    }
    measure = -float(np.logaddexp.reduce(odds) - np.log(len(odds)))
    return Finding(measure, ", ".join(says), evidence, tuple(sorted(marks, key=lambda m: m.bar)))


def _in_short(written: str, sizes: Sequence[int]) -> tuple[str, str]:
    """The form and its bars; of tunes of many strains and phrases not all of it."""
    most = 2 * _MOST_SAID
    form = written if len(written) <= most else f"{written[:most]}..."
    if len(sizes) <= _MOST_SAID:
        return form, "1 bar" if list(sizes) == [1] else f"{'+'.join(map(str, sizes))} bars"
    return form, f"{sum(sizes)} bars in {len(sizes)} strains"


def _missing(read: _Read) -> Iterator[Mark]:
    """What a form of whole strains would have."""
    laid = read.laid
    is_short = len(laid.strains) == 1 and laid.sizes[0] <= BLOCK
    if is_short:
        yield Mark(laid.strains[0].bars[0], f"one strain of {_bars(laid.sizes[0])} only")
    for number, strain in enumerate(laid.strains, start=1):
        last = strain.bars[-1]
        if not is_short and (odd := _odd(number, laid.sizes)):
            yield Mark(last, f"strain {number} {odd}")
        if len(strain.endings) == 1:
            yield Mark(last, f"strain {number} has one ending only")
    last_note = read.heard[-1]
    lengths = [sound.length for sound in read.heard]
    if (last_note.pitch - read.key.tonic) % 12 and last_note.length <= np.median(lengths):
        name = key_finder.note_name(last_note.pitch, read.key)
        yield Mark(last_note.bar, f"it ends on a short {name}, not on the tonic")


def _odd(number: int, sizes: Sequence[int]) -> str:
    """What is odd about how many bars a strain has; "" for a multiple of 4.

    Args:
      number: of the strain, from 1.
      sizes: the bars of all strains.
    """
    size = sizes[number - 1]
    if not size % 4:
        return ""
    if number == len(sizes) > 1 and 2 * size <= max(sizes):
        return f"breaks off after {_bars(size)}"
    if size % 4 == 3:
        return f"has {_bars(size)}, one fewer than {size + 1}"
    if size % 4 == 1:
        return f"has {_bars(size)}" + (f", one more than {size - 1}" if size > 1 else "")
    return f"has {_bars(size)}, no multiple of 4"


def _bars(count: int) -> str:
    return "1 bar" if count == 1 else f"{count} bars"


# Learning


def _learn(train: Sequence[Known], validation: Sequence[Known]) -> dict[str, np.ndarray]:
    """Learns keys, and to tell tunes of people from the same tunes with faults."""
    keys = key_finder.learn(train, validation)
    finder = KeyFinder(keys)
    rng = np.random.default_rng(_SEED)
    real: list[np.ndarray] = []
    faulty: dict[str, list[np.ndarray]] = {name: [] for name in FAULTS}
    with Progress("tunes with faults", len(train)) as progress:
        for number, known in enumerate(train, start=1):
            progress.update(number)
            found = _features(known.tune, finder)
            if found is None:
                continue
            real.append(found)
            for name, planted in planted_in(known, train, rng):
                spoilt = _features(planted, finder)
                if spoilt is not None:
                    faulty[name].append(spoilt)
    means = np.mean(real, axis=0)
    scales = np.std(real, axis=0) + 1e-3
    right = _standard(np.array(real), means, scales)
    weights, biases = [], []
    for name in FAULTS:
        wrong = _standard(np.array(faulty[name]).reshape(-1, len(means)), means, scales)
        rows = np.concatenate([right, wrong])
        of_fault, bias = logistic.fit(rows, np.arange(len(rows)) >= len(right), penalty=_PENALTY)
        weights.append(of_fault)
        biases.append(bias)
    learned = _Weights(means, scales, np.array(weights), np.array(biases))._asdict()
    return keys | {name: value.astype(np.float32) for name, value in learned.items()}


def _features(tune: Tune, finder: KeyFinder) -> np.ndarray | None:
    try:
        return _read(tune, finder).features
    except CannotBeJudged:
        return None


def planted_in(
    known: Known, others: Sequence[Known], rng: np.random.Generator
) -> Iterator[tuple[str, Tune]]:
    """The tune with each of FAULTS that it has a place for.

    Args:
      known: the tune.
      others: tunes from which a strain may be taken.
      rng: draws what is changed.
    """
    for name in FAULTS:
        try:
            if name != _OTHER_STRAIN:
                yield name, tune_faults.FAULTS[name](known.tune, rng).tune
                continue
        except tune_faults.NoPlace:
            continue
        planted = _with_other_strain(known, others, rng)
        if planted is not None:
            yield name, planted


def _with_other_strain(
    known: Known, others: Sequence[Known], rng: np.random.Generator
) -> Tune | None:
    meter = known.tune.bars[0].meter
    for number in rng.permutation(len(others))[: _ATTEMPTS * _ATTEMPTS]:
        other = others[number]
        if other.group == known.group or other.tune.bars[0].meter != meter:
            continue
        try:
            return tune_faults.other_strain(known.tune, other.tune).tune
        except tune_faults.NoPlace:
            continue
    return None


CRITERION = Criterion(
    "form",
    "Has it form? Its strains and phrases, what repeats, what is missing.",
    2,
    _learn,
    _open,
)
