import json

import numpy as np
import pytest

from pipelines.judge import criteria, learnt, verdicts
from pipelines.judge.finding import CannotBeJudged, Criterion, Finding, Mark
from pipelines.judge.learnt import Learnt, Scale
from pipelines.judge.reading import Read
from pipelines.judge.verdicts import TuneJudge
from pipelines.runtime.app import UserError
from tests.support.written_tunes import tune

TUNE = tune("d6|e6|", header="T:Mine\nR:jig\n")


def judge_of(monkeypatch, **judges):
    """A judge of these criteria, of which those that begin with "first" reject."""
    made = {
        name: Criterion(name, "", 1 if name == "rhythm" else 2, None, lambda arrays, one=one: one)
        for name, one in judges.items()
    }
    monkeypatch.setattr(verdicts, "criteria", lambda: made)
    scale = Scale(np.arange(10.0), 0.1)
    scales = {name: scale if name == "rhythm" else scale._replace(rejects=0.0) for name in made}
    return TuneJudge(Learnt({name: {} for name in made}, scales, {}))


def test_a_tune_is_rejected_by_the_first_stage_alone(monkeypatch):
    def low(one):
        return Finding(-1.0, "low", {"why": 1}, (Mark(1, "here"),))

    verdict = judge_of(monkeypatch, rhythm=low, melody=low)(TUNE)
    assert (verdict.stage, verdict.rejected_for) == ("rejected", ["rhythm"])
    assert verdict.as_json() == {
        "verdict": "rejected", "rejected_for": ["rhythm"],
        "rhythm": {"score": 1.0, "says": "low", "fails": True,
                   "marks": [{"bar": 2, "text": "here"}], "evidence": {"why": 1}},
        "melody": {"score": 1.0, "says": "low", "fails": False,
                   "marks": [{"bar": 2, "text": "here"}], "evidence": {"why": 1}},
    }  # fmt: skip


def test_names_are_kept_from_those_that_judge_the_music(monkeypatch):
    seen = {}

    def look(name):
        def judge(one):
            seen[name] = one.title, one.rhythm
            return Finding(9.0, "", {})

        return judge

    verdict = judge_of(monkeypatch, **{name: look(name) for name in ("rhythm", "mode", "melody")})
    assert verdict(TUNE).stage == "passed"
    assert seen == {"rhythm": ("Mine", "jig"), "mode": ("", ""), "melody": ("", "")}


def test_what_one_criterion_cannot_judge_others_do(monkeypatch):
    def cannot(one):
        raise CannotBeJudged("it has one note")

    some = judge_of(monkeypatch, rhythm=cannot, melody=lambda one: Finding(9.0, "fine", {}))(TUNE)
    assert some.stage == "passed"
    assert some.as_json()["rhythm"] == {
        "score": None, "says": "cannot be judged: it has one note",
    }  # fmt: skip
    assert judge_of(monkeypatch, rhythm=cannot)(TUNE).stage == "unjudged"


def test_criteria_are_asked_in_the_order_of_the_challenge():
    known = list(criteria.criteria())
    assert set(known) == {"copied", "rhythm", "mode", "form", "melody"}
    assert verdicts.ordered(known) == ["copied", "rhythm", "mode", "form", "melody"]
    with pytest.raises(UserError, match="did you mean rhythm"):
        verdicts.ordered(["rythm"])


def test_a_tune_of_which_only_the_bars_can_be_judged_is_unjudged(monkeypatch):
    def cannot(one):
        raise CannotBeJudged("it has one note")

    def fine(one):
        return Finding(9.0, "full", {})

    found = judge_of(monkeypatch, rhythm=fine, mode=cannot, melody=cannot)(TUNE)
    assert (found.stage, found.told) == ("unjudged", "cannot be judged")
    assert judge_of(monkeypatch, rhythm=fine)(TUNE).stage == "passed"
    assert judge_of(monkeypatch, rhythm=fine, mode=cannot, melody=fine)(TUNE).stage == "passed"
    short = judge_of(monkeypatch, rhythm=lambda one: Finding(-1.0, "short", {}), mode=cannot)(TUNE)
    assert short.told == "rejected: rhythm"


@pytest.mark.parametrize("measure", [float("nan"), float("-inf"), None])
def test_a_criterion_that_fails_is_told_and_the_others_judge(monkeypatch, capsys, measure):
    def fails(one):
        if measure is None:
            raise OverflowError("too large")
        return Finding(measure, "", {})

    found = judge_of(monkeypatch, mode=fails, melody=lambda one: Finding(9.0, "fine", {}))(TUNE)
    assert found.stage == "passed"
    assert found.opinions["mode"].says.startswith("cannot be judged: the judge failed: ")
    assert "warning: Mine: the criterion mode failed: " in capsys.readouterr().err
    read = Read("book.abc", 1, "7", "Mine", None, TUNE)
    verdicts.of(judge_of(monkeypatch, mode=fails), read)
    assert "warning: book.abc, tune 7: the criterion mode failed: " in capsys.readouterr().err
    json.dumps(found.as_json(), allow_nan=False)


@pytest.mark.parametrize("name", ["copied", "rhythm", "mode", "form", "melody"])
def test_arrays_of_other_shapes_and_types_are_damage(monkeypatch, name):
    """Each array in turn is gone, empty, cut short, of another type, or has what is no number."""
    known = learnt.read(learnt.DEFAULT, [name])
    given = known.arrays[name]
    monkeypatch.setattr(learnt, "read", lambda folder, names: known._replace(arrays={name: arrays}))
    for key, array in given.items():
        flat = np.atleast_1d(array)
        spoilt = [None, flat[:0], flat[:-1], array[None], np.full_like(array, "x", np.str_)]
        if array.dtype.kind == "f":
            spoilt += [np.full_like(array, number) for number in (np.nan, np.inf)]
        if array.dtype.kind == "U":
            spoilt[-1] = np.zeros(array.shape)
        for changed in spoilt:
            arrays = {other: value for other, value in given.items() if other != key}
            if changed is not None:
                arrays[key] = changed
            if not key.startswith("fingerprints") or changed is None or changed.ndim != 1:
                with pytest.raises(UserError, match="damaged"):
                    verdicts.open_judge("", [name])
