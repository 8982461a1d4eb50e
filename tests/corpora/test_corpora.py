"""The registry of corpora."""

import subprocess
import sys
import textwrap

import pipelines.corpora
from pipelines.corpora import conversion, corpora
from tests.support.records import rejections


def test_a_corpus_is_one_new_file_and_its_sources_may_have_many_pieces(tmp_path, monkeypatch):
    (tmp_path / "plugin").mkdir()
    (tmp_path / "plugin" / "books.py").write_text(
        textwrap.dedent("""
        from pipelines.corpora import Corpus, Piece, Skipped, Source
        from pipelines.music.note_sequence import NoteSequence
        from pipelines.music.limits import Rejected

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

        CORPUS = Corpus("books", "Three books.", sources, sequences)
    """)
    )
    before = list(corpora())
    monkeypatch.setattr(
        pipelines.corpora, "__path__", [*pipelines.corpora.__path__, str(tmp_path / "plugin")]
    )
    corpora.cache_clear()
    try:
        assert list(corpora()) == sorted([*before, "books"])
        manifest = conversion.convert("books", "anywhere", str(tmp_path / "r"), 1)
    finally:
        corpora.cache_clear()
        sys.modules.pop("pipelines.corpora.books", None)
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
