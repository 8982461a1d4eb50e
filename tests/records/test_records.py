"""Files of records: framing, shards, manifest, and what is left when a job does not finish."""

import errno
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import textwrap

import pytest

from pipelines.records import parts, shards, tfrecord
from pipelines.records.folder import Folder
from pipelines.records.manifest import SPLITS, count_in, kind_of, read_manifest, record_files
from pipelines.records.parts import Part
from pipelines.records.tune_list import read_tunes
from pipelines.runtime import files
from pipelines.runtime.app import UserError
from pipelines.tunes import splits


def make(path, batches, overwrite=False, num_shards=3, kind="notesequence"):
    """Writes {batch: [(split, key, record)]} as a finished folder; returns the manifest."""
    with Folder(path, overwrite) as folder:
        for name, entries in batches.items():
            with Part(folder.parts, name) as part:
                part.add_source()
                for entry in entries:
                    part.add(*entry)
        return folder.finish(kind, "made", num_shards, len(batches), {})


def entries(count, split="train"):
    return [(split, f"key{i}", f"record {i}".encode()) for i in range(count)]


def contents(path):
    return {file.name: file.read_bytes() for file in path.iterdir()}


def test_tensorflow_reads_what_we_write_and_we_read_what_it_writes(tmp_path):
    import tensorflow as tf

    long = b"x" * 70_000
    make(tmp_path / "ours", {"one": [("train", "a", b""), ("train", "b", long)]}, num_shards=1)
    path = str(tmp_path / "ours" / "train.tfrecord-00000-of-00001")
    # Works in graph mode too, which other tests switch to.
    assert sorted(tf.compat.v1.io.tf_record_iterator(path)) == [b"", long]
    with tf.io.TFRecordWriter(str(tmp_path / "theirs")) as writer:
        writer.write(b"first")
        writer.write(b"")
        writer.write(b"third")
    assert list(tfrecord.read(tmp_path / "theirs")) == [b"first", b"", b"third"]


def test_records_can_be_read_from_an_offset(tmp_path):
    make(tmp_path / "r", {"one": entries(5)}, num_shards=1)
    path = tmp_path / "r" / "train.tfrecord-00000-of-00001"
    placed = list(tfrecord.read_at(path))
    for offset, record in placed:
        assert next(tfrecord.read_at(path, offset)) == (offset, record)
    assert [record for _, record in placed] == list(tfrecord.read(path))


def test_damage_anywhere_is_found(tmp_path):
    make(tmp_path / "r", {"one": entries(3)}, num_shards=1)
    path = tmp_path / "r" / "train.tfrecord-00000-of-00001"
    good = path.read_bytes()
    for place in range(len(good)):
        path.write_bytes(good[:place] + bytes([good[place] ^ 0x10]) + good[place + 1 :])
        with pytest.raises(UserError, match="train.tfrecord-00000-of-00001 is damaged"):
            list(tfrecord.read(path))
    whole = [offset for offset, _ in read_at_bytes(path, good)] + [len(good)]
    for length in range(len(good)):
        path.write_bytes(good[:length])
        if length in whole:
            assert len(list(tfrecord.read(path))) == whole.index(length)
        else:
            last = max(offset for offset in whole if offset <= length)
            with pytest.raises(UserError, match=f"cut short at byte {last};"):
                list(tfrecord.read(path))


def read_at_bytes(path, data):
    path.write_bytes(data)
    return list(tfrecord.read_at(path))


def test_shards_are_even_and_in_the_order_of_a_hash(tmp_path):
    manifest = make(tmp_path / "r", {"one": entries(11)}, num_shards=4)
    assert manifest["splits"] == {
        "train": {"records": 11, "shards": 4},
        "validation": {"records": 0, "shards": 0},
        "test": {"records": 0, "shards": 0},
    }
    paths = record_files(str(tmp_path / "r" / "train.tfrecord*"))
    assert [os.path.basename(path) for path in paths] == [
        f"train.tfrecord-0000{i}-of-00004" for i in range(4)
    ]
    assert [len(list(tfrecord.read(path))) for path in paths] == [2, 3, 3, 3]
    order = [record for path in paths for record in tfrecord.read(path)]
    # The order of `printf key0 | b2sum -l 64` and so on, by GNU coreutils.
    assert order == [f"record {i}".encode() for i in (5, 9, 6, 3, 10, 8, 7, 4, 1, 0, 2)]


