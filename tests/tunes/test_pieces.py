"""Keys of pieces of any kind: which files are the same piece, and which only share a little."""

import random

import numpy as np
import pytest

from pipelines.music.note_sequence import NoteSequence
from pipelines.tunes import identity, pieces, splits
from tests.support.pieces import drums, random_tune, tune


def joined(*all_keys):
    """The group of each piece, by its keys."""
    hashes = [splits.hash_keys(keys) for keys in all_keys]
    counts = np.array([len(some) for some in hashes])
    return splits.join(np.concatenate(hashes).astype(np.uint64), counts).groups.tolist()


def together(one, other, stems=("", "")):
    first, second = joined(pieces.keys(one, stems[0]), pieces.keys(other, stems[1]))
    return first == second


def changed(piece, *, seconds=1.0, later=0.0, higher=0, instrument=None, velocity=None):
    """A copy of a piece: in another tempo, later, transposed, on another instrument, softer."""
    copy = NoteSequence.FromString(piece.SerializeToString())
    for note in copy.notes:
        note.start_time = note.start_time * seconds + later
        note.end_time = note.end_time * seconds + later
        note.pitch += 0 if note.is_drum else higher
        note.instrument = note.instrument if instrument is None else instrument
        note.velocity = velocity or note.velocity
    for tempo in copy.tempos:
        tempo.qpm /= seconds
    copy.total_time = copy.total_time * seconds + later
    return copy


def merged(*parts):
    """The notes of several pieces at once, in the tempo of the first."""
    whole = NoteSequence.FromString(parts[0].SerializeToString())
    for part in parts[1:]:
        whole.notes.extend(part.notes)
    return whole


def walk(seed, notes=60, low=60):
    """A melody that goes up and down at random, in eighths."""
    rng = random.Random(seed)
    pitch, found = low + 6, []
    for i in range(notes):
        found.append((pitch, 2 * i, 2))
        pitch = min(max(pitch + rng.choice((-3, -2, -1, 1, 2, 4)), low), low + 20)
    return tune(found)


def beat(seed, steps=64, density=0.7):
    """Drums at random steps of a sixteenth, at 120 quarters a minute."""
    rng = random.Random(seed)
    hits = [
        (step / 8, pitch, rng.randrange(40, 120))
        for step in range(steps)
        for pitch in rng.sample([36, 38, 42, 46, 51], rng.choice((1, 1, 2)))
        if rng.random() < density
    ]
    return drums(hits)


@pytest.mark.parametrize("make", [walk, beat])
def test_a_copy_is_the_same_piece_and_another_piece_is_not(make):
    one = make(0)
    for copy in (
        changed(one, seconds=1.7, velocity=33),
        changed(one, later=2.0),
        changed(one, higher=5),
        changed(one, instrument=3),
    ):
        assert together(one, copy)
    groups = joined(*(pieces.keys(make(seed)) for seed in range(40)))
    assert len(set(groups)) == 40


@pytest.mark.parametrize("make, few", [(walk, 12), (beat, 8), (walk, 3), (beat, 2)])
def test_so_is_a_copy_of_a_short_piece(make, few):
    one = make(0)
    del one.notes[few:]
    for other in (changed(one, seconds=2.0), changed(one, later=0.5)):
        assert set(pieces.keys(one)) & set(pieces.keys(other))
    del one.notes[few - 1 :]
    assert not set(pieces.keys(one)) & set(pieces.keys(changed(other, seconds=0.5)))


def test_two_notes_in_another_key_are_not_the_same_piece():
    assert not together(tune([(60, 0, 4), (62, 4, 4)]), tune([(65, 0, 4), (67, 4, 4)]))
    four = [(60, 0, 4), (62, 4, 4), (64, 8, 4), (60, 12, 4)]
    assert together(tune(four), tune([(pitch + 5, *rest) for pitch, *rest in four]))


def test_a_melody_of_one_voice_has_the_keys_of_a_tune():
    rng = np.random.default_rng(0)
    for _ in range(5):
        piece = random_tune(rng)
        assert set(identity.keys(piece)) <= set(pieces.keys(piece))


def test_a_melody_is_found_again_in_any_voice():
    theme = walk(0, 80)
    basses = [changed(walk(seed, 80, low=30), instrument=0) for seed in (1, 2)]
    arranged = [merged(bass, changed(theme, instrument=4)) for bass in basses]
    assert together(theme, arranged[0]) and together(*arranged)
    assert not together(*basses)
    # 54 intervals in common are enough, 30 in a voice other than the first are not.
    for notes, expected in ((55, True), (31, False)):
        part = walk(3, 90)
        for own, note in zip(part.notes, theme.notes[:notes]):
            own.pitch = note.pitch + 2
        assert (
            together(arranged[0], merged(walk(5, 90, 30), changed(part, instrument=1))) == expected
        )


