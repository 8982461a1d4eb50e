"""Sounds of a user with another sound, as files."""

import json

import numpy as np
import pytest
import soundfile

from pipelines.runtime.app import UserError
from pipelines.systems.style.sounds.reconstructing import Part
from pipelines.systems.style.transfer import converting
from tests.support.sounds import clicks, tone


class Same:
    """Changes nothing."""

    def convert(self, mels):
        return mels


class Loud(Same):
    """Adds 30 dB."""

    def convert(self, mels):
        return mels + np.float32(30)


@pytest.fixture
def sounds(tmp_path):
    folder = tmp_path / "sounds"
    (folder / "live").mkdir(parents=True)
    stereo = np.stack([tone(440, 96_000, 0.5), clicks(96_000, 0.5)], axis=1)
    soundfile.write(folder / "live" / "stereo.flac", stereo, 96_000)
    soundfile.write(folder / "narrow.wav", tone(440, 8000, 0.25), 8000, subtype="PCM_U8")
    soundfile.write(folder / "silence.wav", np.zeros(1000), 16_000)
    return folder


@pytest.mark.slow
def test_a_folder(sounds, tmp_path, capsys):
    found = converting.convert(Same(), {"method": "same"}, str(sounds), tmp_path / "out")
    assert found == json.loads((tmp_path / "out" / "convert.json").read_text())
    assert [(row["file"], row["seconds"], row["clipped"]) for row in found["files"]] == [
        ("live/stereo.wav", 0.5, 0),
        ("narrow.wav", 0.25, 0),
        ("silence.wav", 0.0625, 0),
    ]
    assert (found["method"], found["sounds"], found["converted"], found["rejected"]) == (
        "same",
        3,
        3,
        0,
    )
    for row in found["files"]:
        info = soundfile.info(tmp_path / "out" / row["file"])
        assert (info.samplerate, info.channels) == (16_000, 1)
        assert info.frames == round(row["seconds"] * 16_000)
    assert "silence.wav: what it becomes is silent" in capsys.readouterr().err
    again = converting.convert(Same(), {"method": "same"}, str(sounds), tmp_path / "again")
    assert again == found
    for row in found["files"]:
        both = [(tmp_path / name / row["file"]).read_bytes() for name in ("out", "again")]
        assert both[0] == both[1]


def test_what_cannot_be_read_is_left_out(sounds, tmp_path, capsys):
    whole = (sounds / "narrow.wav").read_bytes()
    (sounds / "half.wav").write_bytes(whole[: len(whole) // 2])
    (sounds / "broken.mp3").write_bytes(b"no sound")
    found = converting.convert(Same(), {}, str(sounds), tmp_path / "out")
    assert (found["sounds"], found["converted"], found["rejected"]) == (5, 3, 2)
    reasons = {row["file"]: row["reason"] for row in found["rejected_files"]}
    assert "cannot be read as sound" in reasons["broken.mp3"] and "cut short" in reasons["half.wav"]
    assert capsys.readouterr().err.count("left out:") == 2
    with pytest.raises(UserError, match=r"half\.wav: cut short"):
        converting.convert(Same(), {}, str(sounds / "half.wav"), tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_a_part_and_clipping(sounds, tmp_path, capsys):
    path = str(sounds / "narrow.wav")
    found = converting.convert(Loud(), {}, path, tmp_path / "out", Part(0.1, 0.1))
    (row,) = found["files"]
    assert row["seconds"] == 0.1 and row["clipped"] > 100
    assert "are beyond 1 and are clipped" in capsys.readouterr().err
    samples, _ = soundfile.read(tmp_path / "out" / "narrow.wav")
    assert np.abs(samples).max() >= 0.999


def test_too_long(sounds, tmp_path, monkeypatch):
    monkeypatch.setattr(converting, "MOST_SECONDS", 0.2)
    with pytest.raises(UserError, match="take a part of it by --start and --seconds"):
        converting.convert(Same(), {}, str(sounds / "narrow.wav"), tmp_path / "out")
