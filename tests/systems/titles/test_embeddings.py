"""Embeddings of titles: encoded once, kept, and never another encoder's."""

import json
import os
import random

import numpy as np
import pytest

from pipelines.runtime.app import UserError
from pipelines.systems.titles import embeddings
from pipelines.systems.titles.embeddings import Embeddings

pytestmark = pytest.mark.keras3


class Counting:
    """An encoder that knows what it was asked."""

    def __init__(self, seed: int = 0):
        self.handle = f"encoder {seed}"
        self.dimensions = 4
        self.fingerprint = f"sha256:{seed:064x}"
        self.asked: list[str] = []

    def __call__(self, texts):
        self.asked += texts
        rows = [[len(text), sum(map(ord, text)), hash(text) % 1000, 1] for text in texts]
        return np.array(rows, np.float32).reshape(len(texts), 4)


TEXTS = ["reel", "", "Ó Néill\n", "\U0001f3bb", "reel", "\ud800", "x\u2028y\x00", "z" * 10_000]


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "run" / "embeddings"


def files(folder) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("kept", [True, False])
def test_each_text_is_encoded_once(folder, kept):
    encoder = Counting()
    store = Embeddings(encoder, folder if kept else None)
    first = store(TEXTS)
    assert first.dtype == np.float32 and first.shape == (8, 4)
    assert encoder.asked == list(dict.fromkeys(TEXTS))
    np.testing.assert_array_equal(first, Counting()(TEXTS))
    np.testing.assert_array_equal(store(TEXTS[::-1]), first[::-1])
    assert store(["new", "reel"])[1].tolist() == first[0].tolist()
    assert encoder.asked == [*dict.fromkeys(TEXTS), "new"]
    assert len(store) == 8 and folder.exists() == kept


def test_nothing_asked_is_nothing_kept(folder):
    store = Embeddings(Counting(), folder)
    assert store([]).shape == (0, 4) and store.dimensions == 4
    assert not folder.exists()


def test_what_is_kept_comes_back_without_the_encoder(folder):
    Embeddings(Counting(), folder)(TEXTS)
    Embeddings(Counting(), folder)(["jig", *TEXTS])
    encoder = Counting()
    np.testing.assert_array_equal(
        Embeddings(encoder, folder)([*TEXTS, "jig"]), Counting()([*TEXTS, "jig"])
    )
    assert encoder.asked == []


def test_random_requests_give_what_the_encoder_gives(folder, monkeypatch):
    monkeypatch.setattr(embeddings, "_PART", 5)
    monkeypatch.setattr(embeddings, "_STEP", 2)
    rng = random.Random(1)
    encoder = Counting()
    asked = set()
    for _ in range(20):
        texts = [f"title {rng.randrange(60)}" for _ in range(rng.randrange(20))]
        asked.update(texts)
        store = Embeddings(encoder, folder)
        np.testing.assert_array_equal(store(texts), Counting()(texts))
        assert len(store) == len(asked)
    assert sorted(encoder.asked) == sorted(asked)


def test_the_folder_is_what_the_docstring_says(folder):
    Embeddings(Counting(), folder)(TEXTS)
    about, texts, vectors = files(folder)
    assert about == "encoder.json"
    assert json.loads((folder / about).read_text()) == {
        "format": 1,
        "fingerprint": Counting().fingerprint,
        "dimensions": 4,
        "handle": "encoder 0",
    }
    lines = (folder / texts).read_text("ascii").splitlines()
    assert [json.loads(line) for line in lines] == list(dict.fromkeys(TEXTS))
    rows = np.load(folder / vectors, allow_pickle=False)
    np.testing.assert_array_equal(rows, Counting()(list(dict.fromkeys(TEXTS))))
    assert texts.removesuffix(".json") == vectors.removesuffix(".npy")


def damage_no_texts(folder, part):
    (folder / f"{part}.json").unlink()


def damage_no_vectors(folder, part):
    (folder / f"{part}.npy").unlink()


