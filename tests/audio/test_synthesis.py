"""Sound: its pitch, loudness and timing by independent means, its ends, and bad sound fonts."""

import subprocess
import sys

import numpy as np
import pytest

from experiments.sound import onsets
from pipelines.audio import synthesis
from pipelines.music.note_sequence import NoteSequence
from pipelines.runtime.app import UserError
from tests.support.jobs import ROOT
from tests.support.pieces import drums, melody

pytest.importorskip("tinysoundfont", reason="no tinysoundfont: it has no wheel here")


def rms(samples):
    return float(np.sqrt(np.mean(np.square(samples, dtype=np.float64))))


@pytest.mark.parametrize("instrument", [None, "flute", "whistle", "piano"])
def test_an_a_sounds_at_440_hertz(instrument):
    samples, rate = synthesis.render(melody([69], seconds=2.0), instrument)
    assert samples.dtype == np.float32 and samples.shape[1] == 2
    middle = samples[rate // 2 : rate // 2 + rate].mean(axis=1)
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle))))
    # A second of sound: the bins are a hertz apart. The fundamental, or one of its harmonics.
    loudest = int(spectrum.argmax())
    harmonic = max(round(loudest / 440), 1)
    assert abs(loudest / harmonic - 440) < 4
    near = spectrum[430:451].max()
    assert near > 20 * np.median(spectrum[100:2000])


def test_each_instrument_sounds_different():
    names = (None, "fiddle", "flute", "whistle", "piano")
    sounds = {name: synthesis.render(melody([69, 71]), name)[0].tobytes() for name in names}
    assert sounds[None] == sounds["fiddle"]
    assert len(set(sounds.values())) == 4
    # A program that a note names is kept, unless another instrument is asked for.
    piece = melody([69, 71])
    for note in piece.notes:
        note.program = 73
    assert synthesis.render(piece)[0].tobytes() == sounds["flute"]
    assert synthesis.render(piece, "piano")[0].tobytes() == sounds["piano"]


@pytest.mark.parametrize("pitch, is_drum", [(36, True), (38, True), (42, True), (69, False)])
def test_velocity_makes_louder(pitch, is_drum):
    levels = [
        rms(synthesis.render(drums([(0.0, pitch, velocity)], is_drum=is_drum))[0][:4410])
        for velocity in range(7, 128, 20)
    ]
    assert all(low < high for low, high in zip(levels, levels[1:]))
    assert levels[0] > 0 and levels[-1] > 10 * levels[0]


def test_a_drum_kit_and_a_fiddle_are_about_as_loud():
    beat = drums([(i / 4, (36, 42, 38, 42)[i % 4], 90) for i in range(16)])
    loud, soft = (np.abs(synthesis.render(piece)[0]).max() for piece in (beat, melody([69] * 8)))
    assert 0.1 < soft < 0.6 and 0.1 < loud < 0.6 and 1 / 3 < loud / soft < 3


def test_drums_are_not_notes_of_an_instrument():
    hit = [(0.0, 38, 100)]
    drum, _ = synthesis.render(drums(hit))
    assert np.array_equal(drum, synthesis.render(drums(hit), "flute")[0])
    assert not np.array_equal(drum[:4410], synthesis.render(drums(hit, is_drum=False))[0][:4410])


