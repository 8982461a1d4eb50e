"""The index on disk: what is written is found again, exactly, and damage is noticed."""

import hashlib
import json
import os
import shutil

import numpy as np
import pytest

from pipelines.runtime.app import UserError
from pipelines.systems.titles import index

pytestmark = pytest.mark.keras3

MADE_WITH = {"text_encoder": "builtin 64 abc", "towers": "123"}
HOSTILE = [
    "The Maid's Fancy",
    "Cáit Ní Dhuibhir",
    "two\nlines\r\nand \u2028 \u2029 \x85 \x0b \x1c",
    'quotes " and \\ and \\n',
    "🎻",
    "\ud800 half a pair",
    "\x00",
    "",
    "x" * 10_000,
]


def vectors(count, dimensions, seed=0, kind=np.float32):
    return np.random.default_rng(seed).normal(size=(count, dimensions)).astype(kind)


def named(count):
    return [{"title": f"Tune {number}"} for number in range(count)]


def write(folder, made, entries=None, kind="titles", **kwargs):
    index.write(folder, kind, made, entries or named(len(made)), MADE_WITH, **kwargs)
    return index.open_index(folder, kind, MADE_WITH)


def by_hand(made, query, top_k, keep=None):
    """The nearest rows by sorting all cosines in double precision."""
    unit = query.astype(np.float64) / np.linalg.norm(query.astype(np.float64))
    scores = (made.astype(np.float64) * unit).sum(axis=1)
    rows = [row for row in range(len(made)) if keep is None or keep[row]]
    return sorted(((float(scores[row]), row) for row in rows), key=lambda x: (-x[0], x[1]))[:top_k]


def same(found, expected):
    np.testing.assert_allclose([s for s, _ in found], [s for s, _ in expected], atol=1e-12, rtol=0)
    assert found == sorted(found, key=lambda each: (-each[0], each[1]))
    for (score, row), (expected_score, expected_row) in zip(found, expected, strict=True):
        # The last bit of a score may turn two rows around.
        assert row == expected_row or abs(score - expected_score) < 1e-14


def test_nearest_worked_out_by_hand(tmp_path):
    # Angles of 0, 90, 180, 45 and again 0 degrees to the first axis; lengths do not count.
    made = np.array([[2.0, 0], [0, 3], [-1, 0], [5, 5], [7, 0]])
    opened = write(tmp_path / "index", made)
    found = opened.search(np.array([10.0, 0]), 99)
    assert [row for _, row in found] == [0, 4, 3, 1, 2]
    assert [score for score, _ in found] == pytest.approx([1, 1, 0.5**0.5, 0, -1], abs=1e-7)
    assert [row for _, row in opened.search(np.array([0, -0.1]), 2)] == [0, 2]
    keep = np.array([False, True, False, True, False])
    assert [row for _, row in opened.search(np.array([1, 0]), 3, keep)] == [3, 1]
    assert opened.search(np.array([1, 0]), 3, np.zeros(5, bool)) == []
    assert len(opened) == 5 and opened.vectors.shape == (5, 2)


def test_the_folder_is_what_the_documentation_says(tmp_path):
    made = vectors(7, 3, kind=np.float64)
    index.write(tmp_path / "index", "tunes", made, named(7), MADE_WITH)
    assert sorted(os.listdir(tmp_path)) == ["index"]
    names = ["entries.jsonl", "index.json", "vectors.npy"]
    assert sorted(os.listdir(tmp_path / "index")) == names
    stored = np.load(tmp_path / "index" / "vectors.npy", allow_pickle=False)
    assert stored.dtype == np.float32 and stored.flags.c_contiguous
    units = made / np.linalg.norm(made, axis=1, keepdims=True)
    np.testing.assert_allclose(stored, units, atol=1e-7)
    lines = (tmp_path / "index" / "entries.jsonl").read_bytes().split(b"\n")
    assert lines.pop() == b"" and [json.loads(line) for line in lines] == named(7)
    about = json.loads((tmp_path / "index" / "index.json").read_text())
    summed = {
        name: {
            "bytes": (tmp_path / "index" / name).stat().st_size,
            "sha256": hashlib.sha256((tmp_path / "index" / name).read_bytes()).hexdigest(),
        }
        for name in ("vectors.npy", "entries.jsonl")
    }
    assert about == {
        "kind": "tunes",
        "format": 1,
        "count": 7,
        "dimensions": 3,
        "made_with": MADE_WITH,
        "files": summed,
    }


