"""The beginnings of many sounds, of which some cannot be read."""

import numpy as np
import pytest
import soundfile

from pipelines.runtime.app import UserError
from pipelines.systems.style.transfer import beginnings
from tests.support.sounds import tone


def test_what_cannot_be_read_is_left_out_and_counted(tmp_path, capsys):
    for name, seconds in {"a.wav": 2.0, "c.flac": 0.25}.items():
        soundfile.write(tmp_path / name, tone(440, 8000, seconds), 8000)
    (tmp_path / "b.wav").write_text("no sound")
    paths = [tmp_path / name for name in ("a.wav", "b.wav", "c.flac")]
    found = list(beginnings.read(paths, 0.5, "sounds of the source"))
    assert [(path.name, len(samples)) for path, samples in found] == [
        ("a.wav", 8000),
        ("c.flac", 4000),
    ]
    said = capsys.readouterr().err
    assert f"left out: {paths[1]}: cannot be read as sound" in said
    assert "sounds of the source: 1 of 3 cannot be read and are left out" in said


def test_nothing_is_left_to_read(tmp_path):
    for name in "ab":
        (tmp_path / f"{name}.wav").write_text("no sound")
    with pytest.raises(UserError, match=r"b\.wav: cannot be read as sound"):
        list(beginnings.read(sorted(tmp_path.iterdir()), 1, "sounds"))


def test_all_is_read_in_silence(tmp_path, capsys):
    soundfile.write(tmp_path / "a.wav", np.zeros(100), 16_000)
    assert len(list(beginnings.read([tmp_path / "a.wav"], 1, "sounds"))) == 1
    assert "left out" not in capsys.readouterr().err
