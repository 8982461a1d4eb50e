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
from pipelines.records.manifest import MANIFEST
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
    _require_free(path, overwrite)
    sources = list(_sources(paths))
    if not sources:
        raise UserError(f"{', '.join(paths)}: no music there; name other files or folders")
    with address_folder.making(output) as folder:
        # Another job may have written it before this one had the folder.
        _require_free(path, overwrite)
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


def _require_free(path: str, overwrite: bool) -> None:
    """Raises UserError where an older file, or records, are at the place of the verdicts."""
    exists = storage.find if storage.is_address(path) else os.path.exists
    if exists(path) and not overwrite:
        raise UserError(f"{path} exists; name another --output, or add --overwrite")
    folder = path.removesuffix(f"/{FILE}")
    if exists(f"{folder}/{MANIFEST}"):
        raise UserError(f"{folder} holds records; name another --output")


def _sources(paths: Sequence[str]) -> Iterator[Source]:
    """Slices of tunebooks, and other files of music, in the order in which tunes are judged."""
    for path in paths:
        if storage.is_address(path) and not reading.is_archive(path):
            yield from _in_bucket(storage.absolute(path))
            continue
        for file in [path] if reading.is_archive(path) else reading.files_of([path]):
            if file.lower().endswith(formats.SCORES):
                yield Source(file, {"score": os.path.abspath(file)})
            else:
                yield from _slices(file)


def _in_bucket(address: str) -> Iterator[Source]:
    """The sources of an object, or of a folder in a bucket; none of them is fetched here."""
    folder, _, name = address.rpartition("/")
    if storage.find(address) is not None:
        yield from _of_object(folder, name)
        return
    begin = f"{address}/"
    names = [file.address.removeprefix(begin) for file in storage.files_in(address)]
    if not names:
        raise storage.absent(address, "name other files or folders")
    by_path = {pathlib.PurePosixPath(name): name for name in names}
    if len(by_path) < len(names):
        raise UserError(f"{address}: names in it differ by slashes alone; rename these objects")
    found = reading.with_music(by_path)
    if not found:
        raise reading.no_music(address)
    for path in found:
        yield from _of_object(address, by_path[path])


def _of_object(folder: str, name: str) -> Iterator[Source]:
    """The sources of an object in a folder."""
    file = f"{folder}/{name}"
    if name.lower().endswith(formats.SCORES):
        yield Source(file, {"score": file})
        return
    for part in abc.slices_in(folder, name):
        yield part._replace(facts={**part.facts, "file": file})


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
