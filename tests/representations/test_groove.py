"""Hit metrics, by hand."""

import numpy as np
import pytest
from magenta.models.music_vae import data

from pipelines import representations
from pipelines.representations import groove_features
from pipelines.representations.groove import GrooveMetrics, most_frequent_bar
from pipelines.representations.groove_converter import GrooveConverter


def window(steps, **cells):
    """A window with hits: name=(step, class, velocity, offset)."""
    array = np.zeros((1, steps, 27), np.float32)
    for step, drum, velocity, offset in cells.values():
        array[0, step, [drum, 9 + drum, 18 + drum]] = 1, velocity, offset
    return array


def test_by_hand():
    # The target has three hits: kick on 0, kick on 4, snare on 2. Decoded: kick on 0 (right), snare
    # on 2 (right), snare on 3 (wrong). So TP 2, FP 1, FN 1.
    target = window(8, a=(0, 0, 0.5, 0.2), b=(4, 0, 0.5, 0.0), c=(2, 1, 1.0, -0.4))
    decoded = window(8, a=(0, 0, 0.7, 0.4), c=(2, 1, 0.9, -0.5), d=(3, 1, 0.3, 0.0))
    metrics = GrooveMetrics()
    metrics.update(target, decoded, np.array([60.0]))
    result = metrics.result()
    assert result["hits"] == 3 and result["hits_decoded"] == 3
    assert result["precision"] == pytest.approx(2 / 3)
    assert result["recall"] == pytest.approx(2 / 3)
    assert result["f1"] == pytest.approx(2 / 3)
    assert result["velocity_mae"] == pytest.approx(127 * (0.2 + 0.1) / 2, rel=1e-5)
    # At 60 qpm a quarter is 1000 ms, a step 250, half a step 125: (0.2 + 0.1) / 2 * 125.
    assert result["timing_mae_ms"] == pytest.approx(18.75, rel=1e-5)
    kick, snare = result["classes"]["kick"], result["classes"]["snare"]
    assert (kick["precision"], kick["recall"]) == (1.0, 0.5)
    assert kick["f1"] == pytest.approx(2 / 3)
    assert (snare["precision"], snare["recall"]) == (0.5, 1.0)
    assert snare["timing_mae_ms"] == pytest.approx(12.5, rel=1e-5)


def test_timing_is_at_each_pieces_own_tempo():
    target = np.concatenate([window(4, a=(0, 0, 0.5, 0.0))] * 2)
    decoded = np.concatenate([window(4, a=(0, 0, 0.5, 0.5))] * 2)
    metrics = GrooveMetrics()
    metrics.update(target, decoded, np.array([60.0, 120.0]))
    # 0.5 of 125 ms and 0.5 of 62.5 ms.
    assert metrics.result()["timing_mae_ms"] == pytest.approx((62.5 + 31.25) / 2)


def test_what_was_not_measured_is_not_zero():
    metrics = GrooveMetrics()
    metrics.update(window(4, a=(0, 0, 0.5, 0.0)), window(4), np.array([120.0]))
    result = metrics.result()
    assert result["precision"] is None and result["recall"] == 0.0 and result["f1"] == 0.0
    assert result["velocity_mae"] is None and result["timing_mae_ms"] is None
    assert result["classes"]["ride"]["f1"] is None


def test_batches_add_up():
    rng = np.random.default_rng(0)
    target, decoded = (rng.random((2, 6, 16, 27)) > 0.6).astype(np.float32)
    qpm = rng.uniform(60, 200, 6)
    whole, parts = GrooveMetrics(), GrooveMetrics()
    whole.update(target, decoded, qpm)
    for i in range(0, 6, 2):
        parts.update(target[i : i + 2], decoded[i : i + 2], qpm[i : i + 2])
    assert whole.result()["f1"] == pytest.approx(parts.result()["f1"])
    assert whole.result()["timing_mae_ms"] == pytest.approx(parts.result()["timing_mae_ms"])


def test_f1_agrees_with_scikit_learn():
    sklearn = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(1)
    target, decoded = (rng.random((2, 3, 16, 27)) > 0.7).astype(np.float32)
    metrics = GrooveMetrics()
    metrics.update(target, decoded, np.full(3, 120.0))
    result = metrics.result()
    truth, guess = target[..., :9].reshape(-1) > 0, decoded[..., :9].reshape(-1) > 0
    assert result["f1"] == pytest.approx(sklearn.f1_score(truth, guess))
    assert result["precision"] == pytest.approx(sklearn.precision_score(truth, guess))


def test_activation():
    raw = np.zeros((1, 1, 27))
    raw[0, 0, [0, 9, 18]] = 0.1, np.log(3), np.arctanh(0.5)
    representation = representations.of(GrooveConverter(split_bars=1))
    out = representation.activate(raw)[0, 0]
    # A hit is a positive logit; sigmoid(log 3) = 3/4; an untouched velocity logit is 1/2.
    assert out[0] == 1 and out[1] == 0
    assert out[9] == pytest.approx(0.75) and out[10] == pytest.approx(0.5)
    assert out[18] == pytest.approx(0.5)


def test_features_are_of_grooves_alone():
    representation = representations.of(GrooveConverter(split_bars=1))
    names = {*groove_features.FEATURES, *groove_features.HISTOGRAMS}
    features = representation.features()
    assert set(features) == names
    array = np.concatenate([window(16, a=(0, 0, 0.5, 0.0), b=(4, 1, 0.9, 0.0)), window(16)])
    for name, feature in features.items():
        counts = feature.counts(feature.measure(array, 16))
        # A value, or none, is in one bin; silence adds nothing to what is counted.
        assert (counts.sum(axis=1) == 1).all() or not counts[1].any(), name
    onsets = representation.onsets(array)
    assert onsets.shape == (2, 16 * 9) and onsets.sum(axis=1).tolist() == [2, 0]
    # Sixteenths are what the features are defined for; other outputs have no grooves.
    finer = GrooveConverter(split_bars=1, steps_per_quarter=8)
    assert representations.of(finer).features() == {}
    categorical = data.GrooveConverter(split_bars=1, hits_as_controls=True)
    assert representations.of(categorical).features() == {}


def test_most_frequent_bar_leaves_silence_aside():
    empty = window(4)
    one = window(4, a=(0, 0, 0.2, 0.0))
    again = window(4, a=(0, 0, 0.4, 0.5))
    other = window(4, a=(1, 3, 0.9, 0.0))
    windows = np.concatenate(
        [np.concatenate(pair, axis=1) for pair in [(empty, empty), (empty, one), (again, other)]]
    )
    bar = most_frequent_bar(windows, 4)
    assert bar.shape == (4, 27)
    assert bar[0, 0] == 1 and bar[:, :9].sum() == 1
    assert bar[0, 9] == pytest.approx(0.3) and bar[0, 18] == pytest.approx(0.25)
