"""Vectors of titles or tunes in a folder, and the nearest of them to a vector.

The folder holds three plain files, so that any program can read it:

  vectors.npy    float32 [count, dimensions] in C order, each row of length one (NumPy's format 1.0)
  entries.jsonl  a JSON object a row, in UTF-8, each ended by a newline: what the row is, such as
                 {"title": "The Maid's Fancy"}; what the fields are is up to who writes them
  index.json     {"kind": "titles" or "tunes", "format": 1, "count": ..., "dimensions": ...,
                 "made_with": {...}, "files": {NAME: {"bytes": ..., "sha256": ...}}}; "made_with"
                 tells what made the vectors, which a query has to be made with too

The search here is exact and looks at every row: right up to some million rows. Beyond that, FAISS
reads the same file. Exact, and by a graph that finds nearly all of the nearest in less time:

    vectors = numpy.load("FOLDER/vectors.npy", mmap_mode="r")
    exact = faiss.IndexFlatIP(vectors.shape[1])
    graph = faiss.IndexHNSWFlat(vectors.shape[1], 32, faiss.METRIC_INNER_PRODUCT)
    for start in range(0, len(vectors), 100_000):
        exact.add(vectors[start : start + 100_000])
        graph.add(vectors[start : start + 100_000])
    scores, rows = graph.search(query[numpy.newaxis], 10)

where `query` is float32 [dimensions] and of length one. Row i is line i of entries.jsonl, from 0.
"""

import hashlib
import itertools
import json
import mmap
import os
import pathlib
import shutil
import uuid
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, BinaryIO

import numpy as np

from pipelines.runtime import files
from pipelines.runtime.app import UserError

VECTORS, ENTRIES, ABOUT = "vectors.npy", "entries.jsonl", "index.json"
_KINDS = ("titles", "tunes")
_FORMAT = 1
# Rows that are normalised or scored in double precision at a time.
_ROWS = 1 << 15
_READ_BYTES = 1 << 24
_LENGTH_TOLERANCE = 1e-4
# Rows of which only the best score is looked at first.
_GROUP = 256


def write(
    folder: str | os.PathLike,
    kind: str,
    vectors: np.ndarray,
    entries: Iterable[Mapping[str, Any]],
    made_with: Mapping[str, Any],
    overwrite: bool = False,
) -> None:
    """Writes an index, which appears at `folder` once all of it is written.

    Args:
      folder: where to.
      kind: what the rows are, "titles" or "tunes".
      vectors: [count, dimensions], of any length but zero; may be a memory map.
      entries: a JSON object for each row, taken one at a time.
      made_with: JSON values that tell what made the vectors, by name, such as the fingerprints of
        the text encoder and of the towers.
      overwrite: whether an index that is there is replaced. It stays if writing fails.

    Raises:
      UserError: if there is nothing to write, or if something is there: an index without
        `overwrite`, or what is no index.
      ValueError: for vectors that are not finite or of length zero, and for entries that are no
        JSON objects or not as many as the vectors.
    """
    folder = pathlib.Path(folder).absolute()
    if not overwrite or not _is_index(folder):
        with files.new_folder(folder) as unfinished:
            _fill(unfinished, kind, vectors, entries, made_with)
        return
    scratch = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}")
    replaced = scratch.with_name(f"{scratch.name}.old")
    with files.new_folder(scratch) as unfinished:
        _fill(unfinished, kind, vectors, entries, made_with)
    try:
        os.rename(folder, replaced)
        os.rename(scratch, folder)
    except OSError:
        shutil.rmtree(scratch, ignore_errors=True)
        if replaced.exists() and not folder.exists():
            os.rename(replaced, folder)
        raise
    shutil.rmtree(replaced, ignore_errors=True)


