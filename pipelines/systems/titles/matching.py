"""Titles for tunes, and tunes for a text: the work of `titles match` and `titles search`."""

import functools
import pathlib
import tempfile
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from pipelines.music import midi_reader, note_sequence
from pipelines.music.abc import reader, tunebook
from pipelines.music.limits import Rejected
from pipelines.music.note_sequence import NoteSequence
from pipelines.representations import scale_degrees
from pipelines.runtime.app import UserError, say
from pipelines.systems.titles import indexing, towers
from pipelines.tunes import title_text

_MIDI = (".mid", ".midi", ".smf", ".kar")


class Match(NamedTuple):
    """A title for a tune.

    Attributes:
      score: the cosine of tune and title.
      title: as it is written.
      existing: whether a tune that the run was trained on, or the user's list of titles that are
        taken, has it already.
    """

    score: float
    title: str
    existing: bool


class Matcher:
    """Finds titles for tunes.

    Args:
      run_dir: a run of `titles train`.
      titles_path: a text file of titles to choose from, one a line; those of the run where it is
        None.
      index_dir: where the index of `titles_path` is kept, if it is to be.
      taken_paths: text files of titles that are taken, one a line.

    Raises:
      UserError: as `towers.open_run` and `indexing.of_titles`.
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
        # A list of titles is kept by --index, and not in the run.
        self._towers, _ = towers.open_run(run_dir, keep_embeddings=False)
        own = indexing.open_run_index(run_dir, "titles", self._towers)
        self._taken = {entry["fold"] for entry in own.entries()}
        for path in taken_paths:
            lines, _ = indexing.read_list(path)
            self._taken.update(title.fold for line in lines for title in title_text.parse(line))
        self._index = own
        if titles_path:
            with tempfile.TemporaryDirectory() as scratch:
                self._index = indexing.of_titles(titles_path, self._towers, index_dir, scratch)

    def match(
        self, sequence: NoteSequence, top_k: int = 10, exclude_existing: bool = False
    ) -> list[Match]:
        """The titles that fit a tune best, the best first.

        Args:
          sequence: a tune.
          top_k: how many titles.
          exclude_existing: whether to leave out those that are taken.

        Raises:
          melody.NoMelodyError: if it has no melody.
          UserError: if all titles are taken.
        """
        read = scale_degrees.read(sequence)
        if read.chords:
            say(
                f"{sequence.id}: {read.chords} notes begin together with a higher one; the highest "
                "are taken for the melody"
            )
        vector = self._towers.tune_vectors([read])[0]
        keep = ~self._existing if exclude_existing else None
        found = self._found(vector, top_k, keep) if keep is None or keep.any() else []
        if not found:
            raise UserError("all titles to choose from are taken; give others by --titles=FILE.txt")
        return found

    def _found(self, vector: np.ndarray, top_k: int, keep: np.ndarray | None) -> list[Match]:
        """The best titles; only those that do not exist, if `keep` is given."""
        rows = top_k
        while True:
            nearest = self._index.search(vector, rows, keep)
            found: dict[str, Match] = {}
            for score, row in nearest:
                shown = self._index.entry(row)["title"]
                # "A, or B" is two titles that are shown alike, and exists if one of them does.
                existing = any(each.fold in self._taken for each in title_text.parse(shown))
                if not (existing and keep is not None):
                    found.setdefault(shown, Match(score, shown, existing))
            if len(found) >= top_k or len(nearest) < rows:
                return list(found.values())[:top_k]
            rows *= 2

    @functools.cached_property
    def _existing(self) -> np.ndarray:
        """Which titles of the index are taken."""
        return np.array([entry["fold"] in self._taken for entry in self._index.entries()])


def read_tunes(path: str) -> Iterator[NoteSequence]:
    """The tunes of a MIDI file or a tunebook; what cannot be read is said and left out.

    The id of each says where it is from, e.g. "book.abc/12 The Maid's Fancy"; no two of a file are
    the same.

    Raises:
      UserError: where there is no tune in it.
    """
    file = pathlib.Path(path)
    data = file.read_bytes()
    if data[:4] == b"MThd" or file.suffix.lower() in _MIDI:
        try:
            sequence = midi_reader.midi_to_note_sequence(data)
        except Rejected as error:
            raise UserError(f"{path}: {error.detail}; give another MIDI file") from error
        sequence.id = _one_line(path)
        yield sequence
        return
    try:
        text = tunebook.decode(data)
    except Rejected as error:
        raise UserError(
            f"{path} is neither MIDI nor text ({error.detail}); give a .mid or an .abc file"
        ) from error
    names: set[str] = set()
    for tune in tunebook.tunes(text):
        name = _one_line(tune.reference) or f"line{tune.line}"
        name = f"{name}:{tune.line}" if name in names else name
        names.add(name)
        try:
            sequence = reader.read(tune)
        except Rejected as error:
            say(f"{path}, line {tune.line}: left out: {error.detail}")
            continue
        except Exception as error:
            # Whatever a tune does to the reader, the others of its book are to have their titles.
            say(f"{path}, line {tune.line}: left out: the reader failed: {error!r}")
            continue
        title = _one_line("".join(note_sequence.titles(sequence)[:1]))
        if len(title) > title_text.MAX_LENGTH:
            title = f"{title[: title_text.MAX_LENGTH]}..."
        sequence.id = f"{_one_line(path)}/{name} {title}".strip()
        yield sequence
    if not names:
        raise UserError(f"{path} has no tune in it; give a .mid or an .abc file")


def _one_line(text: str) -> str:
    """Text of people's files, or a name of one, that is to be printed on a line."""
    printable = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return title_text.one_line(printable)


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
      examples_path: a glob of NoteSequence records to search; the tunes that the run was trained
        on where it is None.
      index_dir: where the index of `examples_path` is kept, if it is to be.

    Returns:
      The cosine and the tune's line of the index, for each.

    Raises:
      UserError: as `towers.open_run` and `indexing.of_tunes`, and for a text without words.
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
    trained, _ = towers.open_run(run_dir, keep_embeddings=False)
    with tempfile.TemporaryDirectory() as scratch:
        if examples_path:
            tunes = indexing.of_tunes(examples_path, trained, index_dir, scratch)
        else:
            tunes = indexing.open_run_index(run_dir, "tunes", trained)
        found = tunes.search(trained.title_vectors([words])[0], top_k)
        return [(score, tunes.entry(row)) for score, row in found]
