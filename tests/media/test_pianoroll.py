"""Pictures, read back by Pillow, against pixels that were worked out by hand.

At four bars of 4/4 a system, a quarter note is 80 pixels wide, and bar 1 starts at x = 120. The
nine drum rows are 18 pixels high and start at y = 64 + 22 = 86, crash first and kick last; a system
takes 22 + 162 + 16 = 200 pixels.
"""

import random
import warnings

import numpy as np
import pytest
from note_seq.protobuf import music_pb2
from PIL import Image

from pipelines.media import pianoroll
from pipelines.music.timing import TempoMap

KICK, SNARE, TOM, HAT, CYMBAL = "#b23a48", "#d1702a", "#7d5ba6", "#2a8c82", "#3b6ea8"


def drums(*hits, qpm=120.0, meter=(4, 4)):
    """A sequence of (pitch, quarter, velocity) hits."""
    sequence = music_pb2.NoteSequence()
    sequence.tempos.add(qpm=qpm)
    sequence.time_signatures.add(numerator=meter[0], denominator=meter[1])
    for pitch, quarter, velocity in hits:
        start = quarter * 60 / qpm
        sequence.notes.add(
            pitch=pitch,
            velocity=velocity,
            start_time=start,
            end_time=start + 0.1,
            is_drum=True,
            instrument=9,
        )
    sequence.total_time = max((note.end_time for note in sequence.notes), default=0.0)
    return sequence


def pixels(sequence, tmp_path, title="x.mid"):
    pianoroll.draw(sequence, tmp_path / "roll.png", title)
    with Image.open(tmp_path / "roll.png") as image:
        image.load()
        assert image.format == "PNG"
        return np.asarray(image.convert("RGB")).astype(int)


def area(image, colour):
    """Left, top, right, bottom (the last two exclusive) and count of a colour's pixels."""
    wanted = [int(colour[at : at + 2], 16) for at in (1, 3, 5)]
    ys, xs = np.nonzero((np.abs(image - wanted) <= 1).all(axis=-1))
    if not len(xs):
        return None
    return xs.min(), ys.min(), xs.max() + 1, ys.max() + 1, len(xs)


@pytest.mark.parametrize(
    "pitch, quarter, colour, row",
    [
        (36, 0, KICK, 8),
        (38, 2, SNARE, 7),
        (43, 1.5, TOM, 6),
        (50, 5, TOM, 4),
        (42, 3.5, HAT, 3),
        (26, 15.75, HAT, 2),
        (59, 7, CYMBAL, 1),
        (55, 8, CYMBAL, 0),
    ],
)
def test_a_loud_hit_fills_its_row_from_where_it_starts(tmp_path, pitch, quarter, colour, row):
    image = pixels(drums((pitch, quarter, 127)), tmp_path)
    left, top = 120 + 80 * quarter, 86 + 18 * row + 1
    assert area(image, colour) == (left, top, left + 9, top + 16, 9 * 16)


def test_time_is_in_beats_of_the_own_tempo_and_its_changes(tmp_path):
    # One quarter at 60 takes a second; then, at 180, the next second holds three.
    sequence = drums((36, 0, 1), qpm=60)
    sequence.tempos.add(time=1.0, qpm=180)
    sequence.notes.add(pitch=38, velocity=127, start_time=2.0, end_time=2.1, is_drum=True)
    left, *_ = area(pixels(sequence, tmp_path), SNARE)
    assert left == 120 + 80 * 4


def test_a_soft_hit_is_lower_and_paler(tmp_path):
    image = pixels(drums((36, 1, 0)), tmp_path)
    # Full height is 16; silence leaves 30% of it, 4.8 pixels, ending at the row's last but one.
    shown = image[86 + 18 * 8 + 1 : 86 + 18 * 9 - 1, 204]
    paper = shown[0]
    marked = np.flatnonzero((np.abs(shown - paper) > 8).any(axis=-1))
    assert list(marked) in ([12, 13, 14, 15], [11, 12, 13, 14, 15])
    # 30% of #b23a48 and 70% of white: 255 - 0.3 * (255 - 178) = 231.9, and so on.
    assert np.abs(shown[14] - [231.9, 195.9, 200.1]).max() <= 1


