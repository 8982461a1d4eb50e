"""MusicXML to NoteSequences, by note_seq's reader.

Of the libraries that read MusicXML, note_seq is here anyway and gives NoteSequences; music21 and
partitura would bring packages of their own for a side entrance. What note_seq's reader gets wrong,
and what training and generation look at, is put right here: it strikes a tied note again, fails
on meters such as 3+2/8, takes an incomplete bar for a change of meter, an upbeat for the first
bar, and every key for a major one.

It plays no repeats, and refuses unpitched notes, which is how scores have drums.
"""

import io
import pathlib
import re
import tempfile
import zipfile
from typing import Any
from xml.etree import ElementTree

from pipelines.music.limits import MAX_NOTES, MAX_SECONDS, Rejected
from pipelines.music.note_sequence import NoteSequence

# The size of the largest file that is read.
MAX_BYTES = 1 << 26
_ZIP = b"PK\x03\x04"
_ROOTS = (b"<score-partwise", b"<score-timewise")
# Where the root element of a score begins at the latest.
LOOKED_AT = 1 << 14
_METER = re.compile(r"[1-9][0-9]{0,2}", re.ASCII)
# Times in seconds that differ by less are the same; note_seq adds them up as floats.
_SAME_TIME = 1e-6
_Modes = NoteSequence.KeySignature.Mode


def is_musicxml(data: bytes) -> bool:
    """Whether the bytes of a file are those of a score in MusicXML, compressed or not."""
    if data.startswith(_ZIP):
        try:
            return "META-INF/container.xml" in zipfile.ZipFile(io.BytesIO(data)).namelist()
        except (zipfile.BadZipFile, NotImplementedError, ValueError):
            return False
    # UTF-16 has zeros between these letters.
    return any(root in data[:LOOKED_AT].replace(b"\0", b"") for root in _ROOTS)


def read(data: bytes, max_seconds: float = MAX_SECONDS, max_notes: int = MAX_NOTES) -> NoteSequence:
    """Reads a score.

    Args:
      data: the bytes of a `.musicxml`, `.xml` or `.mxl` file.
      max_seconds: how long it may last.
      max_notes: how many notes it may have.

    Returns:
      The score as written, without repeats. Its first full bar begins at a multiple of the bar,
      as that of a tune in ABC notation.

    Raises:
      Rejected: "malformed", "too_large", "no_notes", "too_long" or "too_many_notes".
    """
    # Imported here because it takes seconds, and few files are scores.
    from note_seq import musicxml_parser, musicxml_reader

    class Document(musicxml_parser.MusicXMLDocument):
        """A score without the meters at which the parser fails."""

        @staticmethod
        def _get_score(filename: str) -> ElementTree.Element:
            score = musicxml_parser.MusicXMLDocument._get_score(filename)
            _remove_other_meters(score)
            return score

    _require_small(data)
    with tempfile.TemporaryDirectory() as folder:
        # The parser takes a path, and knows a compressed score by its ending.
        path = pathlib.Path(folder, "score.mxl" if data.startswith(_ZIP) else "score.xml")
        path.write_bytes(data)
        try:
            document = Document(str(path))
            _join_ties(document)
            sequence = musicxml_reader.musicxml_to_sequence_proto(document)
        except musicxml_parser.UnpitchedNoteError:
            detail = "the score has unpitched notes (drums), which are not read from MusicXML"
            raise Rejected("malformed", f"{detail}; export it as MIDI") from None
        # The parser checks little of what it reads, so a damaged score raises almost anything.
        except Exception as error:
            detail = f"not readable as MusicXML ({type(error).__name__}: {error})"
            raise Rejected("malformed", detail) from error
    sounding = [note for note in sequence.notes if note.end_time > note.start_time]
    if not sounding:
        raise Rejected("no_notes", "no note in the score")
    if len(sounding) > max_notes:
        raise Rejected("too_many_notes", f"{len(sounding)} notes; the limit is {max_notes}")
    if sequence.total_time > max_seconds:
        raise Rejected("too_long", f"lasts {sequence.total_time:.0f} s")
    # Grace notes take no time.
    sounding.sort(key=lambda note: (note.start_time, note.instrument, note.pitch))
    kept = [NoteSequence.Note.FromString(note.SerializeToString()) for note in sounding]
    del sequence.notes[:]
    sequence.notes.extend(kept)
    _correct(sequence, document)
    return sequence


