import random

import pytest

from experiments.tune_lm import round_trip
from pipelines.corpora import abc
from pipelines.music.abc import reader, tunebook
from pipelines.music.abc.notation import notate
from pipelines.representations.abc_tokens import notation, written
from tests.support.abc_reading import tune_of
from tests.support.written_tunes import random_tune


def again(tune):
    """A tune that was written in ABC notation, read."""
    (text,) = tunebook.tunes(notation.write(tune))
    return written.from_score(notate(text))


def test_a_tune_is_written_as_people_write_it():
    text = (
        "X:1\nT:The Test\nR:reel\nM:4/4\nL:1/8\nQ:1/4=100\nK:Ador\n"
        "|:e|A4 (3ABc d2|e^f g2 a4|[1 e4 d4:|[2 d8|]\n"
    )
    tune = written.from_score(notate(tune_of(text)))
    assert notation.write(tune) == (
        "X:1\nT:The Test\nR:reel\nM:4/4\nL:1/8\nQ:1/4=100\nK:Ador\n"
        "|:e|A4 (3ABc d2|ef g2 a4|[1 e4 d4:|\n[2 d8|]\n"
    )


def test_parts_and_their_order():
    tune = again(
        written.from_score(notate(tune_of("X:1\nP:ABA\nM:2/4\nK:G\nP:A\nG4|\nP:B\nd4|\n")))
    )
    assert tune.parts == "ABA"
    played = reader.perform(written.to_score(tune))
    assert [note.pitch for note in played.notes] == [67, 74, 67]


def test_random_tunes_are_read_back_as_they_were():
    """Bars of any length, and any signs that the reader does not mend."""
    rng = random.Random(2)
    compared = 0
    for _ in range(300):
        tune = random_tune(rng)
        read = notate(*tunebook.tunes(notation.write(tune)))
        if read.warnings:
            continue  # The reader mends endings without a first one.
        compared += 1
        assert written.from_score(read) == tune
    assert compared > 100


@pytest.mark.slow
def test_all_tunes_of_real_corpora(corpora):
    """All but 7 of the 5,258 tunes of one voice are exact; these are left out by their reasons."""
    outcomes: dict[str, int] = {}
    for _, text in abc.texts([str(corpora / "abc")]):
        found = round_trip.outcome(text)
        outcomes[found] = outcomes.get(found, 0) + 1
    assert outcomes == {
        "exact": 5251, "chord": 128, "voices": 11, "length": 3, "tempo_change": 2,
        "key_inside_bar": 1, "program_change": 1,
    }  # fmt: skip
