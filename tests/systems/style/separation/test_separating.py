"""Songs to the sounds in them, as files."""

import json
import sys

import numpy as np
import pytest
import soundfile

from pipelines.audio.separation import HPSS
from pipelines.runtime.app import UserError
from pipelines.systems.style.separation import separating
from tests.support.sounds import clicks, tone


def song(path, rate=16_000, seconds=1.0, channels=1, gain=1.0, **options):
    mixed = gain * (tone(440, rate, seconds) + clicks(rate, seconds))
    samples = np.stack([mixed * 0.5**number for number in range(channels)], axis=1)
    soundfile.write(path, samples, rate, **options)
    return path


def run(path, tmp_path, **options):
    return separating.separate(str(path), tmp_path / "out", "hpss", HPSS, **options)


@pytest.mark.parametrize(
    "rate, channels, options",
    [
        (16_000, 1, {}),
        (44_100, 2, {"subtype": "PCM_24"}),
        (96_000, 2, {"subtype": "FLOAT"}),
        (8_000, 1, {"subtype": "PCM_U8"}),
        (11_025, 3, {}),
    ],
)
def test_a_song_keeps_its_rate_and_channels(tmp_path, rate, channels, options):
    path = song(tmp_path / "a.wav", rate, channels=channels, **options)
    summary = run(path, tmp_path)
    (row,) = summary["files"]
    assert (row["file"], row["folder"], row["seconds"]) == ("a.wav", "", 1.0)
    found = [soundfile.read(tmp_path / "out" / f"{name}.wav") for name in HPSS.names]
    assert {each[1] for each in found} == {rate}
    wanted, _ = soundfile.read(path)
    assert np.abs(found[0][0] + found[1][0] - wanted).max() < 1e-6
    for (samples, _), name in zip(found, HPSS.names):
        level = 10 * np.log10(np.mean(np.square(samples)))
        assert row["level_db"][name] == pytest.approx(level, abs=0.01)
    kept = json.loads((tmp_path / "out" / "separate.json").read_text())
    counts = {"sounds": 1, "separated": 1, "rejected": 0}
    assert kept == summary == {"method": "hpss", **counts, "files": [row], "rejected_files": []}


def test_nothing_is_clipped(tmp_path):
    path = song(tmp_path / "loud.wav", gain=8)  # The 16 bits of the song clip it.
    run(path, tmp_path)
    found = [soundfile.read(tmp_path / "out" / f"{name}.wav")[0] for name in HPSS.names]
    assert np.abs(np.stack(found)).max() > 1
    assert np.abs(sum(found) - soundfile.read(path)[0]).max() < 1e-6


def test_silence(tmp_path):
    soundfile.write(tmp_path / "silence.wav", np.zeros(1000), 16_000)
    (row,) = run(tmp_path / "silence.wav", tmp_path)["files"]
    assert row["level_db"] == {"percussive": None, "harmonic": None}


def test_a_folder(tmp_path):
    songs = tmp_path / "songs"
    (songs / "b").mkdir(parents=True)
    song(songs / "a.flac")
    song(songs / "b" / "c.d.wav")
    rows = run(songs, tmp_path)["files"]
    assert [(row["file"], row["folder"]) for row in rows] == [
        ("a.flac", "a"),
        ("b/c.d.wav", "b/c.d"),
    ]
    assert (tmp_path / "out" / "b" / "c.d" / "harmonic.wav").is_file()
    song(songs / "a.wav")
    with pytest.raises(UserError, match=r"a\.flac and a\.wav have one name, a;"):
        separating.separate(str(songs), tmp_path / "again", "hpss", HPSS)