def _require_small(data: bytes) -> None:
    """Raises Rejected for a score that is too large, also once it is unpacked."""
    size = len(data)
    if data.startswith(_ZIP):
        try:
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                size = max(size, *(member.file_size for member in archive.infolist()))
        except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
            raise Rejected("malformed", f"not a compressed score: {error}") from error
    if size > MAX_BYTES:
        raise Rejected("too_large", f"{size} bytes; the limit is {MAX_BYTES}")


def _remove_other_meters(score: ElementTree.Element) -> None:
    """Removes the meters of a score that are not one fraction: 3+2/8, 3/8+2/4, senza misura.

    A NoteSequence cannot have them. Numbers over 999 are removed too.
    """
    for attributes in score.iterfind("part/measure/attributes"):
        for time in attributes.findall("time"):
            numbers = [*time.iterfind("beats"), *time.iterfind("beat-type")]
            fraction = [number.tag for number in numbers] == ["beats", "beat-type"]
            if not fraction or not all(_METER.fullmatch(each.text or "") for each in numbers):
                attributes.remove(time)


def _join_ties(document: Any) -> None:
    """Joins each note at the end of a tie to the note that the tie begins at.

    Both are of one part, voice and pitch, and the second begins where the first ends. Where no such
    note is before it, as at a second ending, a note at the end of a tie is struck.
    """
    for part in document.parts:
        tied: dict[tuple[int, int], Any] = {}  # The durations of notes with an open tie.
        for measure in part.measures:
            kept = []
            for note in measure.notes:
                duration = note.note_duration
                # Grace notes take no time.
                if note.is_rest or not duration.seconds:
                    kept.append(note)
                    continue
                ends = {tie.get("type") for tie in note.xml_note.iterfind("tie")}
                key = (note.voice, note.pitch[1])
                before = tied.pop(key, None) if "stop" in ends else None
                if before and _follows(duration, before):
                    before.seconds += duration.seconds
                    duration = before
                else:
                    kept.append(note)
                if "start" in ends:
                    tied[key] = duration
            measure.notes = kept


def _follows(duration: Any, before: Any) -> bool:
    """Whether a note begins where the one before it ends."""
    return abs(before.time_position + before.seconds - duration.time_position) < _SAME_TIME


def _correct(sequence: NoteSequence, document: Any) -> None:
    """Puts meters, keys and an upbeat right from the first part; see the module's docstring."""
    measures = document.parts[0].measures
    del sequence.time_signatures[:]
    for measure in measures:
        for time in measure.xml_measure.iterfind("attributes/time"):
            sequence.time_signatures.add(
                time=measure.start_time_position,
                numerator=int(time.findtext("beats", "")),
                denominator=int(time.findtext("beat-type", "")),
            )
    # Keys of other parts may be those of transposing instruments.
    del sequence.key_signatures[:]
    for measure in measures:
        key = measure.key_signature
        if key is not None:
            minor = measure.xml_measure.findtext("attributes/key/mode") == "minor"
            # A fifth is seven semitones; a minor key lies nine above its major.
            sequence.key_signatures.add(
                time=max(key.time_position, 0.0),
                key=(7 * key.key + 9 * minor) % 12,
                mode=_Modes.Value("MINOR" if minor else "MAJOR"),
            )
    if len(measures) > 1 and sequence.time_signatures and sequence.tempos:
        meter, qpm = sequence.time_signatures[0], sequence.tempos[0].qpm
        bar = 240 / qpm * meter.numerator / meter.denominator
        upbeat = measures[1].start_time_position - measures[0].start_time_position
        # A meter that begins later says nothing about the first bar.
        if not meter.time and 0 < upbeat < bar - _SAME_TIME:
            _delay(sequence, bar - upbeat)


def _delay(sequence: NoteSequence, seconds: float) -> None:
    """Begins a piece so much later; what holds at its begin still does."""
    for note in sequence.notes:
        note.start_time += seconds
        note.end_time += seconds
    for field in (sequence.time_signatures, sequence.key_signatures, sequence.tempos):
        for change in field:
            change.time += seconds if change.time else 0
    for annotation in sequence.text_annotations:
        annotation.time += seconds
    sequence.total_time += seconds
