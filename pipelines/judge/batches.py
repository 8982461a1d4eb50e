"""Judges many files by Beam, as `convert` reads them: the work of `judge --output`.

They are those that `reading` finds, in its order, and archives of tunebooks, as zips and tars.
Tunebooks are cut into slices.
Workers judge them in batches; a worker process runs `pipelines.judge.worker`.
"""

import os
import pathlib
import shutil
from collections.abc import Iterator, Mapping, Sequence

from pipelines.corpora import Ignored, Skipped, Source, abc
from pipelines.judge import reading
from pipelines.judge.worker import JudgeBatch
from pipelines.music import formats
from pipelines.records import address_folder, beam_batches, parts
from pipelines.runtime import beam_files, beam_runner, files, storage
from pipelines.runtime.app import UserError, say

FILE = "verdicts.jsonl"
# A tune takes about so many times as long to judge as to convert.
_COST = 8


def judge(
    paths: Sequence[str],
    output: str,
    settings: tuple[str, Sequence[str], Sequence[str]],
    arguments: Sequence[str] | None = None,
    overwrite: bool = False,
) -> tuple[str, Mapping[str, int]]:
    """Judges the tunes at some paths.

    Args:
      paths: files and folders of music, and archives of tunebooks.
      output: the folder in which verdicts.jsonl is written, also in a bucket: a line for each
        tune in the order of the files.
      settings: what `verdicts.open_judge` takes.
      arguments: Beam's options; by default, options that suit the number of tunes.
      overwrite: whether an older file in `output` is replaced.

    Returns:
      The path of the file; and how many tunes are "passed", "rejected" and "unjudged".

    Raises:
      UserError: where there is no music, or the file is there.
    """
    beam_files.configure(arguments or ())
    in_bucket = storage.is_address(output)
    path = f"{storage.absolute(output)}/{FILE}" if in_bucket else os.path.join(output, FILE)
    exists = storage.find(path) if in_bucket else os.path.exists(path)
    if exists and not overwrite:
        raise UserError(f"{path} exists; name another --output, or add --overwrite")
    sources = list(_sources(paths))
    if not sources:
        raise UserError(f"{', '.join(paths)}: no music there; name other files or folders")
    with address_folder.making(output) as folder:
        weights = [source.weight for source in sources]
        batches = beam_batches.write(folder.shared, beam_batches.divide(sources, weights))
        if arguments is None:
            arguments = beam_runner.default_arguments(_COST * sum(weights))
        judge_folder, names, against = settings
        # Workers may have another working directory.
        given = os.path.abspath(judge_folder) if judge_folder else ""
        made_with = (folder.shared, given, list(names), [os.path.abspath(each) for each in against])
        beam_batches.run(
            folder, batches, JudgeBatch, made_with, arguments, len(sources), "files judged"
        )
        folder.fetch_parts()
        tally = parts.tally(folder.parts)
        if tally.sources != len(sources):
            raise RuntimeError(f"the workers account for {tally.sources} of {len(sources)} sources")
        whole = folder.parts / FILE if in_bucket else path
        with files.replacing(whole) as file:
            for batch in batches:
                with open(folder.parts / f"{batch}.jsonl", "rb") as lines:
                    shutil.copyfileobj(lines, file)
        if in_bucket:
            storage.send(whole, path)
    return path, tally.counts


def _sources(paths: Sequence[str]) -> Iterator[Source]:
    """Slices of tunebooks, and other files of music, in the order in which tunes are judged."""
    for path in paths:
        for file in _files(path):
            if file.lower().endswith(formats.SCORES):
                yield Source(file, {"score": storage.absolute(file)})
            else:
                yield from _slices(file)


def _files(path: str) -> Sequence[str]:
    """The files at a path, as `reading.files_of` finds them; an archive is one file."""
    if reading.is_archive(path):
        return [path]
    if not storage.is_address(path):
        return reading.files_of([path])
    if storage.find(path) is not None:
        return [path]
    begin = f"{storage.absolute(path)}/"
    names = [file.address.removeprefix(begin) for file in storage.files_in(path)]
    found = reading.with_music(map(pathlib.PurePosixPath, names))
    if not found:
        raise reading.no_music(path)
    return [f"{begin}{name}" for name in found]


def _slices(path: str) -> Iterator[Source]:
    """Slices of a tunebook, or of those of an archive, by the path that is told."""
    for found in abc.CORPUS.sources([path]):
        if isinstance(found, Source):
            if not found.facts["required"]:
                continue  # Of an archive, too, what ends in .abc.
            file = f"{path}/{found.facts['file']}" if reading.is_archive(path) else path
            yield found._replace(facts={**found.facts, "file": file})
        elif isinstance(found, Skipped | Ignored):
            say(f"{found.key}: left out: {found.detail}")
