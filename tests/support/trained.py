"""A small corpus, its records and a briefly trained run, for the tests that need a model."""

import os
import pathlib
import subprocess
import sys

from note_seq.protobuf import music_pb2

from pipelines.corpora import conversion
from pipelines.demo import grooves
from pipelines.systems.musicvae import training

ROOT = pathlib.Path(__file__).resolve().parents[2]

# Small enough to build and train in seconds.
TINY = "batch_size=8,enc_rnn_size=[8],dec_rnn_size=[8,8],z_size=4,learning_rate=0.01"


def make_records(folder: pathlib.Path) -> pathlib.Path:
    """Converts the built-in corpus; returns the folder of the records."""
    grooves.write_corpus(folder / "corpus")
    conversion.convert("groove", str(folder / "corpus"), str(folder / "records"), num_shards=2)
    return folder / "records"


def train_run(
    records: pathlib.Path,
    run_dir: pathlib.Path,
    config: str = "flat-groove_4bar",
    num_steps: int = 3,
    **kwargs,
) -> int:
    """Trains a tiny model; returns the steps taken."""
    kwargs = {"hparams": TINY, "seed": 1, **kwargs}
    return training.train(config, str(run_dir), f"{records}/train.tfrecord*", num_steps, **kwargs)


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


def job(verb: str, *arguments, **kwargs) -> subprocess.CompletedProcess:
    """Runs a job of the project in a process of its own, as run.sh does."""
    return subprocess.run(
        [sys.executable, "-m", f"pipelines.{verb}", *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        **kwargs,
    )


def error_of(done: subprocess.CompletedProcess) -> str:
    """The one line that a job ends with on bad input; fails where it is otherwise."""
    assert done.returncode == 1, done.stderr
    assert not done.stdout and "Traceback" not in done.stderr
    *_, line = done.stderr.splitlines()
    assert line.startswith("error: ")
    return line
