"""Folders of records for tests, made without TensorFlow, and what is in them."""

import json

from pipelines.music.note_sequence import NoteSequence
from pipelines.records import tfrecord
from pipelines.records.folder import Folder
from pipelines.records.manifest import record_files
from pipelines.records.parts import Part


def make(path, batches, overwrite=False, num_shards=3, kind="notesequence"):
    """Writes a finished folder of records; returns its manifest.

    Args:
      batches: {name: [(split, key, record), ...]}, the arguments of `Part.add`; one source each.
    """
    with Folder(path, overwrite) as folder:
        for name, entries in batches.items():
            with Part(folder.parts, name) as part:
                part.add_source()
                for entry in entries:
                    part.add(*entry)
        return folder.finish(kind, "made", num_shards, len(batches), {})


def several(path, pieces, sources, **options):
    """Writes a folder of tensors whose pieces give several records, or none; returns its manifest.

    Args:
      pieces: {piece: number of its records}.
    """
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


def entries(count, split="train"):
    """Records of one split for `make`: "record 0" with the key "key0", and so on."""
    return [(split, f"key{i}", f"record {i}".encode()) for i in range(count)]


def contents(path):
    """The bytes of each file in a folder, by its name."""
    return {file.name: file.read_bytes() for file in path.iterdir()}


def rejections(path):
    """The reason of each rejection in a folder of records, by its source."""
    lines = (path / "rejected.jsonl").read_text(encoding="utf-8").splitlines()
    return {line["source"]: line["reason"] for line in map(json.loads, lines)}


def sequences(path):
    """All NoteSequences in a folder of records."""
    return [
        NoteSequence.FromString(record)
        for file in record_files(f"{path}/*.tfrecord*")
        for record in tfrecord.read(file)
    ]
