"""Opens examples once: from then on jobs pass the opened object, not the pattern."""

from pipelines.examples.base import Examples
from pipelines.examples.note_sequences import NoteSequences
from pipelines.examples.tensors import Tensors
from pipelines.examples.tfds import TfdsExamples
from pipelines.records.manifest import open_records
from pipelines.runtime.app import UserError


def open_examples(pattern: str) -> Examples:
    """Opens records of NoteSequences or of tensors.

    Args:
      pattern: a glob of TFRecord files, or several joined by commas.

    Raises:
      UserError: where it matches nothing, or records of several kinds.
    """
    opened = open_records(pattern)
    kinds = {"notesequence": NoteSequences, "tensors": Tensors}
    return kinds[opened.kind](opened.source, opened.paths)


def open_note_sequences(pattern: str) -> NoteSequences:
    """Opens records of NoteSequences alone.

    Args:
      pattern: as `open_examples` takes it.

    Raises:
      UserError: where it matches nothing, or records of another kind.
    """
    opened = open_examples(pattern)
    if not isinstance(opened, NoteSequences):
        raise UserError(
            f"{pattern}: holds records of kind tensors, not notesequence; give the NoteSequence "
            "records that they were made of"
        )
    return opened


def open_tfds(name: str) -> TfdsExamples:
    """Opens the train split of a dataset of TensorFlow Datasets with MIDI in it.

    Args:
      name: as `tfds.load` takes it.
    """
    return TfdsExamples(name)
