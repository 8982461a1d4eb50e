"""Transfers beside the truth, on pairs whose order from best to worst is known."""

import numpy as np
import pytest
import soundfile

from pipelines.runtime.app import UserError
from pipelines.systems.style.measuring import evaluation
from pipelines.systems.style.measuring.evaluation import CEILING, FLOOR, INPUT, ITSELF, Settings
from tests.support.sounds import clicks, tone


class Gain:
    """Adds decibels to all that is no silence."""

    def __init__(self, gain):
        self.gain = np.float32(gain)

    def convert(self, mels):
        return np.where(mels > -100, mels + self.gain, mels)


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """Bursts at other times in each performance; the target is 20 dB softer, and longer."""
    root = tmp_path_factory.mktemp("pairs")
    for split, number in {"train": 4, "test": 4}.items():
        for index in range(number):
            sound = np.roll(clicks(), 1500 * index) + tone(200 + 90 * index) * 0.2
            for role, each in {
                "source": sound,
                "target": 0.1 * np.append(sound, [0] * 800),
            }.items():
                name = index + (10 if (split, role) == ("train", "target") else 0)
                path = root / role / split / f"{name}.wav"
                path.parent.mkdir(parents=True, exist_ok=True)
                soundfile.write(path, each, 16_000)
    return root


@pytest.mark.slow
def test_rows(pairs):
    found = evaluation.evaluate(pairs, {"softer": Gain(-20)}, Settings(most=3))
    rows = found["rows"]
    assert list(rows) == [INPUT, "softer", CEILING, ITSELF, FLOOR]
    assert found["performances"] == 3 and list(rows[INPUT]) == [
        "lsd_db",
        "log_mel_db",
        "onset_f1",
        "timbre",
        "probability",
        "frechet",
    ]
    for name in ("lsd_db", "log_mel_db", "timbre"):
        mean = {row: values[name]["mean"] for row, values in rows.items()}
        assert mean[ITSELF] == 0
    lsd = {row: values["lsd_db"]["mean"] for row, values in rows.items()}
    # The input is 20 dB too loud but where the target is silent.
    assert 15 < lsd[INPUT] < 20.5
    # The method is right: it is as near as what spectrograms keep, and another piece is not.
    assert lsd["softer"] == pytest.approx(lsd[CEILING], abs=0.5)
    assert lsd[CEILING] < lsd[FLOOR]
    # Onsets are the input's, which another piece does not have.
    onsets = {row: values["onset_f1"]["mean"] for row, values in rows.items()}
    assert onsets[INPUT] == onsets[ITSELF] == 1 and onsets[FLOOR] < 1
    assert rows["softer"]["probability"]["mean"] > 0.5 > rows[INPUT]["probability"]["mean"]
    assert rows[INPUT]["frechet"] > rows["softer"]["frechet"]
    assert evaluation.evaluate(pairs, {"softer": Gain(-20)}, Settings(most=3)) == found
    table = evaluation.table(found)
    assert len(table) == 2 + len(rows)
    assert table[0] == "| | lsd_db | log_mel_db | onset_f1 | timbre | probability | frechet |"


def test_clips_are_of_one_length(pairs):
    clips = evaluation.read_clips(pairs, Settings(most=9))
    # The source is 16,000 samples, its target 800 more, and at most so many seconds are taken.
    assert [(len(clip.source), len(clip.target)) for clip in clips] == [(16_800, 16_800)] * 4
    assert not clips[0].source[16_000:].any()
    clips = evaluation.read_clips(pairs, Settings(seconds=0.5))
    assert {len(each) for clip in clips for each in clip} == {8000}


def test_the_classifier_learns_from_clips_as_long_as_those_measured(pairs, monkeypatch):
    heard = []

    class Witness(evaluation.SoundClassifier):
        def __init__(self, source, target):
            heard.extend(len(mels) for mels in [*source, *target])
            super().__init__(source, target)

    monkeypatch.setattr(evaluation, "SoundClassifier", Witness)
    evaluation.evaluate(pairs, {}, Settings(most=2, seconds=0.5))
    # Half a second has 1 + 8000 // 200 frames.
    assert heard == [41] * 8


def test_too_few(pairs, tmp_path):
    with pytest.raises(UserError, match="no folders source/validation and target/validation"):
        evaluation.evaluate(pairs, {}, Settings("validation"))
    for role, level in {"source": 1, "target": 0}.items():
        (tmp_path / role / "test").mkdir(parents=True)
        soundfile.write(tmp_path / role / "test" / "a.wav", level * tone(440), 16_000)
    with pytest.raises(UserError, match="0 pairs of test sound"):
        evaluation.evaluate(tmp_path, {}, Settings())


def test_interval():
    assert evaluation.interval([2.0, 2.0]) == {"mean": 2, "low": 2, "high": 2}
    # Means of a hundred fair coins are within 0.1 of a half 19 times of 20 (1.96 * 0.05).
    found = evaluation.interval([0.0, 1.0] * 50)
    assert found["mean"] == 0.5
    assert found["low"] == pytest.approx(0.402, abs=0.02)
    assert found["high"] == pytest.approx(0.598, abs=0.02)
