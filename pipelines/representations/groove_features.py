"""Musical features of drum windows: density, syncopation, swing, dynamics and the like.

Each function measures every window by itself, so that the values of some windows can be compared
with those of others as distributions, and so that an edit of a window can be measured. All take

  windows: array shaped [n, steps, 27], as `GrooveConverter.to_tensors` gives it: 9 hits in {0, 1},
    9 velocities in [0, 1] and 9 offsets in [-1, 1] of half a step. A hit starts at
    step - offset / 2, so that a positive offset is early.
  steps_per_bar: steps in a bar; it divides the steps of a window. A quarter note has four steps,
    as in all configs of grooves.

`FEATURES` are functions that return a float64 array shaped [n], NaN where a window has nothing to
measure: the swing of a window without a hi-hat, the mean velocity of silence. `HISTOGRAMS` are
functions that return the counts of each window, shaped [n, bins]. `all_features` gives both with
the bins to count values in.
"""

from collections.abc import Callable, Iterable, Mapping

import numpy as np

from pipelines.representations.contract import Feature
from pipelines.representations.groove_converter import CLASS_NAMES

_STEPS_PER_QUARTER = 4

# A bar with fewer hits than this is nearly empty. Of 16,690 bars of the Groove MIDI Dataset's
# training files 0.8% are, and 70% of those are the last of their piece, where it ends. The median
# bar has 19 hits, and the first percentile is 3.
NEARLY_EMPTY_HITS = 3

VELOCITY_BINS = 16
TIMING_BINS = 20


def _classes(*names: str) -> list[int]:
    return [CLASS_NAMES.index(name) for name in names]


_OPEN_HIHAT = CLASS_NAMES.index("open_hihat")
_HIHATS = _classes("closed_hihat", "open_hihat")
# What drummers keep time on.
_TIMEKEEPERS = _classes("closed_hihat", "open_hihat", "ride")
# The streams of syncopation: bass drum, snare drum and cymbals.
_STREAMS = (
    _classes("kick"),
    _classes("snare"),
    _classes("closed_hihat", "open_hihat", "ride", "crash"),
)


def _hits(windows: np.ndarray) -> np.ndarray:
    """Whether there is a hit, shaped [n, steps, 9]."""
    return np.asarray(windows)[..., : len(CLASS_NAMES)] > 0.5


def _velocities(windows: np.ndarray) -> np.ndarray:
    """MIDI velocities of the hits, shaped [n, steps, 9]; NaN where there is no hit."""
    velocities = np.asarray(windows, np.float64)[..., len(CLASS_NAMES) : 2 * len(CLASS_NAMES)]
    return np.where(_hits(windows), 127 * velocities, np.nan)


def _bars(windows: np.ndarray, steps_per_bar: int) -> np.ndarray:
    """The hits bar by bar, shaped [n, bars, steps_per_bar, 9]."""
    hits = _hits(windows)
    return hits.reshape(len(hits), -1, steps_per_bar, len(CLASS_NAMES))


def _divide(numerators: np.ndarray, denominators: np.ndarray) -> np.ndarray:
    """Quotients as float64; NaN where the denominator is 0."""
    quotients = np.full(np.shape(numerators), np.nan)
    return np.divide(numerators, denominators, out=quotients, where=denominators != 0)


def density(windows: np.ndarray, steps_per_bar: int) -> np.ndarray:
    """Hits a bar."""
    return _bars(windows, steps_per_bar).sum((2, 3)).mean(axis=1)


def nearly_empty(windows: np.ndarray, steps_per_bar: int) -> np.ndarray:
    """The share of a window's bars that have fewer than `NEARLY_EMPTY_HITS` hits."""
    return (_bars(windows, steps_per_bar).sum((2, 3)) < NEARLY_EMPTY_HITS).mean(axis=1)


def sparsest_bar(windows: np.ndarray, steps_per_bar: int) -> np.ndarray:
    """Hits in the bar of a window that has the fewest: sparse bars without a threshold."""
    return _bars(windows, steps_per_bar).sum((2, 3)).min(axis=1).astype(np.float64)


