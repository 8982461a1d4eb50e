"""Which files are learnt from, and which are pairs."""

import pathlib

import pytest

from pipelines.runtime.app import UserError
from pipelines.systems.style.sounds import each_sound, sound_folders


def put(root: pathlib.Path, *names: str) -> pathlib.Path:
    """Files that differ; only their bytes are looked at."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(str(path))
    return root


def test_sounds_of_a_split(tmp_path):
    root = put(tmp_path, "train/b.flac", "train/a.wav", "test/c.flac", "manifest.jsonl")
    assert [path.name for path in sound_folders.sounds(root)] == ["a.wav", "b.flac"]
    assert sound_folders.sounds(root, "test") == [root / "test/c.flac"]
    with pytest.raises(UserError, match="no folder validation in it"):
        sound_folders.sounds(root, "validation")


def test_a_folder_of_a_user(tmp_path):
    root = put(tmp_path, "live/song.mp3", "other.ogg", "notes.txt")
    assert sound_folders.sounds(root) == [root / "live/song.mp3", root / "other.ogg"]
    with pytest.raises(UserError, match="no folder test in it"):
        sound_folders.sounds(root, "test")
    (root / "empty").mkdir()
    with pytest.raises(UserError, match=r"empty: no sound file in it"):
        sound_folders.sounds(root / "empty")


def test_a_folder_of_pairs_is_not_one_sound(tmp_path):
    root = put(tmp_path, "source/train/a.wav", "target/train/b.wav")
    with pytest.raises(UserError, match=r"has pairs; name .*source or .*target"):
        sound_folders.sounds(root)


def test_the_same_recordings(tmp_path):
    put(tmp_path, "a/x.wav", "a/y.wav", "b/z.wav")
    found = sound_folders.unpaired(tmp_path / "a", tmp_path / "b")
    assert [len(each) for each in found] == [2, 1]
    (tmp_path / "b/z.wav").write_bytes((tmp_path / "a/y.wav").read_bytes())
    with pytest.raises(UserError, match=r"z\.wav is the same recording as .*y\.wav"):
        sound_folders.unpaired(tmp_path / "a", tmp_path / "b")


def test_performances_that_were_rendered_with_both_sounds(tmp_path):
    root = put(tmp_path, "source/train/a.wav", "target/train/b.wav", "manifest.jsonl")
    sound_folders.unpaired(root / "source", root / "target")
    put(root, "target/train/a.wav")
    with pytest.raises(UserError, match=r"1 performances to learn from are in both, as train/a is"):
        sound_folders.unpaired(root / "source", root / "target")
    # Two recordings of a user may have one name.
    (root / "manifest.jsonl").unlink()
    sound_folders.unpaired(root / "source", root / "target")


def test_two_files_of_one_name(tmp_path):
    root = put(tmp_path, "a/x.wav", "b/x.wav")
    found = each_sound.by_name(root, sound_folders.sounds(root))
    assert list(found) == ["a/x", "b/x"]
    put(tmp_path, "a/x.flac")
    with pytest.raises(UserError, match=r"x\.flac and x\.wav have one name, a/x; give them"):
        each_sound.by_name(root, sound_folders.sounds(root))
    put(tmp_path, *(f"{role}/test/{name}" for role in ("source", "target") for name in ("c.wav",)))
    put(tmp_path, "target/test/c.flac")
    with pytest.raises(UserError, match=r"c\.flac and c\.wav have one name, c"):
        sound_folders.pairs(tmp_path, "test")


def test_pairs(tmp_path):
    root = put(tmp_path, *(f"{role}/test/{name}" for role in ("source", "target") for name in "ba"))
    with pytest.raises(UserError, match="no sound file"):
        sound_folders.pairs(root, "test")
    put(root, "source/test/b.wav", "source/test/a.wav", "target/test/b.flac", "target/test/a.wav")
    found = sound_folders.pairs(root, "test")
    assert [(pair.name, pair.target.name) for pair in found] == [("a", "a.wav"), ("b", "b.flac")]
    (root / "target/test/b.flac").unlink()
    with pytest.raises(UserError, match="1 sounds of test are in one of source and target alone"):
        sound_folders.pairs(root, "test")
    with pytest.raises(UserError, match="no folders source/train and target/train"):
        sound_folders.pairs(root, "train")


def test_one_performance_may_sound_alike_with_both_sounds(tmp_path):
    root = put(tmp_path, *(f"{r}/test/{n}.wav" for r in ("source", "target") for n in "ab"))
    (root / "target/test/a.wav").write_bytes((root / "source/test/a.wav").read_bytes())
    assert [pair.name for pair in sound_folders.pairs(root, "test")] == ["a", "b"]
    (root / "target/test/b.wav").write_bytes((root / "source/test/b.wav").read_bytes())
    with pytest.raises(UserError, match="are the same recordings in source and target"):
        sound_folders.pairs(root, "test")
