"""NoteSequences to ABC notation that players and this project's own reader take back.

Bars, beams and line breaks follow the grid of the meter; notes over a bar line, or of a length that
no single note has, are tied. Repeats are written out.

Times have to be on the grid of musical time (`grid`): a free performance is refused.
"""

from pipelines.music import note_sequence
from pipelines.music.abc import fields, grid
from pipelines.music.abc.grid import WHOLE, Voice
from pipelines.music.abc.voices import voice_lines
from pipelines.music.melody import is_pitched
from pipelines.music.note_sequence import NoteSequence

_HEADERS = "TCARODSBNHFGZ"


def write(sequence: NoteSequence, title: str = "") -> str:
    """Writes a sequence as one tune.

    Each instrument is a voice; if its notes overlap without beginning and ending together, they go
    to several voices. Without a time signature the meter is free in a sequence from ABC, and 4/4
    in any other, as in MIDI. Without a key signature that fits the notes, the key is guessed from
    them. Header fields are those that the reader has added (`note_sequence.fields`).

    Args:
      sequence: notes with times in seconds, not quantized.
      title: the title of a sequence that has none.

    Raises:
      ValueError: where it has no notes, or has drums, or its times are not on the grid.
    """
    if not is_pitched(sequence):
        raise ValueError("only music with notes and without drums can be written as ABC")
    music = grid.of_sequence(sequence)
    head = _header(sequence, title)
    head.append(f"M:{fields.write_meter(music.bars[0].meter)}")
    head.append(f"L:1/{WHOLE // music.unit}")
    head.append(f"Q:{fields.write_tempo(music.tempos[0][1], music.bars[0].meter)}")
    many = len(music.voices) > 1
    if many:
        head += [_voice_header(number, voice) for number, voice in enumerate(music.voices, 1)]
    elif music.voices[0].program:
        head.append(f"%%MIDI program {music.voices[0].program}")
    head.append(f"K:{music.keys[0][1].name}")
    body: list[str] = []
    for number, voice in enumerate(music.voices, 1):
        if many:
            body.append(f"V:{number}")
            if voice.program:
                body.append(f"%%MIDI program {voice.program}")
        body += voice_lines(music, voice, is_first=number == 1)
    return "\n".join([*head, *body]) + "\n"


def _header(sequence: NoteSequence, title: str) -> list[str]:
    """The fields before the meter."""
    header = [field for field in note_sequence.fields(sequence) if field[0] in _HEADERS]
    given = {letter for letter, _ in header}
    metadata = sequence.sequence_metadata
    others = [("T", fields.write_text(metadata.title) or fields.write_text(title) or "Untitled")]
    others += [("C", composer) for composer in metadata.composers]
    others += [("R", genre) for genre in metadata.genre[:1]]
    header += [field for field in others if field[0] not in given]
    # Titles come first; a program shows the first of them as the tune's name.
    header.sort(key=lambda field: field[0] != "T")
    return [
        f"X:{max(sequence.reference_number, 1)}",
        *(f"{letter}:{fields.write_text(value)}" for letter, value in header),
    ]


def _voice_header(number: int, voice: Voice) -> str:
    name = fields.write_text(voice.name).replace('"', "'")
    return f'V:{number} name="{name}"' if name else f"V:{number}"
