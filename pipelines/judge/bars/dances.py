"""Which dance the bars of a tune move as: reel, jig, hornpipe, slip jig, waltz, polka and others.

A multinomial logistic regression on the meter, on where in the bar notes begin, on how strains end
and on how many bars they have. Tempo, pitches and titles do not count. Places are parts of a whole
bar, so that a hornpipe in 2/4 is written like one in 2/2.
"""

import collections
import functools
import re
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from pipelines.music.abc import fields
from pipelines.music.abc.fields import Meter
from pipelines.representations.abc_tokens.steps import measure
from pipelines.representations.abc_tokens.strains import strains
from pipelines.representations.abc_tokens.written import Bar, Tune

# What words in `R:` fields and titles mean. Clogs are hornpipes that are danced in clogs, and
# flings are danced to strathspeys.
_WORDS = {
    "slip jig": "slip jig", "slipjig": "slip jig", "hop jig": "slip jig", "jig": "jig",
    "strathspey": "strathspey", "fling": "strathspey", "hornpipe": "hornpipe", "clog": "hornpipe",
    "reel": "reel", "waltz": "waltz", "polka": "polka", "march": "march", "air": "air",
}  # fmt: skip
_WORD = re.compile(rf"\b({'|'.join(_WORDS)})(?:e?s)?\b")
# What is too rare to be learnt: a dance in fewer tunes, a feature in fewer tunes.
_FEWEST_OF_DANCE = 8
_FEWEST_OF_FEATURE = 10
# In how many parts of a bar the onsets are told, and those of a strain's last bar.
_FINE, _COARSE = 48, 16
_COUNTS = (4, 6, 8, 12, 16, 24, 32)
_STRENGTHS = (0.1, 0.3, 1.0, 3.0)


def dance(text: str, meter: Meter | None) -> str:
    """The dance that an `R:` field or a title names, "" where it names none that is known here.

    A jig in 9/8 is a slip jig, whatever its book calls it.
    """
    found = _WORD.search(text.casefold())
    if not found:
        return ""
    name = _WORDS[found[1]]
    return "slip jig" if name == "jig" and meter and meter[0] % 9 == 0 else name


def stated(tune: Tune) -> str:
    """The dance of the `R:` field of a tune, "" without one that is known here."""
    return dance(tune.rhythm, tune.bars[0].meter)


def features(tune: Tune) -> dict[str, float] | None:
    """What is counted in a tune; None where no bar is as long as its meter says."""
    bars = [(bar, bar.meter) for bar in tune.bars if bar.length == measure(bar.meter)]
    if not bars:
        return None
    meter = tune.bars[0].meter
    family = _family(meter)
    found: dict[str, float] = collections.defaultdict(float)
    found[f"meter {fields.write_meter(meter)}"] = 1.0
    for bar, its_meter in bars:
        assert its_meter is not None  # A bar has a length.
        for name in _of_bar(tuple(_onsets(bar)), its_meter):
            found[name] += 1 / len(bars)
    ends = [one for strain in strains(tune) for one in strain.passes if measure(one[-1].meter)]
    for one in ends:
        for name in _of_end(one, family):
            found[name] += 1 / len(ends)
    return dict(found)


def _family(meter: Meter | None) -> str:
    if meter in ((2, 2), (2, 4), (4, 4)):
        return "duple"
    return fields.write_meter(meter)


