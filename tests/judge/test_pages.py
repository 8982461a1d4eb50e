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
