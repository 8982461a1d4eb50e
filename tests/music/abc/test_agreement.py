"""What this project reads in 300 real tunes beside what independent readers gave.

`agreement.json` is written by `python -m experiments.tunes.sample`, which runs the readers;
here only digests of their notes are compared.
"""

import json
import pathlib
from fractions import Fraction

import pytest

from experiments.tunes import agreement, comparing, readers, rules, sample, shared
from experiments.tunes.readers import Note, Reading
from pipelines.music.abc import tunebook
from pipelines.runtime.app import UserError

REFERENCE = json.loads((pathlib.Path(__file__).parent / "agreement.json").read_text("utf-8"))
COMPARED = [f"{reader} {notes}" for reader, notes in sample.COMPARED]
# Differences may become fewer; a new one is a regression, or needs a reason that a person gave.
MOST_DIFFERENCES = 61


def _tune(text: str):
    return next(tunebook.tunes(text))


@pytest.fixture(scope="module")
def ours(corpora):
    """Digests of what this project reads, by tune and "written" or "played"."""
    digests = {}
    for place, tune in shared.tunes(corpora):
        name = sample.name(place)
        if name in REFERENCE["tunes"]:
            digests[name] = {
                "text": shared.text_digest(tune),
                **{notes: comparing.digest(read(tune)) for notes, read in agreement.READS.items()},
            }
    return digests


def test_the_sample_is_of_the_same_texts(ours):
    assert len(REFERENCE["tunes"]) == 5 * sample.TUNES_OF_A_CORPUS == 300
    assert {name: known["text"] for name, known in REFERENCE["tunes"].items()} == {
        name: digests["text"] for name, digests in ours.items()
    }


@pytest.mark.parametrize("compared", COMPARED)
def test_notes_are_those_of_the_other_reader(ours, compared):
    notes = compared.split()[1]
    differ = {
        f"{name} {compared}"
        for name, known in REFERENCE["tunes"].items()
        if known[compared] != ours[name][notes]
    }
    known = {key for key in REFERENCE["differences"] if key.endswith(f" {compared}")}
    assert differ == known


def test_every_difference_has_its_reason_and_there_are_no_more_of_them():
    assert all(REFERENCE["differences"].values())
    assert len(REFERENCE["differences"]) <= MOST_DIFFERENCES


# The tunes


def test_tunes_of_any_folder(tmp_path):
    tune = "X:1\nT:a\nK:C\nc|\n"
    (tmp_path / "one" / "inner").mkdir(parents=True)
    (tmp_path / "one" / "inner" / "a.ABC").write_text(f"{tune}\n{tune}")
    (tmp_path / "one" / "b.txt").write_text(tune)
    (tmp_path / "c.abc").write_text(tune)
    found = [tuple(place) for place, _ in shared.tunes_in(tmp_path)]
    assert found == [
        (tmp_path.name, "c.abc", 1),
        ("one", "inner/a.ABC", 1),
        ("one", "inner/a.ABC", 6),
    ]
    same = {place: agreement.Verdict("agrees", 1.0) for place, _ in shared.tunes_in(tmp_path)}
    corpora = agreement.report("music21", _Fixed(_reading()), same)["corpora"]
    assert corpora == {tmp_path.name: {"agrees": 1}, "one": {"agrees": 2}}


def test_a_folder_without_tunes_is_told(tmp_path):
    with pytest.raises(UserError, match="no .abc files"):
        list(shared.tunes_in(tmp_path))
    (tmp_path / "a.abc").write_bytes(bytes(range(256)))
    with pytest.raises(UserError, match=r"a\.abc: .*control characters"):
        list(shared.tunes_in(tmp_path))


# The comparison itself


def test_bare_tunes_keep_what_notes_need():
    tune = _tune(
        "X:7\nT:A title\nR:hornpipe\nM:2/4\nL:1/8\nP:AB\nQ:1/4=90\nK:D % two sharps\nP:A\n"
        '|:"G"~G.A !trill!{c}B T(c|[K:G]d) [eg]2:|1 "^up"f (3H[ac]de :|2 [V:2]g % the end\n'
        "w:la la\n"
    )
    assert readers.bare(tune) == (
        "X:1\n%%MIDI chordattack 0\nM:2/4\nL:1/8\nP:AB\nK:D % two sharps\nP:A\n"
        "|:GA {c}B c|[K:G]d [eg]2:|1 f (3[ac]de :|2 [V:2]g \n"
    )
    assert readers.bare(tune, repeats=False) == (
        "X:1\n%%MIDI chordattack 0\nM:2/4\nL:1/8\nK:D % two sharps\n"
        "|GA {c}B c|[K:G]d [eg]2| f (3[ac]de | [V:2]g \n"
    )


def test_bare_tunes_keep_the_numbers_of_tuplets():
    tune = _tune("X:1\nK:C\n|:(5:2:5cdefg (3::2ab:|2 c|\n")
    assert readers.bare(tune, repeats=False).splitlines()[-1] == "|(5:2:5cdefg (3::2ab| c|"


def _reading(*notes: tuple[int, str]) -> Reading:
    onset = Fraction(0)
    voice = []
    for pitch, length in notes:
        voice.append(Note(onset, pitch, Fraction(length)))
        onset += Fraction(length)
    return Reading([voice], "", 0.0)


