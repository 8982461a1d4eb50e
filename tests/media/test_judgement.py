"""judge.json: what is written is read, and what is damaged is passed over with a word."""

import json

import pytest

from pipelines.media import judgement
from pipelines.media.judgement import Judgement, Mark, Opinion

_OPINIONS = (
    Opinion("rhythm", 1.25, "bar 3: ä \udcff", True, (Mark(2, "too short"), Mark(0, "</script>"))),
    Opinion("mode", None, "cannot be judged: one note"),
)
_JUDGEMENT = Judgement("ä.abc", 2, "0123", "rejected: rhythm", _OPINIONS)


def _entry(**changes):
    opinion = {"name": "mode", "score": 3, "says": "", "fails": False, "marks": []}
    entry = {"file": "a.abc", "number": 1, "notation": "0", "verdict": "", "opinions": [opinion]}
    for name, value in changes.items():
        (opinion if name in opinion else entry)[name] = value
    return entry


def test_what_is_written_is_read(tmp_path):
    other = Judgement("ä.abc", 1, "4567", "passed", ())
    judgement.write(tmp_path, [_JUDGEMENT, other])
    assert judgement.read(tmp_path) == {
        ("ä.abc", 2, "0123"): _JUDGEMENT,
        ("ä.abc", 1, "4567"): other,
    }


def test_nothing_is_known_of_a_plain_folder(tmp_path):
    assert judgement.read(tmp_path) == {}


@pytest.mark.parametrize("content", ["", "{", "[]", '{"tunes": 1}', "[" * 100_000, "\x00"])
def test_a_damaged_file_is_passed_over(tmp_path, capsys, content):
    (tmp_path / judgement.FILE).write_text(content)
    assert judgement.read(tmp_path) == {}
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith(f"warning: {tmp_path}/judge.json is passed over: ")


@pytest.mark.parametrize(
    "entry",
    [1, {}, _entry(file=1), _entry(number=0), _entry(number=True), _entry(score="5"),
     _entry(score=6), _entry(score=float("nan")), _entry(score=0), _entry(opinions={}),
     _entry(fails=1), _entry(says=None), _entry(marks=[{"bar": -1, "text": ""}]),
     _entry(marks=[{"bar": 2**31, "text": ""}]), _entry(marks=[[1, "x"]]),
     _entry(marks=[{"bar": 0}])],
)  # fmt: skip
def test_damaged_entries_are_passed_over(tmp_path, capsys, entry):
    (tmp_path / judgement.FILE).write_text(json.dumps({"tunes": [entry, _entry()]}))
    assert list(judgement.read(tmp_path)) == [("a.abc", 1, "0")]
    assert "1 entries are no judgements of tunes" in capsys.readouterr().err
