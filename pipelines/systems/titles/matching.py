"""Titles for tunes, and tunes for a text: the work of `titles match` and `titles search`.

Both search an index: of what the run was trained on, or of a user's own titles or records.
"""

import functools
import hashlib
import os
import pathlib
import re
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from pipelines.music.abc import tunebook
from pipelines.music.limits import Rejected
from pipelines.music.note_sequence import NoteSequence
from pipelines.records.manifest import content_digest, open_records
from pipelines.representations import scale_degrees
from pipelines.representations.scale_degrees import Melody
from pipelines.runtime.app import UserError, say
from pipelines.systems.titles import index, neighbours
from pipelines.systems.titles import towers as titles_towers
from pipelines.systems.titles import tunes as titled_tunes
from pipelines.systems.titles.index import Index
from pipelines.systems.titles.neighbours import Neighbours
from pipelines.systems.titles.towers import Towers
from pipelines.systems.titles.tunes import Tune
from pipelines.tunes import title_text
from pipelines.tunes.title_text import Title

_LINES_NAMED = 5
# Among so many of the highest cosines the titles of similar tunes choose: all, in most books.
_RANKED = 10_000
_LINE_END = re.compile(r"\r{0,2}\n|\r")


class Match(NamedTuple):
    """A title for a tune.

    Attributes:
      score: the higher, the better: the cosine of tune and title, and `neighbours.WEIGHT` times how
        similar the titles of similar tunes are.
      title: the title as it is written.
      existing: whether it is taken: by a tune that the run was trained on, or by the user's lists.
    """

    score: float
    title: str
    existing: bool


class Matcher:
    """Finds titles for tunes.

    Args:
      run_dir: a run of `titles train`.
      titles_path: a text file of titles to choose from, one a line; None for those of the run.
      index_dir: where the index of `titles_path` is kept; None to keep none.
      taken_paths: text files of titles that are taken, one a line.

    Raises:
      UserError: as `towers.open_run` and `index_of_titles`.
    """

    def __init__(
        self,
        run_dir: str,
        titles_path: str | None = None,
        index_dir: str | None = None,
        taken_paths: Sequence[str] = (),
    ):
        if index_dir and not titles_path:
            raise UserError("--index keeps the index of --titles; give both, or neither")
        # Embeddings of a user's list are not kept in the run; --index keeps their vectors.
        self._towers, _ = titles_towers.open_run(run_dir, keep_embeddings=False)
        own = open_run_index(run_dir, "titles", self._towers)
        trained = list(open_run_index(run_dir, "tunes", self._towers).entries())
        self._neighbours = neighbours.read_neighbours(trained)
        self._of_training = neighbours.read_titles(trained)
        if self._of_training is None:
            _say_alone(run_dir)
        self._taken = {entry["fold"] for entry in own.entries()}
        for path in taken_paths:
            lines, _ = read_list(path)
            self._taken.update(title.fold for line in lines for title in title_text.parse(line))
        self._index = own
        if titles_path:
            with tempfile.TemporaryDirectory() as scratch:
                folder = index_dir or os.path.join(scratch, "titles")
                self._index = index_of_titles(titles_path, self._towers, folder)

    def match(
        self, sequence: NoteSequence, top_k: int = 10, exclude_existing: bool = False
    ) -> list[Match]:
        """The titles that fit a tune best, the best first.

        Args:
          sequence: a tune.
          top_k: how many titles.
          exclude_existing: whether to leave out those that are taken.

        Raises:
          scale_degrees.NoMelodyError: if it has no melody.
          UserError: if all titles are taken.
        """
        read = scale_degrees.read(sequence)
        if read.chords:
            say(
                f"{sequence.id}: {read.chords} notes begin together with a higher one; the highest "
                "are taken for the melody"
            )
        keep = ~self._existing if exclude_existing else None
        found = self._found(read, top_k, keep) if keep is None or keep.any() else []
        if not found:
            raise UserError("all titles to choose from are taken; give others by --titles=FILE.txt")
        return found

    def _found(self, melody: Melody, top_k: int, keep: np.ndarray | None) -> list[Match]:
        """The best titles; only those that do not exist, if `keep` is given."""
        vector = self._towers.tune_vectors([melody])[0]
        rows = top_k
        while True:
            nearest = self._ranked(melody, vector, rows, keep)
            found: dict[str, Match] = {}
            for score, row in nearest:
                shown = self._index.entry(row)["title"]
                # "A, or B" is two titles that are shown as one, which exists if either does.
                existing = any(each.fold in self._taken for each in title_text.parse(shown))
                if not (existing and keep is not None):
                    found.setdefault(shown, Match(score, shown, existing))
            if len(found) >= top_k or len(nearest) < rows:
                return list(found.values())[:top_k]
            rows *= 2

    def _ranked(
        self, melody: Melody, vector: np.ndarray, rows: int, keep: np.ndarray | None
    ) -> list[tuple[float, int]]:
        """Scores and rows of the best titles, the best first."""
        if self._of_training is None or self._neighbours is None:
            return self._index.search(vector, rows, keep)
        nearest = self._index.search(vector, max(rows, _RANKED), keep)
        near = self._neighbours.nearest([melody.degrees()])
        added = self._of_training.scores(near, self._spellings([row for _, row in nearest]))[0]
        return _added(nearest, added, rows)

    def _spellings(self, rows: Sequence[int]) -> Any:
        """The titles in some rows of the index, as they are compared by their letters."""
        if len(self._index) <= _RANKED:
            return self._all_spellings[rows]
        return self._spelt(self._index.entry(row) for row in rows)

    @functools.cached_property
    def _all_spellings(self) -> Any:
        return self._spelt(self._index.entries())

    def _spelt(self, entries: Iterable[Mapping[str, Any]]) -> Any:
        assert self._of_training is not None
        return self._of_training.vectors([_text(entry) for entry in entries])

    @functools.cached_property
    def _existing(self) -> np.ndarray:
        """Which titles of the index are taken."""
        return np.array([entry["fold"] in self._taken for entry in self._index.entries()])