@pytest.mark.parametrize("dimensions", [1, 2, 17, 64, 512])
@pytest.mark.parametrize("count", [1, 255, 256, 3000])
def test_the_search_is_as_exact_as_double_precision(tmp_path, count, dimensions):
    made = vectors(count, dimensions, seed=count)
    # A third of the rows are equal to others, another third but for the last bit or so.
    made[1::3] = made[:1]
    made[2::3] = made[:1] * (1 + np.float32(1e-7) * vectors(len(made[2::3]), dimensions, seed=2))
    opened = write(tmp_path / "index", made)
    rng = np.random.default_rng(3)
    keep = rng.random(count) < 0.4
    for number in range(6):
        query = made[0] if number % 2 else rng.normal(size=dimensions)
        for top_k in (1, 10, 300, count, count + 5):
            same(opened.search(query, top_k), by_hand(opened.vectors, query, top_k))
            expected = by_hand(opened.vectors, query, top_k, keep)
            same(opened.search(query, top_k, keep), expected)


def test_the_best_may_all_stand_together(tmp_path):
    made = vectors(5000, 8)
    made[1000:1100] = [1, 0, 0, 0, 0, 0, 0, 0]
    opened = write(tmp_path / "index", made)
    found = opened.search(made[1000], 19)
    assert [row for _, row in found] == list(range(1000, 1019))


def test_the_length_of_a_vector_does_not_count(tmp_path):
    made = vectors(50, 4, kind=np.float64)
    opened = write(tmp_path / "index", made * np.logspace(-300, 300, 50)[:, np.newaxis])
    plain = write(tmp_path / "plain", made)
    np.testing.assert_allclose(opened.vectors, plain.vectors, atol=1e-7)
    for scale in (1e-300, 1.0, 1e300):
        same(opened.search(made[3] * scale, 50), opened.search(made[3], 50))
    same(
        opened.search((made[3] * 9).round().astype(int), 5), opened.search((made[3] * 9).round(), 5)
    )


def test_entries_of_any_kind_come_back(tmp_path):
    entries = [{"title": title, "rhythm": None, "n": [1, {"ó": 2.5}]} for title in HOSTILE]
    opened = write(tmp_path / "index", vectors(len(entries), 5), iter(entries))
    assert list(opened.entries()) == entries
    assert opened.entry(4) == entries[4]
    for row in (-1, len(entries)):
        with pytest.raises(IndexError):
            opened.entry(row)


def test_random_indexes_come_back(tmp_path, monkeypatch):
    monkeypatch.setattr(index, "_ROWS", 7)
    monkeypatch.setattr(index, "_BYTES", 129)
    rng = np.random.default_rng(4)
    for number in range(25):
        count, dimensions = int(rng.integers(1, 60)), int(rng.integers(1, 9))
        entries = [
            {"t": "".join(map(chr, rng.integers(0, 0x2100, size=rng.integers(0, 9))))}
            for _ in range(count)
        ]
        made = vectors(count, dimensions, seed=number)
        opened = write(tmp_path / str(number), made, entries)
        assert list(opened.entries()) == entries
        query = rng.normal(size=dimensions)
        same(opened.search(query, 5), by_hand(opened.vectors, query, 5))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_vectors_and_queries_that_are_not_finite(tmp_path, bad):
    made = vectors(5, 3)
    opened = write(tmp_path / "index", made)
    made[2, 1] = bad
    with pytest.raises(ValueError, match="vector 2 is not finite or of length zero"):
        index.write(tmp_path / "bad", "titles", made, named(5), MADE_WITH)
    with pytest.raises(ValueError, match="vector 0 is not finite or of length zero"):
        opened.search(made[2], 1)
    assert os.listdir(tmp_path) == ["index"]


