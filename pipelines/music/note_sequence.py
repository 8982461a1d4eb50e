"""NoteSequence, Magenta's music message, and what this project writes into it by convention.

`import note_seq` takes three seconds (librosa, IPython, pandas ...), in every Beam worker, for one
generated file. That file is loaded here by its path. protobuf keeps one class for each message
type of a process, so a later `import note_seq` still works and gives this same class.

NoteSequence has no field for some of what corpora say. It goes into text annotations without a
type, at time 0, as these functions write and read them (tfrecords/README.md lists all):

    T:The Maid's Fancy      a header field of a tune in ABC notation, `letter:value`
    bpm=138                 a label of the Groove MIDI Dataset, `name=value`
    warning:line 345: ...   what was wrong in the text of a tune that was read all the same
"""

import importlib.util
import pathlib
import re
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

_WARNING = "warning:"
_LABEL = re.compile(r"(\w+)=(.*)", re.DOTALL)
_NUMBERED = re.compile(r"(?:line (\d+): )?(.*)", re.DOTALL)


def _note_sequence_class():
    loaded = sys.modules.get("note_seq.protobuf.music_pb2")
    if loaded is not None:
        return loaded.NoteSequence
    package = importlib.util.find_spec("note_seq")
    if package is None or package.origin is None:
        raise ModuleNotFoundError("note_seq is not installed")
    path = pathlib.Path(package.origin).parent / "protobuf" / "music_pb2.py"
    spec = importlib.util.spec_from_file_location(f"{__name__}._music_pb2", path)
    if spec is None or spec.loader is None:
        raise ModuleNotFoundError(f"{path} cannot be loaded")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.NoteSequence


if TYPE_CHECKING:
    from note_seq.protobuf.music_pb2 import NoteSequence
else:
    NoteSequence = _note_sequence_class()


def parse(record: bytes) -> NoteSequence:
    """Reads a record of NoteSequences.

    Raises:
      ValueError: if it is something else.
    """
    # Imported here because finding the class above is all that most users of this module need.
    from google.protobuf import message

    try:
        return NoteSequence.FromString(record)
    except message.DecodeError as error:
        raise ValueError(f"not a NoteSequence: {error}") from error


def add_field(sequence: NoteSequence, letter: str, value: str) -> None:
    """Adds a header field of ABC notation, such as T, the title, or R, the rhythm.

    The first title and the first rhythm also go to `title` and `genre` of the metadata, all
    composers to its `composers`, and a number in X to `reference_number`.
    """
    sequence.text_annotations.add(text=f"{letter}:{value}")
    metadata = sequence.sequence_metadata
    if letter == "T" and value and not metadata.title:
        metadata.title = value
    elif letter == "C" and value:
        metadata.composers.append(value)
    elif letter == "R" and value and not metadata.genre:
        metadata.genre.append(value)
    elif letter == "X" and value.isascii() and value.isdigit() and len(value) < 10:
        sequence.reference_number = int(value)


def fields(sequence: NoteSequence) -> Iterator[tuple[str, str]]:
    """Letters and values of the header fields of ABC notation, in their order."""
    for text in _untyped(sequence):
        if text[1:2] == ":":
            yield text[0], text[2:]


def titles(sequence: NoteSequence) -> list[str]:
    """The titles of a piece as they are written, the first one first; none for blank ones.

    They are its T fields; in a piece without any, such as a MIDI file, the title of the metadata.
    """
    written = [value for letter, value in fields(sequence) if letter == "T"]
    written = written or [sequence.sequence_metadata.title]
    return [title for title in written if title.strip()]


def rhythm(sequence: NoteSequence) -> str:
    """What kind of tune the R field says a piece is, in lower case, such as "slip jig"; "" if none.

    It is the `genre` of the metadata, which in the Groove MIDI Dataset is the style of the drummer.
    """
    return " ".join(sequence.sequence_metadata.genre).casefold()


def add_label(sequence: NoteSequence, name: str, value: str) -> None:
    """Adds a label of a data set for which NoteSequence has no field."""
    sequence.text_annotations.add(text=f"{name}={value}")


def labels(sequence: NoteSequence) -> Iterator[tuple[str, str]]:
    """Names and values of the labels of a piece, in their order."""
    for text in _untyped(sequence):
        if match := _LABEL.fullmatch(text):
            yield match[1], match[2]


def add_warning(sequence: NoteSequence, line: int, what: str) -> None:
    """Adds what was wrong in a line of the file that a piece was read from."""
    sequence.text_annotations.add(text=f"{_WARNING}line {line}: {what}")


def warnings(sequence: NoteSequence) -> list[tuple[int, str]]:
    """What was wrong in the text of a piece: lines of its file, 0 where none is told, and words."""
    texts = (
        text.removeprefix(_WARNING) for text in _untyped(sequence) if text.startswith(_WARNING)
    )
    matches = map(_NUMBERED.fullmatch, texts)
    return [(int(match[1] or 0), match[2]) for match in matches if match]


def _untyped(sequence: NoteSequence) -> Iterator[str]:
    """The texts that are no chord symbols and the like, which may begin as a field does."""
    untyped = NoteSequence.TextAnnotation.UNKNOWN
    for annotation in sequence.text_annotations:
        if annotation.annotation_type == untyped and not annotation.time:
            yield annotation.text
