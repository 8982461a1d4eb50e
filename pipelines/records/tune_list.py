"""The list of tunes beside the records: which tune each record is of.

A folder has this list if its corpus does not decide on the splits. By it, tunes of one folder are
found again in another (`leakage`).
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
      id: the record's id.
      split: the split that it is in.
      keys: the hashes of its keys, as `splits.hash_keys` gives them: those that identify it, its
        phrases where they decided whether a title of it joins, and a key in common with the tunes
        that it is alike under a title which names no tune.
      title: the tune's title, for people.
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


def assign_splits(
    path: pathlib.Path, files: Sequence[pathlib.Path], count: int, percent: Sequence[int]
) -> splits.Assignment:
    """Decides the splits of records that share tunes, and writes the list of their tunes.

    Args:
      path: the list to write.
      files: the sorted files of `parts.TUNES`.
      count: how many tunes these have, one for each record.
      percent: the shares of train, validation and test.

    Returns:
      The split of each record, in the order of the records.
    """
    assignment = splits.assign(*_read_hashes(files, count), percent)
    with writing(path) as file:
        tunes = zip(assignment.splits, parts.merged(files), strict=True)
        for i, (split, (sort_key, tune)) in enumerate(tunes):
            hashes, title = parts.unpack_tune(tune)
            keys = _listed(hashes.tolist(), assignment.alike.get(i, ()), assignment)
            line = {
                "id": sort_key[8:].decode(),
                "split": SPLITS[split],
                "keys": [f"{key:016x}" for key in keys],
                "title": title,
            }
            file.write(json_line(line))
    return assignment


def _listed(keys: Sequence[int], alike: Sequence[int], assignment: splits.Assignment) -> list[int]:
    """The sorted keys of a tune that are listed.

    `splits.join` makes the same groups of the listed keys as of all keys. Titles that name no tune
    are left out, since they would join the tunes of a part of the list that has few melodies with
    them; the `alike` keys join what is alike under such titles.
    """
    compared = not assignment.compared.isdisjoint(keys)
    listed = [
        key
        for key in keys
        if key not in assignment.general and (compared or not splits.is_phrase(key))
    ]
    return sorted([*listed, *alike])


def _read_hashes(
    files: Sequence[pathlib.Path], count: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What `splits.assign` needs of the tunes, in the order of the records.

    Returns:
      uint64 array shaped [records] of hashes of their names, uint64 array of all hashes of their
      keys, and int32 array shaped [records]: how many of these each record has.
    """
    names = np.zeros(count, np.uint64)
    counts = np.zeros(count, np.int32)
    hashes = array.array("Q")
    for i, (sort_key, tune) in enumerate(parts.merged(files)):
        names[i] = int.from_bytes(sort_key[:8], "big")
        keys, _ = parts.unpack_tune(tune)
        counts[i] = len(keys)
        hashes.extend(keys.tolist())
    return names, np.asarray(hashes, np.uint64), counts
