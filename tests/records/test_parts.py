"""Parts: what a worker makes of a batch counts once, and adds up."""

import json

import pytest

from pipelines.records import parts
from pipelines.records.folder import Folder
from pipelines.records.manifest import read_manifest
from pipelines.records.parts import Part
from tests.support.records import contents


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
                raise ZeroDivisionError
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


def test_rejections_are_sorted_lines_of_json(tmp_path):
    with Folder(tmp_path / "r") as folder:
        with Part(folder.parts, "batch") as part:
            part.add("train", "a", b"1")
            part.reject("z", "malformed", "ünd")
            part.reject("b\udcff", "no_row", "why", "A Tune")
        folder.finish("notesequence", "made", 1, 0, {})
    lines = (tmp_path / "r" / "rejected.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line) for line in lines] == [
        {"source": "b\udcff", "reason": "no_row", "detail": "why", "title": "A Tune"},
        {"source": "z", "reason": "malformed", "detail": "ünd"},
    ]


def test_parts_add_up_in_the_order_of_names(tmp_path):
    for name, what in (("two", "b"), ("one", "a")):
        with Part(tmp_path, name) as part:
            part.add_source()
            part.add("test", name, b"record")
            part.add(None, f"{name} undecided", b"record", ("melody:x",))
            part.reject(name, "malformed", "why")
            part.ignore(name, "a licence")
            if name == "one":
                part.warn(name, "A", 12, "a slip")
                part.warn(name, "A", 3, "a slip")
            else:
                part.warn(name, "", 3, "b")
            part.count(what)
            part.count("both", 2)
    tally = parts.tally(tmp_path)
    assert tally.sources == parts.sources_done(tmp_path) == 2
    assert tally.records == {"train": 0, "validation": 0, "test": 2, "undecided": 2, "tunes": 2}
    assert tally.kept == 4
    assert tally.rejected == [("one", "malformed", "why", ""), ("two", "malformed", "why", "")]
    assert tally.warned == [
        ("one", 3, "a slip", "A"),
        ("one", 12, "a slip", "A"),
        ("two", 3, "b", ""),
    ]
    assert tally.ignored == [("one", "a licence"), ("two", "a licence")]
    assert list(tally.counts.items()) == [("a", 1), ("b", 1), ("both", 4)]
    undecided = [key[8:].decode() for key, _ in parts.merged(tally.files["undecided"])]
    assert sorted(undecided) == ["one undecided", "two undecided"]
