"""Vectors of titles or tunes in a folder, and the nearest of them to a vector.

The folder holds three plain files, so that any program can read it:

  vectors.npy    float32 [count, dimensions] in C order, each row of length one
  entries.jsonl  a JSON object for each row, in UTF-8, each ended by a newline: what the row is,
                 such as {"title": "The Maid's Fancy"}; who writes the index chooses the fields
  index.json     {"kind": "titles" or "tunes", "format": 1, "count": ..., "dimensions": ...,
                 "made_with": {...}, "files": {NAME: {"bytes": ..., "sha256": ...}}}; "made_with"
                 says what made the vectors, and a query has to be made with the same

The search here is exact and looks at every row, which serves up to some million rows. Beyond that,
FAISS reads the same file: exactly, or by a graph that finds nearly all of the nearest in less time:

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
import json
import mmap
import os
import pathlib
import shutil
import uuid
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from pipelines.runtime import files
from pipelines.runtime.app import UserError
from pipelines.runtime.terminal import json_escaped

VECTORS, ENTRIES, ABOUT = "vectors.npy", "entries.jsonl", "index.json"
_KINDS = ("titles", "tunes")
# Rows that are taken to double precision at a time, and bytes in which line ends are looked for at
# a time: both bound the memory.
_ROWS, _BYTES = 1 << 15, 1 << 24
_MAX_BYTES = 1 << 26  # Of index.json.
_LENGTH_TOLERANCE = 1e-4


def write(
    folder: str | os.PathLike,
    kind: str,
    vectors: np.ndarray,
    entries: Iterable[Mapping[str, Any]],
    made_with: Mapping[str, Any],
) -> None:
    """Writes an index, which appears at `folder` once all of it is written.

    It replaces an index that is there, which stays if writing fails.

    Args:
      folder: where to.
      kind: what the rows are, "titles" or "tunes".
      vectors: [count, dimensions], of any length but zero; may be a memory map.
      entries: a JSON object for each row, taken one at a time.
      made_with: JSON values that say what made the vectors, by name, such as the fingerprints of
        the text encoder and of the towers.

    Raises:
      UserError: if there are no vectors, or `folder` holds anything but an index.
      ValueError: if a vector is not finite or of length zero, or there are not as many entries as
        vectors; what `json.dumps` raises, for an entry that JSON cannot hold.
    """
    if kind not in _KINDS or vectors.ndim != 2 or 0 in vectors.shape[1:]:
        raise ValueError(f"{kind!r} and vectors of shape {vectors.shape}; see the docstring")
    if not len(vectors):
        raise UserError(f"no {kind} to make an index of; give some")
    folder = pathlib.Path(folder).absolute()
    names = set(os.listdir(folder)) if folder.is_dir() else set()
    replaces = ABOUT in names and names <= {VECTORS, ENTRIES, ABOUT}
    scratch = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}")
    with files.new_folder(scratch if replaces else folder) as unfinished:
        _write_vectors(unfinished / VECTORS, vectors)
        _write_entries(unfinished / ENTRIES, entries, len(vectors))
        about = {"kind": kind, "format": 1, "count": len(vectors), "dimensions": vectors.shape[1]}
        sums = {name: _sum(unfinished / name) for name in (VECTORS, ENTRIES)}
        files.write_json(unfinished / ABOUT, about | {"made_with": dict(made_with), "files": sums})
    if replaces:
        replaced = scratch.with_name(f"{scratch.name}.old")
        os.rename(folder, replaced)
        os.rename(scratch, folder)
        shutil.rmtree(replaced, ignore_errors=True)


def open_index(
    folder: str | os.PathLike, kind: str, made_with: Mapping[str, Any] | None
) -> "Index":
    """Opens an index for searching.

    Args:
      folder: that `write` was given.
      kind: what the rows must be.
      made_with: what the vectors must have been made with; None where no query is to be compared.

    Raises:
      UserError: if there is no index, or if it was cut short or changed, is of another kind or was
        made with something else.
    """
    folder = pathlib.Path(folder)
    about = _read_about(folder / ABOUT)
    if about["kind"] != kind:
        raise UserError(f"{folder} is an index of {about['kind']}, not of {kind}; name another")
    theirs = about["made_with"]
    wanted = theirs if made_with is None else json.loads(json.dumps(made_with))
    names = dict.fromkeys([*wanted, *theirs])
    other = [name.replace("_", " ") for name in names if wanted.get(name) != theirs.get(name)]
    if other:
        raise UserError(
            f"{folder} was made with another {' and '.join(other)}; remove it, or name another "
            "folder, and make the index again"
        )
    for path in (folder / VECTORS, folder / ENTRIES):
        # An empty file cannot be mapped.
        whole = path.is_file() and path.stat().st_size > 0
        if not whole or _sum(path) != about["files"].get(path.name):
            raise _damaged(path)
    vectors = _open_vectors(folder / VECTORS, (about["count"], about["dimensions"]))
    return Index(vectors, folder / ENTRIES)


class Index:
    """An open index: `len(index)` rows, each of which has a vector and an entry.

    Args:
      vectors: [count, dimensions], float32, rows of length one.
      entries: the file of as many lines.

    Raises:
      UserError: if the file has fewer or more lines.
    """

    def __init__(self, vectors: np.ndarray, entries: pathlib.Path):
        self.vectors = vectors
        self._path = entries
        with open(entries, "rb") as file:
            self._text = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        text = np.frombuffer(self._text, np.uint8)
        starts = range(0, len(text), _BYTES)
        ends = [at + 1 + np.flatnonzero(text[at : at + _BYTES] == ord("\n")) for at in starts]
        self._ends = np.concatenate([[0], *ends])
        if len(self._ends) != len(vectors) + 1 or self._ends[-1] != len(text):
            raise _damaged(entries)

    def __len__(self) -> int:
        return len(self.vectors)

    def entry(self, row: int) -> dict[str, Any]:
        """What a row is, as it was given to `write`.

        Raises:
          IndexError: if there is no such row.
          UserError: if its line is not a JSON object.
        """
        if not 0 <= row < len(self):
            raise IndexError(f"row {row} of {len(self)}")
        try:
            found = json.loads(self._text[self._ends[row] : self._ends[row + 1]])
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            raise UserError(
                f"{self._path}: line {row + 1} is not a JSON object; make the index again"
            )
        return found

    def entries(self) -> Iterator[dict[str, Any]]:
        """What all rows are, in their order."""
        return map(self.entry, range(len(self)))

    def search(
        self, vector: np.ndarray, top_k: int, keep: np.ndarray | None = None
    ) -> list[tuple[float, int]]:
        """The rows nearest to a vector.

        The result is that of computing every cosine in double precision and sorting: float32 only
        chooses which rows are worth that.

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
        vector, (count, dimensions) = np.asarray(vector), self.vectors.shape
        if vector.shape != (dimensions,) or top_k < 1:
            raise ValueError(f"a vector of shape {vector.shape}, top_k={top_k}; see the docstring")
        query = _unit(vector[np.newaxis])[0]
        # Memory is the limit, so BLAS is no faster, and it waits for cores that others use.
        rough = np.einsum("ij,j->i", self.vectors, query.astype(np.float32))
        if keep is not None:
            if keep.dtype != bool or keep.shape != (count,):
                raise ValueError(f"keep of shape {keep.shape}; needs ({count},) of bool")
            rough[~keep] = -np.inf
            count = int(keep.sum())
        if not count:
            return []
        top_k = min(top_k, count)
        least = np.partition(rough, len(rough) - top_k)[len(rough) - top_k]
        # A sum of n products is off by n / 2^24 at most (Higham, 2002, section 3.1), and rounding
        # the query adds 1 / 2^24. Two scores are compared, hence twice that, doubled to be safe.
        margin = 4 * (dimensions + 2) * 2.0**-24
        rows = np.flatnonzero(rough >= least - margin)
        # Each row is summed in the same order, so that equal rows have equal scores.
        blocks = np.array_split(rows, len(rows) // _ROWS + 1)
        exact = [(self.vectors[block].astype(np.float64) * query).sum(axis=1) for block in blocks]
        scores = np.concatenate(exact)
        best = np.argsort(-scores, kind="stable")[:top_k]
        return list(zip(scores[best].tolist(), rows[best].tolist()))


def _write_vectors(path: pathlib.Path, vectors: np.ndarray) -> None:
    header = {"descr": "<f4", "fortran_order": False, "shape": vectors.shape}
    with files.writing(path) as file:
        np.lib.format.write_array_header_1_0(file, header)
        for start in range(0, len(vectors), _ROWS):
            file.write(_unit(vectors[start : start + _ROWS], start).astype("<f4").tobytes())


def _write_entries(path: pathlib.Path, entries: Iterable[Mapping[str, Any]], count: int) -> None:
    written = 0
    with files.writing(path) as file:
        for entry in entries:
            line = json.dumps(dict(entry), ensure_ascii=False, allow_nan=False) + "\n"
            # A title in a broken encoding may have half of a surrogate pair, which is escaped.
            file.write(json_escaped(line).encode())
            written += 1
    if written != count:
        raise ValueError(f"{written} entries for {count} vectors")


def _unit(rows: np.ndarray, first: int = 0) -> np.ndarray:
    """Rows of length one in double precision; `first` is the number of the first, for messages."""
    rows = rows.astype(np.float64)
    largest = np.abs(rows).max(axis=1, keepdims=True)
    # Comparing with NaN is false.
    usable = (largest > 0) & (largest < np.inf)
    if not usable.all():
        raise ValueError(f"vector {first + np.argmin(usable)} is not finite or of length zero")
    # Divided before they are squared, so that nothing overflows.
    rows /= largest
    return rows / np.sqrt(np.square(rows).sum(axis=1, keepdims=True))


def _sum(path: pathlib.Path) -> dict[str, Any]:
    """What index.json says of a file."""
    with open(path, "rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        return {"bytes": file.tell(), "sha256": sha256}


def _read_about(path: pathlib.Path) -> dict[str, Any]:
    """What index.json says; raises UserError where there is none, or where it is damaged."""
    if not path.is_file():
        raise UserError(
            f"{path.parent} holds no index ({ABOUT} is missing); name one, or a new folder"
        )
    try:
        about = json.loads(files.read_regular(path, _MAX_BYTES).decode("utf-8"))
        sound = about["format"] == 1 and about["kind"] in _KINDS
        sound = sound and isinstance(about["made_with"], dict) and isinstance(about["files"], dict)
        about["count"], about["dimensions"]
    except (ValueError, KeyError, TypeError, RecursionError):
        sound = False
    if not sound:
        raise UserError(f"{path} is damaged or of another program; make the index again")
    return about


def _open_vectors(path: pathlib.Path, shape: tuple[int, int]) -> np.ndarray:
    try:
        # np.load maps files by this too, but reads archives as well.
        mapped = np.lib.format.open_memmap(path, mode="r")
    # What NumPy raises for a forged header depends on how it was forged.
    except Exception:
        raise _damaged(path) from None
    sound = mapped.dtype == np.float32 and mapped.flags.c_contiguous
    if not sound or mapped.shape != shape:
        raise _damaged(path)
    vectors = mapped.view(np.ndarray)
    with np.errstate(all="ignore"):
        squares = np.einsum("ij,ij->i", vectors, vectors)
    # NaN is not near to one either.
    if not np.all(np.abs(squares - 1) < _LENGTH_TOLERANCE):
        raise UserError(f"{path} has rows that are not of length one; make the index again")
    return vectors


def _damaged(path: pathlib.Path) -> UserError:
    return UserError(f"{path} is missing, cut short or changed; make the index again")