def search(
    run_dir: str,
    text: str,
    top_k: int = 10,
    examples_path: str | None = None,
    index_dir: str | None = None,
) -> list[tuple[float, dict[str, Any]]]:
    """The tunes that fit a text best, the best first.

    Args:
      run_dir: a run of `titles train`.
      text: a title, or words such as "lively reel about a fiddle".
      top_k: how many tunes.
      examples_path: a glob of NoteSequence records to search; None for the tunes that the run was
        trained on.
      index_dir: where the index of `examples_path` is kept; None to keep none.

    Returns:
      The score, as that of a `Match`, and the tune's line of the index, for each.

    Raises:
      UserError: as `towers.open_run` and `index_of_tunes`, and for a text without words.
    """
    if index_dir and not examples_path:
        raise UserError("--index keeps the index of --examples_path; give both, or neither")
    length = len(" ".join(text.split()))
    if length > title_text.MAX_LENGTH:
        raise UserError(
            f"the text has {length} characters; search for at most {title_text.MAX_LENGTH}"
        )
    words = title_text.query(text)
    if not words:
        raise UserError(f"{text[:60]!r} has no word in it; search for some words")
    trained, _ = titles_towers.open_run(run_dir, keep_embeddings=False)
    own = open_run_index(run_dir, "tunes", trained)
    training = list(own.entries())
    of_training = neighbours.read_titles(training)
    with tempfile.TemporaryDirectory() as scratch:
        tunes = own
        if examples_path:
            folder = index_dir or os.path.join(scratch, "tunes")
            tunes = index_of_tunes(
                examples_path, trained, folder, lambda: neighbours.read_neighbours(training)
            )
        vector = trained.title_vectors([words])[0]
        nearest = tunes.search(vector, max(top_k, _RANKED))
        entries = [tunes.entry(row) for _, row in nearest]
        near = neighbours.read_near(entries, len(training))
        if of_training is None:
            _say_alone(run_dir)
        elif near is None:
            say(
                f"{index_dir} was made by an earlier version and has no neighbours of the tunes: "
                "the towers alone rank them; remove it, and it is made again"
            )
        else:
            added = of_training.scores(near, of_training.vectors([words]))[:, 0]
            nearest = _added(nearest, added, top_k)
        return [(score, tunes.entry(row)) for score, row in nearest[:top_k]]


