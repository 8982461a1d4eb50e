import numpy as np
import pytest

from pipelines.judge.notes import melodic_lines
from tests.support.written_tunes import tune

STRAIN = "d2e f2g|a2b c'2d'|e3 f3|g2a b2c'|d3 e3|f2g a2b|g3 f3|"


def numbers(body):
    once, found = melodic_lines.played_once(tune(body))
    assert len(once.bars) == len(found)
    return found.tolist()


def test_a_repeat_that_is_written_out_is_taken_once():
    # The last bar, which may be an ending, is kept both times.
    assert numbers(f"{STRAIN}d6|{STRAIN}d6|") == [*range(8), 15]
    assert numbers(f"{STRAIN}d6|{STRAIN}e3 d3|a6|") == [*range(8), 15, 16]
    # With a pickup before.
    assert numbers(f"A|{STRAIN}d4 A2|{STRAIN}d6|") == [*range(9), 16]


@pytest.mark.parametrize("body", ["d6|" * 7, f"{STRAIN}d6|", STRAIN.replace("f3", "a3") + STRAIN])
def test_other_tunes_stay_as_they_are(body):
    assert numbers(body) == list(range(body.count("|")))


def test_the_longest_runs_and_means_by_bar():
    assert melodic_lines.longest_run(np.array([True, True, False, True])) == 2
    assert melodic_lines.longest_run(np.zeros(3, bool)) == 0
    found = melodic_lines.by_bar(np.array([1.0, 3.0, 5.0]), np.array([0, 0, 2]))
    assert found.tolist() == [2.0, 5.0]
