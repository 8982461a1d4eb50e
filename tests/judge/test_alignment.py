import random

import numpy as np
import pytest

from pipelines.judge.copying import alignment, skeletons
from tests.support.written_tunes import random_tune, tune


def skeleton(some):
    notes = skeletons.notes_of([some])
    return skeletons.skeletons(notes, skeletons.levels(notes))


def others(*tunes):
    notes = skeletons.notes_of(tunes)
    made = skeletons.skeletons(notes, skeletons.levels(notes))
    nothing = np.zeros(len(tunes), int)
    return alignment.gather(made, np.arange(len(tunes)), nothing, nothing)


def score_of(query, i, other, j):
    """What two slots score, as the module's comments say."""
    apart = abs(int(query.step[i]) - int(other.step[j]))
    begins = int(query.onset[i]) + int(other.onset[j])
    if apart == 0:
        return (6, 6, 19)[begins] - 5 * (query.pitch[i] != other.pitch[j])
    if apart in (7, 14):
        return 6
    differ = -9 if apart <= 2 else -10 if apart <= 4 else -14
    return differ if begins == 2 else int(differ * 0.6)


def best_score(query, other):
    """The score of the best local alignment, by the plain recurrence: a gap of n costs 55 + 5 n."""
    rows, columns = len(query.step), len(other.step)
    table = np.zeros((rows + 1, columns + 1), int)
    for i in range(1, rows + 1):
        for j in range(1, columns + 1):
            table[i, j] = max(
                0,
                table[i - 1, j - 1] + score_of(query, i - 1, other, j - 1),
                max((table[i - n, j] - 55 - 5 * n for n in range(1, i)), default=0),
                max((table[i, j - n] - 55 - 5 * n for n in range(1, j)), default=0),
            )
    return table.max()


def walks(rng, count):
    """Tunes of random quavers and crotchets."""
    made = []
    for _ in range(count):
        notes = [
            rng.choice("CDEFGABcdef") + rng.choice(["", "", "2"])
            for _ in range(rng.randrange(9, 30))
        ]
        made.append(tune("".join(notes) + "|", key="C"))
    return made


@pytest.mark.parametrize("seed", range(5))
def test_scores_are_those_of_the_plain_recurrence(seed):
    rng = random.Random(seed)
    query, *some = walks(rng, 5)
    # One that has a passage of the query after a gap.
    bars = [*query.bars, *some[0].bars, *query.bars]
    some.append(query._replace(bars=tuple(bars)))
    ours = skeleton(query)
    expected = [best_score(ours, skeleton(one)) for one in some]
    assert alignment.scores(ours, others(*some)).tolist() == expected
    for found, one, score in zip(alignment.align(ours, others(*some)), some, expected, strict=True):
        theirs = skeleton(one)
        total = sum(
            score_of(ours, i, theirs, j) for i, j in zip(found.here, found.there, strict=True)
        )
        for slots in (found.here, found.there):
            assert (np.diff(slots) > 0).all()
            total -= sum(55 + 5 * (n - 1) for n in np.diff(slots) if n > 1)
        assert total == found.score == score


def test_a_tune_is_aligned_with_itself_throughout():
    some = tune("|:d|ged BGB|A2B c2d|ged BAG|AFD D2:|")
    ours = skeleton(some)
    (found,) = alignment.align(ours, others(some))
    assert found.here.tolist() == found.there.tolist() == list(range(len(ours.step)))
    # 21 notes that begin and three slots that go on.
    begin = int(ours.onset.sum())
    assert found.score == 19 * begin + 6 * (len(ours.step) - begin)


def test_a_missing_bar_is_a_gap():
    body = "dedc BAGA|Bcde fgaf|gfed cBAG|FGAB c2d2|e2f2 g2a2|bagf edcB|"
    bars = tune(body, meter="4/4").bars
    short = tune(body, meter="4/4")._replace(bars=bars[:2] + bars[3:])
    (found,) = alignment.align(skeleton(short), others(tune(body, meter="4/4")))
    assert found.here.tolist() == list(range(40))
    assert found.there.tolist() == [*range(16), *range(24, 48)]


def test_tunes_of_other_lengths_do_not_change_a_score():
    rng = random.Random(1)
    ours = skeleton(random_tune(rng))
    some = [random_tune(rng) for _ in range(6)]
    alone = [int(alignment.scores(ours, others(one))[0]) for one in some]
    assert alignment.scores(ours, others(*some)).tolist() == alone