def test_fewer_records_than_shards_make_fewer_shards(tmp_path):
    assert make(tmp_path / "r", {"a": entries(2)}, num_shards=5)["splits"]["train"]["shards"] == 2


@pytest.mark.parametrize(
    "limits",
    [[], [(parts, "_PART_BYTES", 50)], [(parts, "_PART_BYTES", 1), (shards, "_MERGE_FILES", 3)]],
)
def test_the_bytes_do_not_depend_on_who_made_which_part(tmp_path, monkeypatch, limits):
    some = entries(40) + entries(7, "test")
    make(tmp_path / "expected", {"all": some})
    for where, name, value in limits:
        monkeypatch.setattr(where, name, value)
    random.Random(3).shuffle(some)
    batches = {f"batch{i}": some[i::6] for i in range(6)}
    make(tmp_path / "r", batches)
    got, expected = contents(tmp_path / "r"), contents(tmp_path / "expected")
    assert got == expected and len(got) == 3 + 3 + 2


def test_a_part_counts_once_however_often_it_is_made(tmp_path):
    with Folder(tmp_path / "r") as folder:
        for _ in range(3):
            with Part(folder.parts, "batch") as part:
                part.add_source()
                part.add("train", "a", b"1")
                part.reject("b", "malformed", "why")
        with pytest.raises(ZeroDivisionError):
            with Part(folder.parts, "failed") as part:
                part.add("train", "c", b"2")
                1 / 0
        assert parts.sources_done(folder.parts) == 1
        manifest = folder.finish("tensors", "made", 1, 1, {"more": 5})
    assert (
        manifest
        == read_manifest(tmp_path / "r")
        == {
            "kind": "tensors",
            "corpus": "made",
            "read": 2,
            "rejected": 1,
            "splits": {
                "train": {"records": 1, "shards": 1, "bytes": [8 + 4 + 1 + 4]},
                "validation": {"records": 0, "shards": 0, "bytes": []},
                "test": {"records": 0, "shards": 0, "bytes": []},
            },
            "reasons": {"malformed": 1},
            "more": 5,
        }
    )
    assert list(contents(tmp_path / "r")) and not (tmp_path / "r" / ".unfinished").exists()


def test_records_without_a_split_are_divided_by_their_tunes(tmp_path, monkeypatch):
    some = [
        (None, f"key{i}", f"record {i}".encode(), (f"melody:{i // 3}",), f"Tune {i}")
        for i in range(300)
    ]
    decided = ("test", "other", b"other")
    manifest = make(tmp_path / "r", {"all": [*some, decided]}, num_shards=2)
    assert manifest["tunes"] == {"groups": 100, "largest": 3}
    assert sum(split["records"] for split in manifest["splits"].values()) == 301
    split_of = {
        record: split
        for split in SPLITS
        for path in record_files(f"{tmp_path}/r/{split}.tfrecord*")
        for record in tfrecord.read(path)
    }
    tunes = {tune.id: tune for tune in read_tunes(tmp_path / "r")}
    assert len(tunes) == 300 and set(split_of.values()) == set(SPLITS)
    for i in range(300):
        tune = tunes[f"key{i}"]
        assert split_of[f"record {i}".encode()] == tune.split == tunes[f"key{i // 3 * 3}"].split
        assert tune.title == f"Tune {i}"
        assert tune.keys == tuple(splits.hash_keys([f"melody:{i // 3}"]).tolist())
    monkeypatch.setattr(parts, "_PART_BYTES", 50)
    monkeypatch.setattr(shards, "_MERGE_FILES", 6)
    random.Random(1).shuffle(some)
    batches = {f"batch{i}": some[i::7] for i in range(7)}
    make(tmp_path / "s", {**batches, "decided": [decided]}, num_shards=2)
    assert contents(tmp_path / "s") == contents(tmp_path / "r")