def test_what_cannot_be_written(tmp_path):
    made = vectors(3, 2)
    for arguments, error, message in [
        (
            ("titles", np.zeros((3, 2)), named(3)),
            ValueError,
            "vector 0 is not finite or of length zero",
        ),
        (("titles", made, named(2)), ValueError, "2 entries for 3 vectors"),
        (("titles", made, named(4)), ValueError, "4 entries for 3 vectors"),
        (("titles", made, [{}, {"x": float("nan")}, {}]), ValueError, "JSON compliant"),
        (("titles", made, [{}, {}, {"x": b""}]), TypeError, "not JSON serializable"),
        (("titles", made[0], named(2)), ValueError, "shape"),
        (("titles", np.zeros((3, 0)), named(3)), ValueError, "shape"),
        (("songs", made, named(3)), ValueError, "'songs'"),
        (("titles", made[:0], []), UserError, "no titles to make an index of"),
    ]:
        with pytest.raises(error, match=message):
            index.write(tmp_path / "index", *arguments, MADE_WITH)
        assert os.listdir(tmp_path) == []


def test_what_cannot_be_asked(tmp_path):
    opened = write(tmp_path / "index", vectors(5, 3))
    query = np.ones(3)
    for arguments, message in [
        ((np.ones(4), 1), "shape"),
        ((np.ones((1, 3)), 1), "shape"),
        ((np.zeros(3), 1), "vector 0 is not finite or of length zero"),
        ((query, 0), "top_k=0"),
        ((query, 1, np.ones(4, bool)), "keep"),
        ((query, 1, np.ones(5)), "keep"),
    ]:
        with pytest.raises(ValueError, match=message):
            opened.search(*arguments)
    with pytest.raises(ValueError, match="read-only"):
        opened.vectors[0] = 0


def test_an_index_is_replaced_only_as_a_whole(tmp_path):
    folder = tmp_path / "index"
    first = write(folder, vectors(5, 3))
    with pytest.raises(ValueError, match="2 entries"):
        write(folder, vectors(6, 3), named(2))
    assert len(index.open_index(folder, "titles", MADE_WITH)) == 5
    assert len(write(folder, vectors(6, 3))) == 6
    assert os.listdir(tmp_path) == ["index"]
    # The index that was open still is.
    assert list(first.entries()) == named(5)
    np.testing.assert_array_equal([row for _, row in first.search(first.vectors[4], 1)], [4])


def test_what_is_no_index_is_not_replaced(tmp_path):
    folder = tmp_path / "index"
    write(folder, vectors(5, 3))
    # A folder with anything else in it is not ours to remove.
    (folder / "mine.txt").write_text("mine")
    with pytest.raises(UserError, match="exists already"):
        write(folder, vectors(7, 3))
    assert (folder / "mine.txt").read_text() == "mine"
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="exists already"):
        write(tmp_path / "file", vectors(2, 3))
    (tmp_path / "empty").mkdir()
    assert len(write(tmp_path / "empty", vectors(2, 3))) == 2


def test_an_index_of_something_else(tmp_path):
    folder = tmp_path / "index"
    write(folder, vectors(5, 3))
    with pytest.raises(UserError, match="index of titles, not of tunes"):
        index.open_index(folder, "tunes", MADE_WITH)
    for made_with, message in [
        ({**MADE_WITH, "text_encoder": "minilm"}, "with another text encoder; remove it"),
        ({**MADE_WITH, "towers": "124"}, "with another towers; remove it"),
        ({"text_encoder": "x", "towers": "y"}, "another text encoder and towers; remove"),
        ({"towers": "123"}, "another text encoder;"),
        ({**MADE_WITH, "notes": 3}, "another notes;"),
    ]:
        with pytest.raises(UserError, match=message):
            index.open_index(folder, "titles", made_with)
    assert len(index.open_index(folder, "titles", None)) == 5
    with pytest.raises(UserError, match="holds no index"):
        index.open_index(tmp_path, "titles", MADE_WITH)
    with pytest.raises(UserError, match="holds no index"):
        index.open_index(tmp_path / "nowhere", "titles", MADE_WITH)


def test_every_change_of_a_file_is_noticed(tmp_path):
    folder = tmp_path / "index"
    write(folder, vectors(20, 3))
    for name in (index.VECTORS, index.ENTRIES):
        path = folder / name
        whole = path.read_bytes()
        for size in [0, 1, 100, len(whole) // 2, len(whole) - 1]:
            path.write_bytes(whole[:size])
            with pytest.raises(UserError, match=f"{name} is missing, cut short or changed"):
                index.open_index(folder, "titles", MADE_WITH)
        for at in range(0, len(whole), 7):
            path.write_bytes(whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :])
            with pytest.raises(UserError, match="cut short or changed"):
                index.open_index(folder, "titles", MADE_WITH)
        path.write_bytes(whole + b"\n")
        with pytest.raises(UserError, match="cut short or changed"):
            index.open_index(folder, "titles", MADE_WITH)
        path.unlink()
        with pytest.raises(UserError, match="is missing"):
            index.open_index(folder, "titles", MADE_WITH)
        path.write_bytes(whole)
    assert len(index.open_index(folder, "titles", MADE_WITH)) == 20


