"""Does a tune keep a mode? Its tonic and mode, notes outside it, and where it changes.

The key is found in the notes alone (`key_finder`); a `K:` field is only compared with it. A note
outside the scale weighs by how much more often wrong notes stand so than notes of real tunes: in D
major C natural is common, and a chromatic neighbour too; a lone note between two leaps is not.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from pipelines.judge import logistic, shapes
from pipelines.judge.faults import key_faults, tune_faults
from pipelines.judge.finding import (
    Arrays,
    CannotBeJudged,
    Criterion,
    Finding,
    Judge,
    Known,
    Mark,
)
from pipelines.judge.keys import key_finder, tonality
from pipelines.judge.keys.key_finder import MODES, SCALES, Found, KeyFinder
from pipelines.judge.keys.tonality import INSIDE, OTHERS, STEPS, Heard, Notes
from pipelines.music.note_sequence import NoteSequence
from pipelines.representations.abc_tokens.written import Key, Tune

# The field disagrees where its key is no likelier than this.
_FIELD_AT_MOST = 0.1
# A field counts against a tune up to this, in nats.
_MOST_AGAINST_FIELD = 6.0
# A note is rare where wrong notes stand so more often than notes of real tunes, by this factor.
_RARE = 20
# What stands around a note, as columns: the steps to it and from it, and its likes.
_COLUMNS = np.array([0, STEPS, 2 * STEPS])
_CONTEXT = 2 * STEPS + OTHERS
# Each tune of training gets so many wrong notes, one at a time.
_WRONG_NOTES = 2
_SEED = 7
# Tables of rare modes lean on all modes with their third, as if by so many notes.
_LEANING = 48
_HAS_MINOR_THIRD = np.array([3 in SCALES[mode] for mode in MODES])
_NO_KEY = NoteSequence.KeySignature.Mode.Name(NoteSequence.KeySignature.NOT_SPECIFIED)


class _Weights(NamedTuple):
    """What is learned beside keys.

    Attributes:
      degrees: float array shaped [modes, 12]: how much more often wrong notes have a degree than
        notes of real tunes, in nats.
      context: float array shaped [_CONTEXT + 1]: the same for what stands around a note outside
        its mode, and what all of these have in common.
      tune: float array shaped [len(FEATURES)]: how much each feature speaks against a tune.
    """

    degrees: np.ndarray
    context: np.ndarray
    tune: np.ndarray


def _suspicions(notes: Notes, weights: _Weights) -> np.ndarray:
    """How much more often wrong notes stand as each note does than notes of real tunes, in nats."""
    found = weights.degrees[notes.mode, notes.degree]
    outside = np.flatnonzero(notes.outside)
    around = weights.context[notes.context[outside] + _COLUMNS].sum(axis=1)
    found[outside] += around + weights.context[-1]
    return found


FEATURES = ("wrong_note", "tonic", "near_key", "far_key", "field")


def _features(heard: Heard, suspicions: np.ndarray, field: Key) -> list[float]:
    """What may speak against a tune, by FEATURES.

    These are: how much likelier a tune with one wrong note has these notes than a real one; how
    uncertain the tonic is; how far strains depart to near and far keys; and how much the field
    contradicts the notes.
    """
    most = suspicions.max()
    return [
        float(most + np.log(np.exp(suspicions - most).mean())),
        -float(np.log(heard.found.tonic_probability)),
        max((one.gap for one in heard.departures if one.near), default=0.0),
        max((one.gap for one in heard.departures if not one.near), default=0.0),
        _against_signature(heard.found, field),
    ]


def _against_signature(found: Found, field: Key) -> float:
    """How much likelier another signature is than the field's, in nats; 0 without a field."""
    if field.mode not in MODES:
        return 0.0
    likely = tonality.signatures(found)
    of_field = max(likely[tonality.signature(field)], 1e-9)
    return min(float(np.log(likely.max() / of_field)), _MOST_AGAINST_FIELD)


# Judging


def _open(arrays: Arrays) -> Judge:
    finder = KeyFinder(arrays)
    wanted = {"degrees": (len(MODES), 12), "context": (_CONTEXT + 1,), "tune": (len(FEATURES),)}
    shapes.require(arrays, wanted)
    weights = _Weights(*(np.asarray(arrays[name], float) for name in _Weights._fields))
    return lambda tune: _judge(tune, finder, weights)


