"""The judge that comes with the project."""

import random

import numpy as np
import pytest

from pipelines.judge import keeping, learnt, reading, verdicts
from pipelines.judge.copying import skeletons
from pipelines.judge.criteria import copied
from pipelines.judge.faults import beat_faults, copies
from pipelines.music.abc import tunebook
from tests.support.judged_tunes import KESH, SPOILT
from tests.support.written_tunes import random_tune, tune

NAMES = ("copied", "rhythm", "mode", "form", "melody")


@pytest.fixture(scope="module")
def judge():
    return verdicts.open_judge("")


def tune_of(text):
    return reading.of_text("", 1, next(tunebook.tunes(text))).tune


def bars_of(opinion):
    return [mark.bar + 1 for mark in opinion.finding.marks]


def test_a_tune_of_people_passes_but_for_being_one(judge):
    found = judge(tune_of(KESH))
    # It is in the Nottingham database under another title.
    assert found.rejected_for == ["copied"]
    assert "The Castle" in found.opinions["copied"].finding.says
    assert found.opinions["mode"].finding.evidence["key"] == "G major"
    assert found.opinions["form"].finding.says.startswith("AABB, 8+8 bars")
    assert found.opinions["rhythm"].finding.says.startswith("all bars are full; jig")


def test_what_is_spoilt_is_found_in_its_bars(judge):
    good, bad = judge(tune_of(KESH)).opinions, judge(tune_of(SPOILT)).opinions
    assert bars_of(bad["rhythm"]) == [2] and bad["rhythm"].fails
    assert 7 in bars_of(bad["mode"]) and 7 in bars_of(bad["melody"])
    for name in ("rhythm", "mode", "melody"):
        assert bad[name].score < good[name].score


def test_the_judge_is_blind_to_names(judge):
    """Titles and `R:` make no difference to mode, form and melody."""
    without = "\n".join(line for line in KESH.splitlines() if line[:2] not in ("T:", "R:"))
    named, unnamed = judge(tune_of(KESH)), judge(tune_of(without + "\n"))
    for name in ("mode", "form", "melody"):
        assert named.opinions[name].as_json() == unnamed.opinions[name].as_json()


def test_a_tune_in_another_key_gets_the_same_verdict(judge):
    some = tune_of(KESH)
    up = some._replace(
        bars=tuple(
            bar._replace(
                notes=tuple(note._replace(pitch=note.pitch + 3) for note in bar.notes),
                key=bar.key._replace(tonic=(bar.key.tonic + 3) % 12),
            )
            for bar in some.bars
        )
    )
    here, there = judge(some).opinions, judge(up).opinions
    for name in ("copied", "rhythm", "form", "melody"):
        assert here[name].score == pytest.approx(there[name].score, abs=0.05)


@pytest.mark.parametrize("seed", range(20))
def test_whatever_is_written_gets_a_verdict(judge, seed):
    found = judge(random_tune(random.Random(seed)))
    assert list(found.opinions) == list(NAMES)
    for opinion in found.opinions.values():
        assert (opinion.score is None) == (opinion.finding is None) == bool(opinion.problem)
        assert opinion.score is None or 1 <= opinion.score <= 5
        assert "the judge failed" not in opinion.problem
        if opinion.finding:
            assert np.isfinite(opinion.finding.measure)


@pytest.mark.parametrize("body", ["d6|", "d|", "d3 e3|", "ddd ddd|ddd ddd|"])
def test_the_smallest_tunes_are_judged_or_said_to_be_too_small(judge, body):
    found = judge(tune(body))
    assert all(op.finding or op.problem for op in found.opinions.values())
    # Full bars are no reason to keep it.
    assert found.stage == "unjudged" or found.rejected_for == ["rhythm"]
    assert not keeping.passes(found, {})


def test_no_criterion_fails_on_faulty_bars(judge):
    rng = np.random.default_rng(3)
    some = tune_of(KESH)
    for plant in beat_faults.FAULTS.values():
        found = judge(plant(some, rng).tune)
        assert all(opinion.finding for opinion in found.opinions.values())


@pytest.mark.slow
def test_no_tune_of_people_and_no_copy_moves_by_too_few_intervals_to_be_compared():
    """So that the rule for scales and repeated notes costs no copy: docs/judge.md tells four."""
    index = copied.CRITERION.open(learnt.read(learnt.DEFAULT, ["copied"]).arrays["copied"])
    rng = np.random.default_rng(5)
    tunes = [index.written(number) for number in range(0, 5389, 10)]
    # Of notes over a bar line the index has one; copies are made of tunes with notes in each bar.
    tunes = [one for one in tunes if all(bar.notes for bar in one.bars)]
    assert len(tunes) > 500
    plants = (
        lambda one: one,
        lambda one: copies.notes_changed(one, rng, 0.3),
        lambda one: copies.notes_edited(one, rng, 0.5),
        lambda one: copies.ornamented(one, rng, 0.4),
        lambda one: copies.transposed(one, 5),
    )
    for plant in plants:
        fewest = min(copied.intervals(skeletons.notes_of([plant(one)])) for one in tunes)
        assert fewest >= 4 > copied.MIN_INTERVALS


def test_its_scales_are_of_people_that_it_has_not_learnt():
    about = learnt.read(learnt.DEFAULT, NAMES)
    tunes = about.about["tunes"]
    assert tunes["train"] > 4000
    for name, scale in about.scales.items():
        assert 0.9 * tunes["validation"] < len(scale.measures) <= tunes["validation"]
        assert np.isfinite(scale.measures).all() and (np.diff(scale.measures) >= 0).all()
        assert bool(scale.rejects) == (name in ("copied", "rhythm", "mode"))


def test_its_folder_is_small_and_its_card_complete():
    folder = learnt.DEFAULT
    assert sum(path.stat().st_size for path in folder.iterdir()) < 4e6
    card = (folder / "CARD.md").read_text()
    for part in ("## How it was made", "## Data and licence", "## Metrics"):
        assert part in card
    for path in folder.glob("*.npz"):
        assert f"`{path.name}`" in card
