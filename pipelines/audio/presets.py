"""The presets of a sound font: what it can play, by name and by number.

Only the list of presets is read, without a synthesiser and without the samples.
"""

import os
import re
import struct
from collections.abc import Sequence
from typing import BinaryIO, NamedTuple

from pipelines.runtime.app import UserError
from pipelines.runtime.nearest import PART, did_you_mean

DRUM_BANK = 128
# A preset in the chunk "phdr": name, program, bank, and five fields for synthesisers. The last one
# marks the end. Source: SoundFont Technical Specification 2.04, section 7.2.
_HEADER = struct.Struct("<20sHH14x")
_CHUNK = struct.Struct("<4sI")
_MOST_PRESETS = 1 << 16


class Preset(NamedTuple):
    """One sound of a sound font.

    Attributes:
      bank, program: its number, as MIDI selects it.
      name: what the font calls it.
      is_drums: whether it is a drum kit, in which each pitch is another drum.
    """

    bank: int
    program: int
    name: str
    is_drums: bool


def read(path: str | os.PathLike, is_drums: bool = False) -> list[Preset]:
    """The presets of a sound font, by bank and program.

    Args:
      path: the font (.sf2, .sf3).
      is_drums: whether all its presets are drum kits; otherwise those of bank 128 are.

    Raises:
      UserError: where the file is no sound font, or is cut short.
      OSError: where it cannot be read.
    """
    with open(path, "rb") as file:
        content = _headers(file, os.fstat(file.fileno()).st_size)
    if not content or len(content) % _HEADER.size:
        raise UserError(f"{path}: not a sound font (.sf2, .sf3), or it is cut short; get it anew")
    found = []
    for name, program, bank in list(_HEADER.iter_unpack(content))[:-1]:
        text = name.partition(b"\0")[0].decode("latin-1").strip()
        found.append(Preset(bank, program, text, is_drums or bank == DRUM_BANK))
    return sorted(found)


def find(presets: Sequence[Preset], wanted: str, font: str) -> Preset:
    """The preset that a user names.

    Args:
      presets: those of the font.
      wanted: a name, in whatever case, or "bank:program"; "" for the only preset of a font.
      font: the font's name, for messages.

    Raises:
      UserError: where there is no such preset, or several.
    """
    listing = f"./run.sh style sounds {font} lists them"
    if not wanted:
        if len(presets) != 1:
            raise UserError(f"{font} has {len(presets)} presets; name one, {font}:NAME ({listing})")
        return presets[0]
    number = re.fullmatch(r"(\d+):(\d+)", wanted)
    if number:
        key = int(number[1]), int(number[2])
        found = [each for each in presets if (each.bank, each.program) == key]
    else:
        found = [each for each in presets if each.name.lower() == wanted.lower()]
    if not found:
        near = did_you_mean(wanted, (each.name for each in presets), f"{font}:", PART)
        raise UserError(f"{font} has no preset {wanted!r}{near} ({listing})")
    if len({each[:2] for each in found}) > 1:
        numbers = " or ".join(f"{font}:{each.bank}:{each.program}" for each in found)
        raise UserError(f"{font} has {len(found)} presets named {wanted!r}; give {numbers}")
    return found[0]


def _headers(file: BinaryIO, size: int) -> bytes:
    """The content of the chunk "phdr"; empty where there is none."""
    start = file.read(12)
    if len(start) < 12 or start[:4] != b"RIFF" or start[8:] != b"sfbk":
        return b""
    end, within = size, 12
    while within + _CHUNK.size <= end:
        file.seek(within)
        # RIFF has a zero after chunks of odd length; programs that write SF3 leave it out.
        if file.read(1) == b"\0":
            within += 1
        file.seek(within)
        header = file.read(_CHUNK.size)
        if len(header) < _CHUNK.size:
            break
        name, length = _CHUNK.unpack(header)
        within += _CHUNK.size
        if name == b"LIST" and file.read(4) == b"pdta":
            within += 4  # Its chunks are looked at, those of other lists are passed over.
        elif name == b"phdr":
            return file.read(length) if length <= _MOST_PRESETS * _HEADER.size else b""
        else:
            within += length
    return b""
