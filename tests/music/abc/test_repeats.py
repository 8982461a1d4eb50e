"""Slips in repeat signs and endings: what is played was worked out by hand, bar by bar."""

import pytest

from tests.support.abc_reading import pitches, warnings

NAMES = {60: "C", 62: "D", 64: "E", 65: "F", 67: "G", 69: "A", 71: "B"}
CLOSES = "|: where a repeat ends is read as :|"
UNCLOSED = "a repeat begins here with |: and has no :|; played once"
PICKUP = "a pickup stands before |: and again after it; played twice"


def played(text: str) -> str:
    """The letters of the notes as they are played."""
    return "".join(NAMES[pitch] for pitch in pitches(text))


# Endings


@pytest.mark.parametrize(
    "text, expected, told",
    [
        # Passes 1 and 2, then 3: not a twelfth pass.
        ("|:C8|[12 D8:|[3 E8|]", "CDCDCE", ["[12 is read as passes 1 and 2"]),
        ("|:C8|12 D8:|3 E8|]", "CDCDCE", ["|12 is read as passes 1 and 2"]),
        # 1, 2, 4, 5, then 3 and 6.
        (
            "|:C8|[1245 D8:|[36 E8|]",
            "CDCDCECDCDCE",
            ["[1245 is read as passes 1, 2, 4 and 5", "[36 is read as passes 3 and 6"],
        ),
        ("|:C8|1 D8:|2345 E8:|F8|]", "CDCECECECEF", ["|2345 is read as passes 2, 3, 4 and 5"]),
        ("|:C8|[1,23 D8:|[4 E8|]", "CDCDCDCE", ["[1,23 is read as passes 1, 2 and 3"]),
        # A number that stands apart from its bar line.
        ("|:C8| 12 D8:|\n3 E8|]", "CDCDCE", ["|12 is read as passes 1 and 2"]),
        ("|:C8|1 D8:|22 E8|]", "CDCE", ["|22 is read as pass 2"]),
        # Each repeat by itself: here the second one.
        (
            "|:C8|1 D8:|2 E8:|\n|:F8|[12 G8:|[3 A8|]",
            "CDCEFGFGFA",
            ["[12 is read as passes 1 and 2"],
        ),
    ],
)
def test_a_number_that_the_other_endings_do_not_bear_out_is_read_by_its_digits(
    text, expected, told
):
    assert played(text) == expected
    assert [warning.partition(": ")[2] for warning in warnings(text)] == told


def test_a_ballad_of_twelve_verses_keeps_its_twelfth_ending():
    text = "|:C8|[1-10 D8:|[11 E8:|[12 F8|]"
    assert played(text) == "CD" * 10 + "CE" + "CF"
    each = "".join(f"[{number} D8:|" for number in range(1, 12))
    assert played(f"|:C8|{each}[12 F8|]") == "CD" * 11 + "CF"
    assert not warnings(text)


def test_an_ending_without_those_for_the_passes_before_is_told():
    assert played("|:C8|[1 D8:|[3 E8|]") == "CDCCE"
    assert warnings("|:C8|[1 D8:|[3 E8|]") == ["line 6: there is an ending for pass 3, none for 2"]
    assert not warnings("|:C8|[1,2 D8:|[3 E8|]")


@pytest.mark.parametrize(
    "text, expected, told",
    [
        ("C4 D4|3 E4 F4|", "CDCDEF", "for pass 3, none for 1"),
        ("|:C8|[3 D8:|E8|]", "CCDE", "for pass 3, none for 1"),
        ('|:C8|["9" D8:|', "CCD", "for pass 9, none for 1"),
        ("|:C8|[3,4 D8:|", "CCD", "for pass 4, none for 1"),
        # Each repeat by itself.
        ("|:C8|[1 D8:|[2 E8|]\n|:F8|[4 G8:|", "CDCEFFG", "for pass 4, none for 1"),
    ],
)
def test_an_ending_by_itself_is_that_of_the_second_pass(text, expected, told):
    assert played(text) == expected
    assert f"there is an ending {told}; played as the second" in str(warnings(text))


def test_an_ending_by_itself_for_the_second_pass_is_told_only():
    assert played("|:C8|[2 D8:|") == "CCD"
    assert warnings("|:C8|[2 D8:|") == ["line 6: there is an ending for pass 2, none for 1"]


@pytest.mark.parametrize("text", ["C8|2/4 D8|", "C8|12/8 D8|", "C8| 3/4 D8|", "C8|[2/4] D8|"])
def test_a_meter_in_a_bar_is_no_ending(text):
    assert played(text) == "CD"
    assert warnings(text)


