"""The registry of corpora, and what `convert` says of corpora that are at fault."""

import json
import re
import subprocess
import sys
import textwrap

import pytest

import pipelines.corpora
from pipelines.corpora import conversion, corpora
from pipelines.music.limits import Limits
from pipelines.runtime.app import UserError
from tests.support import groove_release
from tests.support.jobs import ROOT
from tests.support.records import rejections, sequences


@pytest.fixture
def books(tmp_path, monkeypatch):
    """Adds a corpus named books: (the source of its functions, has_splits)."""

    def add(source, has_splits=True):
        (tmp_path / "plugin").mkdir()
        (tmp_path / "plugin" / "books.py").write_text(
            "from pipelines.corpora import Corpus, Ignored, Piece, Skipped, Source\n"
            "from pipelines.music.note_sequence import NoteSequence\n"
            "from pipelines.music.limits import Rejected\n"
            f"{textwrap.dedent(source)}\n"
            f"CORPUS = Corpus('books', 'Books.', sources, sequences, {has_splits})\n"
        )
        monkeypatch.setattr(
            pipelines.corpora, "__path__", [*pipelines.corpora.__path__, str(tmp_path / "plugin")]
        )
        corpora.cache_clear()

    yield add
    corpora.cache_clear()
    sys.modules.pop("pipelines.corpora.books", None)


def test_a_corpus_is_one_new_file_and_its_sources_may_have_many_pieces(tmp_path, books):
    before = list(corpora())
    books("""
        def sources(where):
            yield Skipped("listed", "no_row", "left out when listing")
            for book in range(3):
                yield Source(f"book{book}", {"tunes": book * 4})

        def sequences(source, limits):
            if not source.facts["tunes"]:
                raise Rejected("empty", "a book without tunes")
            for tune in range(source.facts["tunes"]):
                key = f"{source.key}:{tune}"
                if tune == 2:
                    yield Skipped(key, "bad_tune", "cannot be sung")
                else:
                    yield Piece("test" if tune == 3 else "train", NoteSequence(id=key))
    """)
    assert list(corpora()) == sorted([*before, "books"])
    manifest = conversion.convert("books", "anywhere", str(tmp_path / "r"), 1)
    # 4 are rejected: book 0 as a whole, tune 2 of books 1 and 2, and what the listing skipped.
    # 3 + 7 tunes are kept; tune 3 of either book is for testing.
    assert (manifest["read"], manifest["rejected"]) == (14, 4)
    assert manifest["splits"]["train"]["records"] == 8
    assert manifest["splits"]["test"]["records"] == 2
    assert rejections(tmp_path / "r") == {
        "listed": "no_row",
        "book0": "empty",
        "book1:2": "bad_tune",
        "book2:2": "bad_tune",
    }


def test_corpora_are_listed():
    done = subprocess.run(
        [sys.executable, "-m", "pipelines.corpora"], stdout=subprocess.PIPE, text=True
    )
    assert done.returncode == 0
    assert [line.split()[0] for line in done.stdout.splitlines()] == list(corpora())
    assert "groove" in corpora()


# A source is one piece, whose fields are its facts.
PIECES = """
    def sources(where):
        for name, facts in FACTS.items():
            yield Source(name, facts)

    def sequences(source, limits):
        facts = dict(source.facts)
        sequence = NoteSequence(id=source.key, filename="book.txt")
        sequence.sequence_metadata.title = facts.pop("title", "")
        sequence.notes.add(pitch=60, velocity=90, start_time=0, end_time=1)
        for field, value in facts.items():
            if field in ("pitch", "velocity", "start_time", "end_time"):
                setattr(sequence.notes.add(pitch=60, velocity=90, end_time=2), field, float(value)
                        if "time" in field else value)
            elif field == "notes":
                for _ in range(value):
                    sequence.notes.add(pitch=60, velocity=90, end_time=2)
            elif field == "total_time":
                sequence.total_time = float(value)
            elif field == "qpm":
                sequence.tempos.add(qpm=float(value))
            else:
                getattr(sequence, field).add(time=float(value))
        yield Piece("train", sequence)
"""


