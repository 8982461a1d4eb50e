"""The tunes of records as they are written.

Records have tunes as they are played, with the splits and what versions of a tune are recognised
by. The text of each is found in the tunebooks that the records were made of, by the record's id.
"""

import collections
import os
import pathlib
from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np

from pipelines.corpora import abc
from pipelines.music.abc.notation import notate
from pipelines.music.limits import Rejected
from pipelines.records import manifest
from pipelines.records.tune_list import read_tunes
from pipelines.representations.abc_tokens import steps, written
from pipelines.representations.abc_tokens.steps import Given, Steps
from pipelines.runtime.app import UserError
from pipelines.runtime.progress import Progress
from pipelines.tunes import splits


class Tune(NamedTuple):
    """A tune.

    Attributes:
      id: that of its record.
      corpus: the folder of its tunebook, "" where that is in none.
      split: "train", "validation" or "test".
      group: the same number for versions of one tune.
      given, steps: the tune as tokens.
    """

    id: str
    corpus: str
    split: str
    group: int
    given: Given
    steps: Steps


class Tunes(NamedTuple):
    """Tunes, and how many were left out, by reason."""

    tunes: list[Tune]
    left_out: collections.Counter[str]

    def of(self, split: str) -> list[Tune]:
        """Those of a split."""
        return [tune for tune in self.tunes if tune.split == split]


def splits_of(pattern: str) -> tuple[str, set[str]]:
    """The folder of the records that a pattern names, and the splits of these records.

    Raises:
      UserError: where no file matches, or files of several folders do.
    """
    paths = [pathlib.Path(path) for path in manifest.record_files(pattern)]
    folders = sorted({path.parent for path in paths})
    if len(folders) > 1:
        raise UserError(
            f"{pattern!r} names records of {len(folders)} folders; convert all tunebooks into one"
        )
    return str(folders[0]), {path.name.partition(".")[0] for path in paths}


def read(
    records: str | os.PathLike,
    tunebooks: Sequence[str],
    highest: bool = False,
    wanted: Collection[str] = manifest.SPLITS,
) -> Tunes:
    """Reads the tunes of a folder of records.

    Args:
      records: the folder, made by `convert --corpus=abc`.
      tunebooks: what its `--input` named.
      highest: as of `written.from_score`.
      wanted: the splits of which tunes are read.

    Raises:
      UserError: where the records have no list of tunes, or a record's tune is not in the
        tunebooks.
    """
    listed = list(read_tunes(records))
    if not listed:
        raise UserError(f"{records} has no list of tunes; make it with ./run.sh convert")
    hashes = np.array([key for tune in listed for key in tune.keys], np.uint64)
    groups = splits.join(hashes, np.array([len(tune.keys) for tune in listed])).groups
    place = {tune.id: i for i, tune in enumerate(listed)}
    found: dict[int, Tune] = {}
    left_out: collections.Counter[str] = collections.Counter()
    progress = Progress("tunes read")
    for count, (name, text) in enumerate(abc.texts(tunebooks), start=1):
        progress.update(count)
        i = place.pop(name, None)
        if i is None or listed[i].split not in wanted:
            continue  # It was rejected, or was in another corpus, or nobody asked for it.
        try:
            tune = written.from_score(notate(text), highest)
            made = steps.encode(tune)
        except (written.LeftOut, Rejected) as why:
            left_out[why.reason] += 1
            continue
        split = listed[i].split
        corpus = name.rpartition("/")[0].rpartition("/")[0]
        found[i] = Tune(name, corpus, split, int(groups[i]), steps.given(tune), made)
    progress.close()
    if place:
        raise UserError(
            f"{records} has {len(place)} tunes that are not in the tunebooks, such as "
            f"{next(iter(place))}; name those that the records were made of"
        )
    return Tunes([found[i] for i in sorted(found)], left_out)
