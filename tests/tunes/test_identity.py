"""Keys of tunes: whose titles and melodies count as the same, and whose do not."""

import random

import numpy as np
import pytest

from pipelines.music.abc import reader, tunebook
from pipelines.music.note_sequence import NoteSequence
from pipelines.tunes import identity, splits
from pipelines.tunes.identity import MELODY, PHRASE, RUN, TITLE
from tests.support.pieces import drums

PART_A = "GABc dedB|dedB dedB|c2ec B2dB|A2F2 G4|GABc dedB|dedB dedB|c2ec B2dB|A2A2 G4"
PART_B = "gfga bgef|g2fd edBA|BAGB A2GE|DEGA B4|gfga bgef|g2fd edBA|BAGB A2GE|D2F2 G4"


def tune(music, title="", key="G", meter="4/4", unit="1/8", more="") -> NoteSequence:
    titles = "".join(f"T:{line}\n" for line in title.split("|") if line)
    text = f"X:1\n{titles}M:{meter}\nL:{unit}\n{more}K:{key}\n{music}\n"
    (one,) = tunebook.tunes(text)
    return reader.read(one)


def melody(sequence):
    return {key for key in identity.keys(sequence) if key.startswith(MELODY)}


def found_runs(sequence):
    return {key for key in identity.keys(sequence) if key.startswith(RUN)}


def titles(sequence):
    return {key for key in identity.keys(sequence) if key.startswith(TITLE)}


def test_the_kind_of_tune_may_be_left_out_of_its_title_but_is_not_mixed():
    reel = titles(tune(PART_A, "Teetotaller's Reel"))
    assert reel & titles(tune(PART_B, "The Teetotaller"))
    assert not reel & titles(tune("GAB cde|" * 8, "Teetotaller's Jig", meter="6/8"))
    # The very same title is the same tune, whatever the meter.
    assert reel & titles(tune("GAB cde|" * 8, "Teetotaller's Reel", meter="6/8"))


@pytest.mark.parametrize(
    "one, other", [("Larry Grogan", "Lary Grogan"), ("The Teetotaller", "Teetotaler's Reel")]
)
def test_doubled_letters_are_as_one(one, other):
    assert titles(tune(PART_A, one)) & titles(tune(PART_B, other))


def test_every_title_counts():
    both = titles(tune(PART_A, "The Flowing Tide|Higgins' Best"))
    assert both & titles(tune(PART_B, "Flowing Tide, The"))
    assert both & titles(tune(PART_B, "Higgins's best|Something else"))
    sequence = tune(PART_A)
    sequence.sequence_metadata.title = "The Flowing Tide"
    assert both & titles(sequence)


@pytest.mark.parametrize(
    "version",
    [
        tune(f"|:{PART_A}:|:{PART_B}:|", key="D"),
        tune(f"|:{PART_A}:|:{PART_B}:|", more="Q:1/4=93\n"),
        tune(f"{PART_A}|{PART_B}|"),
        tune(f"{PART_A}|{PART_A}|{PART_B}|{PART_B}|"),
        tune(f"|:{PART_A}:|:{PART_B}:|", unit="1/16", meter="2/4"),
        tune(f"|:{PART_A}:|:{PART_B}:|", meter="C|"),
        tune(f"|:D|{PART_A[:-1]}3:|:d|{PART_B[:-1]}3:|"),
        tune(f"|:{PART_A[:-2]}{{A}}G2z2:|:{PART_B}:|"),
        tune(f'|:"G"[G,G]{PART_A[1:]}:|'),
        tune(f"{PART_B}|{PART_A}|"),
    ],
    ids="key tempo once written-out unit meter pickup last-note chords order".split(),
)
def test_versions_of_one_melody(version):
    assert melody(tune(f"|:{PART_A}:|:{PART_B}:|")) & melody(version)


def test_transposition_keeps_all_keys_of_random_melodies_and_others_share_none():
    rng = random.Random(1)
    seen = {}
    for number in range(300):
        scale = "CDEFGABcdefgab"
        music = "|".join("".join(rng.choices(scale, k=8)) for _ in range(rng.randint(2, 16)))
        sequence = tune(music + "|", key="C")
        found = melody(sequence)
        assert found
        for note in sequence.notes:
            note.pitch += 3
        assert melody(sequence) == found
        for key in found:
            assert seen.setdefault(key, number) == number


def test_broken_chords_are_told_apart_by_all_their_notes():
    # Every second note, which is compared first, changes too seldom in such a passage.
    chords = "eaeA eaeA|fafB fafB|fedc dcBA|GABc"
    one = melody(tune(f"{PART_A}|{chords} B4|", meter="2/4", unit="1/16"))
    assert one & melody(tune(f"{PART_B}|{chords} B2AB|", meter="2/4", unit="1/16"))
    other = chords.replace("eaeA", "eceA", 1)
    assert not one & melody(tune(f"{PART_B}|{other} B4|", meter="2/4", unit="1/16"))


@pytest.mark.parametrize("last", ["G4 G4", "G8", "GABG E2G2", "G4 z4"])
def test_the_last_four_bars_count_however_long_their_last_note_is(last):
    bars = PART_A.split("|")
    end = "|".join([*bars[4:7], last])
    first = "|".join(bars[:4])
    assert melody(tune(f"{first}|{end}|")) & melody(tune(f"{PART_B.rsplit('|', 4)[0]}|{end}|"))


