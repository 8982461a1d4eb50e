"""Titles for tunes by a run of titles: all different, from a file or from the run's own."""

import pytest

from pipelines.runtime.app import UserError
from pipelines.systems.tune_lm import naming
from tests.support import titled

pytestmark = [pytest.mark.keras3, pytest.mark.slow]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A run of titles on a small tunebook."""
    return titled.make(tmp_path_factory.getbasetemp())


def tunes(count):
    return [titled.tune(1, "Untitled", notes=titled.music(seed)) for seed in range(70, 70 + count)]


def test_the_titles_of_the_run_or_those_of_a_file(made, tmp_path):
    naming.require(str(made.run), None)
    found = naming.titles([*tunes(2), "X:1\nT:Rest\nM:4/4\nL:1/8\nK:C\nz8|\n"], str(made.run))
    assert len(set(found)) == 3 and found[2] is None  # A rest has no melody.
    assert set(found[:2]) <= set(made.book.read_text().replace("T:", "").splitlines())
    ideas = tmp_path / "ideas.txt"
    ideas.write_text("The Copper Goose\nThe Silver Hen\n")
    found = naming.titles(tunes(3), str(made.run), str(ideas))
    assert {*found} == {"The Copper Goose", "The Silver Hen", None}
    assert found[2] is None  # No title is left.


def test_the_title_of_a_jig_says_no_other_dance(monkeypatch):
    best = ["Tom's Reel", "The Hen", "Tom's Jig", "The Slip Jig of Clare"]
    monkeypatch.setattr(naming, "_match", lambda paths, *_: dict.fromkeys(paths, best))
    jig, reel, plain = (titled.tune(1, "x", rhythm=rhythm) for rhythm in ("Double Jig", "reel", ""))
    assert naming.titles([jig, jig, jig], "run") == ["The Hen", "Tom's Jig", None]
    assert naming.titles([reel, plain, reel], "run") == ["Tom's Reel", "The Hen", None]


def test_bad_input_ends_in_one_line(made, tmp_path):
    with pytest.raises(UserError, match=r"no run of titles is there; \./run\.sh titles train"):
        naming.require(str(tmp_path), None)
    with pytest.raises(UserError, match="no such file; --titles names a text file"):
        naming.require(str(made.run), str(tmp_path / "none.txt"))
    (tmp_path / "empty.txt").write_text("")
    with pytest.raises(UserError, match="titles match failed: .*empty.txt"):
        naming.titles(tunes(1), str(made.run), str(tmp_path / "empty.txt"))
