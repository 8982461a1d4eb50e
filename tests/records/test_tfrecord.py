"""TFRecord files: TensorFlow agrees, records have offsets, and damage is found."""

import pytest

from pipelines.records import tfrecord
from pipelines.runtime.app import UserError
from tests.support.records import entries, make


def test_tensorflow_reads_what_we_write_and_we_read_what_it_writes(tmp_path):
    import tensorflow as tf

    long = b"x" * 70_000
    make(tmp_path / "ours", {"one": [("train", "a", b""), ("train", "b", long)]}, num_shards=1)
    path = str(tmp_path / "ours" / "train.tfrecord-00000-of-00001")
    # This works in graph mode too, which other tests switch on.
    assert sorted(tf.compat.v1.io.tf_record_iterator(path)) == [b"", long]
    with tf.io.TFRecordWriter(str(tmp_path / "theirs")) as writer:
        writer.write(b"first")
        writer.write(b"")
        writer.write(b"third")
    assert list(tfrecord.read(tmp_path / "theirs")) == [b"first", b"", b"third"]


def test_what_is_no_file_of_records_is_told_apart_from_a_damaged_one(tmp_path):
    (tmp_path / "beat.mid").write_bytes(b"MThd\0\0\0\x06\0\0\0\x01\0\x60MTrk")
    with pytest.raises(UserError, match=r"beat\.mid is damaged .* byte 0, or no file of records; "):
        list(tfrecord.read(tmp_path / "beat.mid"))
    make(tmp_path / "r", {"one": entries(2)}, num_shards=1)
    path = tmp_path / "r" / "train.tfrecord-00000-of-00001"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(UserError, match=r"cut short at byte \d+; make the records again"):
        list(tfrecord.read(path))


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
            with pytest.raises(UserError, match=f"cut short at byte {last}[;,]"):
                list(tfrecord.read(path))


def read_at_bytes(path, data):
    path.write_bytes(data)
    return list(tfrecord.read_at(path))
