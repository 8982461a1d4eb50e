"""A folder in the making: older runs, killed jobs, full disks, and counts that must reconcile."""

import errno
import os
import pathlib
import signal
import subprocess
import sys
import textwrap

import pytest

from pipelines.records.folder import Folder
from pipelines.records.manifest import kind_of, read_manifest
from pipelines.records.parts import Part
from pipelines.records.tune_list import read_tunes
from pipelines.runtime import files
from pipelines.runtime.app import UserError
from tests.support.records import contents, entries, make, several


def test_lists_of_an_older_run_do_not_stay(tmp_path):
    with Folder(tmp_path / "r") as folder:
        with Part(folder.parts, "one") as part:
            part.add(None, "a", b"1", ("melody:a",))
            part.ignore("LICENSE", "no tunes")
            part.warn("a", "A", 3, "a slip")
            part.count("clean")
            part.count("clean", 2)
        manifest = folder.finish("notesequence", "made", 1, 0, {})
    assert (manifest["read"], manifest["clean"], manifest["ignored"]) == (1, 3, 1)
    assert {"tunes.jsonl", "ignored.jsonl", "warned.jsonl"} < set(contents(tmp_path / "r"))
    make(tmp_path / "r", {"one": entries(2)}, overwrite=True, num_shards=1)
    assert sorted(contents(tmp_path / "r")) == [
        "manifest.json",
        "rejected.jsonl",
        "train.tfrecord-00000-of-00001",
    ]
    assert list(read_tunes(tmp_path / "r")) == []


def test_lost_sources_and_equal_keys_are_errors(tmp_path):
    with Folder(tmp_path / "r") as folder:
        with Part(folder.parts, "batch") as part:
            part.add_source()
            part.add("train", "a", b"1")
        with pytest.raises(RuntimeError, match="account for 1 of 2 sources"):
            folder.finish("notesequence", "made", 1, 2, {})
    with pytest.raises(UserError, match="two records have the key 'a'; every piece needs an id"):
        make(tmp_path / "r", {"one": [("train", "a", b"1")], "two": [("train", "a", b"2")]})
    assert list(tmp_path.glob("r/*")) == []


def test_pieces_of_several_records_are_read_once(tmp_path):
    manifest = several(tmp_path / "r", {"a": 3, "b": 0, "c": 2}, 3)
    assert (manifest["read"], manifest["used"], manifest["rejected"]) == (3, 2, 1)
    assert manifest["windows"] == manifest["splits"]["train"]["records"] == 5
    assert list(manifest)[4:6] == ["used", "windows"]


def test_pieces_neither_used_nor_rejected_are_an_error(tmp_path):
    with Folder(tmp_path / "r") as folder:
        with Part(folder.parts, "batch") as part:
            for piece in "ab":
                part.add_source()
                part.add("train", piece, b"1")
            part.count("used")
        with pytest.raises(RuntimeError, match="1 used and 0 rejected are not the 2 sources"):
            folder.finish("tensors", "made", 1, 2, {})


def test_nothing_kept_is_an_error_that_says_why(tmp_path):
    with pytest.raises(UserError, match="no record was kept out of 1 read .*x.mid: no_notes: none"):
        with Folder(tmp_path / "r") as folder:
            with Part(folder.parts, "batch") as part:
                part.reject("x.mid", "no_notes", "none")
            folder.finish("notesequence", "made", 1, 0, {})
    assert not (tmp_path / "r").exists()
    with pytest.raises(UserError, match="since there was no music to read in the input"):
        with Folder(tmp_path / "r") as folder:
            folder.finish("notesequence", "made", 0, 0, {})


def test_an_older_run_is_kept_unless_it_may_be_replaced(tmp_path):
    make(tmp_path / "r", {"one": entries(9)}, num_shards=5)
    before = contents(tmp_path / "r")
    with pytest.raises(UserError, match="holds the records of an older run.*--overwrite"):
        make(tmp_path / "r", {"one": entries(2)})
    with pytest.raises(ZeroDivisionError):
        with Folder(tmp_path / "r", overwrite=True):
            raise ZeroDivisionError
    assert contents(tmp_path / "r") == before
    make(tmp_path / "r", {"one": entries(2, "test")}, overwrite=True, num_shards=1)
    assert sorted(contents(tmp_path / "r")) == [
        "manifest.json",
        "rejected.jsonl",
        "test.tfrecord-00000-of-00001",
    ]


def test_records_from_elsewhere_are_not_touched(tmp_path):
    (tmp_path / "train.tfrecord-00000-of-00001").write_bytes(b"someone's")
    with pytest.raises(UserError, match="holds train.tfrecord-00000-of-00001, which no"):
        make(tmp_path, {"one": entries(2)}, overwrite=True)
    assert sorted(contents(tmp_path)) == ["train.tfrecord-00000-of-00001"]


def test_a_second_job_in_the_same_folder_is_refused(tmp_path):
    with Folder(tmp_path / "r"):
        with pytest.raises(UserError, match="another job is writing"):
            make(tmp_path / "r", {"one": entries(2)})


