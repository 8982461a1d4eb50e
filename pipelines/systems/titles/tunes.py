"""Tunes with their melodies and titles, from records and from users' files."""

import collections
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from pipelines.media import reading
from pipelines.music import note_sequence
from pipelines.music.note_sequence import NoteSequence
from pipelines.records import tfrecord
from pipelines.records.manifest import RecordFiles, number_in
from pipelines.records.tune_list import read_tunes
from pipelines.representations import scale_degrees as melody
from pipelines.representations.scale_degrees import Melody
from pipelines.runtime.app import UserError, say
from pipelines.runtime.progress import Progress
from pipelines.tunes import identity, splits, title_text
from pipelines.tunes.title_text import Title

_MODE_NAMES = {value: name.lower() for name, value in NoteSequence.KeySignature.Mode.items()}
# Why a tune has no title.
NO_TITLE, NAMELESS, LONG = "no title", "no title that names a tune", "a title that is too long"


class Tune(NamedTuple):
    """A tune that has a melody.

    Attributes:
      id: of its record.
      titles: the titles that name a tune, each once; there may be none.
      melody: in the key that it is written in.
      guessed: the same in the key that its notes suggest; None where that was not asked for.
      keys: what its versions are recognised by, as `splits.hash_keys` gives them.
      collection, rhythm, mode, meter: what its record says of it, "" where it does not.
    """

    id: str
    titles: tuple[Title, ...]
    melody: Melody
    guessed: Melody | None
    keys: tuple[int, ...]
    collection: str
    rhythm: str
    mode: str
    meter: str


class Tunes(NamedTuple):
    """What is in some records.

    Attributes:
      tunes: the tunes, in the records' order.
      groups: int array shaped [tunes], the same number for versions of one tune.
      left_out: how many records give no tune, by reason.
      untitled: how many tunes have no title that names them, by reason.
    """

    tunes: list[Tune]
    groups: np.ndarray
    left_out: collections.Counter[str]
    untitled: collections.Counter[str]

    def those(self, which: Sequence[bool] | np.ndarray) -> "Tunes":
        """Some of the tunes, by a bool for each; what was read is counted as before."""
        kept = [tune for tune, is_kept in zip(self.tunes, which, strict=True) if is_kept]
        return self._replace(tunes=kept, groups=self.groups[np.asarray(which, bool)])

    def titled(self) -> "Tunes":
        """Those with a title."""
        return self.those([bool(tune.titles) for tune in self.tunes])

    def summary(self) -> str:
        """What was read and what was left out; the counts add up."""
        titled = sum(bool(tune.titles) for tune in self.tunes)
        read = titled + self.untitled.total() + self.left_out.total()
        line = f"{read} records: {titled} tunes with a title"
        parts = [f"{count} with {reason}" for reason, count in sorted(self.untitled.items())]
        parts += [f"{count} left out: {reason}" for reason, count in sorted(self.left_out.items())]
        line = ", ".join([line, *parts])
        chords = sum(tune.melody.chords > 0 for tune in self.tunes)
        have = "has" if chords == 1 else "have"
        return f"{line}; {chords} {have} chords: the highest notes count" if chords else line


def read(records: RecordFiles, guess_keys: bool = False) -> Tunes:
    """Reads the tunes of NoteSequence records.

    Args:
      records: from `manifest.open_records`.
      guess_keys: whether to read each melody in the guessed key too.

    Raises:
      UserError: where a file is damaged or holds something else, or no record has a melody.
    """
    if records.kind != "notesequence":
        raise UserError(
            f"{records.source} holds tensors; titles are learnt from the NoteSequence records that "
            "they were made of"
        )
    found: list[Tune] = []
    left_out: collections.Counter[str] = collections.Counter()
    untitled: collections.Counter[str] = collections.Counter()
    with Progress("records read", bar_total=number_in(records.paths)) as progress:
        for count, (sequence, keys) in enumerate(_sequences(records.paths), start=1):
            progress.update(count)
            try:
                tune, why_untitled = of_sequence(sequence, guess_keys, keys)
            except melody.NoMelodyError as error:
                left_out[error.reason] += 1
                continue
            if why_untitled:
                untitled[why_untitled] += 1
            found.append(tune)
    if not found:
        reasons = ", ".join(f"{count} with {reason}" for reason, count in left_out.items())
        raise UserError(
            f"{records.source} has no tune with a melody ({reasons or 'no record'}); "
            "convert tunebooks first"
        )
    return Tunes(found, groups_of(found), left_out, untitled)


