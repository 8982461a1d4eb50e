"""Synthesisers by their names, and what is said where one is missing."""

import numpy as np
import pytest

from pipelines.audio import synthesis, synthesizers
from pipelines.runtime.app import UserError
from tests.support.pieces import drums, melody


@pytest.fixture(params=synthesizers.NAMES)
def name(request):
    if not synthesizers.is_installed(request.param):
        pytest.skip(f"{request.param} is not installed here")
    return request.param


def test_a_piece_sounds(name):
    piece = drums([(1.0, 36, 100), (1.5, 22, 90)])
    samples, rate = synthesis.render(piece, synthesizer=name)
    size = np.abs(samples).max(axis=1)
    assert not size[: rate - 100].max() > 1e-4
    assert size[rate : rate + rate // 100].max() > 0.05
    # The edge of a hi-hat sounds, for which no sound font has a sound.
    late = size[round(1.5 * rate) :]
    assert late[: rate // 100].max() > 2 * size[round(1.45 * rate) : round(1.5 * rate)].max()
    assert np.array_equal(samples, synthesis.render(piece, synthesizer=name)[0])


def test_each_plays_the_instrument_and_the_pitch(name):
    sounds = {}
    for instrument in ("fiddle", "flute", "whistle", "piano"):
        samples, rate = synthesis.render(melody([69], seconds=2.0), instrument, synthesizer=name)
        middle = samples[rate // 2 : rate // 2 + rate].mean(axis=1)
        loudest = int(np.abs(np.fft.rfft(middle * np.hanning(len(middle)))).argmax())
        assert abs(loudest / max(round(loudest / 440), 1) - 440) < 4
        sounds[instrument] = samples.tobytes()
    assert len(set(sounds.values())) == 4


def test_more_instruments_than_midi_has_channels(name):
    piece = melody([60] * 20, seconds=0.2)
    for program, note in enumerate(piece.notes):
        note.program = program + 1
    samples, rate = synthesis.render(piece, synthesizer=name)
    for i in range(20):
        assert np.abs(samples[int(i * 0.2 * rate) :][: rate // 5]).max() > 0.001


def test_a_bad_sound_font(name, tmp_path):
    font = tmp_path / "bad.sf2"
    font.write_bytes(b"no sound font" * 100)
    with pytest.raises(UserError, match=r"bad\.sf2: not a sound font .*--sound_font"):
        synthesis.render(melody([60]), sound_font=str(font), synthesizer=name)


def test_all_are_about_as_loud():
    names = [each for each in synthesizers.NAMES if synthesizers.is_installed(each)]
    if len(names) < 2:
        pytest.skip("FluidSynth or tinysoundfont is not installed here")
    beat = drums([(i / 4, (36, 42, 38, 42)[i % 4], 90) for i in range(16)])
    for piece in (beat, melody([69] * 8)):
        levels = [
            np.sqrt(np.mean(synthesis.render(piece, synthesizer=each)[0] ** 2)) for each in names
        ]
        assert max(levels) < 2 * min(levels)


def test_what_is_missing_is_named(monkeypatch):
    monkeypatch.setattr(synthesizers, "is_installed", lambda name: name == "tinysoundfont")
    assert synthesizers.default() == "tinysoundfont"
    with pytest.raises(UserError, match="fluidsynth is missing: apt install libfluidsynth3"):
        synthesis.require(synthesizer="fluidsynth")
    monkeypatch.setattr(synthesizers, "is_installed", lambda name: False)
    assert synthesizers.default() is None and not synthesis.is_installed()
    with pytest.raises(UserError, match="no synthesiser: .*tinysoundfont.*, or apt install .*none"):
        synthesis.require()
    monkeypatch.setattr(synthesizers, "is_installed", lambda name: name == "fluidsynth")
    assert synthesizers.default() == "fluidsynth"
