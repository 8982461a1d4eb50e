"""Shards: even, in the order of a hash, and the same whoever made which part."""

import os
import random

import pytest

from pipelines.records import parts, shards, tfrecord
from pipelines.records.manifest import record_files
from tests.support.records import contents, entries, make


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