def test_the_drums_of_songs_do_not_make_them_one():
    part = beat(0)
    songs = [merged(walk(seed), part) for seed in (1, 2)]
    assert not together(*songs)
    assert together(*(merged(walk(1), beat(seed)) for seed in (0, 1)))


@pytest.mark.parametrize("common, expected", [(30, True), (23, False)])
def test_drum_parts_with_30_onsets_in_common_are_one(common, expected):
    rng = random.Random(0)
    theme, *others = ([rng.sample(range(36, 52), 2) for _ in range(40)] for _ in range(5))
    for first, second in ([others[:2], others[2:]], [[[], others[0]], [others[1], []]]):
        one, other = (
            drums(
                [
                    (step / 8, pitch, 90)
                    for step, pitches in enumerate([*before, *theme[:common], *after])
                    for pitch in pitches
                ]
            )
            for before, after in (first, second)
        )
        assert together(one, other) is expected


def test_one_bar_that_is_played_over_and_over_is_no_passage():
    bar = [(step, 42) for step in range(8)] + [(0, 36), (4, 36), (2, 38), (6, 38)]
    played = [(bars * 2 + step / 4, pitch, 90) for bars in range(16) for step, pitch in bar]
    ending = [[(32 + step / 8, pitch, 90) for step in range(n)] for n, pitch in ((5, 41), (7, 45))]
    assert not together(drums(played + ending[0]), drums(played + ending[1]))


def test_names_of_several_words_are_titles():
    one, other = walk(0), walk(1)
    assert together(one, other, ("Dancing_Queen", "dancing queen"))
    assert not together(one, other, ("intro", "intro"))
    assert not together(one, other, ("12", "12"))
    assert not together(one, other, ("Rock Beat 1", "Rock Beat 2"))
    assert together(beat(0), beat(1), ("1_rock-prog_80_beat", "1_rock-prog_80_beat"))
    # As everywhere, a title of many melodies joins none.
    assert len(set(joined(*(pieces.keys(walk(seed), "Rock Ballad 1") for seed in range(6))))) == 6


def test_a_table_may_give_titles_of_drums():
    one, other = beat(0), beat(1)
    for piece in (one, other):
        piece.sequence_metadata.title = "Rosanna Shuffle"
    assert together(one, other)


@pytest.mark.parametrize(
    "names, groups",
    [
        (["a/song.mid", "a/song.musicxml", "b/song.mid"], [2, 1]),
        (["song.mid", "song (1).mid", "Song (2).MID", "song copy.mid", "other.mid"], [4, 1]),
        (["beat (1).mid", "beat (2).mid", "beat (3).mid"], [1, 1, 1]),
        (["song_v2.mid", "song - version 3.mid", "song.mid", "song (take 2).mid"], [4]),
        (["song_take1.mid", "song take 02.mid", "song_tk3.mid"], [3]),
        (
            ["x/take 1.mid", "x/take 2.mid", "y/take 1.mid", "take 1.mid", "take 2.mid"],
            [2, 1, 1, 1],
        ),
        (["beat-1.mid", "beat-2.mid", "beat 3.mid", "beat4.mid"], [1, 1, 1, 1]),
        (["bwv 846.mid", "bwv 847.mid", "octave 2.mid", "octave 3.mid"], [1, 1, 1, 1]),
        (["copy.mid", "alt.mid", ".mid", "v1.mid", "v2.mid"], [1, 1, 1, 1, 1]),
        (["song copy copy 2.mid", "song.mid"], [2]),
        (["e\u0301tude.mid", "\u00e9tude v2.mid"], [2]),
    ],
)
def test_versions_by_the_names_of_files(names, groups):
    found = pieces.versions(names)
    assert pieces.versions(names[::-1]) == found
    sizes = {}
    for name in names:
        key = found.get(name, name)
        sizes[key] = sizes.get(key, 0) + 1
    assert sorted(sizes.values(), reverse=True) == groups


def test_a_group_of_a_table_is_one_whatever_its_case():
    assert pieces.group_key("Café") == pieces.group_key("CAFE\u0301") != pieces.group_key("Cafe")


def test_the_kinds_of_keys_differ_in_their_first_letters():
    kinds = (pieces.DRUMS, pieces.NOTES, pieces.VERSIONS, pieces.GROUP, splits._ALIKE)
    kinds += (identity.TITLE, identity.MELODY, identity.RUN, identity.PHRASE)
    assert len({kind[0] for kind in kinds}) == len(kinds)


def test_a_piece_without_notes_has_no_keys():
    assert pieces.keys(NoteSequence()) == ()
