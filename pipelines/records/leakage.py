"""Finds tunes that are trained on in one folder of records and held out in another.

One run of `convert` keeps the versions of a tune in one split. Folders that were converted apart
divide their tunes independently, so a tune in the training records of one may be in the test split
of another. The lists of tunes beside the records show this (tfrecords/README.md); records without
a list pass unchecked.
"""

import os
from collections.abc import Iterable, Iterator

from pipelines.records.manifest import SPLITS, record_files, split_pattern
from pipelines.records.tune_list import Tune, read_tunes
from pipelines.runtime.app import UserError, say
from pipelines.tunes.splits import is_phrase

_NAMED = 3


def require_none(paths: Iterable[str], source: str) -> None:
    """Refuses to train on records with tunes that another of their folders holds out.

    Args:
      paths: the files of the training records, in one folder or several.
      source: what the user called them, for the message.

    Raises:
      UserError: naming the first few such tunes.
    """
    used = _splits_used(paths)
    if len(used) < 2:
        return
    trained, held_out = [], []
    for folder, splits in sorted(used.items()):
        for tune in read_tunes(folder):
            (trained if tune.split in splits else held_out).append((folder, tune))
    found = _shared(trained, held_out)
    if found:
        names = ", ".join(
            f"{a.title or a.id!r} ({a.split} of {first} and {b.split} of {second})"
            for (first, a), (second, b) in found[:_NAMED]
        )
        raise UserError(
            f"{source}: {len(found)} tunes to train on are held out in the other folder: "
            f"{names}{', ...' if len(found) > _NAMED else ''}; convert them together, in one run "
            "with an --input for each"
        )


def warn(paths: Iterable[str], training_path: str) -> int:
    """Warns on stderr if records to measure are versions of tunes that were trained on.

    Args:
      paths: the files of the records to measure.
      training_path: the pattern that was trained on. Where it matches nothing any more, nothing can
        be found.

    Returns:
      The number of records to measure that are such versions.
    """
    try:
        trained = list(_tunes_of(record_files(training_path)))
    except UserError:
        return 0
    try:
        measured = list(_tunes_of(paths))
    except UserError as error:
        # What is only to warn must not end the job.
        say(f"warning: not checked for tunes that the run was trained on: {error}")
        return 0
    known = len(_shared(measured, trained))
    if known:
        say(
            f"warning: {known} of the {len(measured)} records to measure are versions of tunes "
            f"that the run was trained on ({training_path})"
        )
    return known


def warn_of_splits(paths: Iterable[str], source: str) -> None:
    """Warns on stderr if training records are of more than one split, as 'DIR/*' matches them.

    Training on held-out records may be meant, so it is not refused.

    Args:
      paths: the files of the training records.
      source: what the user called them, for the message.
    """
    paths = list(paths)
    used = set().union(*_splits_used(paths).values())
    splits = [split for split in SPLITS if split in used]
    if len(splits) > 1:
        folders = dict.fromkeys(os.path.dirname(path) for path in paths)
        pattern = ",".join(split_pattern(folder, SPLITS[0]) for folder in folders)
        say(
            f"warning: {source} matches records of {' and '.join(splits)}, so it trains on "
            f"records that are held out; those to train on are {pattern!r}"
        )


def _splits_used(paths: Iterable[str]) -> dict[str, set[str]]:
    """The splits that the files belong to, by folder."""
    used: dict[str, set[str]] = {}
    for path in paths:
        folder, name = os.path.split(os.path.realpath(path))
        used.setdefault(folder, set()).add(name.split(".")[0])
    return used


def _tunes_of(paths: Iterable[str]) -> Iterator[tuple[str, Tune]]:
    for folder, splits in sorted(_splits_used(paths).items()):
        for tune in read_tunes(folder):
            if tune.split in splits:
                yield folder, tune


def _shared(
    ours: list[tuple[str, Tune]], theirs: list[tuple[str, Tune]]
) -> list[tuple[tuple[str, Tune], tuple[str, Tune]]]:
    """Each of ours that has a key in common with some of theirs, with the first of these."""
    our_keys = {key for _, tune in ours for key in tune.keys if not is_phrase(key)}
    their_tune: dict[int, tuple[str, Tune]] = {}
    for one in theirs:
        for key in our_keys.intersection(one[1].keys):
            their_tune.setdefault(key, one)
    return [
        (one, their_tune[common[0]])
        for one in ours
        if (common := [key for key in one[1].keys if key in their_tune])
    ]
