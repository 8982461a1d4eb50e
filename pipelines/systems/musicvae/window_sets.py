"""Sets of windows to compare: their features, their notes, and some of the windows themselves."""

import dataclasses
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from pipelines.examples.base import Counts
from pipelines.examples.note_sequences import NoteSequences
from pipelines.representations.contract import Representation
from pipelines.runtime.app import UserError
from pipelines.runtime.progress import Progress
from pipelines.systems.musicvae.reservoir import Reservoir

# Windows measured at once.
_CHUNK = 1024


@dataclasses.dataclass(frozen=True)
class WindowSet:
    """Windows as they are compared with others.

    Attributes:
      values: the values of each feature that has values, by its name, shaped [n].
      counts: the counts of each feature by its name, shaped [n, bins] (`contract.Feature.counts`).
      pieces: the number of the piece that each window is of, shaped [n].
      notes: packed bits, a row for a window: its `Representation.onsets`.
      windows: the windows, or some of them drawn at random, shaped [m, steps, depth].
    """

    values: dict[str, np.ndarray]
    counts: dict[str, np.ndarray]
    pieces: np.ndarray
    notes: np.ndarray
    windows: np.ndarray

    def __len__(self) -> int:
        return len(self.pieces)

    def counts_by_piece(self, name: str) -> np.ndarray:
        """A feature's counts in all windows of each piece, shaped [pieces, bins]."""
        _, index = np.unique(self.pieces, return_inverse=True)
        counts = self.counts[name]
        summed = np.zeros((index.max() + 1, counts.shape[1]))
        np.add.at(summed, index, counts)
        return summed


class Measure(NamedTuple):
    """How the windows of a representation are measured.

    Attributes:
      representation: a representation that has features.
      steps_per_bar: its steps in a bar.
    """

    representation: Representation
    steps_per_bar: int

    def notes(self, windows: np.ndarray) -> np.ndarray:
        """The notes of windows as packed bits, a row for each."""
        return np.packbits(self.representation.onsets(windows), axis=1)

    def measure(self, chunks: Iterable[np.ndarray]) -> dict[str, dict[str, np.ndarray]]:
        """Measures windows that come in one or more arrays.

        Returns:
          The `values` and the `counts` of a `WindowSet`.
        """
        found = {"values": {}, "counts": {}}
        for windows in chunks:
            for name, feature in self.representation.features().items():
                measured = feature.measure(windows, self.steps_per_bar)
                if feature.edges is not None:
                    found["values"].setdefault(name, []).append(measured)
                found["counts"].setdefault(name, []).append(feature.counts(measured))
        return {
            kind: {name: np.concatenate(parts) for name, parts in by_name.items()}
            for kind, by_name in found.items()
        }


def of_windows(measure: Measure, windows: np.ndarray) -> WindowSet:
    """The set of windows that were decoded or put together; each counts as a piece.

    Args:
      measure: how they are measured.
      windows: array shaped [n, steps, depth].
    """
    chunks = (windows[i : i + _CHUNK] for i in range(0, len(windows), _CHUNK))
    measured = measure.measure(chunks)
    pieces = np.arange(len(windows))
    return WindowSet(pieces=pieces, notes=measure.notes(windows), windows=windows, **measured)


def of_records(
    measure: Measure,
    config,
    records: NoteSequences,
    windows_a_piece: int,
    number: int,
    rng: np.random.Generator,
) -> tuple[WindowSet, np.ndarray]:
    """The windows of some records, at most so many of each piece.

    Windows of a piece overlap, and so long pieces have many that are nearly alike. What goes beyond
    `windows_a_piece` is left out by chance, lest a few pieces stand for all. Memory is needed for
    the notes of all windows as bits, the features of those that stay, and `number` windows.

    Args:
      measure: how they are measured.
      config: the config whose examples to take.
      records: the records.
      windows_a_piece: how many windows of a piece stay.
      number: how many of those are kept as they are.
      rng: what is drawn from.

    Returns:
      The set, and the notes of all windows, also of those that do not stay.

    Raises:
      UserError: where there is no window, or windows are not all equally long.
    """
    counts = Counts()
    # Of two generators, so that `number` does not change which windows stay.
    rng, rng_of_kept = rng.spawn(2)
    kept: Reservoir[np.ndarray] = Reservoir(number, rng_of_kept)
    pieces: list[int] = []
    notes: list[np.ndarray] = []
    all_notes: list[np.ndarray] = []

    def staying() -> Iterator[np.ndarray]:
        with Progress(f"windows of {records.source} read") as progress:
            read = 0
            for piece, (_, examples) in enumerate(records.examples_by_piece(config, counts)):
                if not examples:
                    continue
                windows = np.stack(
                    [_whole(config, records, example.outputs) for example in examples]
                )
                stay = min(len(windows), windows_a_piece)
                chosen = np.sort(rng.choice(len(windows), stay, replace=False))
                all_notes.append(measure.notes(windows))
                notes.append(all_notes[-1][chosen])
                pieces.extend([piece] * stay)
                for window in windows[chosen]:
                    kept.add(window)
                read += len(examples)
                progress.update(read)
                yield windows[chosen]

    measured = measure.measure(_chunks(staying()))
    if not pieces:
        raise UserError(f"{records.source}: nothing to compare samples with; {counts.summary()}")
    found = WindowSet(
        pieces=np.array(pieces),
        notes=np.concatenate(notes),
        windows=np.stack(kept.kept),
        **measured,
    )
    return found, np.concatenate(all_notes)


def random_bars(
    windows: np.ndarray, number: int, steps_per_bar: int, rng: np.random.Generator
) -> np.ndarray:
    """Windows put together of bars drawn from others: each bar is real, what follows is chance.

    Args:
      windows: array shaped [n, steps, depth].
      number: how many to put together.
      steps_per_bar: steps in a bar; it divides the steps of a window.
      rng: what is drawn from.

    Returns:
      An array shaped [number, steps, depth].
    """
    _, steps, depth = windows.shape
    bars = windows.reshape(-1, steps_per_bar, depth)
    return bars[rng.integers(len(bars), size=[number, steps // steps_per_bar])].reshape(
        number, steps, depth
    )


def _whole(config, records: NoteSequences, window: np.ndarray) -> np.ndarray:
    if len(window) != config.hparams.max_seq_len:
        raise UserError(
            f"{records.source}: a window of {len(window)} steps; samples are compared where all "
            f"windows have the same length, here {config.hparams.max_seq_len} (max_seq_len)"
        )
    return window


def _chunks(arrays: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """Joins arrays until there are enough windows to measure at once."""
    waiting: list[np.ndarray] = []
    for array in arrays:
        waiting.append(array)
        if sum(map(len, waiting)) >= _CHUNK:
            yield np.concatenate(waiting)
            waiting = []
    if waiting:
        yield np.concatenate(waiting)
