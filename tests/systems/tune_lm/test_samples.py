import numpy as np
import pytest
from keras import ops

from pipelines.examples.written_tunes import Tune
from pipelines.music.abc import tunebook
from pipelines.music.abc.grid import WHOLE
from pipelines.music.abc.notation import notate
from pipelines.representations.abc_tokens import steps, written
from pipelines.representations.abc_tokens.vocabulary import END, KINDS, PITCHES
from pipelines.runtime.app import UserError
from pipelines.systems.tune_lm import decoding, samples
from pipelines.systems.tune_lm.decoding import Sampling
from tests.support import tunebooks

pytestmark = pytest.mark.keras3


class Indifferent:
    """A model to which all kinds are alike, but for a likely end, and all pitches."""

    def initial_state(self, batch, longest):
        return [ops.zeros((batch,))]

    def step(self, rows, state):
        return ops.cast(rows, "float32"), state

    def kind_logits(self, hidden):
        kinds = np.zeros(KINDS, np.float32)
        kinds[END] = 5
        return ops.broadcast_to(kinds, (ops.shape(hidden)[0], KINDS))

    def pitch_logits(self, hidden, kinds):
        return ops.zeros((ops.shape(hidden)[0], PITCHES))


def score(body, meter="6/8"):
    (text,) = tunebook.tunes(f"X:1\nR:jig\nM:{meter}\nL:1/8\nK:D\n{body}\n")
    return written.from_score(notate(text))


def tune(number, body=None):
    text = tunebooks.abc(number, "T", tunebooks.tunes(seed=number, count=1)[0].strains[0])
    (found,) = tunebook.tunes(text)
    as_written = score(body) if body else written.from_score(notate(found))
    return Tune(f"{number}", "", "test", number, steps.given(as_written), steps.encode(as_written))


@pytest.mark.parametrize(
    ("body", "letters", "shape"),
    [
        ("d6|d6|", "A", [(False, 2, ())]),
        ("|:A|d6|d5:|:A|d6|d6|d5:|", "AABB", [(True, 2, ()), (True, 3, ())]),
        ("|:d6|[1d6:|[2d6|]|:d6:|", "AA'BB", [(True, 2, (1, 1)), (True, 1, ())]),
        # A bar that is not full, and a pickup before one strain alone: no form says that.
        ("d6|d5|d6|", "AABB", [(True, 8, ()), (True, 8, ())]),
        ("|:d6|d6:|:A|d6|d5:|", "AABB", [(True, 8, ()), (True, 8, ())]),
    ],
)
def test_samples_are_asked_for_in_the_likeness_of_a_tune(body, letters, shape):
    asked = samples.asked_like(score(body))
    assert asked.conditions.letters == letters
    assert asked.shape == shape
    assert (asked.conditions.meter, asked.conditions.rhythm) == ((6, 8), "jig")
    pickup = letters == "AABB" and body.startswith("|:A")
    assert asked.conditions.form.bars[0].length == WHOLE // 8 * (1 if pickup else 6)


def test_what_is_measured_in_tunes_by_hand():
    good, bad = score("|:d2f a2f|g2e c2d:|"), score("|:d2f a2f|g2e c2:|")
    asked = [samples.asked_like(good)] * 2
    learnt = samples._Learnt([good])
    found = samples.measured([good, bad], asked, learnt)
    nearest = found.pop("nearest")
    assert found == {
        "tunes": 2, "full_bars": 3 / 4, "all_bars_full": 0.5, "counted": 0.5, "tonic": 1.0,
        "ends_on_tonic": 0.5, "form": 0.5, "endings": None, "known_grams": None,
    }  # fmt: skip
    assert nearest["copies"] >= 0.5
    assert nearest["95%"] <= 1 + 1e-9


@pytest.mark.slow
def test_samples_are_compared_with_held_out_tunes():
    body = "|:A|d2f a2f|[1g2e c2:|[2gec d2|]|:A|d2f a2f|gec d2:|"
    held_out = [tune(1, body), tune(2)]
    result, tunes = samples.compare(
        Indifferent(), [tune(3), tune(4)], held_out, 20, Sampling(seed=2, top_k=KINDS)
    )
    read = list(tunebook.tunes(samples.book(tunes["samples"])))
    assert [written.from_score(notate(one)).bars for one in read] == [
        one.bars for one in tunes["samples"]
    ]
    assert len(tunes["without_grammar"]) == result["sets"]["without_grammar"]["tunes"]
    sets = result["sets"]
    drawn = sets["samples"]
    assert (drawn["tunes"], drawn["left_out"]) == (20, {})
    assert [drawn[name] for name in ("full_bars", "counted", "form", "endings")] == [1, 1, 1, 1]
    assert drawn["ends_on_tonic"] == 1
    free = sets["without_grammar"]
    assert free["tunes"] + sum(free["left_out"].values()) == 20
    assert sets["held_out"]["full_bars"] == sets["training"]["full_bars"] == 1
    assert "form" not in sets["held_out"]
    assert sets["held_out"]["known_grams"] == 0
    for row in result["features"].values():
        assert 0 <= row["samples"]["overlap_area"] <= 1
    lines = list(samples.table(result))
    assert any(line.startswith("| full bars | 100.00% | 100.00% | 100.00% |") for line in lines)


def test_what_cannot_be_compared_ends_in_one_line(monkeypatch):
    free = score("d2f a2f g3|", meter="none")
    held_out = [tune(1)._replace(given=steps.given(free), steps=steps.encode(free))]
    with pytest.raises(UserError, match="all of these tunes are in free meter"):
        samples.compare(Indifferent(), [tune(3)], held_out, 2, Sampling())
    monkeypatch.setattr(decoding, "LONGEST", 1)
    with pytest.raises(UserError, match="none of the 2 samples is a tune"):
        samples.compare(Indifferent(), [tune(3)], [tune(1)], 2, Sampling())
