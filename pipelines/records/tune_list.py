"""The list of tunes beside the records: which tune each record is of.

Records whose corpus does not decide on the splits have it. It tells tunes of one folder again in
another (`leakage`).
"""

import array
import json
import os
import pathlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from pipelines.records import parts
from pipelines.records.manifest import SPLITS, TUNES
from pipelines.runtime.app import UserError
from pipelines.runtime.files import json_line, writing
from pipelines.tunes import splits


class Tune(NamedTuple):
    """A record and what its tune is recognised by.

    Attributes:
      id: of the record.
      split: which it is in.
      keys: the hashes of `splits.hash_keys`.
      title: for people.
    """

    id: str
    split: str
    keys: tuple[int, ...]
    title: str


def read_tunes(folder: str | os.PathLike) -> Iterator[Tune]:
    """The tunes of a finished folder of records; none where its corpus decided on the splits.

    Raises:
      UserError: if the list is damaged.
    """
    path = pathlib.Path(folder, TUNES)
    try:
        with open(path, encoding="utf-8") as file:
            for line in file:
                tune = json.loads(line)
                keys = tuple(int(key, 16) for key in tune["keys"])
                yield Tune(tune["id"], tune["split"], keys, tune["title"])
    except FileNotFoundError:
        return
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} is damaged ({error!r}); make the records again") from error


def hashes(files: Sequence[pathlib.Path], count: int) -> tuple[np.ndarray, ...]:
    """What `splits.assign` needs, in the order of the records.

    Returns:
      uint64 array shaped [records] of hashes of their names, uint64 array of all hashes of their
      keys, and int32 array shaped [records]: how many of these each record has.
    """
    own = np.zeros(count, np.uint64)
    counts = np.zeros(count, np.int32)
    hashes = array.array("Q")
    for i, (place, tune) in enumerate(parts.merged(files)):
        own[i] = int.from_bytes(place[:8], "big")
        keys, _ = parts.unpack_tune(tune)
        counts[i] = len(keys)
        hashes.extend(keys.tolist())
    return own, np.array(hashes, np.uint64), counts


def write_tunes(
    path: pathlib.Path, files: Sequence[pathlib.Path], assignment: splits.Assignment
) -> None:
    """Writes the list, from the tunes of all parts and the splits that were decided."""
    with writing(path) as file:
        for split, (place, tune) in zip(assignment.splits, parts.merged(files), strict=True):
            keys, title = parts.unpack_tune(tune)
            keys = [f"{key:016x}" for key in keys.tolist() if key not in assignment.general]
            line = {"id": place[8:].decode(), "split": SPLITS[split], "keys": keys, "title": title}
            file.write(json_line(line))
