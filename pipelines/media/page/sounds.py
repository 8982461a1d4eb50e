"""Makes the sound of those pieces of a page that have none."""

import os
import pathlib
from collections.abc import Sequence

from pipelines.media import sound
from pipelines.media.page import folder
from pipelines.runtime.app import say
from pipelines.runtime.progress import Progress


def make(
    directory: str,
    pieces: Sequence[folder.Piece],
    audio: str,
    instrument: str | None = None,
    sound_font: str | None = None,
    synthesizer: str | None = None,
) -> bool:
    """Writes the sound of those pieces of a folder that have none.

    Args:
      directory: the folder.
      pieces: from `folder.read`.
      audio: one of `sound.CHOICES`.
      instrument, sound_font, synthesizer: as `synthesis.render` takes them.

    Returns:
      Whether sound was made, so that the folder has to be read again.

    Raises:
      UserError: where sound is wanted and cannot be made.
    """
    silent = {
        os.path.join(directory, piece.sound_stem): piece
        for piece in pieces
        if piece.sequence is not None and piece.sequence.notes and not piece.sound
    }
    if audio == "none" or not silent:
        return False
    how = (instrument, sound_font, synthesizer)
    ending = sound.choose(audio, len(silent), *how)
    if ending is None:
        if len(silent) > sound.MOST_BY_ITSELF:
            say(f"{len(silent)} pieces have no sound; --audio=mp3 makes it")
        return False
    with Progress("sounds made", len(silent)) as progress:
        for number, (stem, piece) in enumerate(silent.items(), start=1):
            pathlib.Path(stem).parent.mkdir(exist_ok=True)
            try:
                # A name may have dots: what follows the last of them is no ending here.
                sound.write(piece.sequence, f"{stem}.mid", ending, *how)
            except ValueError as error:
                say(f"warning: {os.path.join(directory, piece.file)}: no sound: {error}")
            progress.update(number)
    return True