@pytest.mark.parametrize("moment", ["parts", "rename", "manifest"])
def test_a_killed_job_leaves_nothing_finished_and_is_cleared_away(tmp_path, moment):
    script = textwrap.dedent("""
        import os, pathlib, signal, sys
        from pipelines.records.folder import Folder
        from pipelines.records.parts import Part
        folder, moment = sys.argv[1:]
        real = pathlib.Path.rename
        def rename(path, target):
            name = pathlib.Path(target).name
            last = pathlib.Path(target) == pathlib.Path(folder, "manifest.json")
            if last and moment == "manifest":
                os.kill(os.getpid(), signal.SIGKILL)
            done = real(path, target)
            if name.startswith("train") and moment == "rename":
                os.kill(os.getpid(), signal.SIGKILL)
            return done
        pathlib.Path.rename = rename
        with Folder(folder) as made:
            with Part(made.parts, "one") as part:
                part.add_source()
                for i in range(9):
                    part.add("train", f"old{i}", b"old")
            if moment == "parts":
                os.kill(os.getpid(), signal.SIGKILL)
            made.finish("notesequence", "made", 9, 1, {})
    """)
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path / "r"), moment])
    assert done.returncode == -signal.SIGKILL
    with pytest.raises(UserError, match="has no manifest.json"):
        read_manifest(tmp_path / "r")
    # Shards without a manifest must not be taken for the records of stock Magenta.
    with pytest.raises(UserError, match="at work or was killed"):
        kind_of([str(tmp_path / "r" / "train.tfrecord-00000-of-00009")])
    # After a further job has failed there, the leftovers must still be known as this project's.
    with pytest.raises(ZeroDivisionError):
        with Folder(tmp_path / "r"):
            raise ZeroDivisionError
    make(tmp_path / "r", {"one": entries(2)}, num_shards=1)
    make(tmp_path / "fresh", {"one": entries(2)}, num_shards=1)
    assert contents(tmp_path / "r") == contents(tmp_path / "fresh")


def test_what_a_killed_job_left_at_work_on_a_cluster_adds_nothing_to_the_next(tmp_path):
    """A worker of the killed job is late with a batch of the same name as one of the next job."""
    script = (
        "import os, signal, sys\n"
        "from pipelines.records.folder import Folder\n"
        "with Folder(sys.argv[1]) as made:\n"
        "    print(made.parts, flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "r")]
    killed = subprocess.run(command, capture_output=True, text=True).stdout.strip()
    assert pathlib.Path(killed).is_dir()
    with Folder(tmp_path / "r") as folder:
        with Part(folder.parts, "one") as part:
            part.add_source()
            part.add("train", "new", b"new")
        with pytest.raises(FileNotFoundError):
            with Part(killed, "one") as late:
                late.add_source()
                late.add("train", "old", b"old")
        manifest = folder.finish("notesequence", "made", 1, 1, {})
    assert manifest["read"] == 1
    assert b"old" not in b"".join(contents(tmp_path / "r").values())


def test_an_interruption_while_an_old_run_is_replaced_leaves_no_shard(tmp_path, monkeypatch):
    make(tmp_path / "r", {"one": entries(9)}, num_shards=9)
    real, renamed = pathlib.Path.rename, []

    def rename(path, target):
        if pathlib.Path(target).parent == tmp_path / "r":
            renamed.append(target)
            if len(renamed) == 4:
                raise KeyboardInterrupt
        return real(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(pathlib.Path, "rename", rename)
        with pytest.raises(KeyboardInterrupt):
            make(tmp_path / "r", {"one": entries(5)}, num_shards=5, overwrite=True)
    assert len(renamed) == 4
    assert list((tmp_path / "r").iterdir()) == []
    make(tmp_path / "r", {"one": entries(5)}, num_shards=5)
    assert read_manifest(tmp_path / "r")["read"] == 5


@pytest.mark.parametrize("moment", ["before", "after"])
def test_an_interruption_before_or_after_an_old_run_is_replaced_keeps_a_whole_one(
    tmp_path, monkeypatch, moment
):
    """Before its manifest is removed, and after the new one is there."""
    make(tmp_path / "r", {"one": entries(9)}, num_shards=9)
    manifest = tmp_path / "r" / "manifest.json"
    unlink, rename = pathlib.Path.unlink, pathlib.Path.rename

    def interrupted_unlink(path, missing_ok=False):
        if path == manifest and moment == "before":
            raise KeyboardInterrupt
        return unlink(path, missing_ok)

    def interrupted_rename(path, target):
        done = rename(path, target)
        if pathlib.Path(target) == manifest and moment == "after":
            raise KeyboardInterrupt
        return done

    make(tmp_path / "old", {"one": entries(9)}, num_shards=9)
    make(tmp_path / "new", {"one": entries(5)}, num_shards=5)
    with monkeypatch.context() as patch:
        patch.setattr(pathlib.Path, "unlink", interrupted_unlink)
        patch.setattr(pathlib.Path, "rename", interrupted_rename)
        with pytest.raises(KeyboardInterrupt):
            make(tmp_path / "r", {"one": entries(5)}, num_shards=5, overwrite=True)
    expected = {"before": "old", "after": "new"}[moment]
    assert contents(tmp_path / "r") == contents(tmp_path / expected)


def test_files_of_others_are_left_alone(tmp_path):
    make(tmp_path / "r", {"one": entries(2)})
    other = tmp_path / "r" / "mymelodies.tfrecord-00000-of-00001"
    other.write_bytes(b"mine")
    make(tmp_path / "r", {"one": entries(3)}, overwrite=True)
    assert other.read_bytes() == b"mine"


class FullDisk:
    """A file that takes no more data."""

    def __init__(self, file):
        self._file = file

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._file.close()

    def write(self, data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), self._file.name)


def test_a_full_disk_leaves_nothing_finished(tmp_path, monkeypatch):
    def full(path, mode="r", **options):
        file = open(path, mode, **options)  # noqa: SIM115
        return FullDisk(file) if "tfrecord" in str(path) and "w" in mode else file

    monkeypatch.setattr(files, "open", full, raising=False)
    with pytest.raises(OSError, match="No space left on device"):
        make(tmp_path / "r", {"one": entries(2)})
    assert not (tmp_path / "r").exists()


def test_only_local_folders_are_written_to():
    with pytest.raises(UserError, match="gs://bucket/records: .*local"):
        Folder("gs://bucket/records")
