"""Methods that are fitted on two sounds, by hand and by what must hold."""

import numpy as np
import pytest
import soundfile

from pipelines.runtime.app import UserError
from pipelines.systems.style.transfer import fitting, methods, transfers
from pipelines.systems.style.transfer.methods import eq, knn, onsets, quantile
from pipelines.systems.style.transfer.transfers import BANDS, FLOOR_DB
from tests.support.sounds import clicks, tone


def mels(*rows: float) -> np.ndarray:
    """Frames whose bands are all as loud as a number says."""
    return np.repeat(np.float32(rows)[:, None], BANDS, axis=1)


def test_names():
    assert list(methods.methods()) == ["eq", "knn", "onsets", "quantile"]


def test_the_equaliser_by_hand():
    # Powers 1 and 0 (-100 dB is 1e-10) have the mean 1/2; powers 10 and 10 have 10: 20 times.
    method = eq.fit([mels(0, -100)], [mels(10, 10)])
    np.testing.assert_allclose(method.convert(mels(-20, FLOOR_DB)), mels(-6.9897, FLOOR_DB), 1e-4)


def test_quantiles_by_hand():
    method = quantile.fit([mels(0), mels(-40, -20)], [mels(5, -30, -60)])
    # -20 is the middle of the source, -30 of the target; -10 is half way up to the loudest. What is
    # 3 dB louder than the loudest stays so, and what is softer than the softest becomes that.
    found = method.convert(mels(-20, -10, 0, 3, -90))
    np.testing.assert_allclose(found, mels(-30, -12.5, 5, 8, -60), atol=0.2)


def test_quantiles_turn_the_source_into_the_target():
    random = np.random.default_rng(0)
    source = random.normal(-30, 5, (4000, BANDS)).astype(np.float32)
    target = random.gamma(2, 8, (4000, BANDS)).astype(np.float32) - 60
    found = quantile.fit([source], [target]).convert(source)
    assert found.dtype == np.float32
    np.testing.assert_allclose(np.median(found, axis=0), np.median(target, axis=0), atol=0.2)
    np.testing.assert_allclose(found.std(axis=0), target.std(axis=0), rtol=0.06)
    assert (np.diff(found[np.argsort(source[:, 0]), 0]) >= 0).all()


def test_nearest_frames_are_frames_of_the_target():
    # Two kinds of frames in each sound: the softer half becomes the softer half. Where one begins
    # and the other ends, frames have neighbours of both kinds.
    source = np.concatenate([mels(*[-50] * 20), mels(*[-10] * 20)])
    target = np.concatenate([mels(*[-70] * 20), mels(*[0] * 20)])
    found = knn.fit([source], [target]).convert(source)
    np.testing.assert_array_equal(found[:18], target[:18])
    np.testing.assert_array_equal(found[22:], target[22:])


def test_onsets_find_what_rings_on_after_the_source_is_silent():
    # Strikes of two strengths, every half a second. In the source each is over within a frame; in
    # the target it rings in the upper bands, for 10 frames.
    def struck(strengths, length):
        found = np.full((40 * len(strengths), BANDS), -70, np.float32)
        for number, strength in enumerate(strengths):
            found[40 * number + 10] = strength
            found[40 * number + 10 : 40 * number + 10 + length, 96:] = strength
        return found

    strengths = np.random.default_rng(1).choice([-30.0, -6.0], 12)
    method = onsets.fit([struck(strengths, 1)], [struck(strengths[::-1], 10)])
    found = method.convert(struck([-6.0, -30.0], 1))
    for frames, strength in ((slice(11, 17), -6), (slice(51, 56), -30)):
        np.testing.assert_array_equal(
            found[frames, 100], np.full_like(found[frames, 100], strength)
        )
        np.testing.assert_array_equal(found[frames, 90], np.full_like(found[frames, 90], -70))
    # A sound may begin with a strike.
    at_once = method.convert(struck([-6.0], 1)[10:])
    np.testing.assert_array_equal(at_once[1:7], found[11:17])
    # Before the next strike it has died away.
    assert found[40:48].max() == -70


def test_what_was_struck_rings_for_five_seconds_and_never_before():
    random = np.random.default_rng(0)
    source, target = random.uniform(-60, 0, (2, 50, BANDS)).astype(np.float32)
    strike = mels(*[FLOOR_DB] * 20, -6, *[FLOOR_DB] * 500)
    found = onsets.fit([source], [target]).convert(strike)
    # An onset is heard where it begins to rise, two frames before.
    assert np.flatnonzero(found.max(axis=1) > FLOOR_DB).tolist() == list(range(18, 421))