def test_five_bars_take_two_systems_and_an_early_downbeat_is_drawn_with_its_bar(tmp_path):
    on_time = pixels(drums((38, 0, 1), (36, 16, 127)), tmp_path)
    assert area(on_time, KICK) == (120, 200 + 86 + 145, 129, 200 + 86 + 161, 144)
    early = pixels(drums((38, 17, 1), (36, 15.9, 127)), tmp_path)
    assert area(early, KICK)[:2] == (112, 200 + 86 + 145)
    late = pixels(drums((38, 17, 1), (36, 15.75, 127)), tmp_path)
    assert area(late, KICK)[:2] == (120 + 80 * 15.75, 86 + 145)


def test_three_four_has_wider_quarters(tmp_path):
    # Four bars of three quarters in 1280 pixels: 106.67 a quarter; the second bar starts at 440.
    image = pixels(drums((36, 3, 127), (38, 11, 1), meter=(3, 4)), tmp_path)
    assert area(image, KICK)[0] == 440


def test_every_hit_has_its_mark(tmp_path):
    chance = random.Random(7)
    steps = chance.sample(range(64), 20)
    image = pixels(drums(*((36, step / 4, 127) for step in steps)), tmp_path)
    assert area(image, KICK)[-1] == 20 * 9 * 16
    lit = np.abs(image[86 + 18 * 8 + 9] - [0xB2, 0x3A, 0x48]).max(axis=-1) <= 1
    starts = np.flatnonzero(lit[1:] & ~lit[:-1]) + 1
    assert sorted((starts - 120) // 20) == sorted(steps)


def test_a_melody_is_drawn_by_pitch_and_length(tmp_path):
    sequence = drums()
    sequence.notes.add(pitch=60, velocity=127, start_time=0.5, end_time=1.0)
    sequence.notes.add(pitch=64, velocity=127, start_time=1.0, end_time=2.0, instrument=1)
    image = pixels(sequence, tmp_path)
    # Rows of 10 pixels from F4 at the top down to B3: E4 is the second, C4 the sixth. A pixel is
    # left free at the end of each note and above and below it.
    assert area(image, KICK) == (280, 97, 439, 105, 159 * 8)
    assert area(image, CYMBAL) == (200, 137, 279, 145, 79 * 8)


def test_a_note_that_sounds_on_is_drawn_in_both_systems(tmp_path):
    sequence = drums()
    sequence.notes.add(pitch=60, velocity=127, start_time=7.5, end_time=9.0)
    image = pixels(sequence, tmp_path)
    height = 22 + 30 + 16
    first, second = image[: 86 + height - 22], image[86 + height - 22 :]
    assert area(first, CYMBAL)[:3:2] == (120 + 80 * 15, 120 + 80 * 16 - 1)
    assert area(second, CYMBAL)[:3:2] == (120, 120 + 80 * 2 - 1)


def test_percussion_without_a_row_is_shown_as_other(tmp_path):
    image = pixels(drums((56, 0, 127), (37, 1, 127)), tmp_path)
    assert image.shape[0] == 64 + 22 + 11 * 18 + 16 + 16
    assert tuple(image[86 + 18 * 10 + 9, 124]) == (0x6B, 0x72, 0x80)
    assert tuple(image[86 + 18 * 8 + 9, 204]) == (0xD1, 0x70, 0x2A)


def test_the_same_picture_has_the_same_bytes_and_names_no_software(tmp_path):
    sequence = drums((36, 0, 100), (38, 1, 90), (42, 0.5, 30))
    shuffled = music_pb2.NoteSequence()
    shuffled.CopyFrom(sequence)
    del shuffled.notes[:]
    shuffled.notes.extend(reversed(sequence.notes))
    for name, each in (("a", sequence), ("b", sequence), ("c", shuffled)):
        pianoroll.draw(each, tmp_path / name, "groove.mid")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert (tmp_path / "a").read_bytes() == (tmp_path / "c").read_bytes()
    with Image.open(tmp_path / "a") as image:
        assert not {"Software", "Creation Time", "date"} & set(image.info)
    pianoroll.draw(drums((36, 0, 101)), tmp_path / "b", "groove.mid")
    assert (tmp_path / "a").read_bytes() != (tmp_path / "b").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b", "c"]


def test_nothing_at_all_is_an_empty_bar(tmp_path):
    image = pixels(music_pb2.NoteSequence(), tmp_path, "")
    assert image.shape[:2] == (64 + 22 + 9 * 18 + 16 + 16, 600)
    assert all(area(image, colour) is None for colour in (KICK, SNARE, TOM, HAT, CYMBAL))


@pytest.mark.slow
@pytest.mark.parametrize("meter", [(4, 4), (7, 8), (255, 1), (1, 64)])
def test_a_long_piece_has_a_bounded_picture(tmp_path, meter):
    image = pixels(drums((36, 0, 100), (38, 4_000_000, 100), meter=meter), tmp_path)
    assert image.shape[0] <= 64 + 12 * 200 + 16 and image.shape[1] <= 1424


def test_bars_are_counted_beyond_what_is_drawn():
    quarters = TempoMap([])
    bars, count = pianoroll.bars_until(4 * 1000 - 0.5, [], quarters)
    assert (len(bars), count) == (96, 1000)
    assert pianoroll.bars_until(16.0, [], quarters)[1] == 4
    assert pianoroll.bars_until(16.01, [], quarters)[1] == 5


def test_the_meter_may_change():
    sequence = drums(meter=(3, 4))
    # Three seconds at 120 are six quarters: two bars of 3/4, and 6/8 from then on.
    sequence.time_signatures.add(time=3.0, numerator=6, denominator=8)
    bars, _ = pianoroll.bars_until(11, sequence.time_signatures, TempoMap(sequence.tempos))
    assert [(bar.start, bar.length, bar.beat) for bar in bars] == [
        (0, 3, 1),
        (3, 3, 1),
        (6, 3, 0.5),
        (9, 3, 0.5),
    ]


def test_any_title_is_drawn_as_it_stands(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plain = pixels(drums((36, 0, 100)), tmp_path, "a")
        odd = pixels(drums((36, 0, 100)), tmp_path, "$\\frac{$ 漢字\n \x00" + "é" * 500)
    assert (plain[100:] == odd[100:]).all() and (plain[:40] != odd[:40]).any()


NAME = "flat-groove_4bar_interpolate_one-beat_another-beat_seed1804289383_000-of-005.mid"


@pytest.mark.parametrize("title, bars", [(NAME, 1), (NAME, 4), ("W" * 500, 1), ("i" * 150, 4)])
def test_a_long_title_stays_inside_of_the_picture(tmp_path, title, bars):
    image = pixels(drums((36, 0, 100), (36, 4 * bars - 1, 100)), tmp_path, title)
    inked = np.nonzero((image[:64] < 200).any(axis=(0, 2)))[0]
    assert inked.min() >= 120 and inked.max() < image.shape[1] - 20


def test_a_title_is_made_smaller_before_its_middle_is_left_out():
    assert pianoroll._fitting("groove.mid", 1280, (15, 8), "bold") == ("groove.mid", 15)
    text, size = pianoroll._fitting(NAME, 1000, (15, 8), "bold")
    assert text == NAME and 8 <= size < 15
    text, size = pianoroll._fitting(NAME, 300, (15, 8), "bold")
    begin, end = text.split("…")
    assert size == 8 and NAME.startswith(begin) and NAME.endswith(end)
    assert len(begin) - len(end) in (0, 1) and len(end) > 10
    # No picture is so narrow, but nothing breaks there.
    assert pianoroll._fitting(NAME, 1, (15, 8)) == ("…", 8)
