"""Gives the sounds of a user the sound of a target: the work of `style convert`."""

import os
import pathlib
from typing import Any

import numpy as np

from pipelines.audio import reading
from pipelines.runtime.app import say
from pipelines.runtime.files import new_folder, write_json
from pipelines.systems.style.sounds import each_sound
from pipelines.systems.style.sounds.reconstructing import Part, root_of
from pipelines.systems.style.transfer import transfers
from pipelines.systems.style.transfer.transfers import RATE, SampleTransfer, Transfer

SUMMARY = "convert.json"
MOST_SECONDS = 3600.0


def convert(
    transfer: Transfer | SampleTransfer,
    about: dict[str, Any],
    path: str,
    output: str | os.PathLike,
    part: Part | None = None,
) -> dict[str, Any]:
    """Writes the converted sounds into a new folder, which appears once it is complete.

    Each is a WAV file of the same name and length, in mono, at 16,000 frames a second. Files of a
    folder that cannot be read are left out, and said to be.

    Args:
      transfer: the method.
      about: how it was made, for `convert.json`.
      path: a sound file, or a folder of them.
      output: the folder to make.
      part: what is taken of each sound; by default all, up to `MOST_SECONDS`.

    Returns:
      What `convert.json` says: `about`, the counts with sounds = converted + rejected, a row of
      each sound that was converted (file, seconds, and how many samples were beyond 1 and are
      clipped), and of each that was not (file, reason).

    Raises:
      UserError: where there is no sound, none can be read, or the folder is in use.
    """
    start, seconds = part or Part()
    sounds = reading.sound_files(path)
    root = root_of(path)
    with new_folder(output) as folder:

        def one(sound: pathlib.Path, name: str) -> dict[str, Any]:
            samples = reading.read(sound, RATE, MOST_SECONDS, start, seconds)
            made = transfers.converted(samples, transfer)
            if not np.any(made):
                say(f"{sound}: what it becomes is silent")
            clipped = each_sound.write_clipped(folder / name, sound, made, RATE)
            return {"file": name, "seconds": round(len(samples) / RATE, 6), "clipped": clipped}

        jobs = zip(sounds, each_sound.written(root, sounds))
        found = each_sound.run(jobs, root, "converted", one)
        summary = {**about, "sample_rate": RATE, **found}
        write_json(folder / SUMMARY, summary)
    return summary
