"""The indexes of a run: the vectors of its training titles and tunes, and of a user's own."""

import hashlib
import os
import pathlib
import re
from collections.abc import Iterable, Sequence
from typing import Any

from pipelines.music.abc import tunebook
from pipelines.music.limits import Rejected
from pipelines.records.manifest import content_digest, record_files
from pipelines.runtime.app import UserError, say
from pipelines.systems.titles import index
from pipelines.systems.titles import tunes as titled_tunes
from pipelines.systems.titles.index import Index
from pipelines.systems.titles.towers import Towers
from pipelines.systems.titles.tunes import Tune, Tunes
from pipelines.tunes import title_text
from pipelines.tunes.title_text import Title

_LINES_NAMED = 5
_LINE_END = re.compile(r"\r{0,2}\n|\r")


def folder_of(run_dir: str, kind: str) -> str:
    """Where a run's own index of "titles" or "tunes" is."""
    return os.path.join(run_dir, "index", kind)


def write_run_index(run_dir: str, towers: Towers, tunes: Tunes) -> None:
    """Writes the indexes of the titles and tunes that a run was trained on."""
    _write_titles(folder_of(run_dir, "titles"), towers, _titles_of(tunes.tunes), {})
    _write_tunes(folder_of(run_dir, "tunes"), towers, tunes.tunes, {})


def has_run_index(run_dir: str) -> bool:
    """Whether a run has both of its indexes."""
    return all(os.path.exists(folder_of(run_dir, kind)) for kind in ("titles", "tunes"))


def open_run_index(run_dir: str, kind: str, towers: Towers) -> Index:
    """Opens the index of a run's training "titles" or "tunes"."""
    return index.open_index(folder_of(run_dir, kind), kind, towers.made_with())


def read_list(path: str) -> tuple[list[str], bytes]:
    """The lines of a text file in any encoding that tunebooks have, and its bytes.

    Raises:
      UserError: where it is no text.
    """
    data = pathlib.Path(path).read_bytes()
    try:
        text = tunebook.decode(data)
    except Rejected as error:
        raise UserError(
            f"{path} is no text ({error.detail}); give a text file with a title on each line"
        ) from error
    return _LINE_END.split(text), data


def of_titles(path: str, towers: Towers, folder: str | None, scratch: str) -> Index:
    """An index of the titles in a text file, one a line.

    Args:
      path: the file, in any encoding that tunebooks have.
      towers: what makes the vectors.
      folder: where the index is kept: one that is there is opened, and must be of this file and
        these towers. None keeps none.
      scratch: an empty folder for an index that is not kept.

    Raises:
      UserError: where there is no title in the file, or `folder` is of something else.
    """
    lines, data = read_list(path)
    made_with = {"list_of_titles": hashlib.blake2b(data, digest_size=16).hexdigest()}
    where = folder or os.path.join(scratch, "titles")
    if _is_free(where):
        _write_titles(where, towers, _titles_in(path, lines), made_with)
    return index.open_index(where, "titles", {**towers.made_with(), **made_with})


def of_tunes(examples_path: str, towers: Towers, folder: str | None, scratch: str) -> Index:
    """An index of the tunes in NoteSequence records, with or without titles.

    Arguments and errors as those of `of_titles`, but for `examples_path`, a glob of the records.
    """
    made_with = {"set_of_records": content_digest(record_files(examples_path))} if folder else {}
    where = folder or os.path.join(scratch, "tunes")
    if _is_free(where):
        tunes = titled_tunes.read(examples_path)
        say(tunes.summary())
        _write_tunes(where, towers, tunes.tunes, made_with)
    return index.open_index(where, "tunes", {**towers.made_with(), **made_with})


def _is_free(folder: str) -> bool:
    """Whether an index is to be written to a place: nothing is there, or an empty folder."""
    return not os.path.exists(folder) or (os.path.isdir(folder) and not os.listdir(folder))


def _titles_of(tunes: Iterable[Tune]) -> list[tuple[Title, dict[str, Any]]]:
    """The different titles of tunes, each as it first stands, and the ids of its tunes."""
    found: dict[str, tuple[Title, dict[str, Any]]] = {}
    for tune in tunes:
        for title in tune.titles:
            found.setdefault(title.fold, (title, {"tunes": []}))[1]["tunes"].append(tune.id)
    return list(found.values())


def _titles_in(path: str, lines: Iterable[str]) -> list[tuple[Title, dict[str, Any]]]:
    """The different titles of a list, each with its line."""
    found: dict[str, tuple[Title, dict[str, Any]]] = {}
    nameless, again = [], 0
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        titles = title_text.parse(line)
        if not titles:
            nameless.append(number)
        for title in titles:
            again += title.fold in found
            found.setdefault(title.fold, (title, {"line": number}))
    left_out = []
    if nameless:
        named = ", ".join(map(str, nameless[:_LINES_NAMED]))
        more = ", ..." if len(nameless) > _LINES_NAMED else ""
        left_out.append(
            f"{len(nameless)} lines name no tune or are over {title_text.MAX_LENGTH} characters "
            f"(line {named}{more})"
        )
    if again:
        left_out.append(f"{again} are there before")
    say(f"{path}: {'; '.join([f'{len(found)} different titles', *left_out])}")
    if not found:
        raise UserError(f"{path} has no title in it; give a text file with one on each line")
    return list(found.values())


def _write_titles(
    folder: str,
    towers: Towers,
    titles: Sequence[tuple[Title, dict[str, Any]]],
    made_with: dict[str, str],
) -> None:
    # What the run was trained on is known already; a list is needed but once.
    remember = not made_with
    vectors = towers.title_vectors([title.text for title, _ in titles], remember)
    entries = ({"title": title.shown, "fold": title.fold, **about} for title, about in titles)
    index.write(folder, "titles", vectors, entries, {**towers.made_with(), **made_with})


def _write_tunes(
    folder: str, towers: Towers, tunes: Sequence[Tune], made_with: dict[str, str]
) -> None:
    vectors = towers.tune_vectors([tune.melody for tune in tunes])
    entries = (describe(tune) for tune in tunes)
    index.write(folder, "tunes", vectors, entries, {**towers.made_with(), **made_with})


def describe(tune: Tune) -> dict[str, Any]:
    """A tune as a line of an index."""
    return {
        "id": tune.id,
        # "A, or B" is two titles that are shown alike.
        "titles": list(dict.fromkeys(title.shown for title in tune.titles)),
        "rhythm": tune.rhythm,
        "meter": tune.meter,
        "mode": tune.mode,
        "collection": tune.collection,
    }
