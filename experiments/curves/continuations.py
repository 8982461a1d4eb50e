"""Measures the bars and keys of continuations of held-out tunes, and writes ten of them.

    python -m experiments.curves.continuations --run_dir=runs/curves --examples_path=GLOB \
        --output=experiments/curves/curves-continuations.json --music=music --books=books

Each tune with at least sixteen bars is continued for eight bars after its first eight, once. The
ten tunes that are written are drawn with the seed, and not chosen. `--books` writes all, for
`experiments.judge.models`: BOOKS/continued.abc, and BOOKS/people.abc with the sixteen bars of the
tunes themselves.
"""

import os
import tempfile
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from absl import flags

from pipelines.music import keys, midi_writer, note_sequence
from pipelines.music.abc import writer as abc_writer
from pipelines.music.note_sequence import NoteSequence
from pipelines.records import tfrecord
from pipelines.records.manifest import record_files
from pipelines.representations import curves
from pipelines.runtime import app, files, tensorflow
from pipelines.runtime.progress import Progress

FLAGS = flags.FLAGS

BARS = 8
WRITTEN = 10


def _define_flags() -> None:
    flags.DEFINE_string("run_dir", None, "The run's folder.")
    flags.DEFINE_string("checkpoint_file", "best", "The checkpoint.")
    flags.DEFINE_string("examples_path", None, "Records of held-out tunes.")
    flags.DEFINE_string("output", None, "JSON file to write.")
    flags.DEFINE_string("music", None, "Folder for ten continuations; none by default.")
    flags.DEFINE_string("books", None, "Folder for the tunebooks of all; none by default.")
    flags.DEFINE_integer("seed", 1, "Seeds what is drawn.")


def figures(
    melody: curves.Tune, notes: Iterable[tuple[int, int]], first: int, end: int
) -> dict[str, float]:
    """What can be counted of the notes between two places.

    Returns:
      `bars_begun`: the share of the bars in which a note begins on the first beat; `in_signature`:
      the share of the notes that are in the key signature; `same_signature`: 1 where the key that
      the notes suggest has that signature, else 0; `notes_a_bar`; `range` in semitones.
    """
    within = [(onset, pitch) for onset, pitch in notes if first <= onset < end]
    signature = melody.signature(first)
    bars = range(first, end, signature.bar)
    onsets = {onset for onset, _ in within}
    pitches = [pitch for _, pitch in within]
    key = keys.Key("", signature.fifths)
    lengths = np.diff([*(onset for onset, _ in within), end]).tolist()
    guessed = keys.guess(keys.weigh(zip(pitches, lengths)), pitches[-1]) if pitches else None
    return {
        "bars_begun": sum(bar in onsets for bar in bars) / len(bars),
        "in_signature": float(np.mean([key.holds(pitch) for pitch in pitches] or [False])),
        "same_signature": float(guessed is not None and guessed.fifths == signature.fifths),
        "notes_a_bar": len(within) / len(bars),
        "range": float(np.ptp(pitches)) if pitches else 0.0,
    }


def long_tunes(pattern: str) -> list[NoteSequence]:
    """The tunes of records that have sixteen bars of one meter and key."""
    from pipelines.systems.curves import continuing

    found = []
    for path in record_files(pattern):
        for record in tfrecord.read(path):
            sequence = note_sequence.parse(record)
            melody = curves.read(sequence)
            if len(melody.signatures) == 1 and melody.signatures[0].bar:
                if melody.onsets[-1] >= continuing.first_bars(melody, 2 * BARS) - curves.GRID:
                    found.append(sequence)
    return found


class Continuation(NamedTuple):
    """A tune that was continued.

    Attributes:
      sequence: the tune.
      melody: what was read of it.
      first, end: where the continuation begins and ends, in parts of the grid.
      notes: the onsets and pitches of the continuation.
    """

    sequence: NoteSequence
    melody: curves.Tune
    first: int
    end: int
    notes: list[tuple[int, int]]


def draw(model: Any, tunes: list[NoteSequence], seed: int) -> list[Continuation]:
    """Continues each tune once, after its first bars."""
    from pipelines.systems.curves import continuing

    drawn = []
    with Progress("tunes continued", len(tunes)) as progress:
        for number, sequence in enumerate(tunes):
            melody = curves.read(sequence)
            first, end = (continuing.first_bars(melody, bars) for bars in (BARS, 2 * BARS))
            [notes] = continuing.continued(model, melody.cut(0, first), end, seed=seed + number)
            drawn.append(Continuation(sequence, melody, first, end, notes))
            progress.update(number + 1)
    return drawn


def measure(drawn: list[Continuation]) -> dict[str, Any]:
    """The mean figures of continuations, and of what the tunes themselves go on with."""
    rows: dict[str, list[dict[str, float]]] = {"continuations": [], "tunes": []}
    for _, melody, first, end, notes in drawn:
        rows["continuations"].append(figures(melody, notes, first, end))
        own = zip(melody.onsets.tolist(), melody.pitches.tolist())
        rows["tunes"].append(figures(melody, own, first, end))
    return {
        name: {key: float(np.mean([row[key] for row in found])) for key in found[0]}
        for name, found in rows.items()
    }


def write_books(drawn: list[Continuation], folder: str) -> None:
    """Writes two tunebooks: the first bars with their continuations, and with the tunes' own."""
    from pipelines.systems.curves import generation

    books: dict[str, list[str]] = {"continued": [], "people": []}
    for number, (sequence, melody, first, end, notes) in enumerate(drawn, 1):
        for name, own, added in (
            ("continued", melody.cut(0, first), notes),
            ("people", melody.cut(0, end), []),
        ):
            piece = generation.as_sequence(sequence, own, added, end)
            notation = abc_writer.write(piece, os.path.basename(sequence.id))
            books[name].append(notation.replace("X:1", f"X:{number}", 1))
    os.makedirs(folder, exist_ok=True)
    for name, written in books.items():
        with files.replacing(os.path.join(folder, f"{name}.abc")) as file:
            file.write("\n".join(written).encode())


def write(model: Any, tunes: list[NoteSequence], folder: str, seed: int) -> None:
    """Writes a continuation of each of ten tunes that the seed draws."""
    from pipelines.systems.curves import generation

    rng = np.random.default_rng(seed)
    options = generation.Options(
        bars=BARS, prompt_bars=BARS, num_outputs=1, seed=seed, pianoroll=False, overwrite=True
    )
    with tempfile.TemporaryDirectory() as given:
        for number in rng.permutation(len(tunes))[:WRITTEN].tolist():
            name = os.path.basename(tunes[number].id)
            path = os.path.join(given, name)
            with open(path, "wb") as file:
                file.write(midi_writer.note_sequence_to_midi(tunes[number]))
            for one in generation.generate(model, path, folder, options):
                print(one)


def main() -> None:
    """Measures a run and writes its continuations."""
    tensorflow.start("WARN", with_magenta=False)
    from pipelines.systems.curves import model

    opened = model.open_run(FLAGS.run_dir, FLAGS.checkpoint_file)
    tunes = long_tunes(FLAGS.examples_path)
    drawn = draw(opened, tunes, FLAGS.seed)
    found = {"config": opened.name, "tunes": len(tunes), **measure(drawn)}
    if FLAGS.output:
        files.write_json(FLAGS.output, found)
    print(found)
    if FLAGS.music:
        write(opened, tunes, FLAGS.music, FLAGS.seed)
    if FLAGS.books:
        write_books(drawn, FLAGS.books)


if __name__ == "__main__":
    _define_flags()
    app.run(main, required=["run_dir", "examples_path"])