def syncopation(windows: np.ndarray, steps_per_bar: int) -> np.ndarray:
    """The syncopation of kick, snare and cymbals, summed and divided by the number of bars.

    After H. C. Longuet-Higgins and C. S. Lee, "The rhythmic interpretation of monophonic music",
    Music Perception 1(4), 1984: a note that is followed by a rest on a metrically stronger step is
    a syncopation, as strong as the difference of the weights of the two steps. The rest is the
    strongest step between the note and the next note of the same stream. As in M. A. G. Witek et
    al., "Syncopation, body-movement and pleasure in groove music", PLOS ONE 9(4), 2014, which
    applies it to drums, there are three streams, and all quarters but the first weigh the same, so
    that a snare on two and four is no syncopation within its bar: the weights are 0 for the first
    step of a bar, -1 for the other quarters, -2 for eighths and -3 for sixteenths. Their weights
    for pairs of instruments are left out. What follows the window is unknown, and so a last note
    is syncopated only against steps inside the window.
    """
    hits = _hits(windows)
    n, steps = hits.shape[:2]
    weights = np.tile(_metrical_weights(steps_per_bar), steps // steps_per_bar)
    total = np.zeros(n)
    for stream in _STREAMS:
        notes = np.any(hits[..., stream], axis=-1)
        # The strongest step after this one and before the next note, found from the end.
        strongest = np.full(n, -np.inf)
        for step in reversed(range(steps)):
            note = notes[:, step]
            total += np.where(note, np.maximum(strongest - weights[step], 0), 0)
            strongest = np.where(note, -np.inf, np.maximum(strongest, weights[step]))
    return np.where(hits.any(axis=(1, 2)), total * steps_per_bar / steps, np.nan)


def _metrical_weights(steps_per_bar: int) -> np.ndarray:
    steps = np.arange(steps_per_bar)
    weights = np.full(steps_per_bar, -3)
    weights[steps % (_STEPS_PER_QUARTER // 2) == 0] = -2
    weights[steps % _STEPS_PER_QUARTER == 0] = -1
    weights[0] = 0
    return weights


def swing(windows: np.ndarray, steps_per_bar: int) -> np.ndarray:
    """The swing of eighths: 1/2 is straight, 2/3 a triplet feel, 3/4 a dotted eighth.

    It is the share of two eighths that the first takes. The swing ratio r, the first's duration
    divided by the second's, is swing / (1 - swing), so 2 for a triplet feel; the share is used
    because it stays finite where the second is short, and is what drum machines show as swing in
    percent.

    After A. Friberg and A. Sundström, "Swing ratios and ensemble timing in jazz performance:
    evidence for a common rhythmic pattern", Music Perception 19(3), 2002, it is measured on the
    cymbals that keep time (there the ride, here hi-hats and ride). Two eighths are a quarter with a
    hit on its first step and just one other hit, on its third or fourth step: on this grid a
    triplet's last note is on the fourth step, early by a third of a step. They end where the next
    quarter's first hit is played or, if there is none, at its place on the grid. Durations are
    summed over the window first.
    """
    onsets = _onsets(windows).reshape(len(windows), -1, _STEPS_PER_QUARTER)
    following = np.full(onsets.shape[:2], np.nan)
    following[:, :-1] = onsets[:, 1:, 0]
    others = onsets[..., 1:]
    pairs = np.isfinite(onsets[..., 0]) & (np.isfinite(others).sum(axis=-1) == 1)
    pairs &= np.isnan(onsets[..., 1])
    return _first_share(onsets[..., 0], _only(others), following, pairs, _STEPS_PER_QUARTER)


def swing_16th(windows: np.ndarray, steps_per_bar: int) -> np.ndarray:
    """The swing of sixteenths, as `swing` has it for eighths.

    Two sixteenths are an eighth with a hit on both of its steps.
    """
    pair = _STEPS_PER_QUARTER // 2
    onsets = _onsets(windows).reshape(len(windows), -1, pair)
    following = np.full(onsets.shape[:2], np.nan)
    following[:, :-1] = onsets[:, 1:, 0]
    pairs = np.isfinite(onsets).all(axis=-1)
    return _first_share(onsets[..., 0], onsets[..., 1], following, pairs, pair)


def _onsets(windows: np.ndarray) -> np.ndarray:
    """Times of the time-keepers' hits in steps, shaped [n, steps]; NaN where there is none.

    Hits of several cymbals on a step count as one, at the mean of their times.
    """
    windows = np.asarray(windows, np.float64)
    hits = _hits(windows)[..., _TIMEKEEPERS]
    offsets = windows[..., 2 * len(CLASS_NAMES) :][..., _TIMEKEEPERS]
    offset = _divide((offsets * hits).sum(axis=-1), hits.sum(axis=-1))
    return np.arange(windows.shape[1]) - offset / 2


def _only(times: np.ndarray) -> np.ndarray:
    """The first time that is not NaN along the last axis; NaN where there is none."""
    first = np.isfinite(times).argmax(axis=-1)
    return np.take_along_axis(times, first[..., None], axis=-1)[..., 0]


def _first_share(first, second, following, pairs, steps: int) -> np.ndarray:
    """The share of the pairs' durations that their first notes take, for each window.

    Args:
      first, second, following: times in steps, shaped [n, pairs].
      pairs: whether there is a pair, shaped [n, pairs].
      steps: steps in a pair on the grid.
    """
    end = np.where(np.isnan(following), steps * np.arange(1, first.shape[1] + 1), following)
    long, both = (
        np.where(pairs, duration, 0).sum(axis=1) for duration in (second - first, end - first)
    )
    return _divide(long, both)


def velocity_mean(windows: np.ndarray, steps_per_bar: int) -> np.ndarray:
    """The mean MIDI velocity of the hits, from 0 to 127."""
    hits = _hits(windows).sum(axis=(1, 2))
    return _divide(np.nansum(_velocities(windows), axis=(1, 2)), hits)


def velocity_range(windows: np.ndarray, steps_per_bar: int) -> np.ndarray:
    """The 90th minus the 10th percentile of the hits' MIDI velocities; NaN under two hits.

    The percentiles leave a single accent or ghost note out of account.
    """
    flat = _velocities(windows).reshape(len(windows), -1)
    enough = np.isfinite(flat).sum(axis=1) > 1
    result = np.full(len(flat), np.nan)
    low, high = _percentiles(flat[enough], (10, 90))
    result[enough] = high - low
    return result


def _percentiles(rows: np.ndarray, percents) -> list[np.ndarray]:
    """`np.nanpercentile` of each row, which needs no loop over the rows in Python."""
    ordered = np.sort(rows, axis=1)  # NaN last.
    counts = np.isfinite(rows).sum(axis=1)
    found = []
    for percent in percents:
        place = (counts - 1) * percent / 100
        below = np.floor(place).astype(np.int64)
        above = np.minimum(below + 1, counts - 1)
        low, high = (np.take_along_axis(ordered, i[:, None], axis=1)[:, 0] for i in (below, above))
        found.append(low + (place - below) * (high - low))
    return found


def hihat_open(windows: np.ndarray, steps_per_bar: int) -> np.ndarray:
    """The share of the hi-hat's hits that are open; NaN without a hi-hat."""
    hits = _hits(windows)
    return _divide(hits[..., _OPEN_HIHAT].sum(axis=1), hits[..., _HIHATS].sum(axis=(1, 2)))


def polyphony(windows: np.ndarray, steps_per_bar: int) -> np.ndarray:
    """Hits a step, among the steps that have a hit."""
    hits = _hits(windows)
    return _divide(hits.sum(axis=(1, 2)), hits.any(axis=2).sum(axis=1))


def self_similarity(windows: np.ndarray, steps_per_bar: int) -> np.ndarray:
    """The mean F1 of the hits of each bar and the next; NaN in windows of one bar.

    1 is a bar repeated. Two empty bars have no F1 and are passed over.
    """
    bars = _bars(windows, steps_per_bar)
    before, after = bars[:, :-1], bars[:, 1:]
    counts = before.sum(axis=(2, 3)) + after.sum(axis=(2, 3))
    f1 = _divide(2 * (before & after).sum(axis=(2, 3)), counts)
    return _divide(np.nansum(f1, axis=1), np.isfinite(f1).sum(axis=1))


def _profile(*names: str) -> Callable[[np.ndarray, int], np.ndarray]:
    classes = _classes(*names)

    def profile(windows: np.ndarray, steps_per_bar: int) -> np.ndarray:
        hits = _bars(windows, steps_per_bar)[..., classes].any(axis=-1)
        return hits.sum(axis=1)

    profile.__doc__ = (
        f"Bars with a hit on each step of the bar ({', '.join(names)}): counts shaped "
        "[n, steps_per_bar]."
    )
    return profile


kick_profile = _profile("kick")
snare_profile = _profile("snare")
hihat_profile = _profile("closed_hihat", "open_hihat")


def velocity_histogram(windows: np.ndarray, steps_per_bar: int) -> np.ndarray:
    """Hits by MIDI velocity, in `VELOCITY_BINS` bins of eight, the first from 0 to 7."""
    bins = np.nan_to_num(np.round(_velocities(windows))) * VELOCITY_BINS / 128
    return _counts(bins, _hits(windows), VELOCITY_BINS)


def timing_histogram(windows: np.ndarray, steps_per_bar: int) -> np.ndarray:
    """Hits by their offset, in `TIMING_BINS` bins from -1 (half a step late) to 1 (early)."""
    offsets = np.asarray(windows, np.float64)[..., 2 * len(CLASS_NAMES) :]
    return _counts((offsets + 1) * TIMING_BINS / 2, _hits(windows), TIMING_BINS)


def _counts(bins: np.ndarray, hits: np.ndarray, number: int) -> np.ndarray:
    """How many hits of each window are in each bin, shaped [n, number].

    Args:
      bins: real numbers shaped [n, steps, 9] whose floor is the bin; those outside go to the ends.
      hits: whether there is a hit, of the same shape.
      number: the number of bins.
    """
    index = np.clip(np.floor(bins), 0, number - 1).astype(np.int64)
    index += number * np.arange(len(hits))[:, None, None]
    return np.bincount(index[hits], minlength=number * len(hits)).reshape(len(hits), number)


# A function of windows and steps_per_bar, as the docstring of this module has them.
_Measure = Callable[[np.ndarray, int], np.ndarray]

FEATURES: Mapping[str, _Measure] = {
    function.__name__: function
    for function in (
        density,
        nearly_empty,
        sparsest_bar,
        syncopation,
        swing,
        swing_16th,
        velocity_mean,
        velocity_range,
        hihat_open,
        polyphony,
        self_similarity,
    )
}

HISTOGRAMS: Mapping[str, _Measure] = {
    "kick_profile": kick_profile,
    "snare_profile": snare_profile,
    "hihat_profile": hihat_profile,
    "velocity_histogram": velocity_histogram,
    "timing_histogram": timing_histogram,
}

# Edges of bins. What few windows have goes to the bins at the ends.
_EDGES: Mapping[str, Iterable[float]] = {
    "density": np.arange(0, 41, 2),
    # None of the bars; up to a quarter of them, a half, three quarters; more.
    "nearly_empty": (0, 0.01, 0.26, 0.51, 0.76, 1.01),
    # 0 to 2 hits are a nearly empty bar.
    "sparsest_bar": (0, *range(3, 34, 2)),
    "syncopation": np.arange(21),
    "swing": np.linspace(0.375, 0.875, 21),
    "swing_16th": np.linspace(0.25, 0.875, 26),
    "velocity_mean": np.arange(0, 129, 8),
    "velocity_range": np.arange(0, 129, 8),
    "hihat_open": np.linspace(0, 1, 21),
    "polyphony": np.linspace(1, 3, 21),
    "self_similarity": np.linspace(0, 1, 21),
}


def all_features() -> dict[str, Feature]:
    """`FEATURES` and `HISTOGRAMS`, as the contract of representations has them."""
    return {
        **{name: Feature(measure, tuple(_EDGES[name])) for name, measure in FEATURES.items()},
        **{name: Feature(measure) for name, measure in HISTOGRAMS.items()},
    }