def open_index(
    folder: str | os.PathLike, kind: str, made_with: Mapping[str, Any] | None
) -> "Index":
    """Opens an index for searching, its vectors in memory.

    Args:
      folder: that `write` was given.
      kind: what the rows must be.
      made_with: what the vectors must have been made with; None where no query is to be compared.

    Raises:
      UserError: if there is none, if it was cut short or changed, is of another kind or was made
        with something else.
    """
    folder = pathlib.Path(folder)
    about = _about(folder)
    if about["kind"] != kind:
        raise UserError(f"{folder} is an index of {about['kind']}, not of {kind}; name another")
    if made_with is not None:
        made_with = json.loads(files.json_line(made_with))
        theirs = about["made_with"]
        other = [
            name.replace("_", " ")
            for name in dict.fromkeys([*made_with, *theirs])
            if made_with.get(name) != theirs.get(name)
        ]
        if other:
            raise UserError(
                f"{folder} was made with another {' and '.join(other)}; remove it, or name "
                "another folder, and make the index again"
            )
    vectors = _read_vectors(folder, about)
    return Index(folder, about, vectors, _open_entries(folder, about))


class Index:
    """An index that is open: `len(index)` rows, of which each has a vector and an entry.

    Attributes:
      folder: where it is.
      kind: what the rows are.
      made_with: what made the vectors.
      vectors: [count, dimensions], float32, rows of length one; not to be written to.
    """

    def __init__(
        self,
        folder: pathlib.Path,
        about: Mapping[str, Any],
        vectors: np.ndarray,
        lines: tuple[mmap.mmap, np.ndarray],
    ):
        self.folder = folder
        self.kind: str = about["kind"]
        self.made_with: dict[str, Any] = about["made_with"]
        self.vectors = vectors
        self._text, self._ends = lines

    def __len__(self) -> int:
        return len(self.vectors)

    @property
    def dimensions(self) -> int:
        """The size of a vector."""
        return self.vectors.shape[1]

    def entry(self, row: int) -> dict[str, Any]:
        """What a row is, as it was given to `write`.

        Raises:
          IndexError: if there is no such row.
          UserError: if its line is no JSON object.
        """
        if not 0 <= row < len(self):
            raise IndexError(f"row {row} of {len(self)}")
        start = self._ends[row - 1] + 1 if row else 0
        try:
            found = json.loads(self._text[start : self._ends[row]])
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            raise UserError(
                f"{self.folder / ENTRIES}: line {row + 1} is no JSON object; make the index again"
            )
        return found

    def entries(self) -> Iterator[dict[str, Any]]:
        """What all rows are, in their order."""
        return map(self.entry, range(len(self)))

    def search(
        self, vector: np.ndarray, top_k: int, keep: np.ndarray | None = None
    ) -> list[tuple[float, int]]:
        """The rows nearest to a vector.

        The same as computing every cosine in double precision and sorting: float32 only chooses
        which rows are worth that.

        Args:
          vector: [dimensions], of any length but zero.
          top_k: how many rows; all there are where these are fewer.
          keep: [count], bool: which rows may be found; None for all.

        Returns:
          Cosines and rows, the highest first, rows of the same cosine in their order.

        Raises:
          ValueError: for a vector of another size, not finite or of length zero, a `top_k` below
            one, or a `keep` of another shape.
        """
        vector = np.asarray(vector)
        if vector.shape != (self.dimensions,):
            raise ValueError(f"a vector of shape {vector.shape}; needs ({self.dimensions},)")
        if top_k < 1:
            raise ValueError(f"top_k={top_k}; needs 1 or more")
        query = _unit(vector[np.newaxis], 0)[0]
        # BLAS is no faster, memory being the limit, and waits for other programs' cores.
        rough = np.einsum("ij,j->i", self.vectors, query.astype(np.float32))
        if keep is not None:
            keep = np.asarray(keep)
            if keep.dtype != bool or keep.shape != rough.shape:
                raise ValueError(f"keep of shape {keep.shape}; needs ({len(self)},) of bool")
            rough[~keep] = -np.inf
        rows = _worth(rough, top_k, self.dimensions)
        scores = np.concatenate(
            [
                # Row by row the same additions, so that rows that are the same score the same.
                (self.vectors[some].astype(np.float64) * query).sum(axis=1)
                for some in np.split(rows, range(_ROWS, len(rows), _ROWS))
            ]
        )
        best = np.argsort(-scores, kind="stable")[:top_k]
        return list(zip(scores[best].tolist(), rows[best].tolist()))


