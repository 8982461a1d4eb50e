import pytest

from pipelines.music.abc import reader
from pipelines.music.abc.grid import WHOLE
from pipelines.music.abc.notation import notate
from pipelines.representations.abc_tokens import written
from pipelines.representations.abc_tokens.written import Note
from tests.support.abc_reading import tune_of

EIGHTH = WHOLE // 8


def tune(music, fields="", highest=False):
    text = f"X:1\nT:First\nT:Second\nR:Slip  Jig\nM:4/4\nL:1/8\n{fields}K:C\n{music}\n"
    return written.from_score(notate(tune_of(text)), highest)


def test_notes_rests_and_what_the_header_says():
    read = tune("C2 z E4|")
    assert read.bars[0].notes == (
        Note(60, 2 * EIGHTH), Note(None, EIGHTH), Note(64, 4 * EIGHTH),
    )  # fmt: skip
    assert (read.title, read.rhythm, read.tempo) == ("First", "slip jig", 120)


def test_ties_inside_a_bar_join_and_those_over_it_stay():
    read = tune("C2-C2 E4-|E8-|z8-|")
    assert [bar.notes for bar in read.bars] == [
        (Note(60, 4 * EIGHTH), Note(64, 4 * EIGHTH, tied=True)),
        (Note(64, 8 * EIGHTH),),  # Nothing of its pitch follows.
        (Note(None, 8 * EIGHTH),),
    ]


def test_a_tie_into_either_ending_stays():
    read = tune("C4 E4-|1 E8:|2 E8|]")
    assert read.bars[0].notes[-1].tied
    played = reader.perform(written.to_score(read))
    assert [(note.pitch, note.end_time - note.start_time) for note in played.notes] == [
        (60, 1.0), (64, 3.0), (60, 1.0), (64, 3.0),
    ]  # fmt: skip


def test_double_bar_lines_beside_signs_of_repeats_say_nothing():
    read = tune("C8||C8|]|:C8:||C8|]")
    assert [bar.ends_section for bar in read.bars] == [True, False, False, False]


@pytest.mark.parametrize(
    ("music", "reason"),
    [
        ("[CE]8|", "chord"),
        ("C8 & E8|", "voices"),
        ("V:1\nC8|\nV:2\nE8|", "voices"),
        ("C4 [K:G] C4|", "key_inside_bar"),
        ("C8|[Q:1/4=90]C8|", "tempo_change"),
        ("C8|\n%%MIDI program 40\nC8|", "program_change"),
        ("|:C8::|", "repeats"),
        ("(11:8:11CDEFGABcdef|", "fine_length"),
        ("z8|", "no_notes"),
    ],
)
def test_what_is_left_out(music, reason):
    with pytest.raises(written.LeftOut) as left_out:
        tune(music)
    assert left_out.value.reason == reason


def test_a_label_that_comes_twice_under_an_order_is_left_out():
    with pytest.raises(written.LeftOut, match="parts"):
        tune("P:A\nC8|\nP:A\nD8|", fields="P:AA\n")


def test_the_highest_notes_of_the_first_voice_can_be_taken():
    read = tune("V:1\n[CEG]4 [DF]4|\nV:2\nC,8|", highest=True)
    assert read.bars[0].notes == (Note(67, 4 * EIGHTH), Note(65, 4 * EIGHTH))