def test_lists_of_an_older_run_do_not_stay(tmp_path):
    with Folder(tmp_path / "r") as folder:
        with Part(folder.parts, "one") as part:
            part.add(None, "a", b"1", ("melody:a",))
            part.ignore("LICENSE", "no tunes")
            part.count("clean")
            part.count("clean", 2)
        manifest = folder.finish("notesequence", "made", 1, 0, {})
    assert (manifest["read"], manifest["clean"], manifest["ignored"]) == (1, 3, 1)
    assert {"tunes.jsonl", "ignored.jsonl"} < set(contents(tmp_path / "r"))
    make(tmp_path / "r", {"one": entries(2)}, overwrite=True, num_shards=1)
    assert sorted(contents(tmp_path / "r")) == [
        "manifest.json",
        "rejected.jsonl",
        "train.tfrecord-00000-of-00001",
    ]
    assert list(read_tunes(tmp_path / "r")) == []


def test_rejections_are_sorted_lines_of_json(tmp_path):
    with Folder(tmp_path / "r") as folder:
        with Part(folder.parts, "batch") as part:
            part.add("train", "a", b"1")
            part.reject("z", "malformed", "ünd")
            part.reject("b\udcff", "no_row", "why")
        folder.finish("notesequence", "made", 1, 0, {})
    lines = (tmp_path / "r" / "rejected.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line) for line in lines] == [
        {"source": "b\udcff", "reason": "no_row", "detail": "why"},
        {"source": "z", "reason": "malformed", "detail": "ünd"},
    ]


def test_lost_sources_and_equal_keys_are_errors(tmp_path):
    with Folder(tmp_path / "r") as folder:
        with Part(folder.parts, "batch") as part:
            part.add_source()
            part.add("train", "a", b"1")
        with pytest.raises(RuntimeError, match="account for 1 of 2 sources"):
            folder.finish("notesequence", "made", 1, 2, {})
    with pytest.raises(RuntimeError, match="two records have the key 'a'"):
        make(tmp_path / "r", {"one": [("train", "a", b"1")], "two": [("train", "a", b"2")]})
    assert list(tmp_path.glob("r/*")) == []


def several(path, pieces, sources, **options):
    """Writes {piece: records of it} as a folder whose pieces give several records, or none."""
    with Folder(path) as folder:
        with Part(folder.parts, "batch") as part:
            for piece, count in pieces.items():
                part.add_source()
                for i in range(count):
                    part.add("train", f"{piece}:{i}", f"{piece} {i}".encode())
                if count:
                    part.count("used")
                    part.count("windows", count)
                else:
                    part.reject(piece, "too short", "")
        return folder.finish("tensors", "made", 2, sources, {}, **options)


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


def test_a_list_of_tunes_is_carried_along_where_there_is_one(tmp_path):
    with Folder(tmp_path / "notes") as folder:
        with Part(folder.parts, "one") as part:
            part.add(None, "a", b"1", ("melody:a",))
        folder.finish("notesequence", "made", 1, 0, {})
    several(tmp_path / "with", {"a": 2}, 1, tunes=tmp_path / "notes")
    several(tmp_path / "without", {"a": 2}, 1, tunes=tmp_path / "with" / "absent")
    assert list(read_tunes(tmp_path / "with")) == list(read_tunes(tmp_path / "notes"))
    assert not (tmp_path / "without" / "tunes.jsonl").exists()


@pytest.mark.parametrize("count, num_shards", [(11, 4), (2, 5), (7, 1), (100, 7)])
def test_shards_are_counted_by_their_names(tmp_path, count, num_shards):
    manifest = make(tmp_path / "r", {"one": entries(count)}, num_shards=num_shards)
    for path in record_files(f"{tmp_path}/r/train.tfrecord*"):
        assert count_in(path, manifest) == len(list(tfrecord.read(path)))
    for name in (
        "train.tfrecord-00000-of-00099",
        f"train.tfrecord-00099-of-{manifest['splits']['train']['shards']:05d}",
        "other.tfrecord-00000-of-00001",
        "train.tfrecord",
    ):
        with pytest.raises(UserError, match="is no shard that manifest.json"):
            count_in(tmp_path / "r" / name, manifest)