def test_pieces_that_no_reader_should_make_are_rejected_whatever_the_corpus(tmp_path, books):
    """Most of them passed, and later broke the jobs that read the records."""
    facts = {
        "sound": {"pitch": 127, "velocity": 127, "end_time": "0", "qpm": "120"},
        "long": {"end_time": "60", "total_time": "60"},
        "many": {"notes": 9},
        "too_long-1": {"end_time": "60.001"},
        "too_long-2": {"total_time": "60.001"},
        "too_many_notes-1": {"notes": 10},
        "malformed-nan": {"start_time": "nan"},
        "malformed-end": {"end_time": "nan"},
        "malformed-inf": {"end_time": "inf"},
        "malformed-negative": {"start_time": "-0.001"},
        "malformed-reversed": {"start_time": "2.001"},
        "malformed-pitch": {"pitch": 200},
        "malformed-low": {"pitch": -1},
        "malformed-velocity": {"velocity": 128},
        "malformed-soft": {"velocity": -1},
        "malformed-total": {"total_time": "nan"},
        "malformed-qpm": {"qpm": "0"},
        "malformed-fast": {"qpm": "inf"},
        "malformed-tempo": {"tempos": "-1"},
        "malformed-meter": {"time_signatures": "nan"},
        "malformed-key": {"key_signatures": "inf"},
        "malformed-text": {"text_annotations": "nan"},
        "malformed-section": {"section_annotations": "nan"},
        "malformed-control": {"control_changes": "nan"},
        "malformed-bend": {"pitch_bends": "nan"},
    }
    # Every piece has a note more.
    books(f"    FACTS = {facts!r}\n{PIECES}")
    manifest = conversion.convert("books", "x", str(tmp_path / "r"), 1, Limits(60, 10))
    kept = {sequence.id for sequence in sequences(tmp_path / "r")}
    assert kept == {"sound", "long", "many"}
    assert rejections(tmp_path / "r") == {
        name: name.partition("-")[0] for name in facts if name not in kept
    }
    assert manifest["read"] == len(facts) == len(kept) + manifest["rejected"]
    assert manifest["reasons"] == {"malformed": 19, "too_long": 2, "too_many_notes": 1}


def test_a_rejected_piece_is_listed_with_its_title(tmp_path, books):
    facts = {
        "sound": {"title": "The Coolin"},
        "loud": {"title": "Bonny Kate", "velocity": 128},
        "nameless": {"pitch": 128},
    }
    books(PIECES.replace("FACTS", repr(facts)))
    conversion.convert("books", "x", str(tmp_path / "r"), 1)
    lines = (tmp_path / "r" / "rejected.jsonl").read_text().splitlines()
    titles = {line["source"]: line.get("title") for line in map(json.loads, lines)}
    assert titles == {"loud": "Bonny Kate", "nameless": None}


@pytest.mark.parametrize(
    "name, files",
    [
        ("village", {f"book{n}.abc": f"X:1\nT:No {n}\nK:G\nGABc|\n".encode() for n in (1, 2)}),
        ("loops", {"a.mid": groove_release.midi_bytes(groove_release.hits((36, 9, 0)))}),
    ],
)
def test_the_corpora_of_the_page_on_corpora_work(tmp_path, monkeypatch, capsys, name, files):
    page = (ROOT / "docs" / "add-a-corpus.md").read_text()
    [source] = [text for text in re.findall(r"```python\n(.*?)```", page, re.S) if name in text]
    (tmp_path / "plugin").mkdir()
    (tmp_path / "plugin" / f"{name}.py").write_text(source)
    monkeypatch.setattr(
        pipelines.corpora, "__path__", [*pipelines.corpora.__path__, str(tmp_path / "plugin")]
    )
    (tmp_path / "music").mkdir()
    for file, data in files.items():
        (tmp_path / "music" / file).write_bytes(data)
    corpora.cache_clear()
    try:
        manifest = conversion.convert(name, str(tmp_path / "music"), str(tmp_path / "r"))
    finally:
        corpora.cache_clear()
        sys.modules.pop(f"pipelines.corpora.{name}", None)
    assert (manifest["read"], manifest["rejected"]) == (len(files), 0)


