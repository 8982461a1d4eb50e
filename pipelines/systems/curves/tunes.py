"""The tunes of records as melodies, and as the examples of a model."""

import collections
import os
from typing import NamedTuple

import numpy as np

from configs.curves import Hparams
from pipelines.music import note_sequence
from pipelines.records import tfrecord
from pipelines.records.manifest import RecordFiles, number_in
from pipelines.records.tune_list import read_tunes
from pipelines.representations import curves
from pipelines.representations.curves import Curve, Vocabulary
from pipelines.runtime.app import UserError
from pipelines.runtime.progress import Progress
from pipelines.tunes import splits

# Stands for the curve before the first note.
NOTHING = -1


class Tune(NamedTuple):
    """A tune of a record.

    Attributes:
      id: of its record.
      group: the same number for versions of one tune.
      melody: its notes.
    """

    id: str
    group: int
    melody: curves.Tune


class Tunes(NamedTuple):
    """What is in some records: the tunes, and how many records give none, by reason."""

    tunes: list[Tune]
    left_out: collections.Counter[str]

    def summary(self) -> str:
        """What was read and what was left out; the counts add up."""
        read = len(self.tunes) + self.left_out.total()
        parts = [f"{read} records: {len(self.tunes)} tunes with a melody"]
        parts += [f"{count} left out: {reason}" for reason, count in sorted(self.left_out.items())]
        chords = sum(tune.melody.chords > 0 for tune in self.tunes)
        line = ", ".join(parts)
        have = "has" if chords == 1 else "have"
        return f"{line}; {chords} {have} chords: the highest notes count" if chords else line


def read(records: RecordFiles) -> Tunes:
    """Reads the tunes of NoteSequence records.

    Raises:
      UserError: where a file is damaged or holds something else, or no record has a melody.
    """
    if records.kind != "notesequence":
        raise UserError(
            f"{records.source} holds tensors; curves are made of the NoteSequence records that "
            "these were made of"
        )
    found: list[tuple[str, curves.Tune, tuple[int, ...]]] = []
    left_out: collections.Counter[str] = collections.Counter()
    known: dict[str, dict[str, tuple[int, ...]]] = {}
    count = 0
    with Progress("records read", bar_total=number_in(records.paths)) as progress:
        for path in records.paths:
            folder = os.path.dirname(path)
            if folder not in known:
                known[folder] = {tune.id: tune.keys for tune in read_tunes(folder or ".")}
            for record in tfrecord.read(path):
                count += 1
                progress.update(count)
                try:
                    sequence = note_sequence.parse(record)
                except ValueError as error:
                    raise UserError(f"{path} has a record that is {error}") from error
                try:
                    melody = curves.read(sequence)
                except curves.NoCurvesError as error:
                    left_out[error.reason] += 1
                    continue
                found.append((sequence.id, melody, known[folder].get(sequence.id, ())))
    if not found:
        reasons = ", ".join(f"{number} with {reason}" for reason, number in left_out.items())
        raise UserError(
            f"{records.source} has no tune with a melody ({reasons or 'no record'}); convert "
            "melodies first, with ./run.sh convert"
        )
    keys = [key for _, _, of_tune in found for key in of_tune]
    counts = [len(of_tune) for _, _, of_tune in found]
    groups = splits.join(np.array(keys, np.uint64), np.array(counts, np.int64)).groups
    rows = zip(found, groups.tolist())
    return Tunes([Tune(name, group, melody) for (name, melody, _), group in rows], left_out)


def curves_of(melody: curves.Tune, hparams: Hparams) -> list[Curve]:
    """The curves of a melody, as a model with these hyperparameters tells them apart."""
    return melody.music21_curves() if hparams.music21_time else melody.curves()


class Example(NamedTuple):
    """A part of a tune.

    Attributes:
      inputs: int array shaped [steps, 1 + columns of `curves.CONTEXT`] or [steps, 1].
      labels: int array shaped [steps], the ids that are predicted.
    """

    inputs: np.ndarray
    labels: np.ndarray


def inputs_of(melody: curves.Tune, ids: np.ndarray, hparams: Hparams) -> np.ndarray:
    """What a model sees of a tune: int array shaped [steps, columns].

    With context, there is a step for each note: the curve that leads to it, and what is known of
    it. Without, there is one for each curve.

    Args:
      melody: the tune.
      ids: those of its curves, shaped [notes - 1].
      hparams: those of the model.
    """
    if not hparams.context:
        return ids[:, None]
    return np.column_stack([np.append(NOTHING, ids), melody.known()])


def examples(melody: curves.Tune, vocabulary: Vocabulary, hparams: Hparams) -> list[Example]:
    """The training examples of a tune.

    With a window, they are those of the course: the curves but the last `ahead` ones in windows
    without overlap, of which the last is left out, and for each curve the one `ahead` steps later.
    """
    ids = vocabulary.ids(curves_of(melody, hparams))
    inputs = inputs_of(melody, ids, hparams)
    if hparams.context:
        # The input of a note leads to the label of the curve after it: one step ahead.
        inputs, labels = inputs[: len(ids) + 1 - hparams.ahead], ids[hparams.ahead - 1 :]
    else:
        inputs, labels = inputs[: max(len(ids) - hparams.ahead, 0)], ids[hparams.ahead :]
    size = hparams.window or hparams.longest
    starts = range(0, len(labels), size)
    if hparams.window:
        starts = range(0, max(len(labels) // size - 1, 0) * size, size)
    return [Example(inputs[one : one + size], labels[one : one + size]) for one in starts]