def run_index_dir(run_dir: str, kind: str) -> str:
    """The folder of a run's own index of "titles" or "tunes"."""
    return os.path.join(run_dir, "index", kind)


def has_run_index(run_dir: str) -> bool:
    """Whether a run has both of its indexes, undamaged and with all that is searched for."""
    titles, tunes = (run_index_dir(run_dir, kind) for kind in ("titles", "tunes"))
    if not (os.path.exists(titles) and os.path.exists(tunes)):
        return False
    try:
        entry = index.open_index(tunes, "tunes", None).entry(0)
    except UserError:
        return False
    # An earlier version did not keep what similar tunes are found by.
    return {"near", "melody"} <= entry.keys()


def write_run_index(run_dir: str, towers: Towers, tunes: Sequence[Tune]) -> None:
    """Writes the indexes of the titles and tunes that a run was trained on."""
    found: dict[str, tuple[Title, dict[str, Any]]] = {}
    for tune in tunes:
        for title in tune.titles:
            found.setdefault(title.fold, (title, {"tunes": []}))[1]["tunes"].append(tune.id)
    titles = list(found.values())
    vectors = towers.title_vectors([title.text for title, _ in titles])
    _write_titles(run_index_dir(run_dir, "titles"), vectors, titles, towers.made_with())
    melodies = [tune.melody.degrees() for tune in tunes]
    among = neighbours.Neighbours([tune.id for tune in tunes], melodies)
    more = [neighbours.melody_field(melody) for melody in melodies]
    folder = run_index_dir(run_dir, "tunes")
    _write_tunes(folder, towers, tunes, towers.made_with(), among, more)


def open_run_index(run_dir: str, kind: str, towers: Towers) -> Index:
    """Opens the index of the "titles" or "tunes" that a run was trained on."""
    return index.open_index(run_index_dir(run_dir, kind), kind, towers.made_with())


def index_of_titles(path: str, towers: Towers, folder: str) -> Index:
    """An index of the titles in a text file, one a line.

    Args:
      path: the file, in any encoding that tunebooks have.
      towers: what makes the vectors.
      folder: where the index is, or where it is written if there is none. One that is there must
        be of this file and these towers.

    Raises:
      UserError: where there is no title in the file, or `folder` is of something else.
    """
    lines, data = read_list(path)
    digest = hashlib.blake2b(data, digest_size=16).hexdigest()
    made_with = {**towers.made_with(), "list_of_titles": digest}
    if _is_free(folder):
        titles = _titles_in(path, lines)
        # The embeddings are needed only once, so they are not kept.
        vectors = towers.title_vectors([title.text for title, _ in titles], remember=False)
        _write_titles(folder, vectors, titles, made_with)
    return index.open_index(folder, "titles", made_with)


def index_of_tunes(
    examples_path: str,
    towers: Towers,
    folder: str,
    among: Callable[[], Neighbours | None] = lambda: None,
) -> Index:
    """An index of the tunes in NoteSequence records, with or without titles.

    `towers`, `folder` and the errors are those of `index_of_titles`.

    Args:
      examples_path: a glob of records.
      among: gives the training tunes of the run, where an index that is written is to keep which
        of them are near.
    """
    records = open_records(examples_path)
    made_with = {**towers.made_with(), "set_of_records": content_digest(records.paths)}
    if _is_free(folder):
        tunes = titled_tunes.read(records)
        say(tunes.summary())
        _write_tunes(folder, towers, tunes.tunes, made_with, among())
    return index.open_index(folder, "tunes", made_with)