class _Fixed:
    """A reader that gives the same for every tune."""

    version = "1"

    def __init__(self, reading: Reading):
        self._reading = reading
        self.asked: list[str] = []

    def read(self, abc: str) -> Reading:
        self.asked.append(abc)
        return self._reading

    def close(self) -> None:
        pass


TUNE = "X:1\nM:4/4\nL:1/4\nK:C\nCD|EFGA|]\n"


@pytest.mark.parametrize(
    ("last", "outcome", "kind"),
    [
        ((69, "1/4"), "agrees", None),
        ((68, "1/4"), "differs", "pitch"),
        ((69, "1/8"), "differs", "length"),
    ],
)
def test_the_first_difference_is_found(last, outcome, kind):
    theirs = [(60, "1/4"), (62, "1/4"), (64, "1/4"), (65, "1/4"), (67, "1/4"), last]
    verdict = agreement.compare(_tune(TUNE), "music21", _Fixed(_reading(*theirs)), "written")
    assert verdict.outcome == outcome
    if kind:
        found = verdict.difference
        assert (found.kind, found.voice, found.note, found.line, found.bar) == (kind, 0, 5, 5, 2)
        assert found.ours == ["69:1/4"]


def test_a_missing_note_and_a_failure_are_told_apart():
    fewer = _Fixed(_reading((60, "1/4"), (62, "1/4")))
    assert agreement.compare(_tune(TUNE), "abcjs", fewer, "played").difference.kind == "count"
    dead = _Fixed(Reading(None, "error: no: such thing", 0.5))
    verdict = agreement.compare(_tune(TUNE), "abcjs", dead, "played")
    assert (verdict.outcome, verdict.detail, verdict.seconds) == ("error", "no: such thing", 0.5)


def test_lengths_off_the_grid_of_ticks_may_be_rounded_and_others_not():
    tune = _tune("X:1\nL:1/8\nM:4/4\nK:C\n(7:4:7CDEFGAB c4|\n")
    # 4/7 of an eighth is 137 and 1/7 ticks; half a note is 960.
    pitches = (60, 62, 64, 65, 67, 69, 71)
    rounded = [(pitch, "137/1920") for pitch in pitches]
    right = _Fixed(_reading(*rounded, (72, "960/1920")))
    assert agreement.compare(tune, "abc2midi", right, "written").outcome == "agrees"
    assert agreement.compare(tune, "music21", right, "written").outcome == "differs"
    wrong = _Fixed(_reading(*rounded, (72, "961/1920")))
    assert agreement.compare(tune, "abc2midi", wrong, "written").outcome == "differs"


def test_a_rule_explains_a_difference():
    # Played back to the begin, as abc2midi does, where the double bar begins a section.
    tune = _tune("X:1\nL:1/4\nM:4/4\nK:C\nCCCC||DDDD:|\n")
    twice = [(60, "1/4")] * 4 + [(62, "1/4")] * 4
    reader = _Fixed(_reading(*twice, *twice))
    assert (
        agreement.compare(tune, "abc2midi", reader, "played").outcome == "agrees but for sections"
    )


def test_rules_leave_strings_and_fields_alone():
    tune = _tune('X:1\nK:D-minor\n"A-B||"a-b||c>d|[V:1-]|] % a-b\n')
    assert rules.without_ties(tune).lines[2] == '"A-B||"ab||c>d|[V:1-]|] % a-b'
    assert rules.without_sections(tune).lines[2] == '"A-B||"a-b|c>d|[V:1-]| % a-b'
    assert rules.without_broken_rhythm(tune).lines[2] == '"A-B||"a-b||c d|[V:1-]|] % a-b'
    assert rules.without_ties(tune).lines[1] == "K:D-minor"


def test_rules_for_ends_tuplets_and_starts():
    tune = _tune('X:1\nK:D\n"(5"(5abcde (5:4abcde (3abc|[K:D] (7a|:|\n')
    assert rules.with_times_of_tuplets(tune).lines[2] == (
        '"(5"(5:2abcde (5:4abcde (3abc|[K:D] (7:2a|:|'
    )
    assert rules.with_ends(tune).lines[2].endswith("(7a:|")
    # A :| before another ending, here in the next line, begins nothing.
    tune = _tune("X:1\nK:D\nP:A\na|1b:|\\\n[2 c||\nd:|e||\nf:|\n")
    assert rules.with_starts(tune).lines[2:] == ("", "a|1b:|\\", "[2 c|:", "d::e|:", "f:|")


def test_readings_are_remembered(tmp_path):
    path = tmp_path / "readings"
    inner = _Fixed(_reading((60, "1/12")))
    first = readers.Remembering(inner, path)
    read = first.read("abc")
    assert (first.read("abc"), inner.asked) == (read, ["abc"])
    first.close()
    again = readers.Remembering(inner, path)
    assert (again.read("abc"), inner.asked) == (read, ["abc"])
    assert again.read("other") == read
    assert inner.asked == ["abc", "other"]
    again.close()


def test_digests_tell_note_lists_apart():
    voice = [(60, Fraction(1, 4)), (62, Fraction(1, 12))]
    others = [[voice, voice], [voice[::-1]], [[(60, Fraction(1, 4)), (62, Fraction(1, 8))]], [[]]]
    assert len({comparing.digest(each) for each in [[voice], *others]}) == 5