@functools.lru_cache(maxsize=10_000)
def _of_bar(onsets: tuple[int, ...], meter: Meter) -> list[str]:
    """Where in a full bar notes begin, one by one and in each half or third."""
    family = _family(meter)
    places = [at * _FINE // measure(meter) for at in onsets]
    part = _FINE // (3 if meter[0] % 3 == 0 and meter[0] != 6 else 2)
    found = [f"{family} onset {at}" for at in places]
    for begin in range(0, _FINE, part):
        inside = [at - begin for at in places if begin <= at < begin + part]
        found.append(f"{family} part {' '.join(map(str, inside))}")
    return found


def _of_end(bars: Sequence[Bar], family: str) -> Iterator[str]:
    """How a strain ends, and how many bars it has."""
    last = bars[-1]
    size = measure(last.meter)
    for at in _onsets(last):
        yield f"{family} end {min(at * _COARSE // size, _COARSE)}"
    yield f"{family} end length {min(last.notes[-1].length * _COARSE // size, _COARSE)}"
    count = round(sum(bar.length for bar in bars) / size)
    yield f"{family} bars {count if count in _COUNTS else 'other'}"


def _onsets(bar: Bar) -> Iterator[int]:
    at = 0
    for note in bar.notes:
        if note.pitch is not None:
            yield at
        at += note.length


class Classifier:
    """Tells how likely a tune is each dance.

    Args:
      names: of the features, shaped [features].
      means: of the features in the tunes of training, shaped [features].
      weights: shaped [features, dances].
      bias: shaped [dances].
      dances: shaped [dances].
    """

    def __init__(
        self,
        names: np.ndarray,
        means: np.ndarray,
        weights: np.ndarray,
        bias: np.ndarray,
        dances: np.ndarray,
    ):
        self._rows = {name: row for row, name in enumerate(names.tolist())}
        self._weights = weights.astype(np.float64)
        self._bias = bias - means.astype(np.float64) @ self._weights
        self.dances: list[str] = dances.tolist()

    def __call__(self, tune: Tune) -> dict[str, float]:
        """The probability of each dance, the likeliest first; empty without a full bar."""
        found = features(tune)
        if found is None:
            return {}
        known = {self._rows[name]: value for name, value in found.items() if name in self._rows}
        scores = self._bias + np.array(list(known.values())) @ self._weights[list(known)]
        shares = np.exp(scores - scores.max())
        shares /= shares.sum()
        order = np.argsort(-shares, kind="stable")
        return {self.dances[i]: float(shares[i]) for i in order}


def learn(train: Sequence[Tune], validation: Sequence[Tune]) -> dict[str, np.ndarray]:
    """Learns the arguments of `Classifier`.

    A tune is what its `R:` field says, or without one what its title says. How strongly weights are
    held back is chosen by the likelihood of the validation tunes with an `R:` field.

    Raises:
      ValueError: where fewer than two dances have enough tunes.
    """
    # It takes two seconds to import, and what judges does not need it.
    from sklearn.linear_model import LogisticRegression

    known = [
        (found, name) for tune in train if (name := _label(tune)) and (found := features(tune))
    ]
    counts = collections.Counter(name for _, name in known)
    known = [(found, name) for found, name in known if counts[name] >= _FEWEST_OF_DANCE]
    if len({name for _, name in known}) < 2:
        raise ValueError(f"fewer than two dances are named by {_FEWEST_OF_DANCE} tunes or more")
    tunes_with = collections.Counter(name for found, _ in known for name in found)
    names = sorted(name for name, count in tunes_with.items() if count >= _FEWEST_OF_FEATURE)
    rows = _matrix([found for found, _ in known], names)
    means = rows.mean(0)
    labels = np.array([name for _, name in known])
    held = [
        (found, name)
        for tune in validation
        if (name := stated(tune)) in labels and (found := features(tune))
    ]
    held_rows = _matrix([found for found, _ in held], names) - means
    best: tuple[float, LogisticRegression] | None = None
    for strength in _STRENGTHS:
        fitted = LogisticRegression(C=strength, max_iter=2000).fit(rows - means, labels)
        likelihood = 0.0
        if held:
            at = np.searchsorted(fitted.classes_, [name for _, name in held])
            likelihood = fitted.predict_log_proba(held_rows)[np.arange(len(held)), at].sum()
        if best is None or likelihood > best[0]:
            best = likelihood, fitted
    assert best is not None
    weights, bias = best[1].coef_, best[1].intercept_
    if len(best[1].classes_) == 2:
        # Of two classes it keeps the difference alone.
        weights, bias = np.concatenate([-weights, weights]) / 2, np.concatenate([-bias, bias]) / 2
    return {
        "names": np.array(names),
        "means": means.astype(np.float32),
        "weights": weights.T.astype(np.float32),
        "bias": bias.astype(np.float32),
        "dances": best[1].classes_,
    }


def _label(tune: Tune) -> str:
    return stated(tune) or ("" if tune.rhythm else dance(tune.title, tune.bars[0].meter))


def _matrix(found: Sequence[Mapping[str, float]], names: Sequence[str]) -> np.ndarray:
    """The features of tunes, shaped [tunes, features]."""
    columns = {name: column for column, name in enumerate(names)}
    rows = np.zeros((len(found), len(names)))
    for row, one in enumerate(found):
        for name, value in one.items():
            if name in columns:
                rows[row, columns[name]] = value
    return rows
