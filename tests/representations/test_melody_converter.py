"""Melody NoteSequences to windows of events and back."""

import note_seq
import numpy as np
import pytest
from magenta.models.music_vae import data
from note_seq.protobuf import music_pb2

import configs
from pipelines.media import pieces
from pipelines.representations.melody_converter import (
    FIRST_PITCH,
    NO_EVENT,
    NOTE_OFF,
    MelodyConverter,
)
from tests.support.datasets import run_dataset, training_dataset, write
from tests.support.pieces import random_tune, scale, tune

REEL, JIG, WALTZ, POLKA, SLIPJIG = ((4, 4), (2, 2)), ((6, 8),), ((3, 4),), ((2, 4),), ((9, 8),)
BAR_STEPS = {REEL: 16, JIG: 12, WALTZ: 12, POLKA: 8, SLIPJIG: 18}


def converter(mode="eval", meters=REEL, bars=1, **kwargs):
    made = MelodyConverter(meters, bars, **kwargs)
    made.set_mode(mode)
    return made


def events(windows):
    return [np.argmax(window, axis=-1).tolist() for window in windows]


def on(*pitches):
    return [pitch - 55 + FIRST_PITCH for pitch in pitches]


@pytest.mark.parametrize("bars", [1, 4])
@pytest.mark.parametrize("seed", range(12))
def test_equals_magenta_where_magenta_is_defined(seed, bars):
    """It is defined for one voice in 4/4, in range, with a note in its first bar.

    Magenta keeps silent windows.
    """
    piece = random_tune(np.random.default_rng(seed))
    stock = data.OneHotMelodyConverter(
        min_pitch=55,
        max_pitch=100,
        skip_polyphony=True,
        slice_bars=bars,
        gap_bars=None,
        max_tensors_per_notesequence=None,
        dedupe_event_lists=False,
    )
    stock.set_mode("eval")
    expected = [window for window in stock.to_tensors(piece).inputs if window[:, 2:].any()]
    made = converter(bars=bars).to_tensors(piece)
    assert made.inputs[0].shape == (16 * bars, 48)
    np.testing.assert_array_equal(made.inputs, expected)
    np.testing.assert_array_equal(made.outputs, expected)


def test_a_bar_by_hand():
    # A crotchet G3, a rest of a quaver, a minim E7 and a quaver's rest, which ends the bar.
    [window] = converter().to_tensors(tune([(55, 0, 4), (100, 6, 8)])).inputs
    assert window.dtype == bool and (window.sum(axis=1) == 1).all()
    expected = [NO_EVENT] * 16
    expected[0], expected[4], expected[6], expected[14] = 2, NOTE_OFF, 47, NOTE_OFF
    assert events([window]) == [expected]


def test_a_triplet_of_quavers_by_hand():
    # Three in the time of two, 4 steps: they begin at 0, 4/3 and 8/3, the nearest steps 0, 1, 3.
    piece = tune([(60, 0, 4 / 3), (62, 4 / 3, 4 / 3), (64, 8 / 3, 4 / 3), (65, 4, 12)])
    made = converter()
    [window] = events(made.to_tensors(piece).inputs)
    c, d, e, f = on(60, 62, 64, 65)
    assert window[:5] == [c, d, 0, e, f]
    assert made.counts["merged"] == 0


def test_notes_on_one_step_are_merged_and_counted():
    # Three in the time of two sixteenths begin at 0, 2/3 and 4/3: the second and the third are both
    # nearest to step 1, and equally long: the first of them stays.
    piece = tune([(60, 0, 2 / 3), (62, 2 / 3, 2 / 3), (64, 4 / 3, 2 / 3), (65, 4, 12)])
    made = converter()
    [window] = events(made.to_tensors(piece).inputs)
    assert window[:5] == [*on(60, 62), NOTE_OFF, 0, *on(65)]
    assert made.counts["merged"] == 1
    # A short note before a long one gives way to it.
    made = converter()
    [window] = events(made.to_tensors(tune([(60, 0, 0.25), (67, 0.25, 3.75)])).inputs)
    assert window[:5] == [*on(67), 0, 0, 0, NOTE_OFF]
    assert made.counts["merged"] == 1


