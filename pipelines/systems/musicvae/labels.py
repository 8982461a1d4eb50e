"""What a piece is labelled with: its style, its drummer, its mode and the labels of its corpus."""

from note_seq.protobuf import music_pb2

from pipelines.music.note_sequence import labels
from pipelines.music.timing import first_qpm

_MODES = music_pb2.NoteSequence.KeySignature.Mode


def labels_of(piece: music_pb2.NoteSequence) -> set[str]:
    """The labels of a piece, such as "style:jazz", "drummer:drummer1", "mode:minor".

    The style is the genre of its metadata: the drummer's style in the Groove MIDI Dataset, and the
    rhythm of a tune. The mode is that of its first key signature. Other labels are annotations
    (`note_sequence.add_label`).
    """
    found = {f"style:{genre}" for genre in piece.sequence_metadata.genre}
    if piece.sequence_metadata.artist:
        found.add(f"drummer:{piece.sequence_metadata.artist}")
    for signature in piece.key_signatures[:1]:
        found.add(f"mode:{_MODES.Name(signature.mode).lower()}")
    return found | {f"{name}:{value}" for name, value in labels(piece)}


def facts_of(piece: music_pb2.NoteSequence) -> dict[str, str]:
    """What is known of a piece, by name: its labels, title, id, meter, tempo, and source."""
    facts: dict[str, str] = {}
    for label in sorted(labels_of(piece)):
        name, _, value = label.partition(":")
        facts[name] = f"{facts[name]}, {value}" if name in facts else value
    facts["title"] = piece.sequence_metadata.title
    for meter in piece.time_signatures[:1]:
        facts["meter"] = f"{meter.numerator}/{meter.denominator}"
    facts["tempo"] = f"{first_qpm(piece):.0f}"
    facts["id"] = piece.id
    return {name: value for name, value in facts.items() if value}
