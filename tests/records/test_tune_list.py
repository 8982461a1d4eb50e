"""The list of tunes beside the records, and the splits that it decides."""

import random

import numpy as np
import pytest

from pipelines.records import parts, shards, tfrecord
from pipelines.records.folder import Folder
from pipelines.records.manifest import SPLITS, record_files
from pipelines.records.parts import Part
from pipelines.records.tune_list import read_tunes
from pipelines.runtime.app import UserError
from pipelines.tunes import splits
from tests.support.records import contents, make, several


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


def test_a_tune_of_very_many_keys_is_kept(tmp_path):
    keys = [f"melody:{i}" for i in range(20_000)]
    make(tmp_path / "r", {"all": [(None, "long", b"1", keys, "Long"), (None, "b", b"2", (), "")]})
    tunes = {tune.id: tune for tune in read_tunes(tmp_path / "r")}
    assert tunes["long"].keys == tuple(splits.hash_keys(keys).tolist())
    assert tunes["long"].title == "Long" and tunes["b"].keys == ()


def test_phrases_are_listed_only_where_they_decided(tmp_path):
    def piece(name, *keys):
        return (None, name, name.encode(), keys, name)

    some = [
        # Six melodies under one title, two of them alike: five, which are few.
        *(piece(f"nest{i}", "title:nest", f"melody:{i}", f"phrase:{i // 2 * 2}") for i in range(2)),
        *(piece(f"nest{i}", "title:nest", f"melody:{i}", f"phrase:{i}") for i in range(2, 6)),
        # Six that are not, and one of another title.
        *(piece(f"polska{i}", "title:polska", f"melody:p{i}", f"phrase:p{i}") for i in range(6)),
        piece("vals", "title:vals", "melody:v", "phrase:0"),
    ]
    manifest = make(tmp_path / "r", {"all": some})
    assert manifest["tunes"] == {"groups": 8, "largest": 6}
    tunes = {tune.id: tune for tune in read_tunes(tmp_path / "r")}
    listed = {name: {chr(key >> 56) for key in tune.keys} for name, tune in tunes.items()}
    assert all(listed[f"nest{i}"] == set("mpt") for i in range(6))
    assert all(listed[f"polska{i}"] == set("m") for i in range(6))
    assert listed["vals"] == set("mt")
    # The listed keys of a split join its tunes again as all keys did.
    for split in SPLITS:
        names = [name for name, tune in tunes.items() if tune.split == split]
        keys = [tunes[name].keys for name in names]
        hashes = np.array([key for some in keys for key in some], np.uint64)
        again = splits.join(hashes, np.array([len(some) for some in keys], int)).groups
        nests = {g for name, g in zip(names, again.tolist()) if name.startswith("nest")}
        rest = {g for name, g in zip(names, again.tolist()) if not name.startswith("nest")}
        count = sum(not name.startswith("nest") for name in names)
        assert len(nests) <= 1 and len(rest) == count and not nests & rest


def together(keys_of):
    """The groups of names that `splits.join` makes of {name: hashes}, sorted."""
    hashes = np.array([key for keys in keys_of.values() for key in keys], np.uint64)
    counts = np.array([len(keys) for keys in keys_of.values()], int)
    found: dict[int, list] = {}
    for name, group in zip(keys_of, splits.join(hashes, counts).groups.tolist(), strict=True):
        found.setdefault(group, []).append(name)
    return sorted(map(sorted, found.values()))


def of_general_titles(rng, count):
    """Tunes {name: keys} of three titles, most of them general, with phrases that join some."""
    titles = ["title:polska", "title:vals", "title:schottis"]
    return {
        f"tune{i}": (
            *rng.sample(titles, rng.randrange(3)),
            f"melody:{rng.randrange(count)}",
            *(f"phrase:{rng.randrange(count)}" for _ in range(rng.randrange(3))),
        )
        for i in range(count)
    }