def test_a_note_between_two_steps_goes_up_at_any_tempo():
    # A note that begins half a step late must not depend on the rounding of any tempo.
    for qpm in range(40, 300):
        piece = tune([(60, 0, 2.5), (62, 2.5, 13.5)], qpm=float(qpm))
        [window] = events(converter().to_tensors(piece).inputs)
        assert window[:4] == [*on(60), 0, 0, *on(62)]


@pytest.mark.parametrize("meters, steps", BAR_STEPS.items())
def test_bars_of_each_meter(meters, steps):
    made = converter(meters=meters, bars=2)
    assert made.window_steps == 2 * steps
    for meter in meters:
        # Five bars have four windows of two.
        tensors = made.to_tensors(scale(5 * steps, meter=meter))
        assert [window.shape for window in tensors.inputs] == [(2 * steps, 48)] * 4
        assert tensors.lengths == [2 * steps] * 4


@pytest.mark.parametrize("meters", BAR_STEPS)
@pytest.mark.parametrize("meter", [(4, 4), (2, 2), (6, 8), (3, 4), (2, 4), (9, 8), (12, 8), (4, 0)])
def test_the_meter_filter_is_exact(meters, meter):
    made = converter(meters=meters)
    piece = scale(72, meter=meter)
    if meter in meters:
        assert made.explain(piece) is None
    else:
        assert made.explain(piece).startswith(f"wrong meter: {meter[0]}/{meter[1]}; needs ")
        assert not made.to_tensors(piece).inputs


def test_bars_of_different_lengths_are_no_config():
    with pytest.raises(ValueError, match="same number of sixteenths"):
        MelodyConverter(((4, 4), (3, 4)), 2)
    with pytest.raises(ValueError, match="same number of sixteenths"):
        MelodyConverter(((5, 32),), 2)


def test_no_meter_is_none_but_in_midi():
    piece = scale(32, meter=None)
    assert converter().explain(piece).startswith("wrong meter: none")
    piece.source_info.encoding_type = music_pb2.NoteSequence.SourceInfo.MIDI
    assert converter().explain(piece) is None
    assert converter(meters=JIG).explain(piece).startswith("wrong meter: 4/4")
    # What comes before a tunebook's first time signature is in free meter, and on no grid.
    later = scale(32, meter=None)
    later.time_signatures.add(numerator=4, denominator=4, time=2.0)
    assert converter().explain(later).startswith("wrong meter: it changes")
    # What comes before MIDI's first time signature is in 4/4 too.
    piece.time_signatures.add(numerator=3, denominator=4, time=2.0)
    assert converter().explain(piece).startswith("wrong meter: it changes")


def test_meters_may_change_among_the_converters():
    piece = scale(64, meter=(4, 4))
    piece.time_signatures.add(numerator=4, denominator=4, time=1.0)
    piece.time_signatures.add(numerator=2, denominator=2, time=2.0)
    assert converter().explain(piece) is None
    piece.time_signatures.add(numerator=6, denominator=8, time=4.0)
    assert converter().explain(piece).startswith("wrong meter: it changes")


def test_times_go_through_the_tempo_map():
    # A bar of crotchets at 120, two seconds, then one at 60, four seconds.
    piece = tune([(60 + i, 4 * i, 4) for i in range(4)])
    piece.tempos.add(qpm=60, time=2.0)
    for i in range(4):
        piece.notes.add(pitch=70 + i, velocity=90, start_time=2 + i, end_time=3 + i)
    rest = [0, 0, 0]
    assert events(converter().to_tensors(piece).inputs) == [
        [event for pitch in range(low, low + 4) for event in (*on(pitch), *rest)]
        for low in (60, 70)
    ]


def test_without_a_tempo_it_is_120():
    piece = tune([(60, 0, 4), (62, 4, 12)])
    expected = converter().to_tensors(piece).inputs
    del piece.tempos[:]
    np.testing.assert_array_equal(converter().to_tensors(piece).inputs, expected)


