"""Rendering of records: which files there are, what is in them, and that the counts add up."""

import hashlib
import json
import os

import numpy as np
import pytest
import soundfile

from pipelines.audio import font_library
from pipelines.runtime.app import UserError
from pipelines.systems.style.sounds import performances, rendering
from pipelines.systems.style.sounds.rendering import Settings
from tests.support import records
from tests.support.pieces import drums, melody

pytest.importorskip("tinysoundfont", reason="no tinysoundfont: it has no wheel here")

BRUSH, POWER, FLUTE = (
    font_library.find_sound(f"TimGM6mb:{each}") for each in ("Brush", "Power", "0:73")
)


def groove(number, split="train"):
    """A record of drums, for `records.make`."""
    piece = drums([(0.25 * i, 36 + 2 * (i % 2), 100) for i in range(4)])
    piece.id = f"drummer1/session {number}"
    return (split, piece.id, piece.SerializeToString())


@pytest.fixture
def grooves(tmp_path):
    batch = [groove(i) for i in range(6)]
    batch += [groove(6, "validation"), groove(7, "test"), groove(8, "test")]
    tune = melody([69, 71])
    tune.id = "tune"
    batch.append(("test", "tune", tune.SerializeToString()))
    records.make(tmp_path / "records", {f"batch{i}": [entry] for i, entry in enumerate(batch)})
    return os.fspath(tmp_path / "records")


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def names(folder):
    return sorted(path.stem for path in folder.glob("*.flac"))


def test_one_sound(grooves, tmp_path):
    out = tmp_path / "out"
    summary = rendering.render(grooves, [BRUSH], out, Settings())
    assert (summary["records"], summary["performances"], summary["rejected"]) == (10, 9, 1)
    assert summary["files"] == {"files": {"test": 2, "train": 6, "validation": 1}}
    assert lines(out / "rejected.jsonl") == [
        {"split": "test", "id": "tune", "reason": "nothing to play", "detail": "it has no drums"}
    ]
    rows = lines(out / "manifest.jsonl")
    assert {row["path"] for row in rows} == {
        path.relative_to(out).as_posix() for path in out.rglob("*.flac")
    }
    for row in rows:
        samples, rate = soundfile.read(out / row["path"])
        assert rate == 16_000 and samples.ndim == 1
        # Four hits, the last at 0.75 s, which all sound.
        assert row["seconds"] == len(samples) / rate >= 0.8
        assert all(np.abs(samples[int(4000 * i) :][:1600]).max() > 0.01 for i in range(4))
        assert row["sha256"] == hashlib.sha256((out / row["path"]).read_bytes()).hexdigest()
        assert row["sound"] == "TimGM6mb:Brush" and "role" not in row
    assert summary["seconds"] == pytest.approx(sum(row["seconds"] for row in rows), abs=0.001)


def test_pairs(grooves, tmp_path):
    out = tmp_path / "out"
    summary = rendering.render(grooves, [BRUSH, POWER], out, Settings())
    assert summary["log_spectral_distance_db"] > 5
    source, target = (names(out / role / "train") for role in ("source", "target"))
    # No performance is on both sides of training, and none is lost.
    assert source and target and not set(source) & set(target)
    assert sorted(source + target) == [f"drummer1_session_{i}" for i in range(6)]
    for split, expected in {"validation": [6], "test": [7, 8]}.items():
        for role in ("source", "target"):
            assert names(out / role / split) == [f"drummer1_session_{i}" for i in expected]
    rows = lines(out / "manifest.jsonl")
    assert {(row["role"], row["sound"]) for row in rows} == {
        ("source", "TimGM6mb:Brush"),
        ("target", "TimGM6mb:Power"),
    }
    assert all(row["role"] == row["half"] for row in rows if row["split"] == "train")
    # A second time gives the same bytes.
    rendering.render(grooves, [BRUSH, POWER], tmp_path / "again", Settings())
    for path in out.rglob("*"):
        if path.is_file():
            again = tmp_path / "again" / path.relative_to(out)
            assert again.read_bytes() == path.read_bytes()


def test_pairs_for_training(grooves, tmp_path):
    settings = Settings(ending="wav", rate=22_050, paired_training=True, most=3)
    summary = rendering.render(grooves, [BRUSH, POWER], tmp_path / "out", settings)
    per_split = {"test": 2, "train": 3, "validation": 1}
    assert summary["files"] == {"source": per_split, "target": per_split}
    source = sorted((tmp_path / "out" / "source" / "train").glob("*.wav"))
    assert len(source) == 3 and soundfile.info(source[0]).samplerate == 22_050