def test_any_cut_or_odd_description_is_one_line(tmp_path):
    folder = tmp_path / "index"
    write(folder, vectors(4, 3))
    path = folder / index.ABOUT
    whole = path.read_bytes()
    about = json.loads(whole)
    odd = [whole[:size] for size in range(0, len(whole) - 2, 5)]
    odd += [b"\xff" + whole, b"[" * 100_000, b"[]", b"null", b"3"]
    changes = {
        "kind": ["songs", None, []],
        "format": [2, None],
        "count": [0, -1, True, "4", 5, 10**30],
        "dimensions": [0, None, 4, 10**30],
        "made_with": [None, []],
        "files": [None, {}, [], {"vectors.npy": 3, "entries.jsonl": 4}],
    }
    odd += [
        json.dumps({**about, name: value}).encode() for name in changes for value in changes[name]
    ]
    odd += [json.dumps({n: about[n] for n in about if n != name}).encode() for name in about]
    for text in odd:
        path.write_bytes(text)
        with pytest.raises(UserError, match="make the index again"):
            index.open_index(folder, "titles", MADE_WITH)


def forge(folder, name, data):
    """Puts data into a file of an index, with sums that fit."""
    (folder / name).write_bytes(data)
    about = json.loads((folder / index.ABOUT).read_text())
    about["files"][name] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    (folder / index.ABOUT).write_text(json.dumps(about))


def test_files_of_others_are_not_believed(tmp_path):
    made = vectors(4, 3)
    write(tmp_path / "sound", made)
    folder = tmp_path / "index"
    units = (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float32)
    arrays = {
        "doubles": units.astype(np.float64),
        "Fortran": np.asfortranarray(units),
        "big-endian": units.astype(">f4"),
        "fewer": units[:3],
        "flat": units.ravel(),
        "long": units * 2,
        "none": units * np.nan,
    }
    for name, array in arrays.items():
        shutil.copytree(tmp_path / "sound", folder)
        np.save(folder / index.VECTORS, array)
        forge(folder, index.VECTORS, (folder / index.VECTORS).read_bytes())
        with pytest.raises(UserError, match="make the index again"):
            index.open_index(folder, "titles", MADE_WITH)
            pytest.fail(name)
        shutil.rmtree(folder)
    shutil.copytree(tmp_path / "sound", folder)
    # An array of objects is a pickle.
    np.save(folder / index.VECTORS, np.array([{}] * 4, object), allow_pickle=True)
    forge(folder, index.VECTORS, (folder / index.VECTORS).read_bytes())
    with pytest.raises(UserError, match="make the index again"):
        index.open_index(folder, "titles", MADE_WITH)
    shutil.rmtree(folder)
    shutil.copytree(tmp_path / "sound", folder)
    for lines in (b"{}\n" * 3, b"{}\n" * 5, b"{}\n" * 4 + b"{}", b"\n", b""):
        forge(folder, index.ENTRIES, lines)
        with pytest.raises(UserError, match="make the index again"):
            index.open_index(folder, "titles", MADE_WITH)
    forge(folder, index.ENTRIES, b'{"a": 1}\n[]\n{\n' + b"[" * 100_000 + b"\n")
    opened = index.open_index(folder, "titles", MADE_WITH)
    assert opened.entry(0) == {"a": 1}
    for row in (1, 2, 3):
        with pytest.raises(UserError, match=f"line {row + 1} is not a JSON object"):
            opened.entry(row)