def test_a_pickup_has_a_bar_of_its_own():
    # A quaver before the first full bar, led in by 14 sixteenths of rest.
    first, second = events(converter().to_tensors(tune([(62, 14, 2), (67, 16, 16)])).inputs)
    assert first == [0] * 14 + [*on(62), 0]
    assert second == [*on(67)] + [0] * 15


@pytest.mark.parametrize("bars, windows", [(15, 0), (16, 1), (17, 2), (32, 17), (200, 185)])
def test_windows_hop_one_bar_and_none_is_capped(bars, windows):
    made = converter("train", bars=16)
    piece = scale(16 * bars)
    assert len(made.to_tensors(piece).inputs) == windows
    assert made.explain(piece) == (None if windows else "too short: under 16 bars")


def test_a_last_bar_that_is_not_full_is_a_bar():
    assert converter(bars=2).explain(tune([(60, 0, 4), (62, 16, 1)])) is None
    assert converter(bars=2).explain(tune([(60, 0, 17)])) is None
    assert converter(bars=2).explain(tune([(60, 0, 16)])) == "too short: under 2 bars"


def test_repeated_windows_are_kept():
    bar = [(60, 0, 8), (62, 8, 8)]
    piece = tune([(p, start + 16 * i, n) for i in range(4) for p, start, n in bar])
    first, *others = events(converter().to_tensors(piece).inputs)
    assert others == [first] * 3


def test_a_silent_bar_splits_nothing_and_is_no_window():
    piece = tune([(60, 0, 16), (62, 80, 16)])  # Bars 2 to 5 are silent.
    made = converter(bars=2)
    first, last = events(made.to_tensors(piece).inputs)
    assert first == [*on(60)] + [0] * 15 + [NOTE_OFF] + [0] * 15
    # At the start of a window no note sounds that could end.
    assert last == [0] * 16 + [*on(62)] + [0] * 15
    assert made.counts["silent_windows"] == 3


def test_a_note_that_began_before_a_window_is_not_in_it():
    piece = tune([(60, 0, 20), (62, 24, 8)])
    _, second = events(converter().to_tensors(piece).inputs)
    # The end of the first note, at its step 4, is left out: nothing has begun.
    assert second == [0] * 8 + [*on(62)] + [0] * 7


@pytest.mark.parametrize("bars, windows", [(1, 1), (4, 1), (5, 2), (9, 3)])
def test_inferring_leaves_no_bar_out(bars, windows):
    piece = scale(16 * bars, length=4)
    made = converter("infer", bars=4)
    tensors = made.to_tensors(piece)
    assert [window.shape for window in tensors.inputs] == [(64, 48)] * windows
    flat = [event for window in events(tensors.inputs) for event in window]
    assert sum(event >= FIRST_PITCH for event in flat) == 4 * bars
    # The last note ends where the padding begins.
    assert flat[16 * bars :] == ([NOTE_OFF] + [0] * (16 * -(bars % -4) - 1) if bars % 4 else [])
    assert made.explain(piece) is None


def test_inferring_keeps_silent_windows_in_their_places():
    piece = tune([(60, 0, 16), (62, 32, 16)])
    assert [window[:, 2:].any() for window in converter("infer").to_tensors(piece).inputs] == [
        True,
        False,
        True,
    ]


@pytest.mark.parametrize(
    "notes, polyphonic",
    [
        ([(60, 0, 16), (64, 0, 16)], True),
        ([(60, 0, 16), (64, 4, 1)], True),
        ([(60, 0, 16), (62, 2, 2), (64, 8, 8)], True),
        # The second of these is over before the third, which the first still sounds with.
        ([(60, 0, 12), (62, 12, 2), (64, 11, 4)], True),
        # Two notes of a sixty-fourth at once, much less than a step.
        ([(60, 0, 0.25), (64, 0, 0.25), (65, 1, 15)], True),
        ([(60, 0, 4), (64, 4, 12)], False),
        # Legato: the first ends a third of a step after the second has begun.
        ([(60, 0, 4 + 1 / 3), (64, 4, 12)], False),
        ([(60, 0, 4.75), (64, 4, 12)], True),
    ],
)
def test_polyphony(notes, polyphonic):
    for order in (notes, notes[::-1]):
        made = converter()
        assert made.explain(tune(order)) == ("polyphony" if polyphonic else None)
        assert bool(made.to_tensors(tune(order)).inputs) != polyphonic