def test_sound_begins_at_its_note_and_lasts_until_it_has_died_away():
    piece = drums([(1.0, 49, 120)])  # A crash, written as a twentieth of a second.
    samples, rate = synthesis.render(piece)
    assert not np.abs(samples[:rate]).max() > 1e-6
    assert np.abs(samples[rate : rate + rate // 100]).max() > 0.01
    assert len(samples) > 1.5 * rate
    assert np.abs(samples[-rate // 10 :]).max() < 0.01


def test_a_late_note_after_silence_is_played():
    samples, rate = synthesis.render(drums([(0.0, 36, 100), (20.0, 36, 100)]))
    assert np.abs(samples[20 * rate : 20 * rate + 4410]).max() > 0.05
    piece = drums([(0.0, 36, 100), (20.0, 36, 100)])
    piece.total_time = 0.0  # The notes say how long it is.
    assert np.array_equal(synthesis.render(piece)[0], samples)


def test_an_empty_piece_is_silence_of_its_length():
    samples, rate = synthesis.render(NoteSequence(total_time=2.5))
    assert len(samples) == 2.5 * rate and not samples.any()
    assert synthesis.render(NoteSequence())[0].shape == (0, 2)
    # Its end is just before that of a block, at it, and just after it.
    for frames in ((1 << 17) - 100, 1 << 17, (1 << 17) + 1):
        found = list(synthesis.blocks(NoteSequence(total_time=frames / rate)))
        assert sum(map(len, found)) == frames and not any(block.any() for block in found)


def test_equal_pieces_give_equal_samples_and_blocks_have_no_seams(monkeypatch):
    piece = drums([(i * 0.11, (36, 38, 42, 49)[i % 4], 40 + i) for i in range(60)])
    samples, _ = synthesis.render(piece)
    assert np.array_equal(samples, synthesis.render(piece)[0])
    # The synthesiser is that of the piece before, which was left while it sounded.
    next(synthesis.blocks(melody([60] * 9, seconds=2.0), "accordion"))
    assert np.array_equal(samples, synthesis.render(piece)[0])
    # Two at once are not mixed up.
    both = zip(synthesis.blocks(piece), synthesis.blocks(melody([60] * 9), "harp"))
    assert np.array_equal(next(both)[0], samples[: 1 << 16])
    found = list(synthesis.blocks(piece))
    assert len(found) > 3 and max(map(len, found)) <= 1 << 16
    assert np.array_equal(samples, np.concatenate(found))
    monkeypatch.setattr(synthesis, "_BLOCK", 1 << 20)
    whole, _ = synthesis.render(piece)
    shared = min(len(whole), len(samples))
    # The synthesiser moves its envelopes in steps that begin anew with each block.
    assert np.abs(whole[:shared] - samples[:shared]).max() < 0.01


def roughness(samples, places):
    """How far frames are from a cubic through their neighbours, beside what is usual around them.

    A click has all frequencies; the differences of music that is free of them are small.
    """
    ratios = []
    for at in places:
        differences = np.diff(samples[at - 300 : at + 300].mean(axis=1), 4)
        usual = np.sqrt(np.mean(differences**2))
        ratios.append(np.abs(differences[295:301]).max() / usual)
    return float(np.median(ratios))


@pytest.mark.slow
def test_ten_thousand_notes_neither_clip_nor_click():
    rng = np.random.default_rng(0)
    piece = melody([int(pitch) for pitch in rng.integers(40, 90, 10_000)], seconds=0.02)
    for note in piece.notes:
        note.velocity, note.end_time = 127, note.end_time + 0.1
        note.program = 73
    samples, rate = synthesis.render(piece)
    assert len(samples) >= 200 * rate
    assert 0.3 < np.abs(samples).max() < 0.9
    assert 0.02 < rms(samples) < 0.6
    assert np.isfinite(samples).all()
    # A click is a jump between neighbours. A sine of full size at 5 kHz moves by 0.63 a frame.
    assert np.abs(np.diff(samples, axis=0)).max() < 0.63
    # Where two blocks meet the sound goes on as smoothly as elsewhere.
    seams = np.arange(1 << 16, len(samples) - rate, 1 << 16)
    assert len(seams) > 100
    assert roughness(samples, seams) < 1.5 * roughness(samples, seams - 20_000)
    clicking = samples.copy()
    for number, seam in enumerate(seams):
        clicking[seam:] += 0.04 * (-1) ** number
    assert roughness(clicking, seams) > 3 * roughness(clicking, seams - 20_000)
    # Each second sounds: no voice was lost on the way.
    seconds = np.abs(samples[: 200 * rate]).reshape(200, -1).mean(axis=1)
    assert seconds.min() > 0.25 * seconds.max()


@pytest.mark.slow  # librosa compiles what it runs.
@pytest.mark.parametrize("seed", [1, 2])
def test_onsets_are_where_the_notes_are(seed):
    rng = np.random.default_rng(seed)
    times = np.cumsum(rng.uniform(0.05, 0.3, 150))
    hits = [(float(t), int(rng.choice([36, 38, 42])), int(rng.integers(60, 127))) for t in times]
    piece = drums(hits)
    found = onsets.detect(synthesis.render(piece)[0])
    assert onsets.compare(piece.notes, found).f1 > 0.95
    assert onsets.compare(piece.notes, found + 0.03).f1 < 0.5  # The measure can fail.


@pytest.mark.parametrize("pitch", range(35, 60))
def test_a_drum_sounds_at_once(pitch):
    first, half = onsets.attack(pitch)
    assert first < 7 and half < 13


def test_more_instruments_than_midi_has_channels():
    piece = melody([60] * 20, seconds=0.2)
    for program, note in enumerate(piece.notes):
        note.program = program + 1
    samples, rate = synthesis.render(piece)
    for i in range(20):
        assert np.abs(samples[int(i * 0.2 * rate) :][: rate // 5]).max() > 0.001


@pytest.mark.parametrize("edge, plain", [(22, 42), (26, 46), (58, 43)])
def test_edges_of_rolands_drums_sound_as_their_drums(edge, plain):
    """The Groove MIDI Dataset has them. General MIDI has none, and a vibraslap at 58."""
    found, expected = (synthesis.render(drums([(0.1, each, 100)]))[0] for each in (edge, plain))
    assert rms(found) > 0
    np.testing.assert_array_equal(found, expected)


def test_bad_sound_fonts(tmp_path):
    for content in (b"", b"RIFF", b"no sound font" * 100):
        font = tmp_path / "bad.sf2"
        font.write_bytes(content)
        with pytest.raises(UserError, match=r"bad\.sf2: not a sound font .*--sound_font"):
            synthesis.render(melody([60]), sound_font=str(font))
    with pytest.raises(UserError, match=r"none\.sf2: no such sound font"):
        synthesis.render(melody([60]), sound_font=str(tmp_path / "none.sf2"))
    with pytest.raises(UserError, match="no such instrument; there are .*whistle"):
        synthesis.render(melody([60]), "kazoo")


def test_what_cannot_be_played():
    piece = melody([60])
    piece.notes[0].pitch = 128
    with pytest.raises(ValueError, match="pitch"):
        synthesis.render(piece)
    with pytest.raises(ValueError, match="later than a day"):
        synthesis.render(drums([(1e6, 36, 100)]))
    late = melody([60])
    late.notes[0].start_time, late.notes[0].end_time = 1e9, 1
    with pytest.raises(ValueError, match="later than a day"):
        next(synthesis.blocks(late))
    with pytest.raises(ValueError, match="longer than a day"):
        synthesis.render(NoteSequence(total_time=float("inf")))


@pytest.mark.slow
def test_three_hours_take_as_little_memory_as_a_minute():
    code = """
import resource, sys
from pipelines.audio import synthesis
from pipelines.music.note_sequence import NoteSequence

def played(seconds):
    piece = NoteSequence()
    for at in range(0, seconds, 30):
        piece.notes.add(pitch=36, velocity=90, start_time=at, end_time=at + 0.1, is_drum=True)
    frames = sum(map(len, synthesis.blocks(piece)))
    assert frames > (seconds - 30) * synthesis.RATE
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024

minute = played(60)
print(played(3 * 3600) - minute)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 32  # MiB; the samples of three hours are 3,634.
