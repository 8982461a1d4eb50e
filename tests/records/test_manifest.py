"""What a finished folder says of itself, and the files that patterns name."""

import os

import pytest

from pipelines.records import tfrecord
from pipelines.records.manifest import (
    content_digest,
    count_in,
    held_out,
    kind_of,
    number_in,
    read_manifest,
    record_files,
    require_whole,
)
from pipelines.runtime.app import UserError
from tests.support.records import entries, make


@pytest.mark.parametrize("count, num_shards", [(11, 4), (2, 5), (7, 1), (100, 7)])
def test_shards_are_counted_by_their_names(tmp_path, count, num_shards):
    manifest = make(tmp_path / "r", {"one": entries(count)}, num_shards=num_shards)
    for path in record_files(f"{tmp_path}/r/train.tfrecord*"):
        assert count_in(path, manifest) == len(list(tfrecord.read(path)))
    paths = record_files(f"{tmp_path}/r/train.tfrecord*")
    assert number_in(paths) == count
    assert number_in(paths[1:]) == count - count_in(paths[0], manifest) or len(paths) == 1
    assert number_in([*paths, str(tmp_path / "others.tfrecord")]) is None
    assert number_in([]) is None
    for name in (
        "train.tfrecord-00000-of-00099",
        f"train.tfrecord-00099-of-{manifest['splits']['train']['shards']:05d}",
        "other.tfrecord-00000-of-00001",
        "train.tfrecord",
    ):
        with pytest.raises(UserError, match="is not among the shards that manifest.json"):
            count_in(tmp_path / "r" / name, manifest)


def test_a_pattern_without_files_is_an_error(tmp_path):
    make(tmp_path / "r", {"one": entries(2)}, num_shards=1)
    folder = tmp_path / "r"
    assert record_files(f"{folder}/train.tfrecord*") == [f"{folder}/train.tfrecord-00000-of-00001"]
    (folder / "extra.tfrecord").write_bytes(b"")
    both = f"{folder}/train.tfrecord*,{folder}/extra*"
    assert [os.path.basename(path) for path in record_files(both)] == [
        "extra.tfrecord",
        "train.tfrecord-00000-of-00001",
    ]
    with pytest.raises(UserError, match="no file matches .*/test.tfrecord"):
        record_files(f"{folder}/test.tfrecord*")
    with pytest.raises(UserError, match="no file matches"):
        record_files(f"{tmp_path}/*")  # a folder is no file
    with pytest.raises(UserError, match=f"r/ is a folder; give .* '{folder}/train.tfrecord[*]'$"):
        record_files(f"{folder}/")


def test_held_out_records_lie_beside_those_that_are_trained_on(tmp_path):
    folder = tmp_path / "r"
    folder.mkdir()
    training = f"{folder}/train.tfrecord*"
    assert held_out(training) is None
    (folder / "test.tfrecord-00000-of-00001").touch()
    assert held_out(training) == f"{folder}/test.tfrecord*"
    (folder / "validation.tfrecord-00000-of-00001").touch()
    assert held_out(training) == f"{folder}/validation.tfrecord*"
    for pattern in (f"{folder}/all.tfrecord*", f"{training},{training}", f"{folder}/*", ""):
        assert held_out(pattern) is None
    # `evaluate` does not take tensors.
    (folder / "manifest.json").write_text('{"kind": "tensors"}')
    assert held_out(training) is None


def test_the_lists_beside_records_are_no_records(tmp_path):
    folder = tmp_path / "r"
    make(folder, {"one": entries(2)}, num_shards=1)
    for name in ("rejected.jsonl", "ignored.jsonl", "tunes.jsonl"):
        (folder / name).write_text('{"source": "a.txt"}\n')
    found = record_files(f"{folder}/*")
    assert [os.path.basename(path) for path in found] == ["train.tfrecord-00000-of-00001"]
    for pattern in (f"{folder}/*.jsonl", f"{folder}/manifest.json"):
        with pytest.raises(UserError, match="matches only .*jsonl?, which list what .*train.tfrec"):
            record_files(pattern)


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


@pytest.mark.parametrize(
    "change, pattern, message",
    [
        (lambda path: path.unlink(), "train.tfrecord*", "00001-of-00003 is missing"),
        (lambda path: path.write_bytes(b""), "train*", "00001-of-00003 was cut short or changed"),
        (lambda path: path.write_bytes(b"x"), "*", "it has 1 bytes and not the"),
        (lambda path: path.unlink(), "train.tfrecord-00001*", "00001-of-00003 is missing"),
        (lambda path: path.unlink(), "train.tfrecord-00000*", None),
        (lambda path: path.unlink(), "test.tfrecord*", None),
    ],
)
def test_a_pattern_stands_for_all_shards_that_it_matches(tmp_path, change, pattern, message):
    make(tmp_path / "r", {"one": entries(7)}, kind="tensors")
    require_whole(f"{tmp_path}/r/{pattern}")
    change(tmp_path / "r" / "train.tfrecord-00001-of-00003")
    if message is None:
        require_whole(f"{tmp_path}/r/{pattern}")
        return
    with pytest.raises(UserError, match=message):
        require_whole(f"{tmp_path}/r/{pattern}")


def test_the_digest_is_of_what_files_hold_in_their_order(tmp_path):
    for name, content in {"a": b"1", "b": b"2", "copy of a": b"1", "both": b"12"}.items():
        (tmp_path / name).write_bytes(content)

    def digest(*names):
        return content_digest(str(tmp_path / name) for name in names)

    assert digest("a", "b") == digest("copy of a", "b")
    assert len({digest("a", "b"), digest("b", "a"), digest("both"), digest("a"), digest()}) == 5