def read_list(path: str) -> tuple[list[str], bytes]:
    """The lines of a text file in any encoding that tunebooks have, and its bytes.

    Raises:
      UserError: where it is not text.
    """
    data = pathlib.Path(path).read_bytes()
    try:
        text = tunebook.decode(data)
    except Rejected as error:
        raise UserError(
            f"{path} is not text ({error.detail}); give a text file with a title on each line"
        ) from error
    return _LINE_END.split(text), data


def _is_free(folder: str) -> bool:
    """Whether there is nothing at a place, or an empty folder."""
    return not os.path.exists(folder) or (os.path.isdir(folder) and not os.listdir(folder))


def _titles_in(path: str, lines: Iterable[str]) -> list[tuple[Title, dict[str, Any]]]:
    """The different titles of a list, each with its line; says what is left out."""
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
    told = [f"{len(found)} different titles"]
    if nameless:
        named = ", ".join(map(str, nameless[:_LINES_NAMED]))
        more = ", ..." if len(nameless) > _LINES_NAMED else ""
        told.append(
            f"{len(nameless)} lines name no tune or are over {title_text.MAX_LENGTH} characters "
            f"(line {named}{more})"
        )
    if again:
        told.append(f"{again} are repeated")
    say(f"{path}: {'; '.join(told)}")
    if not found:
        raise UserError(f"{path} has no title in it; give a text file with one on each line")
    return list(found.values())


def _write_titles(
    folder: str,
    vectors: np.ndarray,
    titles: Sequence[tuple[Title, dict[str, Any]]],
    made_with: dict[str, str],
) -> None:
    entries = ({"title": title.shown, "fold": title.fold, **about} for title, about in titles)
    index.write(folder, "titles", vectors, entries, made_with)


def _write_tunes(
    folder: str,
    towers: Towers,
    tunes: Sequence[Tune],
    made_with: dict[str, str],
    among: Neighbours | None = None,
    more: Iterable[Mapping[str, Any]] = (),
) -> None:
    vectors = towers.tune_vectors([tune.melody for tune in tunes])
    entries = [_entry(tune) for tune in tunes]
    if among is not None:
        melodies = [tune.melody.degrees() for tune in tunes]
        near = among.nearest(melodies, [tune.id for tune in tunes])
        for entry, fields in zip(entries, neighbours.near_fields(near), strict=True):
            entry |= fields
    for entry, field in zip(entries, more):
        entry |= field
    index.write(folder, "tunes", vectors, entries, made_with)


def _added(
    nearest: Sequence[tuple[float, int]], added: np.ndarray, top_k: int
) -> list[tuple[float, int]]:
    """The best once the neighbours' scores are added to the cosines, the best first."""
    scores = np.array([score for score, _ in nearest]) + neighbours.WEIGHT * added
    best = np.argsort(-scores, kind="stable")[:top_k]
    return [(float(scores[at]), nearest[at][1]) for at in best]


def _text(entry: Mapping[str, Any]) -> str:
    """A title of an index as `Title.text`."""
    titles = title_text.parse(entry["title"])
    return next((title.text for title in titles if title.fold == entry["fold"]), "")


def _say_alone(run_dir: str) -> None:
    say(
        f"{run_dir} was trained by an earlier version, whose index does not have what similar "
        "tunes are found by: the towers alone rank; give its `titles train` command again, and the "
        "index is made again in seconds"
    )


def _entry(tune: Tune) -> dict[str, Any]:
    """A tune as a line of an index."""
    return {
        "id": tune.id,
        # "A, or B" is two titles that are shown as one.
        "titles": list(dict.fromkeys(title.shown for title in tune.titles)),
        "rhythm": tune.rhythm,
        "meter": tune.meter,
        "mode": tune.mode,
        "collection": tune.collection,
    }