@pytest.mark.parametrize(
    "decided, split, message",
    [
        ("'test'", "'test'", ""),
        ("None", "None", ""),
        ("'test'", "'train'", "'test', but its source is in 'train'"),
        ("None", "'train'", "its split is None, not one of train"),
        ("'train'", "None", "its split is 'train', its source has none"),
    ],
)
def test_where_the_input_says_the_splits_pieces_are_in_those_of_their_sources(
    tmp_path, books, decided, split, message
):
    books(
        f"    def sources(where):\n        yield Source('book1', {{}}, split={split})\n"
        + body(f"yield Piece({decided}, NoteSequence(id='a'))"),
        None,
    )
    if message:
        with pytest.raises(UserError, match=message):
            conversion.convert("books", "x", str(tmp_path / "r"))
        return
    manifest = conversion.convert("books", "x", str(tmp_path / "r"))
    assert ("split_percent" in manifest) is (split == "None")


ONE = "    def sources(where):\n        yield Source('book1', {'n': 1})\n"


def body(*lines):
    """The function that reads a source, of these lines."""
    return "".join(
        ["    def sequences(source, limits):\n", *(f"        {line}\n" for line in lines)]
    )


@pytest.mark.parametrize(
    "lines, has_splits, message",
    [
        (
            ["yield Piece('train', NoteSequence(id='a'))", "int('seven')"],
            True,
            r"^corpus books, source 'book1', after piece 'a': ValueError: .*'seven' \(books.py, ",
        ),
        (
            ["return [Piece(None, None)][source.n]"],
            True,
            "source 'book1', at its beginning: AttributeError: 'Source' object has no attribute",
        ),
        (
            ["open('/absent/book')"],
            True,
            r"source 'book1', at its beginning: FileNotFoundError: .*'/absent/book' \(books.py, l",
        ),
        (
            ["yield Piece('valid', NoteSequence(id='a'))"],
            True,
            "source 'book1', piece 'a': its split is 'valid', not one of train, validation, test",
        ),
        (
            ["yield Piece(None, NoteSequence(id='a'))"],
            True,
            "source 'book1', piece 'a': its split is None, not one of train, validation, test;",
        ),
        (
            ["yield Piece('test', NoteSequence(id='a'))"],
            False,
            "source 'book1', piece 'a': its split is 'test', but has_splits is False;",
        ),
        (
            ["yield Piece('test', NoteSequence(id='a'))", "yield Piece('test', NoteSequence())"],
            True,
            "source 'book1', after piece 'a': a piece without an id;",
        ),
        (
            ["yield Piece('test', b'bytes')"],
            True,
            "source 'book1', at its beginning: a piece that is b'bytes', not a NoteSequence",
        ),
        (
            ["yield NoteSequence(id='a')"],
            True,
            "source 'book1', at its beginning: .*NoteSequence is no Piece, Skipped or Ignored",
        ),
        (
            [
                "for name in ('1.mid', '2.mid'):",
                "    yield Piece('test', NoteSequence(id='a', filename=name))",
            ],
            True,
            "corpus books: two pieces have the id 'a', from '1.mid' and '2.mid'; correct",
        ),
    ],
)
def test_a_corpus_at_fault_is_one_line_with_source_and_piece(
    tmp_path, books, lines, has_splits, message
):
    books(ONE + body(*lines), has_splits)
    with pytest.raises(UserError, match=message) as raised:
        conversion.convert("books", "x", str(tmp_path / "r"), 1)
    assert "\n" not in str(raised.value) and "while running" not in str(raised.value)
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize(
    "lines, message",
    [
        (
            ["yield Source('book1', {})", "1 / 0"],
            r"books, listing its sources, after source 'book1': ZeroDivisionError: .* \(books.py",
        ),
        (
            ["yield Source('book1', {'a': {1, 2}})"],
            "writing the facts of its sources, which must be JSON: .*set is not JSON serializable",
        ),
    ],
)
def test_a_corpus_that_cannot_list_its_sources_is_one_line(tmp_path, books, lines, message):
    listing = body(*lines).replace("sequences(source, limits)", "sources(where)")
    books(listing + body("return ()"))
    with pytest.raises(UserError, match=message):
        conversion.convert("books", "x", str(tmp_path / "r"), 1)