def test_nothing_kept_is_an_error_that_says_why(tmp_path):
    with pytest.raises(UserError, match="no record was kept out of 1 read .*x.mid: no_notes: none"):
        with Folder(tmp_path / "r") as folder:
            with Part(folder.parts, "batch") as part:
                part.reject("x.mid", "no_notes", "none")
            folder.finish("notesequence", "made", 1, 0, {})
    assert not (tmp_path / "r").exists()


def test_an_older_run_is_kept_unless_it_may_be_replaced(tmp_path):
    make(tmp_path / "r", {"one": entries(9)}, num_shards=5)
    before = contents(tmp_path / "r")
    with pytest.raises(UserError, match="holds the records of an older run.*--overwrite"):
        make(tmp_path / "r", {"one": entries(2)})
    with pytest.raises(ZeroDivisionError):
        with Folder(tmp_path / "r", overwrite=True):
            1 / 0
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
    # Nor may a part of its shards pass for the records of stock Magenta.
    with pytest.raises(UserError, match="at work or was killed"):
        kind_of([str(tmp_path / "r" / "train.tfrecord-00000-of-00009")])
    # A job that fails next to it does not make the leftovers look like someone's.
    with pytest.raises(ZeroDivisionError):
        with Folder(tmp_path / "r"):
            1 / 0
    make(tmp_path / "r", {"one": entries(2)}, num_shards=1)
    make(tmp_path / "fresh", {"one": entries(2)}, num_shards=1)
    assert contents(tmp_path / "r") == contents(tmp_path / "fresh")


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
        file = open(path, mode, **options)
        return FullDisk(file) if "tfrecord" in str(path) and "w" in mode else file

    monkeypatch.setattr(files, "open", full, raising=False)
    with pytest.raises(OSError, match="No space left on device"):
        make(tmp_path / "r", {"one": entries(2)})
    assert not (tmp_path / "r").exists()


def test_a_pattern_without_files_is_an_error(tmp_path):
    make(tmp_path / "r", {"one": entries(2)}, num_shards=1)
    folder = tmp_path / "r"
    assert record_files(f"{folder}/train.tfrecord*") == [f"{folder}/train.tfrecord-00000-of-00001"]
    both = f"{folder}/train.tfrecord*,{folder}/manifest.json"
    assert [os.path.basename(path) for path in record_files(both)] == [
        "manifest.json",
        "train.tfrecord-00000-of-00001",
    ]
    with pytest.raises(UserError, match="no file matches .*/test.tfrecord"):
        record_files(f"{folder}/test.tfrecord*")
    with pytest.raises(UserError, match="no file matches"):
        record_files(f"{tmp_path}/*")  # a folder is no file


def test_kinds_of_records_do_not_mix(tmp_path):
    make(tmp_path / "notes", {"one": entries(2)}, num_shards=1)
    make(tmp_path / "tensors", {"one": entries(2)}, num_shards=1, kind="tensors")
    (tmp_path / "stock").mkdir()
    (tmp_path / "stock" / "gmd.tfrecord").write_bytes(b"")
    notes = record_files(f"{tmp_path}/notes/train*")
    tensors = record_files(f"{tmp_path}/tensors/train*")
    stock = record_files(f"{tmp_path}/stock/*")
    assert kind_of(notes) == kind_of(notes + stock) == "notesequence"
    assert kind_of(tensors) == "tensors"
    with pytest.raises(UserError, match="cannot be mixed: notesequence in .*notes and tensors in"):
        kind_of(notes + tensors)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"kind": "other"}'])
def test_a_damaged_manifest_is_named(tmp_path, text):
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(UserError, match="manifest.json"):
        read_manifest(tmp_path)


def test_only_local_folders_are_written_to():
    with pytest.raises(UserError, match="gs://bucket/records: .*local"):
        Folder("gs://bucket/records")
