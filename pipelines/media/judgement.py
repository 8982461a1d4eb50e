"""What ./run.sh judge says of tunes: `judge.json` beside them, which the page reads.

Its keys are in docs/page.md. A judgement names its tune by file, number and a hash of its notation:
a tune that was changed since is shown without it.
"""

import dataclasses
import json
import os
import pathlib
from collections.abc import Iterable, Mapping
from typing import Any

from pipelines.runtime import files
from pipelines.runtime.app import say

FILE = "judge.json"
_VERSION = 1
_MAX_BYTES = 1 << 28
_MOST = 1 << 31


@dataclasses.dataclass(frozen=True)
class Mark:
    """A bar in which something is found.

    Attributes:
      bar: its index among the written bars, from 0.
      text: what is found there.
    """

    bar: int
    text: str


@dataclasses.dataclass(frozen=True)
class Opinion:
    """What a criterion says of a tune.

    Attributes:
      name: the criterion.
      score: from 1 to 5; None where it cannot be judged.
      says: what it finds, in a line.
      fails: whether the tune is rejected for it.
      marks: the bars that it rests on.
    """

    name: str
    score: float | None
    says: str
    fails: bool = False
    marks: tuple[Mark, ...] = ()


@dataclasses.dataclass(frozen=True)
class Judgement:
    """What a judge says of a tune.

    Attributes:
      file: the name of its file, in the folder of `judge.json`.
      number: which tune of the file it is, from 1.
      notation: the hash of its notation, `page.folder.notation_hash`.
      verdict: in a few words: "passed", "rejected: rhythm" ...
      opinions: those of the criteria, in the order in which they are shown.
    """

    file: str
    number: int
    notation: str
    verdict: str
    opinions: tuple[Opinion, ...]


# What names a tune: file, number and hash.
Key = tuple[str, int, str]


def read(folder: str | os.PathLike) -> dict[Key, Judgement]:
    """Reads the judgements of a folder; none where it has no such file.

    Of a damaged file or entry a line is said, and the rest is read.
    """
    path = pathlib.Path(folder, FILE)
    try:
        given = json.loads(files.read_regular(path, _MAX_BYTES))
        if not isinstance(given, dict) or not isinstance(given.get("tunes"), list):
            raise ValueError("it has no list of tunes")
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        say(f"warning: {path} is passed over: {why}; ./run.sh judge --page writes it anew")
        return {}
    found, damaged = {}, 0
    for entry in given["tunes"]:
        try:
            made = _judgement(entry)
        except (TypeError, ValueError, KeyError, OverflowError):
            damaged += 1
            continue
        found[made.file, made.number, made.notation] = made
    if damaged:
        say(f"warning: {path}: {damaged} entries are no judgements of tunes, and passed over")
    return found


def write(folder: str | os.PathLike, judgements: Iterable[Judgement]) -> None:
    """Writes the judgements of a folder, in place of older ones."""
    tunes = [dataclasses.asdict(each) for each in judgements]
    files.write_json(pathlib.Path(folder, FILE), {"version": _VERSION, "tunes": tunes})


def _judgement(entry: Any) -> Judgement:
    """Checks an entry; raises TypeError, ValueError, KeyError or OverflowError for a wrong one."""
    return Judgement(
        _of(str, entry["file"]),
        _count(entry["number"], 1),
        _of(str, entry["notation"]),
        _of(str, entry["verdict"]),
        tuple(map(_opinion, _of(list, entry["opinions"]))),
    )


def _opinion(entry: Mapping[str, Any]) -> Opinion:
    score = entry["score"]
    if score is not None:
        if type(score) not in (int, float):
            raise TypeError(f"{score!r} is no number")
        if not 1 <= score <= 5:
            raise ValueError("a score is a number from 1 to 5")
    return Opinion(
        _of(str, entry["name"]),
        score,
        _of(str, entry["says"]),
        _of(bool, entry["fails"]),
        tuple(
            Mark(_count(mark["bar"], 0), _of(str, mark["text"]))
            for mark in _of(list, entry["marks"])
        ),
    )


def _of(kind: type, value: Any) -> Any:
    if type(value) is not kind:
        raise TypeError(f"{value!r} is no {kind.__name__}")
    return value


def _count(value: Any, least: int) -> int:
    if not least <= _of(int, value) < _MOST:
        raise ValueError(f"{value} is no number from {least} on")
    return value
