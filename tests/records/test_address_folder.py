"""A folder of records that is made in a bucket: the same files, and nothing left by what failed."""

import pytest

from pipelines.records import address_folder
from pipelines.records.address_folder import AddressFolder
from pipelines.records.parts import Part, read_batch, write_batch
from pipelines.runtime import storage
from pipelines.runtime.app import UserError
from tests.support.records import contents, entries, make

pytestmark = pytest.mark.slow


def made(address, batches, overwrite=False, num_shards=3):
    """As `tests.support.records.make`, in a bucket."""
    with address_folder.making(address, overwrite) as folder:
        for name, those in batches.items():
            with Part(folder.shared, name) as part:
                part.add_source()
                for entry in those:
                    part.add(*entry)
        return folder.finish("notesequence", "made", num_shards, len(batches), {})


def test_the_files_are_those_of_a_local_folder(bucket, tmp_path):
    batches = {
        "a": [*entries(7), (None, "u", b"undecided", ["melody:1"], "Title")],
        "b": [(None, "v", b"also", ["melody:1"]), ("test", "t", b"1")],
        "c": [],
    }
    manifest = make(tmp_path / "r", batches)
    assert made(f"{bucket.address}/some/r", batches) == manifest
    assert bucket.contents("some/r/") == contents(tmp_path / "r")
    # Nothing else is there, and an empty list is there.
    assert bucket.contents("some/r/")["rejected.jsonl"] == b""


def test_a_part_counts_once_however_often_it_is_made(bucket):
    with address_folder.making(f"{bucket.address}/r") as folder:
        write_batch(folder.shared, "one", [["a", 1]])
        assert read_batch(folder.shared, "one") == [["a", 1]]
        for _ in range(2):
            with Part(folder.shared, "one") as part:
                part.add_source()
                part.add("train", "a", b"1")
        with pytest.raises(ZeroDivisionError), Part(folder.shared, "two") as part:
            part.add("train", "b", b"2")
            1 / 0
        assert folder.sources_done(30, 3) == 10
        manifest = folder.finish("notesequence", "made", 1, 1, {})
    assert manifest["splits"]["train"]["records"] == manifest["read"] == 1
    assert bucket.names("r/") == [
        "manifest.json",
        "rejected.jsonl",
        "train.tfrecord-00000-of-00001",
    ]


def test_an_older_run_is_replaced_only_when_told_and_only_by_a_whole_one(bucket):
    where = f"{bucket.address}/r"
    made(where, {"one": entries(4)}, num_shards=2)
    before = bucket.contents("r/")
    with pytest.raises(UserError, match=f"{where} holds the records of an older run"):
        made(where, {"one": entries(1)})
    with pytest.raises(RuntimeError, match="account for 0 of 1 sources"):
        with address_folder.making(where, overwrite=True) as folder:
            folder.finish("notesequence", "made", 1, 1, {})
    assert bucket.contents("r/") == before
    made(where, {"one": entries(3)}, overwrite=True, num_shards=1)
    assert bucket.names("r/") == [
        "manifest.json",
        "rejected.jsonl",
        "train.tfrecord-00000-of-00001",
    ]


def test_what_a_job_breaks_off_while_it_replaces_leaves_nothing(bucket, monkeypatch):
    where = f"{bucket.address}/r"
    made(where, {"one": entries(4)})

    def fails(moves):
        for move in list(moves)[:2]:
            rename([move])
        raise UserError("the server is gone")

    rename = storage.rename
    monkeypatch.setattr(storage, "rename", fails)
    with pytest.raises(UserError, match="the server is gone"):
        made(where, {"one": entries(5)}, overwrite=True)
    assert bucket.names("r/") == []


def test_what_a_killed_job_left_is_removed_and_what_is_not_of_a_job_is_not(bucket):
    where = f"{bucket.address}/r"
    killed = AddressFolder(where)
    killed.__enter__()
    write_batch(killed.shared, "one", [1])
    bucket.put("r/train.tfrecord-00000-of-00009", b"half of a run")
    bucket.put("r/notes.txt", b"of the user")
    made(where, {"one": entries(1)}, num_shards=1)
    assert bucket.names("r/") == [
        "manifest.json",
        "notes.txt",
        "rejected.jsonl",
        "train.tfrecord-00000-of-00001",
    ]
    # A worker of the killed job that is still at work finds its batches gone.
    with pytest.raises(storage.NotFound):
        read_batch(killed.shared, "one")
    killed.__exit__(None, None, None)
    bucket.put("s/tunes.jsonl", b"")
    with pytest.raises(UserError, match=r"s holds tunes.jsonl, which no finished run left there"):
        made(f"{bucket.address}/s", {"one": entries(1)})


def test_a_bucket_that_is_not_there_is_told_of_before_the_work(bucket):
    with pytest.raises(UserError, match="s3://not-there/r/.unfinished/.*there is no such bucket"):
        made("s3://not-there/r", {"one": entries(1)})