def _worth(rough: np.ndarray, top_k: int, dimensions: int) -> np.ndarray:
    """Rows in their order, among which are the `top_k` best by scores without rounding errors."""
    # Of two scores: a sum of n products is off by n / 2^24 at most (Higham, 2002, section 3.1),
    # the query's own rounding is one more. Twice that, to be safe.
    margin = 4 * (dimensions + 2) * 2.0**-24
    # The best of each group are all scores: the least of the k best of them is no more than the
    # k-th score, and found sooner.
    whole = len(rough) // _GROUP * _GROUP
    if top_k <= whole // _GROUP:
        tops = rough[:whole].reshape(-1, _GROUP).max(axis=1)
        least = np.partition(tops, len(tops) - top_k)[len(tops) - top_k]
        rows = np.flatnonzero(rough >= least - margin)
    else:
        rows = np.arange(len(rough))
    rows = rows[rough[rows] > -np.inf]
    if top_k < len(rows):
        scores = rough[rows]
        least = np.partition(scores, len(scores) - top_k)[len(scores) - top_k]
        rows = rows[scores >= least - margin]
    return rows


def _is_index(folder: pathlib.Path) -> bool:
    """Whether a folder holds an index and nothing else."""
    names = set(os.listdir(folder)) if folder.is_dir() else set()
    return ABOUT in names and names <= {VECTORS, ENTRIES, ABOUT}


class _Summed:
    """A file that is written, its bytes counted and summed."""

    def __init__(self, file: BinaryIO):
        self._file = file
        self._bytes = 0
        self._sum = hashlib.sha256()

    def write(self, data: bytes) -> None:
        """Writes all of `data`."""
        self._file.write(data)
        self._bytes += len(data)
        self._sum.update(data)

    def about(self) -> dict[str, Any]:
        """What index.json tells of it."""
        return {"bytes": self._bytes, "sha256": self._sum.hexdigest()}


def _fill(
    folder: pathlib.Path,
    kind: str,
    vectors: np.ndarray,
    entries: Iterable[Mapping[str, Any]],
    made_with: Mapping[str, Any],
) -> None:
    if kind not in _KINDS:
        raise ValueError(f"an index of {kind!r}; there are {', '.join(_KINDS)}")
    if vectors.ndim != 2 or (len(vectors) and not vectors.shape[1]):
        raise ValueError(f"vectors of shape {vectors.shape}; [count, dimensions]")
    if not len(vectors):
        raise UserError(f"no {kind} to make an index of; give some")
    with files.writing(folder / VECTORS) as file:
        summed_vectors = _Summed(file)
        np.lib.format.write_array_header_1_0(
            summed_vectors, {"descr": "<f4", "fortran_order": False, "shape": vectors.shape}
        )
        for start in range(0, len(vectors), _ROWS):
            rows = _unit(vectors[start : start + _ROWS], start)
            summed_vectors.write(rows.astype("<f4").tobytes())
    with files.writing(folder / ENTRIES) as file:
        summed_entries = _Summed(file)
        count = 0
        for count, entry in enumerate(entries, start=1):
            if count > len(vectors):
                break
            summed_entries.write(_line(entry, count))
    if count != len(vectors):
        more = "more" if count > len(vectors) else str(count)
        raise ValueError(f"{more} entries for {len(vectors)} vectors")
    files.write_json(
        folder / ABOUT,
        {
            "kind": kind,
            "format": _FORMAT,
            "count": len(vectors),
            "dimensions": vectors.shape[1],
            "made_with": dict(made_with),
            "files": {VECTORS: summed_vectors.about(), ENTRIES: summed_entries.about()},
        },
    )


def _unit(rows: np.ndarray, first: int) -> np.ndarray:
    """Rows of length one in double precision; `first` is the number of the first, for messages."""
    rows = rows.astype(np.float64)
    largest = np.abs(rows).max(axis=1, keepdims=True)
    # A number that is none is neither.
    usable = (largest > 0) & (largest < np.inf)
    if not usable.all():
        at = int(np.argmin(usable))
        what = "of length zero" if largest[at] == 0 else "not finite"
        raise ValueError(f"vector {first + at} is {what}")
    # Before they are squared, so that nothing overflows.
    rows /= largest
    return rows / np.sqrt(np.square(rows).sum(axis=1, keepdims=True))


