"""Drum NoteSequences to windows and back."""

import note_seq
import numpy as np
import pytest
from magenta.models.music_vae import data

from models.groove_converter import CLASS_NAMES, GrooveConverter, NoExamplesError
from pipelines import music
from tests.trained import drums

KICK, SNARE, CLOSED, OPEN = 36, 38, 42, 46


def converter(mode="train", **kwargs):
    made = GrooveConverter(**{"split_bars": 4, **kwargs})
    made.set_mode(mode)
    return made


def random_drums(rng, seconds=14.0):
    pitches = [p for pitches in data.ROLAND_DRUM_PITCH_CLASSES for p in pitches]
    hits = [
        (rng.uniform(0, seconds), int(rng.choice(pitches)), int(rng.integers(1, 128)))
        for _ in range(rng.integers(1, 200))
    ]
    return drums(hits, qpm=float(rng.integers(50, 250)))


@pytest.mark.parametrize("seed", range(25))
def test_equals_magenta_where_magenta_is_defined(seed):
    piece = random_drums(np.random.default_rng(seed))
    stock = data.GrooveConverter(
        split_bars=4,
        hop_size=16,
        max_tensors_per_notesequence=None,
        pitch_classes=data.ROLAND_DRUM_PITCH_CLASSES,
    )
    stock.set_mode("train")
    expected, made = stock.to_tensors(piece), converter().to_tensors(piece)
    assert len(made.outputs) == len(expected.outputs)
    np.testing.assert_allclose(made.outputs, expected.outputs, atol=1e-6)
    np.testing.assert_allclose(made.inputs, expected.inputs, atol=1e-6)


def test_a_hit_by_hand():
    # 120 qpm: a step is 0.125 s. 0.26 s is 0.01 s late on step 2, so the offset is
    # (0.25 - 0.26) / 0.125 = -0.08 steps, -0.16 in halves.
    grid = converter(split_bars=1).grid(drums([(0.26, SNARE, 127)]))
    snare = CLASS_NAMES.index("snare")
    assert grid.shape == (16, 27)
    assert grid[2, snare] == 1 and grid[:, :9].sum() == 1
    assert grid[2, 9 + snare] == pytest.approx(1.0)
    assert grid[2, 18 + snare] == pytest.approx(-0.16)


def test_the_loudest_of_a_cell_counts_and_of_equals_the_first():
    hits = [(0.01, KICK, 50), (0.02, KICK, 90), (0.03, KICK, 90)]
    grid = converter().grid(drums(hits))
    assert grid[0, 9] == pytest.approx(90 / 127)
    assert grid[0, 18] == pytest.approx(-0.02 / 0.125 * 2)


@pytest.mark.parametrize("bars, windows", [(3, 0), (4, 1), (5, 2), (30, 27)])
def test_windows_hop_one_bar_and_none_is_capped(bars, windows):
    # At 120 qpm a bar is two seconds.
    piece = drums([(2.0 * bar, KICK, 80) for bar in range(bars)])
    assert len(converter().to_tensors(piece).inputs) == windows


@pytest.mark.parametrize("bars, windows", [(1, 1), (4, 1), (5, 2), (9, 3)])
def test_inferring_leaves_no_bar_out(bars, windows):
    piece = drums([(2.0 * bar, KICK, 80) for bar in range(bars)])
    tensors = converter("infer").to_tensors(piece)
    assert [x.shape for x in tensors.inputs] == [(64, 27)] * windows
    assert sum(x[:, 0].sum() for x in tensors.inputs) == bars


def test_unusual_pitches_are_mapped_or_left_out_and_counted():
    # 54, the tambourine, raises KeyError in Magenta. General MIDI's reduced map has it with the
    # closed hi-hat; 15 is in no map.
    made = converter(split_bars=1)
    tensors = made.to_tensors(drums([(0.0, 54, 80), (0.25, 15, 80), (0.5, KICK, 80)]))
    hits = tensors.inputs[0][:, :9]
    assert hits[0, CLASS_NAMES.index("closed_hihat")] == 1
    assert hits.sum() == 2
    assert dict(made.counts) == {"mapped": 1, "left_out": 1}