def test_dots_divide_the_passes_of_an_ending_as_commas_do():
    assert played("|:C8|1.3D8:|2.4E8|]") == "CDCECDCE"
    assert not warnings("|:C8|1.3D8:|2.4E8|]")
    # A dot behind the number is the dot of "1st", or staccato.
    assert played("|:C8|1.D8:|2.E8|]") == "CDCE"


@pytest.mark.parametrize(
    "text, expected",
    [
        ('|:C8|["1" D8:|["2" E8|]', "CDCE"),
        ('|:C8|["1" D8:|["2-9" E8|]', "CD" + "CE" * 8),
        ('|:C8|["1st time" D8:|["2nd time" E8|]', "CDCE"),
        ('|:C8|["1,3"D8:|["2."E8|]', "CDCECD"),
    ],
)
def test_endings_may_be_named_by_a_text(text, expected):
    assert played(text) == expected
    assert not warnings(text)


def test_a_chord_with_a_fingering_is_no_ending():
    assert pitches('["1"CE]8 ["1"C"3"E]8|') == [60, 64, 60, 64]


def test_a_label_is_no_ending():
    """V1 and V2 name the verses; only a number behind a bar line is an ending."""
    assert played("V1\n|:C8:|\nV2\n|:D8:|") == "CCDD"
    assert played("V12\n|:C8:|") == "CC"
    assert warnings("V1\n|:C8:|") == ["line 6: '1' has no meaning here; left out"]


# Signs that stand the wrong way round


@pytest.mark.parametrize(
    "text, expected",
    [
        # At the end there is nothing to repeat behind the sign.
        ("|:C8|D8|:|", "CDCD"),
        ("C8|D8|:|", "CDCD"),
        ("|:C8:|D8|E8|:|]", "CCDEDE"),
        ("|:C8|D8|:|\n|:E8|F8:|", "CDCDEFEF"),
        # A second ending begins no repeat.
        ("|:C8|[1 D8|:[2 E8|]", "CDCE"),
        ("|:C8|1 D8|:2 E8|]", "CDCE"),
    ],
)
def test_a_sign_that_begins_a_repeat_where_one_ends(text, expected):
    assert played(text) == expected
    assert [warning.partition(": ")[2] for warning in warnings(text)] == [CLOSES]


@pytest.mark.parametrize(
    "text, expected",
    [
        ("C8|:|D8:|", "CDD"),
        ("|:C8:|:|", "CC"),
        ("|:C8|1 D8::2 E8|]", "CDCE"),
        ("|:C8|1 D8:|\n|:2 E8|]", "CDCE"),
    ],
)
def test_a_sign_is_left_alone_where_it_fits_or_says_nothing_new(text, expected):
    assert played(text) == expected
    assert CLOSES not in str(warnings(text))


def test_a_repeat_goes_on_over_the_label_of_a_part():
    assert played("P:A\n|:C8|\nP:B\nD8:|") == "CDCD"
    assert played("|:C8|[P:B]D8|[P:C]E8:|F8|]") == "CDECDEF"
    # Where a double bar ends the part before, and where a part begins with a sign of its own.
    assert played("P:A\n|:C8||\nP:B\nD8:|") == "CDD"
    assert played("P:A\n|:C8|\nP:B\n|:D8:|") == "CDD"
    # A part that the header asks for is repeated by itself.
    text = "X:1\nM:4/4\nL:1/8\nP:BA\nK:C\nP:A\n|:C8|\nP:B\nD8:|"
    assert pitches(text, "") == [62, 62, 60]


# What is kept with a warning


@pytest.mark.parametrize("text", ["|:C8|D8|]", "|:C8|D8|\n|:E8:|", "C8|D8|:", "|:C8:|:D8|]"])
def test_a_repeat_that_nothing_ends_is_told(text):
    assert [warning.partition(": ")[2] for warning in warnings(text)] == [UNCLOSED]


@pytest.mark.parametrize(
    "text", ["|:C8:|D8|]", "|:C8|1D8:|2E8|]", "|:C8|[1D8|[2E8|]", "|:C8::D8:|"]
)
def test_a_repeat_that_ends_is_not_told(text):
    assert UNCLOSED not in str(warnings(text))


def test_a_pickup_before_and_after_the_sign_is_told():
    text = "G2|:G2|C8|D6:|"
    assert played(text) == "GGCDGCD"
    assert warnings(text) == [f"line 6: {PICKUP}"]
    assert warnings("G2|:G2|C8|D6:|\nA2|:A2|E8|D6:|") == [f"line 6: {PICKUP}", f"line 7: {PICKUP}"]


@pytest.mark.parametrize(
    "text",
    ["G2|:A2|C8|D6:|", "|:G2|C8|D6:|", "G2|:C8|D6G2:|", "|:C8|D6:|\n|:G2|C8|D6:|", "C8|:C8|D8:|"],
)
def test_other_pickups_are_not_told(text):
    assert PICKUP not in str(warnings(text))
