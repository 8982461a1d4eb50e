"""Sounds to spectrograms and back, as files."""

import json

import numpy as np
import pytest
import soundfile

from pipelines.runtime.app import UserError
from pipelines.systems.style.sounds import reconstructing
from pipelines.systems.style.sounds.reconstructing import Part
from tests.support.sounds import clicks, tone


@pytest.fixture
def sounds(tmp_path):
    folder = tmp_path / "sounds"
    (folder / "a").mkdir(parents=True)
    soundfile.write(folder / "a" / "tone.flac", tone(440, 22_050, 0.5), 22_050)
    soundfile.write(folder / "silence.wav", np.zeros(1000), 16_000)
    return folder


def test_a_folder(sounds, tmp_path):
    found = reconstructing.reconstruct(str(sounds), "stft", tmp_path / "out")
    rows = found["files"]
    assert [(row["file"], row["seconds"]) for row in rows] == [
        ("a/tone.wav", 0.5),
        ("silence.wav", 0.0625),
    ]
    assert rows[0]["spectral_convergence_db"] < -25
    assert rows[1]["spectral_convergence_db"] is rows[1]["log_spectral_distance_db"] is None
    kept = json.loads((tmp_path / "out" / "reconstruct.json").read_text())
    assert kept == found
    assert (kept["representation"], kept["sample_rate"]) == ("stft", 16_000)
    assert (kept["sounds"], kept["reconstructed"], kept["rejected"]) == (2, 2, 0)
    samples, rate = soundfile.read(tmp_path / "out" / "a" / "tone.wav")
    assert rate == 16_000 and samples.shape == (8000,)


def test_a_part_of_a_file(sounds, tmp_path):
    path = sounds / "a" / "tone.flac"
    (row,) = reconstructing.reconstruct(
        str(path), "mel", tmp_path / "out", part=Part(start=0.1, seconds=0.2)
    )["files"]
    assert (row["file"], row["seconds"]) == ("tone.wav", 0.2)


def test_a_clipped_sound(tmp_path, capsys):
    loud = np.clip(8 * (tone(440) + clicks()), -1, 1)
    soundfile.write(tmp_path / "loud.wav", loud, 16_000)
    (row,) = reconstructing.reconstruct(str(tmp_path / "loud.wav"), "stft", tmp_path / "out")[
        "files"
    ]
    assert row["spectral_convergence_db"] < -10
    # Griffin-Lim overshoots; no sample wraps around, and the user is told.
    assert "beyond 1 and are clipped" in capsys.readouterr().err
    samples, _ = soundfile.read(tmp_path / "out" / "loud.wav", dtype="float32")
    assert reconstructing.measured(samples, loud, 16_000)["spectral_convergence_db"] < -10


def test_what_cannot_be_read_is_left_out(sounds, tmp_path, capsys):
    (sounds / "text.wav").write_text("no sound")
    found = reconstructing.reconstruct(str(sounds), "stft", tmp_path / "out")
    assert (found["sounds"], found["reconstructed"], found["rejected"]) == (3, 2, 1)
    [row] = found["rejected_files"]
    assert row["file"] == "text.wav" and "cannot be read as sound" in row["reason"]
    assert f"left out: {row['reason']}" in capsys.readouterr().err
    assert not (tmp_path / "out" / "text.wav").exists()


def test_bad_input_leaves_no_folder(sounds, tmp_path):
    soundfile.write(sounds / "silence.flac", np.zeros(1000), 16_000)
    with pytest.raises(UserError, match=r"have one name, silence;"):
        reconstructing.reconstruct(str(sounds), "mel", tmp_path / "out")
    (sounds / "silence.flac").write_bytes(b"")
    with pytest.raises(UserError, match=r"silence\.flac: cannot be read as sound"):
        reconstructing.reconstruct(str(sounds / "silence.flac"), "mel", tmp_path / "out")
    assert not (tmp_path / "out").exists()