HEADERS = {
    "code": "{'descr': __import__('os').mkdir('x'), 'fortran_order': False, 'shape': (4, 3)}",
    "nested": "{'descr': '<f4', 'shape': " + "(" * 900 + ")" * 900 + "}",
    "unfinished": "{'descr': '<f4', 'shape': (4, 3",
    "indented": " x\n  y\n z",
    "not hashable": "{[]: 1}",
    "more rows": "{'descr': '<f4', 'fortran_order': False, 'shape': (5, 3)}",
    "negative": "{'descr': '<f4', 'fortran_order': False, 'shape': (-4, -3)}",
    "huge": "{'descr': '<f4', 'fortran_order': False, 'shape': (2000000000, 4000000000)}",
    "long": "{'descr': '<f4', 'fortran_order': False, 'shape': (4, 3)}" + " " * 20_000,
}


@pytest.mark.parametrize("name", HEADERS)
@pytest.mark.parametrize("version", [b"\1\0", b"\2\0", b"\x7f\0"])
def test_a_hostile_header_is_one_line(tmp_path, monkeypatch, name, version):
    made = vectors(4, 3)
    folder = tmp_path / "index"
    units = write(folder, made).vectors.tobytes()
    header = (HEADERS[name] + "\n").encode()
    size = len(header).to_bytes(2 if version == b"\1\0" else 4, "little")
    forge(folder, index.VECTORS, b"\x93NUMPY" + version + size + header + units)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="vectors.npy is missing, cut short or changed") as error:
        index.open_index(folder, "titles", MADE_WITH)
    assert "\n" not in str(error.value) and os.listdir(tmp_path) == ["index"]


def test_vectors_in_an_archive_are_refused(tmp_path):
    folder = tmp_path / "index"
    write(folder, vectors(4, 3))
    with open(tmp_path / "archive", "wb") as file:
        np.savez(file, vectors=vectors(4, 3))
    whole = (tmp_path / "archive").read_bytes()
    for data in (whole, whole[:-30]):
        forge(folder, index.VECTORS, data)
        with pytest.raises(UserError, match="vectors.npy is missing, cut short or changed"):
            index.open_index(folder, "titles", MADE_WITH)


def test_entries_are_taken_one_at_a_time(tmp_path):
    alive = []

    class Entry(dict):
        def __del__(self):
            alive.pop()

    def entries():
        for _ in range(200):
            entry = Entry(title="x")
            alive.append(1)
            assert len(alive) <= 3
            yield entry
            del entry

    assert len(write(tmp_path / "index", vectors(200, 2), entries())) == 200


def test_faiss_reads_it_as_documented(tmp_path):
    faiss = pytest.importorskip("faiss", reason="faiss-cpu is not installed")
    made = vectors(3000, 16)
    opened = write(tmp_path / "index", made)
    (snippet,) = [
        part for part in index.__doc__.split("\n\n") if part.startswith("    vectors = numpy.load")
    ]
    query = opened.search(made[7], 1) and made[7] / np.linalg.norm(made[7])
    lines = "\n".join(
        line[4:] for line in snippet.replace("FOLDER", f"{tmp_path}/index").split("\n")
    )
    names = {"numpy": np, "faiss": faiss, "query": query.astype(np.float32)}
    exec(compile(lines, "snippet", "exec"), names)  # noqa: S102  the documentation's own lines
    expected = opened.search(query, 10)
    scores, rows = names["exact"].search(names["query"][np.newaxis], 10)
    assert list(rows[0]) == [row for _, row in expected]
    np.testing.assert_allclose(scores[0], [score for score, _ in expected], atol=1e-5)
    # The graph finds nearly all.
    assert len({*names["rows"][0]} & {*rows[0]}) >= 8


@pytest.mark.slow
def test_a_million_rows(tmp_path):
    made = vectors(1_000_000, 64)
    opened = write(tmp_path / "index", made, ({"title": f"Tune {n}"} for n in range(len(made))))
    assert opened.entry(999_999) == {"title": "Tune 999999"}
    third = np.arange(len(made)) % 3 != 0
    for row, keep in ((1, third), (3, None), (999_998, third)):
        same(opened.search(made[row], 10, keep), _all_sorted(opened.vectors, made[row], keep))


def _all_sorted(made, query, keep):
    scores = np.concatenate(
        [
            part.astype(np.float64) @ (query / np.linalg.norm(query.astype(np.float64)))
            for part in np.array_split(made, 50)
        ]
    )
    if keep is not None:
        scores[~keep] = -2
    rows = np.argsort(-scores)[:10]
    return list(zip(scores[rows], rows))
