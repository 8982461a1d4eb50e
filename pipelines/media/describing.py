"""Says of generated pieces how they were made, and keeps what they were made from.

The listening page and other programs read it: `media.description`.
"""

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pipelines.media import description
from pipelines.media.page.folder import INPUTS
from pipelines.music import midi_writer
from pipelines.music.note_sequence import NoteSequence
from pipelines.runtime import files


def write(
    output_dir: str,
    mode: str,
    settings: Mapping[str, Any],
    given: Sequence[tuple[str, NoteSequence]],
    paths: Sequence[str],
    amounts: Sequence[Mapping[str, float]] = (),
    play: Callable[[NoteSequence, str], object] | None = None,
) -> None:
    """Adds the pieces of one command to `pieces.json`, and keeps its inputs beside them.

    Args:
      output_dir: the folder with the pieces.
      mode: that of `generate`.
      settings: what all pieces were made with, by name; JSON values.
      given: the path and the music of each input.
      paths: the MIDI files, in the order of the series; of a grid row by row.
      amounts: of an edit, those of each piece.
      play: writes the sound of an input beside its MIDI file, whose path it is given.
    """
    sources = tuple(map(_name, (path for path, _ in given)))
    kept = tuple(filter(None, (_keep(output_dir, path, piece, play) for path, piece in given)))
    command = [mode, dict(settings), sources, kept, list(map(dict, amounts)), len(paths)]
    series = hashlib.sha256(json.dumps(command, sort_keys=True).encode()).hexdigest()[:16]
    columns = round(len(paths) ** 0.5)
    description.add(
        output_dir,
        [
            description.Description(
                file=os.path.basename(path),
                mode=mode,
                settings=dict(settings),
                sources=sources,
                inputs=kept if len(kept) == len(given) else (),
                amounts=dict(amounts[number]) if amounts else {},
                series=series,
                position=divmod(number, columns) if mode == "grid" else (number,),
            )
            for number, path in enumerate(paths)
        ],
    )


def _name(path: str) -> str:
    """The name of a file; bytes that are no UTF-8 are written out."""
    return os.path.basename(path).encode("utf-8", "backslashreplace").decode()


def _keep(
    output_dir: str,
    path: str,
    piece: NoteSequence,
    play: Callable[[NoteSequence, str], object] | None,
) -> str | None:
    """Writes an input as MIDI; returns its path from the folder, None where MIDI cannot hold it."""
    try:
        content = midi_writer.note_sequence_to_midi(piece)
    except ValueError:
        return None
    # Other music of the same name may have been an input of an earlier command.
    digest = hashlib.sha256(content).hexdigest()[:8]
    name = f"{os.path.splitext(_name(path))[0]}-{digest}.mid"
    os.makedirs(os.path.join(output_dir, INPUTS), exist_ok=True)
    with files.replacing(os.path.join(output_dir, INPUTS, name)) as file:
        file.write(content)
    if play:
        play(piece, os.path.join(output_dir, INPUTS, name))
    return f"{INPUTS}/{name}"
