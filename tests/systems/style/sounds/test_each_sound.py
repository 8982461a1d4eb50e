"""Work on each sound of a folder, of which some fail."""

import pathlib

import pytest

from pipelines.runtime.app import UserError
from pipelines.systems.style.sounds import each_sound

ROOT = pathlib.Path("songs")


def work(sound, where):
    if "bad" in sound.name:
        raise UserError(f"{sound}: is bad; get it anew")
    return {"file": where}


def jobs(*names):
    return [(ROOT / name, f"{name}.wav") for name in names]


def test_what_fails_is_left_out_and_counted(capsys):
    found = each_sound.run(jobs("a", "b/bad", "c", "bad"), ROOT, "mended", work)
    assert found == {
        "sounds": 4,
        "mended": 2,
        "rejected": 2,
        "files": [{"file": "a.wav"}, {"file": "c.wav"}],
        "rejected_files": [
            {"file": "b/bad", "reason": "songs/b/bad: is bad; get it anew"},
            {"file": "bad", "reason": "songs/bad: is bad; get it anew"},
        ],
    }
    assert capsys.readouterr().err.count("left out: songs/") == 2


def test_nothing_is_left():
    with pytest.raises(UserError, match="songs/bad2: is bad"):
        each_sound.run(jobs("bad1", "bad2"), ROOT, "mended", work)


def test_other_errors_end_the_job():
    with pytest.raises(OSError, match="full"):
        each_sound.run(jobs("a", "b"), ROOT, "mended", fail)


def fail(sound, where):
    raise OSError(28, "the disk is full", where)
