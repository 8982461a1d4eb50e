"""The criterion of form."""

import json
import random

import numpy as np
import pytest

from pipelines.judge.criteria import form
from pipelines.judge.criteria.form import CRITERION
from pipelines.judge.faults import tune_faults
from pipelines.judge.finding import CannotBeJudged, Known, Mark
from pipelines.music.abc.grid import WHOLE
from pipelines.representations.abc_tokens.written import Bar, Key, Note, Tune
from tests.support import judged_tunes
from tests.support.keyed_tunes import keyed_tune

_KEYS = [Key(tonic, "MAJOR") for tonic in range(12)]


def _regular_tune(seed: int) -> Tune:
    """Two strains of eight bars, each a b a c by two bars, both with the same last two bars."""
    rng = random.Random(seed)
    one, other = (keyed_tune(rng, _KEYS[seed % 12]).bars for _ in range(2))
    bars: list[Bar] = []
    for phrase in (one, other):
        a, b, c = phrase[:2], phrase[2:4], one[6:8]
        strain = [*a, *b, *a, *c]
        strain = [bar._replace(opens=False, closes=False) for bar in strain]
        strain[0] = strain[0]._replace(opens=True)
        strain[-1] = strain[-1]._replace(closes=True)
        bars += strain
    return Tune(tuple(bars))


def _known(seeds) -> list[Known]:
    return [Known(str(seed), "", seed, _regular_tune(seed)) for seed in seeds]


@pytest.fixture(scope="module")
def arrays():
    return CRITERION.learn(_known(range(48)), _known(range(48, 60)))


@pytest.fixture(scope="module")
def judge(arrays):
    return CRITERION.open(arrays)


def test_says_strains_and_phrases(judge):
    finding = judge(_regular_tune(100))
    assert finding.says == "AABB, 8+8 bars"
    first, second = finding.evidence["strains"]
    assert first == {
        "from_bar": 1, "bars": 8, "repeats": True, "endings": 0, "phrases": "abac",
    }  # fmt: skip
    assert second["from_bar"] == 9
    assert finding.evidence["missing"] == []
    assert set(finding.evidence["like"]) == set(form.FAULTS)
    assert finding.marks == ()
    json.dumps(finding.evidence)


def test_planted_faults_measure_worse(judge):
    rng = np.random.default_rng(3)
    tunes = [_regular_tune(seed) for seed in range(100, 120)]
    for name in ("bars shuffled", "strain dropped"):
        worse = [
            judge(tune_faults.FAULTS[name](t, rng).tune).measure < judge(t).measure for t in tunes
        ]
        assert np.mean(worse) >= 0.95


def test_a_strain_that_lacks_a_bar_is_marked(judge):
    tune = _regular_tune(101)
    bars = (*tune.bars[:3], *tune.bars[4:])
    finding = judge(Tune(bars))
    assert Mark(6, "strain 1 has 7 bars, one fewer than 8") in finding.marks
    assert finding.says == "AABB, 7+8 bars, strain 1 has 7 bars, one fewer than 8"


def test_a_last_strain_that_breaks_off_is_marked(judge):
    bars = _regular_tune(102).bars[:11]
    texts = [mark.text for mark in judge(Tune(bars)).marks]
    assert "strain 2 breaks off after 3 bars" in texts


@pytest.mark.parametrize(
    "count, says",
    [
        (5, "5 bars, one more than 4"),
        (6, "6 bars, no multiple of 4"),
        (9, "9 bars, one more than 8"),
    ],
)
def test_odd_strains_are_marked(judge, count, says):
    tune = _regular_tune(103)
    bars = [*tune.bars[:8], *tune.bars[8:16], *tune.bars[8:16]][: 8 + count]
    bars = [bar._replace(opens=i in (0, 8), closes=i in (7, len(bars) - 1))
            for i, bar in enumerate(bars)]  # fmt: skip
    assert f"strain 2 has {says}" in judge(Tune(tuple(bars))).evidence["missing"]


def test_one_strain_alone_and_an_ending_alone_are_marked(judge):
    bars = list(_regular_tune(104).bars[:8])
    bars[7] = bars[7]._replace(ending=frozenset({1}))
    texts = judge(Tune(tuple(bars))).evidence["missing"]
    assert "one strain of 8 bars only" in texts
    assert "strain 1 has one ending only" in texts


def test_a_tune_that_ends_on_a_short_note_off_the_tonic_is_marked(judge):
    tune = keyed_tune(random.Random(5), Key(2, "MAJOR"))
    eighth = WHOLE // 8
    last = tune.bars[-1]
    notes = (*last.notes[:-1], Note(62, 3 * eighth), Note(61, eighth))
    (mark,) = judge(Tune((*tune.bars[:-1], last._replace(notes=notes)))).marks
    assert mark == Mark(15, "it ends on a short C#, not on the tonic")


def test_names_and_fields_do_not_count(judge):
    tune = _regular_tune(105)
    unnamed = judge(tune)
    bars = tuple(bar._replace(key=Key(0, "NOT_SPECIFIED")) for bar in tune.bars)
    assert judge(Tune(bars, title="March", rhythm="march")) == unnamed


def test_what_cannot_be_judged(judge):
    bar = _regular_tune(106).bars[0]
    with pytest.raises(CannotBeJudged, match="^it has one note; form needs 6 or more$"):
        judge(Tune((bar._replace(notes=bar.notes[:1]),)))
    with pytest.raises(CannotBeJudged, match="^it has 2001 bars; form is judged of 2000 at most$"):
        judge(Tune((bar,) * 2001))


def test_long_tunes_are_judged(judge):
    one = _regular_tune(108)
    finding = judge(Tune(one.bars * 20))
    assert len(finding.evidence["strains"]) == 40
    assert finding.says == "AABBAABBAABBAABB..., 320 bars in 40 strains"
    assert np.isfinite(finding.measure)


def test_arrays_go_to_disk_without_pickle(arrays, judge, tmp_path):
    np.savez(tmp_path / "form.npz", **arrays)
    with np.load(tmp_path / "form.npz", allow_pickle=False) as read:
        again = CRITERION.open(dict(read))
    tune = _regular_tune(107)
    assert again(tune) == judge(tune)


def test_another_strain_comes_from_a_tune_of_another_group():
    (one,) = _known([1])
    rng = np.random.default_rng(1)
    assert "another tune's strain" not in dict(form.planted_in(one, [one], rng))
    planted = dict(form.planted_in(one, [one, *_known([13])], rng))
    taken = planted["another tune's strain"].bars[8:]
    # Both tunes have the same tonic.
    assert [bar.notes for bar in taken] == [bar.notes for bar in _regular_tune(13).bars[8:]]


def test_any_tune_gets_a_finite_measure_or_a_reason(judge):
    assert judged_tunes.measured_at_random(judge, 150) >= 75


def test_of_a_long_form_the_beginning_is_said(judge):
    tune = Tune(_regular_tune(105).bars * 20)
    found = judge(tune)
    form = found.evidence["form"]
    assert len(form) > 16 and found.says.startswith(f"{form[:16]}..., {len(tune.bars)} bars")


def test_a_short_tune_is_marked_once(judge):
    finding = judge(Tune(_regular_tune(105).bars[:7]))
    assert [mark for mark in finding.marks if "strain" in mark.text] == [
        Mark(0, "one strain of 7 bars only")
    ]
    assert judge(Tune(_regular_tune(105).bars[:1])).says.startswith(
        "A, 1 bar, one strain of 1 bar only"
    )
