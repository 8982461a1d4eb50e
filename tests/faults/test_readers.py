"""The readers of MIDI, ABC and records on what fuzzing found, and on damage drawn at random."""

import math
import pathlib
import random

import pytest

from experiments.faults import readers
from pipelines.music.note_sequence import NoteSequence

FOUND = sorted(path for path in readers.INPUTS.glob("*/*") if path.is_file())


def test_there_are_inputs_for_each_reader():
    assert {path.parent.name for path in FOUND} == set(readers.CHECKS)


@pytest.mark.parametrize("path", FOUND, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_what_was_found_holds(path: pathlib.Path):
    outcome = readers.CHECKS[path.parent.name](path.read_bytes())
    # The name begins with what becomes of it.
    assert path.name.startswith(outcome)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(readers.CHECKS))
def test_damage_at_random_holds(name):
    rng = random.Random(name)
    seeds = list(readers.seeds(name))
    outcomes = set()
    for _ in range(300):
        data = bytearray(rng.choice(seeds))
        for _ in range(rng.choice((1, 1, 2, 5, 20))):
            place = rng.randrange(len(data) + 1)
            length = int(rng.expovariate(0.2))
            piece = bytes(rng.randrange(256) for _ in range(rng.randrange(4)))
            data[place : place + length] = piece * rng.choice((1, 1, 1, 50))
        outcomes.add(readers.CHECKS[name](bytes(data)))
    assert len(outcomes) >= 2


# What the checks notice


def _read_as(monkeypatch, sequence):
    monkeypatch.setattr(readers.midi_reader, "midi_to_note_sequence", lambda _: sequence)


@pytest.mark.parametrize(
    "note",
    [
        dict(pitch=128, velocity=1, end_time=1),
        dict(pitch=1, velocity=0, end_time=1),
        dict(pitch=1, velocity=1, start_time=2, end_time=1),
        dict(pitch=1, velocity=1, end_time=math.inf),
        dict(pitch=1, velocity=1, end_time=math.nan),
        dict(pitch=1, velocity=1, end_time=3),
    ],
)
def test_an_impossible_note_is_a_fault(monkeypatch, note):
    sequence = NoteSequence(total_time=2)
    sequence.notes.add(**note)
    _read_as(monkeypatch, sequence)
    with pytest.raises(readers.Fault, match="a note"):
        readers.check_midi(b"")


def test_a_reading_that_is_slow_or_not_the_same_twice_is_a_fault(monkeypatch):
    sound = NoteSequence(total_time=2)
    sound.notes.add(pitch=60, velocity=1, end_time=1)
    _read_as(monkeypatch, sound)
    assert readers.check_midi(b"") == "read"
    monkeypatch.setattr(readers, "MAX_SECONDS", -1.0)
    with pytest.raises(readers.Fault, match="slow"):
        readers.check_midi(b"")
    monkeypatch.undo()
    monkeypatch.setattr(
        readers.midi_reader,
        "midi_to_note_sequence",
        lambda _: sound.notes.add(pitch=60, velocity=1) and sound,
    )
    with pytest.raises(readers.Fault, match="not the same twice"):
        readers.check_midi(b"")


def test_a_record_that_is_lost_is_a_fault(monkeypatch):
    monkeypatch.setattr(readers.tfrecord, "read", lambda _: iter(()))
    with pytest.raises(readers.Fault, match="is lost"):
        readers.check_records(b"\0")
