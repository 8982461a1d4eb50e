"""NoteSequences made for tests."""

import copy

import numpy as np
from note_seq.protobuf import music_pb2

from pipelines import representations
from pipelines.representations.contract import EVAL


def drums(hits, qpm=120.0, meter=(4, 4), is_drum=True) -> music_pb2.NoteSequence:
    """A NoteSequence of drum hits.

    Args:
      hits: (start in seconds, pitch, velocity) of each.
    """
    sequence = music_pb2.NoteSequence()
    sequence.tempos.add(qpm=qpm)
    if meter:
        sequence.time_signatures.add(numerator=meter[0], denominator=meter[1])
    for start, pitch, velocity in hits:
        sequence.notes.add(
            start_time=start,
            end_time=start + 0.05,
            pitch=pitch,
            velocity=velocity,
            is_drum=is_drum,
            instrument=9,
        )
        sequence.total_time = max(sequence.total_time, start + 0.05)
    return sequence


def tune(notes, meter=(4, 4), qpm=120.0, **fields):
    """A NoteSequence of one voice.

    Args:
      notes: (pitch, start, length) in sixteenths, for each.
    """
    sequence = music_pb2.NoteSequence()
    sequence.tempos.add(qpm=qpm)
    if meter:
        sequence.time_signatures.add(numerator=meter[0], denominator=meter[1])
    step = 60 / qpm / 4
    for pitch, start, length in notes:
        end = (start + length) * step
        sequence.notes.add(
            pitch=pitch, velocity=90, start_time=start * step, end_time=end, **fields
        )
        sequence.total_time = max(sequence.total_time, end)
    return sequence


def scale(steps, length=2, **kwargs):
    """Notes without rests from time 0 until so many steps, all pitches of the range in turn."""
    starts = range(0, steps, length)
    return tune([(55 + i % 46, start, length) for i, start in enumerate(starts)], **kwargs)


def random_tune(rng, meter=(4, 4), steps=300):
    """Notes and rests of whole steps, some of them long; the first bar has a note."""
    notes, step = [], int(rng.integers(4))
    while step < steps:
        length = int(rng.integers(1, 7))
        notes.append((int(rng.integers(55, 101)), step, length))
        step += length
        if rng.random() < 0.1:
            step += int(rng.integers(1, 50))
    return tune(notes, meter, qpm=float(rng.integers(50, 250)))


def melody(pitches, seconds=0.5):
    """Quarter notes, each as long as given."""
    sequence = music_pb2.NoteSequence()
    sequence.tempos.add(qpm=60 / seconds)
    sequence.time_signatures.add(numerator=4, denominator=4)
    for i, pitch in enumerate(pitches):
        sequence.notes.add(
            pitch=pitch, velocity=80, start_time=i * seconds, end_time=(i + 1) * seconds
        )
    sequence.total_time = len(pitches) * seconds
    return sequence


def named(rhythm, piece):
    """The piece, with a rhythm (a genre) added to it."""
    piece.sequence_metadata.genre.append(rhythm)
    return piece


METERS = ((4, 4), (6, 8), (3, 4), (2, 4), (9, 8), (2, 2), (12, 8), (3, 8))


def piece_for(config, seed=0):
    """A NoteSequence of 20 bars or so that the config's representation makes examples of."""
    representation = representations.of(copy.deepcopy(config.data_converter))
    representation.set_mode(EVAL)
    grooves = representation.encoding("outputs").describe()["kind"] == "groove"
    tried = [groove(seed)] if grooves else [trio(meter, seed) for meter in METERS]
    return next(piece for piece in tried if not representation.encode(piece).reason)


def groove(seed=0):
    """Drums with all velocities but 0, and offsets of up to half a sixteenth."""
    rng = np.random.default_rng(seed)
    hits = [
        (max(step / 8 + float(rng.uniform(-0.06, 0.06)), 0), int(pitch), i % 127 + 1)
        for i, step in enumerate(range(320))
        for pitch in rng.choice([36, 38, 42, 46, 43, 47, 50, 49, 51], 2, replace=False)
    ]
    return drums(hits)


def trio(meter, seed=0):
    """Melody, bass and drums, a note each eighth; the drums in five combinations."""
    rng = np.random.default_rng(seed)
    sequence = music_pb2.NoteSequence(ticks_per_quarter=220)
    sequence.tempos.add(qpm=120)
    sequence.time_signatures.add(numerator=meter[0], denominator=meter[1])
    for instrument, program, low in ((0, 0, 60), (1, 33, 30), (9, 0, None)):
        for i in range(160):
            pitches = [low + int(rng.integers(12))] if low else [36, 38, 42, 46][: i % 5]
            for pitch in pitches:
                sequence.notes.add(
                    pitch=pitch,
                    velocity=80,
                    start_time=i / 4,
                    end_time=(i + 1) / 4,
                    instrument=instrument,
                    program=program,
                    is_drum=low is None,
                )
    sequence.total_time = 40
    return sequence
