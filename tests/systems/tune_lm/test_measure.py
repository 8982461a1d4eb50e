import numpy as np
import pytest

from pipelines.music.abc.notation import notate
from pipelines.representations.abc_tokens import steps, written
from pipelines.systems.tune_lm import measure
from tests.support.abc_reading import tune_of


def encoded(music):
    text = f"X:1\nT:Test\nM:2/4\nL:1/8\nK:C\n{music}\n"
    return steps.encode(written.from_score(notate(tune_of(text))))


def priced(tunes, costs, groups, corpora):
    bits = [np.full(len(tune.tokens), cost) for tune, cost in zip(tunes, costs, strict=True)]
    return measure.Priced(bits, tunes, np.array(groups), corpora)


def test_all_tokens_are_paid_for_and_divided_by_the_notes():
    """C4 | D2 z2 |] has five tokens and two notes, E2 F2 |] has three and two."""
    tunes = [encoded("C4|D2z2|]"), encoded("E2F2|]")]
    assert [len(tune.tokens) for tune in tunes] == [5, 3]
    found = measure.report(priced(tunes, [2.0, 1.0], [0, 1], ["one", "two"]))
    assert found["tunes"] == found["groups"] == 2
    assert found["all"]["bits_per_note"] == pytest.approx((5 * 2 + 3 * 1) / 4)
    assert found["all"]["notes"] == 4
    assert found["all"]["interval"] == [3 / 2, 5.0]  # Two groups: either may be drawn twice.
    assert found["corpora"]["one"]["bits_per_note"] == 5.0
    assert found["corpora"]["two"]["bits_per_note"] == 1.5
    kinds = {name: row["bits_per_note"] for name, row in found["tokens"].items()}
    assert kinds == {"notes": 6 / 4, "rests": 2 / 4, "signs": (2 * 2 + 1) / 4}
    assert sum(row["share"] for row in found["tokens"].values()) == pytest.approx(1, abs=1e-3)


def test_strains_and_bars_that_come_again():
    """C2D2 comes again as the third bar, and in the second strain."""
    tune = encoded("C2D2|E2F2|C2D2|G4||C2D2|]")
    assert measure.repeats(tune).tolist() == [
        *(False, False, False), *(False, False, False), *(True, True, True), *(False, False),
        *(True, True, True),
    ]  # fmt: skip
    found = measure.report(priced([tune], [1.0], [0], ["one"]))
    assert found["bars"]["repeated"] == {
        "bits_per_note": 1.5, "interval": [1.5, 1.5], "notes": 4, "share": round(6 / 14, 4),
    }  # fmt: skip
    assert found["strains"]["1"]["notes"] == 7
    assert found["strains"]["2"] == {
        "bits_per_note": 1.5, "interval": [1.5, 1.5], "notes": 2, "share": round(3 / 14, 4),
    }  # fmt: skip


def test_versions_of_a_tune_are_drawn_together():
    """Three versions in one group have no interval; apart they have."""
    tunes = [encoded("C4|]"), encoded("D4|]"), encoded("E4|]")]
    together = measure.report(priced(tunes, [1.0, 2.0, 3.0], [4, 4, 4], ["one"] * 3))
    assert together["all"]["interval"] == [4.0, 4.0]
    apart = measure.report(priced(tunes, [1.0, 2.0, 3.0], [4, 5, 6], ["one"] * 3))
    assert apart["all"]["interval"] == [2.0, 6.0]
    assert together["all"]["bits_per_note"] == apart["all"]["bits_per_note"] == 4.0


def test_what_a_better_model_saves():
    """It saves half a bit of each of two tokens, which is a bit a note, for certain."""
    tunes = [encoded("C4|]"), encoded("D4|]")]
    first = priced(tunes, [1.0, 4.0], [0, 1], ["one"] * 2)
    second = priced(tunes, [0.5, 3.5], [0, 1], ["one"] * 2)
    found = measure.gain(first, second)
    assert found["bits_per_note"] == 1.0
    assert found["interval"] == [1.0, 1.0]


def test_bits():
    np.testing.assert_allclose(measure.bits(np.array([1.0, 0.5, 1 / 8])), [0, 1, 3])
