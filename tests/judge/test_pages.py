"""Verdicts on the listening page."""

import pytest

from pipelines.judge import pages, reading
from pipelines.judge.finding import Finding, Mark
from pipelines.judge.verdicts import Opinion, Verdict, unjudged
from pipelines.media import judgement
from pipelines.runtime.app import UserError

_BOOK = "X:1\nT:One\nM:4/4\nL:1/8\nK:C\nC8|D6|E8|]\n\nX:2\nT:Two\nM:4/4\nL:1/8\nK:C\nz8|]\n"


def test_verdicts_are_written_beside_the_tunes(tmp_path):
    path = tmp_path / "book.abc"
    path.write_text(_BOOK)
    first, second = reading.read(str(path))
    found = Finding(-15.0, "bar 2: a beat too short", {}, (Mark(1, "a beat too short"),))
    verdict = Verdict(
        {"rhythm": Opinion(1.2, found, "", True), "mode": Opinion(None, None, "too few notes")}
    )
    pages.write(
        str(tmp_path / "page"),
        [(first, verdict), (second, unjudged(["rhythm"], second.problem))],
        audio="none",
    )
    one, two = judgement.read(tmp_path / "page").values()
    assert one.verdict == "rejected: rhythm"
    assert one.opinions == (
        judgement.Opinion(
            "rhythm", 1.2, found.says, True, (judgement.Mark(1, "a beat too short"),)
        ),
        judgement.Opinion("mode", None, "cannot be judged: too few notes"),
    )
    assert (two.number, two.verdict) == (2, "cannot be judged")
    assert two.opinions[0].says == "cannot be judged: it has no notes"
    assert (tmp_path / "page" / "index.html").exists()


def test_a_file_that_is_no_tune_is_left_out(tmp_path):
    path = tmp_path / "prose.abc"
    path.write_text("Once upon a time.\n")
    [read] = reading.read(str(path))
    with pytest.raises(UserError, match="none of the files has a tune"):
        pages.write(str(tmp_path / "page"), [(read, unjudged(["rhythm"], read.problem))])


def judged(path):
    verdict = Verdict({"mode": Opinion(3.0, Finding(0.0, "D major", {}))})
    return [(each, verdict) for each in reading.read(str(path))]


def test_runs_one_after_another_keep_each_others_verdicts(tmp_path):
    """The second run judges one of two files, the third both, of which one has changed."""
    one, two = tmp_path / "one.abc", tmp_path / "two.abc"
    one.write_text(_BOOK)
    two.write_text(_BOOK.replace("C8", "D8"))
    page = str(tmp_path / "page")
    pages.write(page, [*judged(one), *judged(two)], audio="none")
    pages.write(page, judged(one), audio="none")
    assert {key[0] for key in judgement.read(page)} == {"one.abc", "two.abc"}
    two.write_text(_BOOK.replace("C8", "E8"))
    pages.require_room(page, [read for read, _ in judged(two)])
    pages.write(page, [*judged(one), *judged(two)], audio="none")
    assert (tmp_path / "page" / "two.abc").read_text() == two.read_text()


def test_other_music_in_the_way_is_found_before_tunes_are_judged(tmp_path):
    path = tmp_path / "book.abc"
    path.write_text(_BOOK)
    reads = list(reading.read(str(path)))
    pages.require_room(str(tmp_path / "page"), reads)
    assert not (tmp_path / "page").exists()
    (tmp_path / "page").mkdir()
    (tmp_path / "page" / "book.abc").write_text(_BOOK.replace("C8", "E8"))
    with pytest.raises(UserError, match="holds other music"):
        pages.require_room(str(tmp_path / "page"), reads)


@pytest.mark.parametrize(
    ("folder", "page", "what"),
    [
        ("", "book.abc", "book.abc is a file"),
        ("", "book.abc/page", "book.abc is a file"),
        ("page/judge.json", "page", "judge.json is a folder"),
        ("page/book.abc", "page", "book.abc is a folder"),
        ("page/index.html", "page", "index.html is not a file"),
    ],
)
def test_files_and_folders_in_the_way_are_found_before_tunes_are_judged(
    tmp_path, folder, page, what
):
    path = tmp_path / "book.abc"
    path.write_text(_BOOK)
    (tmp_path / folder).mkdir(parents=True, exist_ok=True)
    with pytest.raises(UserError, match=what):
        pages.require_room(str(tmp_path / page), list(reading.read(str(path))))