def damage_cut_vectors(folder, part):
    os.truncate(folder / f"{part}.npy", 140)


def damage_empty_vectors(folder, part):
    os.truncate(folder / f"{part}.npy", 0)


def damage_cut_texts(folder, part):
    os.truncate(folder / f"{part}.json", 9)


def damage_numbers(folder, part):
    np.save(folder / f"{part}.npy", np.full((2, 4), np.nan, np.float32))


def damage_rows(folder, part):
    np.save(folder / f"{part}.npy", np.ones((3, 4), np.float32))


def damage_pickle(folder, part):
    np.save(folder / f"{part}.npy", np.array([{}, {}]), allow_pickle=True)


@pytest.mark.parametrize(
    "damage", [value for name, value in globals().items() if name.startswith("damage_")]
)
def test_a_damaged_part_is_encoded_anew(folder, capsys, damage):
    Embeddings(Counting(), folder)(["one", "two"])
    Embeddings(Counting(), folder)(["three"])
    parts = [name[:-5] for name in files(folder) if name.startswith("part") and "json" in name]
    (part,) = [part for part in parts if "two" in (folder / f"{part}.json").read_text()]
    damage(folder, part)
    for asked in (["one", "two"], []):
        encoder = Counting()
        store = Embeddings(encoder, folder)
        vectors = store(["one", "two", "three"])
        np.testing.assert_array_equal(vectors, Counting()(["one", "two", "three"]))
        assert encoder.asked == asked
    told = capsys.readouterr().err.count("passed over")
    assert told == (damage is not damage_no_texts)


def test_an_interruption_leaves_whole_parts(folder, monkeypatch):
    monkeypatch.setattr(embeddings, "_PART", 2)

    class Stops(Counting):
        def __call__(self, texts):
            if len(self.asked) >= 4:
                raise KeyboardInterrupt
            return super().__call__(texts)

    titles = [f"title {index}" for index in range(7)]
    with pytest.raises(KeyboardInterrupt):
        Embeddings(Stops(), folder)(titles)
    encoder = Counting()
    np.testing.assert_array_equal(Embeddings(encoder, folder)(titles), Counting()(titles))
    assert encoder.asked == titles[4:]
    assert all(name.startswith(("part-", "encoder.json")) for name in files(folder))


def test_another_encoder_is_refused(folder):
    Embeddings(Counting(1), folder)(["reel"])
    with pytest.raises(UserError) as error:
        Embeddings(Counting(2), folder)
    assert str(folder) in str(error.value) and "remove the folder" in str(error.value)
    assert "encoder 1" in str(error.value) and "encoder 2" in str(error.value)


@pytest.mark.parametrize(
    "about", ["", "{}", "[]", '{"format": 2, "fingerprint": "sha256:0"}', "\xff",
              '{"format": 1, "fingerprint": 7}']
)  # fmt: skip
def test_a_damaged_description_is_named(folder, about):
    folder.mkdir(parents=True)
    (folder / "encoder.json").write_bytes(about.encode("latin-1"))
    with pytest.raises(UserError):
        Embeddings(Counting(), folder)


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="is not a folder"):
        Embeddings(Counting(), tmp_path / "file")


def test_where_nothing_can_be_written_nothing_is_kept(tmp_path, monkeypatch, capsys):
    store = Embeddings(Counting(), tmp_path / "embeddings")

    def refuse(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(embeddings.files, "replacing", refuse)
    for texts in (["reel"], ["reel", "jig"]):
        np.testing.assert_array_equal(store(texts), Counting()(texts))
    assert capsys.readouterr().err.count("not kept there (Permission denied)") == 1


def test_a_part_may_be_read_where_nothing_can_be_written(folder):
    Embeddings(Counting(), folder)(["reel"])
    for path in [*folder.iterdir(), folder]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    encoder = Counting()
    Embeddings(encoder, folder)(["reel", "jig"])
    folder.chmod(0o755)
    assert encoder.asked == ["jig"]