def test_the_melody_is_the_first_voice():
    piece = tune([(60, 0, 16)], instrument=3, program=40)
    for pitch in (48, 52):  # A second voice, out of range and polyphonic.
        piece.notes.add(pitch=pitch, velocity=90, start_time=0, end_time=2, instrument=5)
    piece.notes.add(pitch=36, velocity=90, start_time=0, end_time=2, is_drum=True)
    made = converter()
    assert events(made.to_tensors(piece).inputs) == [[*on(60)] + [0] * 15]
    assert dict(made.counts) == {"merged": 0, "in_other_voices": 2, "silent_windows": 0}


@pytest.mark.parametrize("program", [0, 21, 40, 73, 105, 127])
def test_no_instrument_is_left_out_by_its_program(program):
    assert converter().to_tensors(tune([(60, 0, 16)], program=program)).inputs


def test_every_pitch_of_the_range_and_no_other():
    for pitch in range(128):
        reason = converter().explain(tune([(60, 0, 4), (pitch, 4, 12)]))
        if 55 <= pitch <= 100:
            assert reason is None
        else:
            assert reason == "out of range: a note below 55 or above 100"
    assert converter(min_pitch=40, max_pitch=41).explain(tune([(41, 0, 16)])) is None


def broken(**fields):
    piece = tune([(60, 0, 16)])
    for name, value in fields.items():
        setattr(piece.notes[0], name, value)
    return piece


@pytest.mark.parametrize(
    "piece, reason",
    [
        (tune([]), "no notes"),
        (tune([(38, 0, 1)], is_drum=True), "no notes"),
        (broken(start_time=-1.0), "broken times: a note before the start"),
        (broken(end_time=float("nan")), "broken times: a note before the start"),
        (broken(end_time=1e12), "too long: over 10000 bars"),
        # A bar of 4/4 lasts two seconds.
        (broken(end_time=20_000.125), "too long: over 10000 bars"),
        (tune([(60, 0, 16)], qpm=-60.0), "broken times"),
    ],
)
def test_says_why_there_is_no_example(piece, reason):
    made = converter()
    assert made.explain(piece).startswith(reason)
    assert not made.to_tensors(piece).inputs


def test_a_tune_of_10000_bars_is_not_too_long():
    assert converter().explain(broken(end_time=20_000.0)) is None


class HParams:
    def __init__(self, rhythm):
        self.rhythm = rhythm


@pytest.mark.parametrize(
    "wanted, genre, taken",
    [
        ("", [], True),
        ("reel", ["reel"], True),
        ("reel", ["Scottish Reels"], True),
        ("Reel", ["reel"], True),
        ("reel", ["hornpipe"], False),
        ("reel", [], False),
        ("reel", ["unreeled"], False),
        ("reel", ["Strathspey/Reel"], True),
        ("reel", ["(reel)"], True),
        ("reel+hornpipe", ["Hornpipe"], True),
        ("reel + hornpipe", ["Hornpipe"], True),
        ("slip jig", ["Slip Jig"], True),
        ("slip jig", ["jig"], False),
        # An empty rhythm after a "+" matches no tune.
        ("reel+", ["hornpipe"], False),
        ("+", [], True),
    ],
)
def test_the_rhythm_header_is_an_optional_filter(wanted, genre, taken):
    piece = tune([(60, 0, 16)])
    piece.sequence_metadata.genre.extend(genre)
    made = converter(hparams=HParams(wanted))
    assert bool(made.to_tensors(piece).inputs) == taken
    assert taken or made.explain(piece).startswith("filtered by rhythm: ")
    # A MIDI file to reconstruct has no such header.
    assert converter("infer", hparams=HParams(wanted)).to_tensors(piece).inputs