def test_tunes_alike_under_a_general_title_have_a_key_in_common(tmp_path):
    # Ten melodies; of the ten, a chain of phrases joins three, and another phrase joins two.
    phrases = {0: "ab", 1: "bc", 2: "c", 3: "d", 4: "d"}
    some = {
        f"polska{i}": (
            "title:polska",
            f"melody:{i}",
            *(f"phrase:{phrase}" for phrase in phrases.get(i, f"{i}")),
        )
        for i in range(10)
    }
    # They need no key beside their melody where that is the same.
    some |= {f"same{i}": ("title:polska", "melody:same", "phrase:same") for i in range(2)}
    # Another general title joins others by a phrase of the same name.
    some |= {
        f"vals{i}": ("title:vals", f"melody:v{i}", f"phrase:{'b' if i < 2 else f'v{i}'}")
        for i in range(10)
    }
    pieces = [(None, name, name.encode(), keys, name) for name, keys in some.items()]
    make(tmp_path / "r", {"all": pieces})
    listed = {tune.id: set(tune.keys) for tune in read_tunes(tmp_path / "r")}
    alike = {name: {key for key in keys if key >> 56 == ord("a")} for name, keys in listed.items()}
    kinds = {name: "".join(sorted({chr(key >> 56) for key in listed[name]})) for name in listed}
    chain, pair, vals = (
        ["polska0", "polska1", "polska2"],
        ["polska3", "polska4"],
        ["vals0", "vals1"],
    )
    joined = {*chain, *pair, *vals}
    assert kinds == {name: "am" if name in joined else "m" for name in some}
    for names in (chain, pair, vals):
        assert len(set.union(*(alike[name] for name in names))) == 1
    assert len(set.union(*alike.values())) == 3


@pytest.mark.parametrize("seed", range(10))
def test_joining_the_list_gives_the_groups_that_joining_all_keys_gave(tmp_path, seed):
    rng = random.Random(seed)
    some = of_general_titles(rng, 60)
    pieces = [(None, name, name.encode(), keys, name) for name, keys in some.items()]
    make(tmp_path / "r", {"all": pieces})
    expected = together({name: splits.hash_keys(keys).tolist() for name, keys in some.items()})
    tunes = {tune.id: tune for tune in read_tunes(tmp_path / "r")}
    assert together({name: tunes[name].keys for name in some}) == expected
    # So it is in each split by itself.
    for split in SPLITS:
        keys = {name: tune.keys for name, tune in tunes.items() if tune.split == split}
        assert together(keys) == [names for names in expected if names[0] in keys]
    rng.shuffle(pieces)
    make(tmp_path / "s", {f"batch{i}": pieces[i::7] for i in range(7)})
    name = "tunes.jsonl"
    assert (tmp_path / "s" / name).read_bytes() == (tmp_path / "r" / name).read_bytes()


def test_a_list_of_tunes_is_carried_along_where_there_is_one(tmp_path):
    with Folder(tmp_path / "notes") as folder:
        with Part(folder.parts, "one") as part:
            part.add(None, "a", b"1", ("melody:a",))
        folder.finish("notesequence", "made", 1, 0, {})
    several(tmp_path / "with", {"a": 2}, 1, tunes=tmp_path / "notes")
    several(tmp_path / "without", {"a": 2}, 1, tunes=tmp_path / "with" / "absent")
    assert list(read_tunes(tmp_path / "with")) == list(read_tunes(tmp_path / "notes"))
    assert not (tmp_path / "without" / "tunes.jsonl").exists()


@pytest.mark.parametrize("line", ["{", "[]", '{"id": "a"}', '{"id":"a","split":"b","keys":["x"]}'])
def test_a_damaged_list_is_named(tmp_path, line):
    make(tmp_path / "r", {"one": [(None, "a", b"1", ("melody:a",))]})
    (tmp_path / "r" / "tunes.jsonl").write_text(line + "\n")
    with pytest.raises(UserError, match="tunes.jsonl is damaged"):
        list(read_tunes(tmp_path / "r"))