def test_what_was_struck_before_a_part_is_heard_in_it(monkeypatch):
    monkeypatch.setattr(transfers, "PART_SECONDS", 1.0)
    monkeypatch.setattr(transfers, "FADE_SECONDS", 0.1)
    samples = np.zeros(32_000, np.float32)
    samples[15_000:15_200] = 0.5 * np.random.default_rng(0).normal(size=200)
    ringing = samples + 0.1 * np.r_[np.zeros(15_000), tone(440, seconds=17_000 / 16_000)]
    method = onsets.fit([transfers.mels(samples)], [transfers.mels(ringing.astype(np.float32))])
    found = transfers.converted(samples, method)
    # The second part begins after 1.1 s, and has only what the first has led to.
    assert np.abs(found[20_000:28_000]).max() > 0.03
    assert np.abs(found[:14_000]).max() < 0.01


@pytest.mark.parametrize("name", list(methods.methods()))
def test_what_was_fitted_comes_back_from_its_arrays(name):
    random = np.random.default_rng(0)
    source, target = random.uniform(-90, 0, (2, 50, BANDS)).astype(np.float32)
    method = methods.methods()[name].fit([source], [target])
    again = methods.methods()[name].restored(**method.arrays)
    np.testing.assert_array_equal(again.convert(source), method.convert(source))


@pytest.mark.parametrize("name", list(methods.methods()))
def test_the_contract(name):
    random = np.random.default_rng(0)
    source, target = random.uniform(-90, 0, (2, 50, BANDS)).astype(np.float32)
    method = methods.methods()[name].fit([source], [target])
    for frames in (1, 2, 40):
        found = method.convert(source[:frames])
        assert found.shape == (frames, BANDS) and found.dtype == np.float32
        np.testing.assert_array_equal(found, method.convert(source[:frames]))


@pytest.mark.parametrize("name", list(methods.methods()))
def test_silence_stays_silent_where_the_target_never_is(name):
    random = np.random.default_rng(0)
    source, target = random.uniform(-60, 0, (2, 50, BANDS)).astype(np.float32)
    source[:10] = FLOOR_DB
    method = methods.methods()[name].fit([source], [target])
    found = method.convert(mels(*[FLOOR_DB] * 9))
    np.testing.assert_array_equal(found, mels(*[FLOOR_DB] * 9))
    if name == "onsets":
        return  # What was struck rings on.
    # Nearest frames hear 25 ms, two frames, around each.
    found = method.convert(mels(*[FLOOR_DB] * 4, -20, *[FLOOR_DB] * 4))
    np.testing.assert_array_equal(found[[0, 1, 7, 8]], mels(*[FLOOR_DB] * 4))
    assert found[4].max() > -70


def test_fitted_on_folders(tmp_path, monkeypatch):
    for folder, sounds in {"a": [tone(440), tone(330), tone(220)], "b": [clicks()]}.items():
        (tmp_path / folder).mkdir()
        for number, sound in enumerate(sounds):
            soundfile.write(tmp_path / folder / f"{number}.wav", sound, 16_000)
    found = fitting.fitted(["knn", "eq"], tmp_path / "a", tmp_path / "b")
    assert list(found) == ["knn", "eq"] and found["eq"].convert(mels(0)).shape == (1, BANDS)
    paths = sorted((tmp_path / "a").iterdir())
    assert [len(each) for each in fitting.clips(paths, 0, "read", 20)] == [81] * 3
    # Of many sounds some are drawn, and of each the beginning is taken: half a second is 41 frames.
    monkeypatch.setattr(fitting, "MOST_SOUNDS", 2)
    drawn = [list(fitting.clips(paths, seed, "read", 0.5)) for seed in (0, 0, 1)]
    assert [len(each) for each in drawn[0]] == [41] * 2
    np.testing.assert_array_equal(drawn[0], drawn[1])
    (tmp_path / "a" / "3.wav").write_text("no sound")
    monkeypatch.undo()
    again = fitting.fitted(["eq"], tmp_path / "a", tmp_path / "b")["eq"]
    np.testing.assert_array_equal(again.convert(mels(0)), found["eq"].convert(mels(0)))
    (tmp_path / "c").mkdir()
    soundfile.write(tmp_path / "c" / "silence.wav", np.zeros(9000), 16_000)
    with pytest.raises(UserError, match="c: all of its sounds are silent"):
        fitting.fitted(["eq"], tmp_path / "a", tmp_path / "c")
