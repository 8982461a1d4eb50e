import itertools

import pytest

from pipelines.judge import keeping
from pipelines.judge.finding import Finding
from pipelines.judge.verdicts import Opinion, Verdict
from pipelines.runtime.app import UserError
from tests.support.written_tunes import tune


def opinion(score, fails=False):
    return Opinion(score, Finding(0.0, "", {}), "", fails)


def test_demands_are_read():
    assert keeping.parse("judge") == {}
    assert keeping.parse("judge:melody>=3,form>=2.5") == {"melody": 3.0, "form": 2.5}
    assert keeping.is_asked("judge:melody>=3") and keeping.is_asked("judge")
    assert not keeping.is_asked("rhythm") and not keeping.is_asked(None)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("judge:", "give judge"), ("judge:melody", "in quotes, such as .judge:"),
        ("judge:melody>=6", "from 1 to"),
        ("judge:melodie>=3", "did you mean melody"), ("judge:melody>3", "give judge"),
    ],
)  # fmt: skip
def test_bad_demands_are_told(given, message):
    with pytest.raises(UserError, match=message):
        keeping.parse(given)


def test_a_tune_passes_with_the_scores_that_are_asked_for():
    verdict = Verdict({"rhythm": opinion(5.0), "melody": opinion(2.0)})
    assert keeping.passes(verdict, {"melody": 2.0})
    assert not keeping.passes(verdict, {"melody": 2.1})
    assert not keeping.passes(Verdict({"rhythm": opinion(1.0, fails=True)}), {})
    # Nothing can be judged, or not what is asked for.
    assert not keeping.passes(Verdict({"melody": Opinion(None, None, "no notes")}), {})
    unsure = Verdict({"rhythm": opinion(5.0), "melody": Opinion(None, None, "one note")})
    assert not keeping.passes(unsure, {"melody": 1.0})


def test_tunes_are_taken_until_enough_pass(capsys):
    good, bad = tune("d6|"), tune("e6|")

    low, short = tune("f6|"), tune("d|")

    def judge(one):
        melody = Opinion(None, None, "it has one note") if one == short else opinion(3.0)
        rhythm = opinion(1.0 if one == low else 5.0, fails=one == bad)
        return Verdict({"rhythm": rhythm, "melody": melody})

    tunes = [bad, good, None, short, low, good, good, good]
    left = iter(zip("abcdefgh", tunes, strict=True))
    assert list(keeping.passing(left, judge, {"rhythm": 2.0}, 3)) == ["b", "f", "g"]
    # No more than needed are drawn.
    assert [name for name, _ in left] == ["h"]
    told = capsys.readouterr().err
    assert (
        "3 of 7 tunes passed the judge (43%); the others: rhythm 1, no tune 1, cannot be judged 1, "
        "scores too low 1"
    ) in told


def test_drawing_ends_where_nothing_passes():
    def judge(one):
        return Verdict({"rhythm": opinion(1.0, fails=True)})

    endless = itertools.repeat(("a", tune("d6|")))
    with pytest.raises(UserError, match=r"0 of 100 tunes passed \(rhythm 100\)"):
        list(keeping.passing(endless, judge, {}, 2))