def test_bars_of_two_jig_bars_are_two():
    bars = "GAB cde|dcB ABc|def gfe|dBG A2F|gfe dcB|cde fga|bag fed|cAF G3".split("|") * 2
    jig = tune("|".join(bars), meter="6/8")
    double = tune("|".join(map(" ".join, zip(bars[::2], bars[1::2]))), meter="12/8")
    windows = {key for key in melody(jig) if "opening" not in key}
    assert len(windows) >= 2 and windows <= melody(double)


def test_plain_melodies_join_only_where_they_are_the_same():
    slow = "C4E4|G4E4|C4E4|G8|"
    assert melody(tune(slow)) == melody(tune(slow + slow))
    assert melody(tune(slow, key="G")) & melody(tune("F4A4|c4A4|F4A4|c8|", key="F"))
    assert not melody(tune(slow)) & melody(tune("C4E4|G4E4|C4E4|c8|"))
    assert not melody(tune(slow)) & melody(tune("C4E2E2|G4E4|C4E4|G8|"))
    assert not melody(tune("C8|C8|C8|C8|C8|C8|C8|C8|"))
    assert identity.keys(tune("CDE|", "Reel")) == ()


def test_meters_are_kept_apart_where_the_points_are_equal():
    jig = tune("G3 A3|B3 c3|d3 e3|f3 g3|a3 g3|f3 e3|d3 c3|B3 A3|", meter="6/8")
    march = tune("G4A4|B4c4|d4e4|f4g4|a4g4|f4e4|d4c4|B4A4|")
    assert melody(jig) and melody(march)
    assert not melody(jig) & melody(march)


OTHER = "|".join(["ceag fdBc", "Acef gafd", "BdAc GBFA", "cdef gfed"] * 11)


@pytest.mark.parametrize(
    "version",
    [
        tune(f"{OTHER[:9]} {PART_A.replace('|', ' ')}|", meter="none"),
        tune(f"{OTHER[:9]}|{PART_A}|", meter="3/2"),
        tune(f"{OTHER}|{PART_A}|{PART_B}|"),
        tune(f"{OTHER[:10]}{PART_A}|{OTHER[:20]}"),
    ],
    ids="no-meter meter set grid".split(),
)
def test_a_strain_is_found_wherever_it_stands(version):
    one = tune(f"{PART_A}|{PART_B}|")
    assert found_runs(one) & found_runs(version)
    # No other key of the melody tells.
    assert not melody(one) & melody(version)


def test_a_shorter_passage_is_a_phrase_and_no_run():
    one, other = tune(f"{PART_A}|"), tune(f"{OTHER[:9]}|{PART_A[:26]}|{OTHER[:20]}")
    assert not found_runs(one) & found_runs(other)
    shared = set(identity.keys(one)) & set(identity.keys(other))
    assert shared and all(key.startswith(PHRASE) for key in shared)


def test_drums_and_silence_have_no_keys():
    assert identity.keys(drums([(i / 2, 36 + i % 7, 90) for i in range(64)])) == ()
    assert identity.keys(NoteSequence()) == ()


def test_drums_beside_a_melody_and_the_order_of_its_notes_make_no_difference():
    sequence = tune(f"|:{PART_A}:|:{PART_B}:|", "The Teetotaller")
    expected = identity.keys(sequence)
    for note in sequence.notes:
        note.instrument = 1
    beat = sequence.notes.add(pitch=36, start_time=0, end_time=0.1, is_drum=True)
    assert identity.keys(sequence) == expected
    sequence.notes.sort(key=lambda note: (note.pitch, note.start_time))
    assert sequence.notes[0] == beat and identity.keys(sequence) == expected


@pytest.mark.parametrize("tempos", [(120, 120), (120, 90), (75, 120)])
def test_versions_with_another_opening_and_a_change_of_tempo_are_one_tune(tempos):
    """Sixty tunes in two versions: other first bars, the one with a change of tempo after them."""
    rng = random.Random(3)

    def bars(count):
        return "|".join("".join(rng.choices("CDEFGABcdefgab", k=8)) for _ in range(count))

    versions = []
    for _ in range(60):
        rest = bars(12)
        before, after = tempos
        versions.append(tune(f"{bars(4)}|{rest}|", key="C", more="Q:1/4=120\n"))
        change = f"[Q:1/4={after}]" if after != before else ""
        versions.append(tune(f"{bars(4)}|{change}{rest}|", key="C", more=f"Q:1/4={before}\n"))
    hashes = [splits.hash_keys(identity.keys(version)) for version in versions]
    counts = np.array([len(some) for some in hashes])
    groups = splits.join(np.concatenate(hashes), counts).groups
    assert len(set(groups.tolist())) == 60
    assert (groups[::2] == groups[1::2]).all()


def test_free_meter_and_a_second_voice_are_no_trouble():
    free = tune(PART_A, meter="none")
    assert melody(free) == melody(tune(PART_A, meter="none", more="Q:1/4=77\n")) != set()
    first = tune(f"V:1\n{PART_A}\nV:2\n{PART_B}")
    assert melody(first) == melody(tune(PART_A))