def of_sequence(
    sequence: NoteSequence, guess_keys: bool = False, keys: tuple[int, ...] | None = None
) -> tuple[Tune, str]:
    """A NoteSequence as a tune, and why it has no title, "" where it has one.

    Args:
      sequence: from a record, a MIDI file or a tunebook.
      guess_keys: whether to read the melody in the guessed key too.
      keys: what its versions are recognised by, where that is known.

    Raises:
      melody.NoMelodyError: if it has no melody.
    """
    read = melody.read(sequence)
    guessed = melody.read(sequence, guess_key=True) if guess_keys else None
    written = note_sequence.titles(sequence)
    titles: dict[str, Title] = {}
    for text in written:
        for title in title_text.parse(text):
            titles.setdefault(title.fold, title)
    why_untitled = ""
    if not written:
        why_untitled = NO_TITLE
    elif not titles:
        too_long = any(len(text) > title_text.MAX_LENGTH for text in written)
        why_untitled = LONG if too_long else NAMELESS
    if keys is None:
        keys = tuple(splits.hash_keys(identity.keys(sequence)).tolist())
    meters, signatures = sequence.time_signatures, sequence.key_signatures
    tune = Tune(
        sequence.id,
        tuple(titles.values()),
        read,
        guessed,
        keys,
        sequence.collection_name,
        note_sequence.rhythm(sequence),
        _MODE_NAMES.get(signatures[0].mode, "") if signatures else "",
        f"{meters[0].numerator}/{meters[0].denominator}" if meters else "",
    )
    return tune, why_untitled


def of_file(path: str) -> list[NoteSequence]:
    """The tunes of a file: MIDI, MusicXML or a tunebook, as `reading.read_pieces` gives them.

    The id of each says where it is from, e.g. "book.abc/12 The Maid's Fancy"; no two tunes of a
    file have the same.

    Raises:
      UserError: where there is no tune in it.
    """
    pieces = reading.read_pieces(path)
    for piece in pieces:
        title = _one_line("".join(note_sequence.titles(piece)[:1]))
        if len(title) > title_text.MAX_LENGTH:
            title = f"{title[: title_text.MAX_LENGTH]}..."
        name = f"{_one_line(path)}/{_one_line(piece.id)}" if piece.id else _one_line(path)
        piece.id = f"{name} {title}".strip()
    return pieces


def _sequences(paths: Iterable[str]) -> Iterator[tuple[NoteSequence, tuple[int, ...] | None]]:
    """The records of files, each with the keys by which `convert` recognised its tune, if any."""
    known: dict[str, dict[str, tuple[int, ...]]] = {}
    for path in paths:
        folder = os.path.dirname(path)
        if folder not in known:
            known[folder] = {tune.id: tune.keys for tune in read_tunes(folder or ".")}
        for record in tfrecord.read(path):
            try:
                sequence = note_sequence.parse(record)
            except ValueError as error:
                raise UserError(f"{path} has a record that is {error}") from error
            yield sequence, known[folder].get(sequence.id)


def groups_of(tunes: Sequence[Tune]) -> np.ndarray:
    """Int array shaped [tunes], the same number for versions of one tune, by `splits.join`."""
    hashes = np.array([key for tune in tunes for key in tune.keys], np.uint64)
    counts = np.array([len(tune.keys) for tune in tunes], np.int64)
    return splits.join(hashes, counts).groups


def require_titled(tunes: Tunes, source: str, least: int = 1) -> Tunes:
    """Says what there is, and gives the tunes with a title.

    Args:
      tunes: from `read`.
      source: what the user called their records, for the message.
      least: how many different tunes and titles there must be.

    Raises:
      UserError: where they are versions of fewer than `least` different tunes, or have fewer
        different titles.
    """
    say(tunes.summary())
    titled = tunes.titled()
    different = len(set(titled.groups.tolist()))
    titles = len({title.fold for tune in titled.tunes for title in tune.titles})
    if min(different, titles) < least:
        raise UserError(
            f"{source}: {different} different tunes have {titles} different titles that "
            f"name them; {least} are needed. Convert more tunes (titles are the T: lines of ABC)"
        )
    return titled


def _one_line(text: str) -> str:
    """Text from a user's file, or the file's name, made fit to print on a line."""
    printable = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return title_text.one_line(printable)