@pytest.mark.slow
def test_transpositions_are_uniform_among_those_in_range():
    # From 57 to 98 there is room for 2 down and 2 up; from 60 to 72 for all twelve.
    for low, high, expected in ((57, 98, range(-2, 3)), (60, 72, range(-5, 7))):
        piece = tune([(low, 0, 8), (high, 8, 4)])
        made = converter("train", transpose=(-5, 6))
        draws = 400 * len(expected)
        np.random.seed(0)
        shifts = []
        for _ in range(draws):
            [window] = events(made.to_tensors(piece).inputs)
            first, second = window[0], window[8]
            assert second - first == high - low
            assert window == [first] + [0] * 7 + [second] + [0] * 3 + [NOTE_OFF] + [0] * 3
            shifts.append(first - on(low)[0])
        values, counts = np.unique(shifts, return_counts=True)
        assert values.tolist() == list(expected)
        # Four standard deviations of a binomial about its mean, 400.
        assert np.abs(counts - 400).max() < 4 * np.sqrt(400)


def test_each_window_has_its_own_transposition_and_only_in_training():
    np.random.seed(1)
    piece = tune([(70, 16 * bar, 16) for bar in range(40)])
    made = converter("train", transpose=(-5, 6))
    assert len({window[0] for window in events(made.to_tensors(piece).inputs)}) > 6
    for mode in ("eval", "infer"):
        made.set_mode(mode)
        assert {window[0] for window in events(made.to_tensors(piece).inputs)} == set(on(70))


@pytest.mark.parametrize("meters", BAR_STEPS)
@pytest.mark.parametrize("seed", range(4))
def test_round_trip_through_midi(meters, seed, tmp_path):
    """Windows, written as MIDI and read by note_seq, are the same windows."""
    rng = np.random.default_rng(seed)
    made = converter("infer", meters=meters, bars=4)
    window = made.to_tensors(random_tune(rng, meters[0], made.window_steps - 10)).inputs[0]
    [sequence] = made.from_tensors([window.astype(np.float32)])
    assert sequence.total_time == pytest.approx(4 * BAR_STEPS[meters] / 8)  # 120: 8 steps a second.
    assert {note.program for note in sequence.notes} == {40}
    path = str(tmp_path / "a.mid")
    pieces.write(pieces.at_tempo(sequence, 95.0), path, draw=False)
    again = made.to_tensors(note_seq.midi_file_to_note_sequence(path)).inputs
    np.testing.assert_array_equal(again[0], window)


def test_what_is_decoded_by_hand():
    # Nothing can end before it began; a note lasts to the next event or to the end.
    window = np.eye(48)[[NOTE_OFF, 0, *on(60), 0, *on(60), NOTE_OFF, NOTE_OFF, *on(64)]]
    [sequence] = converter(meters=POLKA).from_tensors([window])
    assert [(n.pitch, n.start_time, n.end_time) for n in sequence.notes] == [
        (60, 0.25, 0.5),
        (60, 0.5, 0.625),
        (64, 0.875, 1.0),
    ]
    [meter] = sequence.time_signatures
    assert (meter.numerator, meter.denominator) == (2, 4)
    assert sequence.tempos[0].qpm == 120


@pytest.mark.parametrize("cache, fresh", [(False, True), (True, False)])
def test_transpositions_are_fresh_each_epoch_unless_cached(cache, fresh, tmp_path):
    config = configs.get("flat-reel_2bar")
    config.hparams.batch_size = 1
    path = write(tmp_path / "a.tfrecord", [tune([(56, 0, 8), (70, 16, 16)])])

    def first_notes(seed):
        epochs = run_dataset(lambda: training_dataset(config, path, seed=seed, cache=cache), 12)
        return [batch[1][0].argmax(axis=-1)[0] for batch in epochs]

    notes = first_notes(0)
    assert (len(set(notes)) > 1) == fresh
    assert notes == first_notes(0)
    # G#3 can go down by one and up by six.
    assert set(notes) <= {event + shift for event in on(56) for shift in range(-1, 7)}