def _judge(tune: Tune, finder: KeyFinder, weights: _Weights) -> Finding:
    heard = tonality.hear(tune, finder)
    suspicions = _suspicions(heard.notes, weights)
    field = tune.bars[0].key
    against = float(np.dot(weights.tune, _features(heard, suspicions, field)))
    marks = tuple(sorted(_marks(heard, suspicions, field), key=lambda mark: mark.bar))
    return Finding(-against, _says(heard, field), _evidence(heard, field), marks)


def _says(heard: Heard, field: Key) -> str:
    outside = int(heard.notes.outside.sum())
    says = [_percent(heard.found)]
    says += [f"strain {i + 1} in {key_finder.name(one.key)}" for i, one in heard.changes.items()]
    if outside:
        says.append(f"{outside} note{'s' * (outside > 1)} outside")
    if _disagrees(heard.found, field):
        says.append(f"K: says {key_finder.name(field)}")
    return ", ".join(says)


def _percent(found: Found) -> str:
    return f"{key_finder.name(found.key)}, {100 * found.probability:.0f}%"


def _evidence(heard: Heard, field: Key) -> dict[str, Any]:
    """What is found; bars count from 1."""
    found = heard.found
    evidence: dict[str, Any] = {
        "key": key_finder.name(found.key),
        "probability": round(found.probability, 4),
        "tonic_probability": round(found.tonic_probability, 4),
        "next": _next(found),
        "changes": [
            {
                "strain": i + 1,
                "from_bar": heard.starts[i] + 1,
                "key": key_finder.name(one.key),
                "probability": round(one.probability, 4),
            }
            for i, one in heard.changes.items()
        ],
        "notes_outside": _counted(heard),
    }
    if field.mode != _NO_KEY:
        evidence["field"] = key_finder.name(field)
        evidence["field_probability"] = round(found.of(field), 4)
    if _disagrees(found, field):
        evidence["against_field"] = _against_field(found, field)
    return evidence


