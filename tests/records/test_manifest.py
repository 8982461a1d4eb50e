"""What a finished folder says of itself, and the files that patterns name."""

import os

import pytest

from pipelines.records import tfrecord
from pipelines.records.manifest import count_in, kind_of, read_manifest, record_files
from pipelines.runtime.app import UserError
from tests.support.records import entries, make


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