def test_every_pitch_is_taken_in_both_modes():
    for mode in ("train", "eval", "infer"):
        piece = drums([(0.1 * pitch, pitch, 80) for pitch in range(128)])
        assert converter(mode, split_bars=1).to_tensors(piece).inputs


def test_other_instruments_are_no_drums():
    piece = drums([(0.0, KICK, 80)])
    piece.notes.add(pitch=SNARE, velocity=80, start_time=0.5, end_time=1.0, is_drum=False)
    assert converter().grid(piece)[:, :9].sum() == 1


@pytest.mark.parametrize(
    "piece, reason",
    [
        (drums([]), "no drum notes"),
        (drums([(0, KICK, 80)], is_drum=False), "no drum notes"),
        (drums([(0, KICK, 80)], meter=(6, 8)), "in 6/8"),
        (drums([(0, KICK, 80)], meter=(4, 0)), "in 4/0"),
        (drums([(-1, KICK, 80)]), "before the start"),
        (drums([(1e9, KICK, 80)]), "longer than"),
        (drums([(0, KICK, 80)]), "shorter than 4 bars"),
    ],
)
def test_says_why_there_is_no_example(piece, reason):
    made = converter()
    assert reason in made.explain(piece)
    assert not made.to_tensors(piece).inputs


def test_changes_of_tempo_and_meter_are_named():
    piece = drums([(0, KICK, 80)])
    piece.tempos.add(qpm=90, time=1)
    with pytest.raises(NoExamplesError, match="tempo changes"):
        converter().grid(piece)
    piece = drums([(0, KICK, 80)], meter=None)
    piece.time_signatures.add(numerator=3, denominator=4, time=1)
    with pytest.raises(NoExamplesError, match="meter changes"):
        converter().grid(piece)


@pytest.mark.parametrize("meter", [(4, 4), (2, 2), (8, 8), None])
def test_meters_of_four_quarters_are_one_meter(meter):
    assert converter(split_bars=1).to_tensors(drums([(0, KICK, 80)], meter=meter)).inputs


@pytest.mark.parametrize("seed", range(5))
def test_round_trip_through_midi(seed, tmp_path):
    """Windows, written as MIDI and read by note_seq, are the same windows."""
    made = converter("infer")
    window = made.to_tensors(random_drums(np.random.default_rng(seed), 7.0)).inputs[0]
    window[0, 18:] = np.minimum(window[0, 18:], 0)  # Nothing can be before the start.
    [sequence] = made.from_tensors([window])
    path = str(tmp_path / "a.mid")
    music.write(sequence, path, draw=False)
    again = made.to_tensors(note_seq.midi_file_to_note_sequence(path)).inputs[0]
    hits = window[:, :9] > 0
    # A hit exactly between two steps may go to either; the generator makes none.
    assert (hits == (again[:, :9] > 0)).all()
    np.testing.assert_allclose(again[:, 9:18], window[:, 9:18], atol=0.5 / 127 + 1e-6)
    # A tick at 220 a quarter is 1/55 of a step, so an offset is off by at most that.
    np.testing.assert_allclose(again[:, 18:], window[:, 18:], atol=1 / 55 + 1e-6)


def test_what_is_decoded_can_be_played():
    # A hit of velocity 0 would be a note-off in MIDI; one that is early on step 0 would start
    # before time 0; two early and late neighbours would overlap.
    window = np.zeros((64, 27), np.float32)
    window[[0, 8, 9], 0] = 1
    window[0, 18], window[8, 18], window[9, 18] = 1.0, -0.9, 0.9
    [sequence] = converter().from_tensors([window])
    first, second, third = sequence.notes
    assert first.velocity == 1 and first.start_time == 0
    assert second.end_time == third.start_time
    assert all(note.end_time > note.start_time for note in sequence.notes)
    assert sequence.total_time == 8.0  # 4 bars at 120.
    assert sequence.time_signatures[0].numerator == 4
