"""What the project writes into NoteSequences by convention, and reads from them."""

import subprocess
import sys

import note_seq
import pytest

from pipelines.music import note_sequence
from pipelines.music.note_sequence import NoteSequence

CHORD = NoteSequence.TextAnnotation.CHORD_SYMBOL


def texts(sequence):
    return [annotation.text for annotation in sequence.text_annotations]


def test_a_record_is_read_back_and_anything_else_is_one_error():
    sequence = NoteSequence(id="one")
    sequence.notes.add(pitch=60, end_time=1.0)
    assert note_sequence.parse(sequence.SerializeToString()) == sequence
    assert note_sequence.parse(b"") == NoteSequence()
    for record in (b"\xff" * 9, b"not a record", sequence.SerializeToString()[:-1]):
        with pytest.raises(ValueError, match="^not a NoteSequence: "):
            note_sequence.parse(record)


def test_fields_are_annotations_and_the_first_of_some_metadata():
    sequence = NoteSequence()
    for letter, value in (
        ("X", "12"), ("T", ""), ("T", "The Coolin"), ("T", "An Chúilfhionn"), ("C", "Trad"),
        ("C", "A: B"), ("R", "Slip Jig"), ("R", "reel"),
    ):  # fmt: skip
        note_sequence.add_field(sequence, letter, value)
    assert texts(sequence) == [
        "X:12", "T:", "T:The Coolin", "T:An Chúilfhionn", "C:Trad", "C:A: B", "R:Slip Jig",
        "R:reel",
    ]  # fmt: skip
    metadata = sequence.sequence_metadata
    assert (metadata.title, sequence.reference_number) == ("The Coolin", 12)
    assert (list(metadata.composers), list(metadata.genre)) == (["Trad", "A: B"], ["Slip Jig"])
    assert list(note_sequence.fields(sequence))[4:6] == [("C", "Trad"), ("C", "A: B")]
    assert note_sequence.titles(sequence) == ["The Coolin", "An Chúilfhionn"]
    assert note_sequence.rhythm(sequence) == "slip jig"


@pytest.mark.parametrize("reference", ["", "1b", "²", "1234567890", "-1"])
def test_references_that_are_no_number_stay_annotations(reference):
    sequence = NoteSequence()
    note_sequence.add_field(sequence, "X", reference)
    assert sequence.reference_number == 0 and texts(sequence) == [f"X:{reference}"]


def test_the_title_of_the_metadata_counts_where_there_is_no_field():
    sequence = NoteSequence()
    assert note_sequence.titles(sequence) == []
    sequence.sequence_metadata.title = "The Coolin"
    assert note_sequence.titles(sequence) == ["The Coolin"]
    note_sequence.add_field(sequence, "T", "Another")
    assert note_sequence.titles(sequence) == ["Another"]


@pytest.mark.parametrize("blank", ["", "  \t"])
def test_blank_titles_are_none(blank):
    sequence = NoteSequence()
    note_sequence.add_field(sequence, "T", blank)
    assert note_sequence.titles(sequence) == []


def test_chord_symbols_and_remarks_over_the_notes_are_no_fields():
    sequence = NoteSequence()
    sequence.text_annotations.add(text="T:over a chord", annotation_type=CHORD)
    sequence.text_annotations.add(text="T:later", time=1.0)
    sequence.text_annotations.add(text="warning:over a chord", annotation_type=CHORD)
    note_sequence.add_label(sequence, "bpm", "138")
    note_sequence.add_warning(sequence, 3, "a: b")
    sequence.text_annotations.add(text="grace_notes:3")
    assert list(note_sequence.fields(sequence)) == note_sequence.titles(sequence) == []
    assert note_sequence.warnings(sequence) == [(3, "a: b")]
    assert texts(sequence)[3:5] == ["bpm=138", "warning:line 3: a: b"]
    assert list(note_sequence.labels(sequence)) == [("bpm", "138")]


def test_labels_are_told_from_other_annotations():
    sequence = NoteSequence()
    for name, value in (("beat_type", "fill"), ("mood", "a=b: c"), ("empty", "")):
        note_sequence.add_label(sequence, name, value)
    note_sequence.add_field(sequence, "T", "x=y")
    note_sequence.add_warning(sequence, 3, "a=b")
    sequence.text_annotations.add(text="two words=3")
    sequence.text_annotations.add(text="chord=C", annotation_type=CHORD)
    assert list(note_sequence.labels(sequence)) == [
        ("beat_type", "fill"), ("mood", "a=b: c"), ("empty", ""),
    ]  # fmt: skip


def test_several_genres_are_one_text():
    sequence = NoteSequence()
    assert note_sequence.rhythm(sequence) == ""
    sequence.sequence_metadata.genre.extend(["Funk", "Purdie Shuffle"])
    assert note_sequence.rhythm(sequence) == "funk purdie shuffle"


def test_the_message_class_is_note_seqs_own():
    script = (
        "import sys\n"
        "from pipelines.music.note_sequence import NoteSequence\n"
        "assert 'note_seq' not in sys.modules and 'librosa' not in sys.modules\n"
        "import note_seq\n"
        "from note_seq.protobuf import music_pb2\n"
        "assert music_pb2.NoteSequence is NoteSequence is note_seq.NoteSequence\n"
    )
    subprocess.run([sys.executable, "-W", "ignore", "-c", script], check=True)
    assert NoteSequence is note_seq.NoteSequence
