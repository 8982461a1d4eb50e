"""The embeddings of titles: each distinct text is encoded once, and kept beside the run.

The folder, RUN_DIR/embeddings, has

    encoder.json     {"format": 1, "fingerprint": ..., "dimensions": d, "handle": ...}
    part-HEX.npy     float32 [n, d], NumPy's format
    part-HEX.json    the n texts: one JSON string a line, in the order of the rows

A part is never changed; HEX is a hash of its texts. Both files are written to other names and
renamed, the texts last, so a part is complete once its texts are there. Anything else in the
folder, such as a part that was cut short, is passed over and encoded anew. Deleting the folder
costs time and nothing else.
"""

import hashlib
import json
import os
import pathlib
from collections.abc import Iterable, Sequence
from typing import Protocol

import numpy as np

from pipelines.runtime import app, files
from pipelines.runtime.app import UserError
from pipelines.runtime.progress import Progress

FORMAT = 1
# After this many texts, what is encoded is written: an interruption costs no more than these.
_PART = 8192
# How many texts the encoder gets between two lines of progress.
_STEP = 1024


class Encoder(Protocol):
    """What a text encoder has to have; see `text_encoders.loading.TextEncoder`."""

    handle: str
    dimensions: int
    fingerprint: str

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        """Vectors [n, dimensions] of n texts."""


class Embeddings:
    """Vectors of texts, from memory, from the folder, or from the encoder.

    Args:
      encoder: the encoder.
      folder: where they are kept; None keeps them in memory only. It is made when there is
        something to keep. Where it cannot be written to, one line on stderr says so.

    Raises:
      UserError: if the folder belongs to another encoder, or is not a folder of embeddings.
    """

    def __init__(self, encoder: Encoder, folder: str | os.PathLike | None = None):
        self.encoder = encoder
        self._folder = None if folder is None else pathlib.Path(folder)
        # The vectors, in parts that stay on disk until they are asked for.
        self._parts: list[np.ndarray] = []
        self._places: dict[str, tuple[int, int]] = {}
        if self._folder is not None:
            self._open(self._folder)

    @property
    def dimensions(self) -> int:
        """How many numbers a vector has."""
        return self.encoder.dimensions

    def __len__(self) -> int:
        """How many texts have a vector."""
        return len(self._places)

    def __call__(self, texts: Iterable[str]) -> np.ndarray:
        """The vectors of texts: float32 [n, dimensions]; those not known yet are encoded."""
        texts = list(texts)
        missing = list(dict.fromkeys(text for text in texts if text not in self._places))
        with Progress("texts encoded", len(missing)) as progress:
            for start in range(0, len(missing), _PART):
                part = missing[start : start + _PART]
                vectors = np.empty((len(part), self.dimensions), np.float32)
                for step in range(0, len(part), _STEP):
                    vectors[step : step + _STEP] = self.encoder(part[step : step + _STEP])
                    progress.update(start + min(step + _STEP, len(part)))
                self._keep(part, vectors)
                self._add(part, vectors)
        result = np.empty((len(texts), self.dimensions), np.float32)
        for row, text in enumerate(texts):
            number, at = self._places[text]
            result[row] = self._parts[number][at]
        return result

    def _add(self, texts: Sequence[str], vectors: np.ndarray) -> None:
        self._parts.append(vectors)
        for row, text in enumerate(texts):
            self._places.setdefault(text, (len(self._parts) - 1, row))

    def _open(self, folder: pathlib.Path) -> None:
        if folder.exists() and not folder.is_dir():
            raise UserError(f"{folder} is not a folder; remove it, or name another")
        about = folder / "encoder.json"
        try:
            found = json.loads(about.read_text(encoding="utf-8"))
            version, fingerprint = found["format"], found["fingerprint"]
        except FileNotFoundError:
            return
        except (ValueError, KeyError, TypeError):
            raise UserError(f"{about} is damaged; remove {folder}, which is made again") from None
        if version != FORMAT:
            raise UserError(f"{about} has format {version!r}; remove {folder}, which is made again")
        if fingerprint != self.encoder.fingerprint:
            raise UserError(
                f"{folder} has embeddings of another text encoder ({found.get('handle')}) than "
                f"{self.encoder.handle}; give that one, or remove the folder"
            )
        for texts in sorted(folder.glob("part-*.json")):
            part = _read_part(texts, self.dimensions)
            if part is None:
                app.say(f"{texts} is damaged and passed over; its texts are encoded anew")
            else:
                self._add(*part)

    def _keep(self, texts: Sequence[str], vectors: np.ndarray) -> None:
        """Writes a part, if there is a folder for it."""
        if self._folder is None:
            return
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            if not (self._folder / "encoder.json").exists():
                encoder = self.encoder
                files.write_json(
                    self._folder / "encoder.json",
                    {
                        "format": FORMAT,
                        "fingerprint": encoder.fingerprint,
                        "dimensions": encoder.dimensions,
                        "handle": encoder.handle,
                    },
                )
            _write_part(self._folder, texts, vectors)
        except OSError as error:
            app.say(f"{self._folder}: embeddings are not kept there ({error.strerror or error})")
            self._folder = None


def _write_part(folder: pathlib.Path, texts: Sequence[str], vectors: np.ndarray) -> None:
    # In ASCII a lone surrogate, which UTF-8 cannot hold, is escaped.
    lines = "".join(json.dumps(text) + "\n" for text in texts).encode("ascii")
    name = f"part-{hashlib.blake2b(lines, digest_size=8).hexdigest()}"
    with files.replacing(folder / f"{name}.npy") as file:
        np.save(file, vectors, allow_pickle=False)
    with files.replacing(folder / f"{name}.json") as file:
        file.write(lines)


def _read_part(path: pathlib.Path, dimensions: int) -> tuple[list[str], np.ndarray] | None:
    """Texts and vectors of a part; None if it is damaged."""
    try:
        lines = path.read_bytes()
        if path.stem != f"part-{hashlib.blake2b(lines, digest_size=8).hexdigest()}":
            return None
        texts = [json.loads(line) for line in lines.splitlines()]
        vectors = np.load(path.with_suffix(".npy"), mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    if vectors.dtype != np.float32 or vectors.shape != (len(texts), dimensions):
        return None
    return (texts, vectors) if np.isfinite(vectors).all() else None