def test_sounds_that_are_one_are_refused(grooves, tmp_path):
    jazz, standard = (font_library.find_sound(f"TimGM6mb:{each}") for each in ("Jazz", "Standard"))
    with pytest.raises(
        UserError, match=r"TimGM6mb:Jazz and TimGM6mb:Standard are 0\.0 dB .* less than 5"
    ):
        rendering.render(grooves, [jazz, standard], tmp_path / "out", Settings())
    with pytest.raises(UserError, match="one is a drum kit and one is not"):
        rendering.render(grooves, [BRUSH, FLUTE], tmp_path / "out", Settings())
    assert not (tmp_path / "out").exists()


def test_a_melody_is_played_by_a_flute(grooves, tmp_path):
    summary = rendering.render(f"{grooves}/test*", [FLUTE], tmp_path / "out", Settings())
    assert (summary["records"], summary["rejected"]) == (3, 2)
    samples, rate = soundfile.read(tmp_path / "out" / "test" / "tune.flac")
    spectrum = np.abs(np.fft.rfft(samples[: rate // 2]))
    # The first note is an A of 440 Hz; bins are 2 Hz apart.
    assert 218 <= spectrum.argmax() <= 222


def test_records_that_cannot_be_used(grooves, tmp_path):
    out = tmp_path / "out"
    with pytest.raises(UserError, match="no record, of 1, has a note that 'Flute TB' plays"):
        rendering.render(f"{grooves}/validation*", [FLUTE], out, Settings())
    with pytest.raises(UserError, match="no file matches"):
        rendering.render(os.fspath(tmp_path), [BRUSH], out, Settings())
    os.rename(f"{grooves}/manifest.json", tmp_path / "manifest.json")
    (whole,) = (tmp_path / "records").glob("validation*")
    unsplit = tmp_path / "all.tfrecord"
    unsplit.write_bytes(whole.read_bytes())
    with pytest.raises(UserError, match=r"all\.tfrecord: its name says no split"):
        rendering.render(os.fspath(unsplit), [BRUSH], out, Settings())
    whole.write_bytes(whole.read_bytes()[:-9])
    with pytest.raises(UserError, match="damaged or cut short"):
        rendering.render(grooves, [BRUSH], out, Settings())
    assert not out.exists()


def test_a_folder_with_something_in_it_is_left_alone(grooves, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.wav").write_text("mine")
    with pytest.raises(UserError, match="exists already"):
        rendering.render(grooves, [BRUSH], tmp_path / "out", Settings())
    assert os.listdir(tmp_path / "out") == ["mine.wav"]


def test_names_and_reasons(tmp_path):
    odd = [groove(1), groove(1), groove(2), groove(3)]
    odd[1] = ("train", "another key", odd[0][2])
    for number, name in [(2, "a b"), (3, "A/b")]:
        piece = drums([(0.0, 36, 100)])
        piece.id = name
        odd[number] = ("train", name, piece.SerializeToString())
    bad = drums([(0.0, 36, 100)])
    bad.id, bad.notes[0].pitch = "bad", 200
    odd.append(("train", "bad", bad.SerializeToString()))
    records.make(tmp_path / "records", {f"batch{i}": [each] for i, each in enumerate(odd)})
    kept, rejected = performances.listed(os.fspath(tmp_path / "records"), BRUSH.preset)
    # On file systems that ignore case, "a_b" and "A_b" would be one file.
    found = sorted(each.name.lower() for each in kept)
    assert len(set(found)) == 3 and found[2] == "drummer1_session_1"
    assert all(each.startswith("a_b") for each in found[:2])
    assert sorted((each.id, each.reason) for each in rejected) == [
        ("bad", "not playable"),
        ("drummer1/session 1", "repeated id"),
    ]


def test_performances_that_a_sound_has_no_sample_for_are_rejected(tmp_path):
    # TimGM6mb's kits have no sound for the lowest pitches.
    silent = drums([(0.0, 1, 100)])
    silent.id = "silent"
    batch = [groove(1, "test"), ("test", "silent", silent.SerializeToString())]
    records.make(tmp_path / "records", {f"batch{i}": [each] for i, each in enumerate(batch)})
    out = tmp_path / "out"
    summary = rendering.render(os.fspath(tmp_path / "records"), [BRUSH], out, Settings())
    assert summary["reasons"] == {"silent": 1} and summary["performances"] == 1
    assert names(out / "test") == ["drummer1_session_1"]
    assert len(lines(out / "manifest.jsonl")) == 1