def _line(entry: Mapping[str, Any], number: int) -> bytes:
    try:
        text = json.dumps(dict(entry), ensure_ascii=False, allow_nan=False) + "\n"
    except (TypeError, ValueError) as error:
        raise ValueError(f"entry {number} is no JSON object: {error}") from None
    # Half of a surrogate pair, which a title in a broken encoding may have, is escaped.
    return text.encode("utf-8", errors="backslashreplace")


def _about(folder: pathlib.Path) -> dict[str, Any]:
    """What index.json says; raises UserError where there is none, or where it is no such thing."""
    path = folder / ABOUT
    if not path.is_file():
        raise UserError(f"{folder} holds no index ({ABOUT} is missing); name one, or a new folder")
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
        sound = (
            about["format"] == _FORMAT
            and about["kind"] in _KINDS
            and type(about["count"]) is type(about["dimensions"]) is int
            and min(about["count"], about["dimensions"]) > 0
            and isinstance(about["made_with"], dict)
            and all(
                type(about["files"][name]["bytes"]) is int
                and about["files"][name]["bytes"] > 0
                and isinstance(about["files"][name]["sha256"], str)
                for name in (VECTORS, ENTRIES)
            )
        )
    except (ValueError, KeyError, TypeError, RecursionError):
        sound = False
    if not sound:
        raise UserError(f"{path} is damaged or of another program; make the index again")
    return about


def _damaged(path: pathlib.Path) -> UserError:
    return UserError(f"{path} is missing, cut short or changed; make the index again")


def _chunks(path: pathlib.Path, about: Mapping[str, Any]) -> Iterator[bytes]:
    """A file in pieces; raises UserError where it is not what index.json says it is."""
    expected = about["files"][path.name]
    if not path.is_file() or path.stat().st_size != expected["bytes"]:
        raise _damaged(path)
    summed = hashlib.sha256()
    with open(path, "rb") as file:
        while piece := file.read(_READ_BYTES):
            summed.update(piece)
            yield piece
    if summed.hexdigest() != expected["sha256"]:
        raise _damaged(path)


def _read_vectors(folder: pathlib.Path, about: Mapping[str, Any]) -> np.ndarray:
    path = folder / VECTORS
    shape = (about["count"], about["dimensions"])
    chunks = _chunks(path, about)
    # The size is checked before there is a first piece, and so before memory is taken.
    first = next(chunks)
    described = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}"
    begin = 10 + int.from_bytes(first[8:10], "little")
    size = about["files"][VECTORS]["bytes"] - begin
    if (
        first[:8] != b"\x93NUMPY\x01\x00"
        # As NumPy writes it, compared and not evaluated.
        or first[10:begin].rstrip() != described.encode()
        or size != shape[0] * shape[1] * 4
    ):
        raise _damaged(path)
    data = np.empty(size, np.uint8)
    at = 0
    for piece in itertools.chain([first[begin:]], chunks):
        # A file that grows while it is read does not fit.
        if at + len(piece) > size:
            raise _damaged(path)
        data[at : at + len(piece)] = np.frombuffer(piece, np.uint8)
        at += len(piece)
    vectors = data.view("<f4").reshape(shape).astype(np.float32, copy=False)
    with np.errstate(all="ignore"):
        squares = np.einsum("ij,ij->i", vectors, vectors)
    # Numbers that are none are not near to one either.
    if not np.all(np.abs(squares - 1) < _LENGTH_TOLERANCE):
        raise UserError(f"{path} has rows that are not of length one; make the index again")
    vectors.flags.writeable = False
    return vectors


def _open_entries(folder: pathlib.Path, about: Mapping[str, Any]) -> tuple[mmap.mmap, np.ndarray]:
    """The text of all entries and where each line ends."""
    path = folder / ENTRIES
    ends, at = [], 0
    for piece in _chunks(path, about):
        ends.append(at + np.flatnonzero(np.frombuffer(piece, np.uint8) == ord("\n")))
        at += len(piece)
    ends = np.concatenate(ends)
    if len(ends) != about["count"] or ends[-1] != at - 1:
        raise _damaged(path)
    with open(path, "rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), ends
