"""What `generate` says of the pieces that it wrote: `pieces.json` beside them.

The page and other programs read there what a piece is, and guess nothing from its name. Its keys
are in docs/page.md. A folder in which `generate` ran several times has one file for all its pieces.
"""

import dataclasses
import json
import os
import pathlib
from collections.abc import Iterable
from typing import Any

from pipelines.runtime import files
from pipelines.runtime.app import say

FILE = "pieces.json"
_VERSION = 1
_MAX_BYTES = 1 << 26
_MOST_PLACES = 1 << 31


@dataclasses.dataclass(frozen=True)
class Description:
    """What is known of a piece.

    Attributes:
      file: the name of its MIDI file, in the folder of `pieces.json`.
      mode: that of `generate`: "sample", "interpolate" ...
      settings: what it was made with, by name: config, model, seed, temperature ...
      sources: the names of the files that it was made from, without their folders.
      inputs: these pieces as MIDI files, by paths from the folder, where they were kept.
      amounts: of an edit, by attribute, in standard deviations.
      series: equal for the pieces that were made together; "" for none.
      position: where the piece stands in its series: its number from 0, or its row and column.
    """

    file: str
    mode: str = ""
    settings: dict[str, Any] = dataclasses.field(default_factory=dict)
    sources: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    amounts: dict[str, float] = dataclasses.field(default_factory=dict)
    series: str = ""
    position: tuple[int, ...] = ()


def read(folder: str | os.PathLike) -> dict[str, Description]:
    """Reads what is known of the pieces of a folder, by file; nothing where there is no such file.

    Of a damaged file or entry a line is said, and the rest is read.
    """
    path = pathlib.Path(folder, FILE)
    try:
        given = json.loads(files.read_regular(path, _MAX_BYTES))
        if not isinstance(given, dict) or not isinstance(given.get("pieces"), list):
            raise ValueError("it has no list of pieces")
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        say(f"warning: {path} is passed over: {why}; ./run.sh generate writes it anew")
        return {}
    found, damaged = {}, 0
    for entry in given["pieces"]:
        try:
            description = _from_json(entry)
        except (TypeError, ValueError, KeyError, OverflowError):
            damaged += 1
            continue
        found[description.file] = description
    if damaged:
        say(f"warning: {path}: {damaged} entries are no descriptions of pieces, and passed over")
    return found


def add(folder: str | os.PathLike, descriptions: Iterable[Description]) -> None:
    """Adds pieces to what is known of a folder; those whose file is gone are taken out."""
    known = {**read(folder), **{each.file: each for each in descriptions}}
    kept = [each for each in known.values() if os.path.exists(os.path.join(folder, each.file))]
    path = pathlib.Path(folder, FILE)
    files.write_json(
        path, {"version": _VERSION, "pieces": [dataclasses.asdict(each) for each in kept]}
    )


def _from_json(entry: Any) -> Description:
    """Checks an entry; raises TypeError, ValueError, KeyError or OverflowError for a wrong one."""
    if not isinstance(entry, dict):
        raise TypeError("an entry is an object")
    settings, amounts = entry.get("settings", {}), entry.get("amounts", {})
    if not isinstance(settings, dict) or not isinstance(amounts, dict):
        raise TypeError("settings and amounts are objects")
    if any(isinstance(value, (list, dict)) for value in settings.values()):
        raise TypeError("a setting is a text or a number")
    return Description(
        file=_string(entry["file"]),
        mode=_string(entry.get("mode", "")),
        settings=settings,
        sources=tuple(map(_string, entry.get("sources", []))),
        inputs=tuple(map(_string, entry.get("inputs", []))),
        amounts={_string(name): float(amount) for name, amount in amounts.items()},
        series=_string(entry.get("series", "")),
        position=tuple(map(_place, entry.get("position", []))),
    )


def _place(value: Any) -> int:
    place = int(value)
    if not 0 <= place < _MOST_PLACES:
        raise ValueError("a position is a non-negative number")
    return place


def _string(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value