def _next(found: Found) -> dict[str, Any]:
    """The second likeliest key."""
    place = int(np.argsort(found.probabilities, axis=None)[-2])
    key = Key(place // len(MODES), MODES[place % len(MODES)])
    return {"key": key_finder.name(key), "probability": round(found.of(key), 4)}


def _counted(heard: Heard) -> dict[str, int]:
    """How often each note is outside its key, by its name."""
    found: dict[str, int] = {}
    for note in np.flatnonzero(heard.notes.outside):
        name = heard.name_of(note)
        found[name] = found.get(name, 0) + 1
    return found


def _disagrees(found: Found, field: Key) -> bool:
    return field.mode != _NO_KEY and found.key != field and found.of(field) <= _FIELD_AT_MOST


def _against_field(found: Found, field: Key) -> str:
    return f"K: says {key_finder.name(field)}; the notes say {_percent(found)}"


def _marks(heard: Heard, suspicions: np.ndarray, field: Key) -> Iterator[Mark]:
    if _disagrees(heard.found, field):
        yield Mark(0, _against_field(heard.found, field))
    for i, one in heard.changes.items():
        yield Mark(heard.starts[i], f"in {_percent(one)}, from here")
    outside = np.flatnonzero(heard.notes.outside)
    bars = heard.sounds[outside, 2]
    for bar in np.unique(bars):
        some = outside[bars == bar]
        names = " and ".join(dict.fromkeys(map(heard.name_of, some)))
        rare = " (rare)" if suspicions[some].max() > np.log(_RARE) else ""
        yield Mark(int(bar), f"{names} outside {key_finder.name(heard.key_at(some[0]))}{rare}")


# Learning


def _learn(train: Sequence[Known], validation: Sequence[Known]) -> dict[str, np.ndarray]:
    """Learns keys, and what is outside of them in real tunes and where faults are planted."""
    keys = key_finder.learn(train, validation)
    finder = KeyFinder(keys)
    rng = np.random.default_rng(_SEED)
    real = [known.tune for known in train if _hear(known.tune, finder)]
    weights = _note_weights(real, finder, rng)
    faulty = [_planted(plant, tune, rng) for tune in real for plant in key_faults.FAULTS.values()]
    learned = weights._replace(tune=_tune_weights(real, faulty, finder, weights))._asdict()
    return keys | {name: value.astype(np.float32) for name, value in learned.items()}


def _hear(tune: Tune, finder: KeyFinder) -> Heard | None:
    try:
        return tonality.hear(tune, finder)
    except CannotBeJudged:
        return None


def _planted(
    plant: Callable[[Tune, np.random.Generator], tune_faults.Faulty],
    tune: Tune,
    rng: np.random.Generator,
) -> Tune | None:
    """The tune with a fault; None where it has no place for one."""
    try:
        return plant(tune, rng).tune
    except tune_faults.NoPlace:
        return None


def _note_weights(real: Sequence[Tune], finder: KeyFinder, rng: np.random.Generator) -> _Weights:
    """How suspicious degrees are, and what stands around notes outside their mode."""
    right: list[Notes] = []
    wrong: list[Notes] = []
    for tune in real:
        heard = tonality.hear(tune, finder)
        right.append(heard.notes)
        for _ in range(_WRONG_NOTES):
            planted = _planted(tune_faults.wrong_note, tune, rng)
            spoilt = planted and _hear(planted, finder)
            if spoilt:
                (at,) = np.nonzero(spoilt.sounds[:, 0] != heard.sounds[:, 0])
                wrong.append(Notes(*(column[at] for column in spoilt.notes)))
    both = [Notes(*map(np.concatenate, zip(*some, strict=True))) for some in (right, wrong)]
    degrees = _log_ratios(np.array([_counts(notes) for notes in both]))
    rows = np.concatenate([_rows(notes, degrees) for notes in both])
    is_wrong = np.repeat([0, 1], [notes.outside.sum() for notes in both])
    weights, intercept = logistic.fit(rows, is_wrong, balanced=False)
    # The odds are those of a note of a faulty tune against a note of a real one.
    odds = np.log(len(wrong) / len(both[0].mode))
    degrees = np.where(INSIDE, degrees, weights[-1] * degrees)
    return _Weights(degrees, np.append(weights[:-1], intercept - odds), np.zeros(len(FEATURES)))


def _counts(notes: Notes) -> np.ndarray:
    size = len(MODES) * 12
    return np.bincount(12 * notes.mode + notes.degree, minlength=size).reshape(-1, 12)


def _log_ratios(counts: np.ndarray) -> np.ndarray:
    """The log of how much more often wrong notes have each degree: [modes, 12].

    Args:
      counts: int array shaped [2, modes, 12]: of notes of real tunes, and of wrong ones.
    """
    logs = []
    for table in counts:
        lean = np.zeros((len(MODES), 12))
        for some in (_HAS_MINOR_THIRD, ~_HAS_MINOR_THIRD):
            sums = table[some].sum(axis=0) + 1
            lean[some] = sums / sums.sum()
        smooth = table + _LEANING * lean
        logs.append(np.log(smooth / smooth.sum(axis=1, keepdims=True)))
    return logs[1] - logs[0]


def _rows(notes: Notes, degrees: np.ndarray) -> np.ndarray:
    """For each note outside: what stands around it in columns, and what its degree says."""
    outside = np.flatnonzero(notes.outside)
    rows = np.zeros((len(outside), _CONTEXT + 1))
    np.put_along_axis(rows, notes.context[outside] + _COLUMNS, 1, axis=1)
    rows[:, -1] = degrees[notes.mode, notes.degree][outside]
    return rows


def _tune_weights(
    real: Sequence[Tune], faulty: Sequence[Tune | None], finder: KeyFinder, weights: _Weights
) -> np.ndarray:
    """How much each feature speaks against a tune."""
    rows, is_faulty = [], []
    for target, tunes in ((0, real), (1, faulty)):
        for tune in tunes:
            heard = tune and _hear(tune, finder)
            if tune and heard:
                suspicions = _suspicions(heard.notes, weights)
                rows.append(_features(heard, suspicions, tune.bars[0].key))
                is_faulty.append(target)
    return logistic.fit(np.array(rows), np.array(is_faulty))[0]


CRITERION = Criterion(
    "mode",
    "Does it keep a mode? Its tonic and mode, notes outside them, changes, the K: field.",
    1,
    _learn,
    _open,
)