def test_a_song_that_cannot_be_read_is_left_out(tmp_path, capsys):
    songs = tmp_path / "songs"
    (songs / "a").mkdir(parents=True)
    song(songs / "a" / "b.wav")
    (songs / "text.wav").write_text("no sound")
    # It breaks off in the middle, and shares its folder with a song.
    half = song(songs / "a.flac", seconds=20)
    half.write_bytes(half.read_bytes()[: half.stat().st_size // 2])
    found = run(songs, tmp_path, chunk_seconds=1.0)
    assert (found["sounds"], found["separated"], found["rejected"]) == (3, 1, 2)
    reasons = {row["file"]: row["reason"] for row in found["rejected_files"]}
    assert "cut short" in reasons["a.flac"] and "cannot be read as sound" in reasons["text.wav"]
    assert capsys.readouterr().err.count("left out:") == 2
    written = {path.relative_to(tmp_path / "out").as_posix() for path in tmp_path.rglob("out/**/*")}
    assert written == {
        "a",
        "a/b",
        "a/b/harmonic.wav",
        "a/b/percussive.wav",
        "separate.json",
    }
    assert json.loads((tmp_path / "out" / "separate.json").read_text()) == found


def test_a_program_that_fails_on_one_song(tmp_path, monkeypatch):
    program = tmp_path / "program"
    program.write_text(
        f"#!{sys.executable}\n"
        "import os, shutil, sys\n"
        "folder = sys.argv[sys.argv.index('--out') + 1]\n"
        "shutil.copy(sys.argv[-1], os.path.join(folder, 'drums.wav'))\n"
        "sys.exit(3 if 'bad' in sys.argv[-1] else 0)\n"
    )
    program.chmod(0o700)
    monkeypatch.setenv("DEMUCS", str(program))
    songs = tmp_path / "songs"
    songs.mkdir()
    for name in ("bad", "good"):
        song(songs / f"{name}.wav")
    found = separating.separate(str(songs), tmp_path / "out", "demucs")
    assert (found["sounds"], found["separated"], found["rejected"]) == (2, 1, 1)
    assert "bad.wav: demucs ended with status 3" in found["rejected_files"][0]["reason"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["good", "separate.json"]
    assert [path.name for path in (tmp_path / "out" / "good").iterdir()] == ["drums.wav"]
    (songs / "good.wav").unlink()
    with pytest.raises(UserError, match=r"bad\.wav: demucs ended with status 3"):
        separating.separate(str(songs), tmp_path / "none", "demucs")
    assert not (tmp_path / "none").exists()


def test_bad_input_leaves_no_folder(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="no sound file in it"):
        run(tmp_path / "empty", tmp_path)
    (tmp_path / "text.wav").write_text("no sound")
    with pytest.raises(UserError, match="cannot be read as sound"):
        run(tmp_path / "text.wav", tmp_path)
    half = song(tmp_path / "half.flac", seconds=20)
    half.write_bytes(half.read_bytes()[: half.stat().st_size // 2])
    with pytest.raises(UserError, match=r"half\.flac: .*cut short"):
        run(half, tmp_path, chunk_seconds=1.0)
    soundfile.write(tmp_path / "nan.wav", np.full(9, np.nan), 16_000, subtype="FLOAT")
    with pytest.raises(UserError, match="not finite"):
        run(tmp_path / "nan.wav", tmp_path)
    assert not (tmp_path / "out").exists() and not list(tmp_path.glob(".out*"))


def test_a_full_disk_is_told_of_the_file_that_is_written(tmp_path, monkeypatch):
    path = song(tmp_path / "a.wav")

    def fail(self, samples):
        raise soundfile.LibsndfileError(2, "")

    monkeypatch.setattr(soundfile.SoundFile, "write", fail)
    with pytest.raises(OSError, match=r"cannot be written") as caught:
        run(path, tmp_path)
    assert str(caught.value.filename).endswith("percussive.wav")


def test_a_long_song_is_written_as_rf64(tmp_path, monkeypatch):
    monkeypatch.setattr(separating, "_MOST_BYTES_OF_WAV", 10_000)
    path = song(tmp_path / "a.wav")
    run(path, tmp_path)
    assert soundfile.info(tmp_path / "out" / "harmonic.wav").format == "RF64"
    assert len(soundfile.read(tmp_path / "out" / "harmonic.wav")[0]) == 16_000


def test_a_program_that_is_missing_is_told_before_any_work(tmp_path, monkeypatch):
    monkeypatch.setenv("DEMUCS", "/no/such/program")
    path = song(tmp_path / "a.wav")
    with pytest.raises(UserError, match="DEMUCS=/no/such/program"):
        separating.separate(str(path), tmp_path / "out", "demucs")
    assert not (tmp_path / "out").exists()
