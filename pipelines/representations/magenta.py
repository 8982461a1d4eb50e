"""Magenta's own converters (`magenta.models.music_vae.data`), except its GrooveConverter.

They keep their settings in private attributes, which only the modules of this room read.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from magenta.models.music_vae import data, data_hierarchical
from note_seq.protobuf import music_pb2

from pipelines.representations import encodings
from pipelines.representations.contract import Example, Representation


class MagentaRepresentation(Representation):
    """What Magenta's converters have in common; None for what a converter does not have."""

    @property
    def steps_per_quarter(self) -> int | None:
        """Steps in a quarter note."""
        return getattr(self.converter, "_steps_per_quarter", None)

    @property
    def steps_per_bar(self) -> int | None:
        """Steps in a bar."""
        return getattr(self.converter, "_steps_per_bar", None)

    def explain(self, piece: music_pb2.NoteSequence) -> str | None:
        """Says what the converter needs, since Magenta's do not tell what was missing."""
        if not piece.notes:
            return "no notes"
        needs = [f"what {type(self.converter).__name__} takes"]
        quarter, bar = self.steps_per_quarter, self.steps_per_bar
        window = getattr(self.converter, "_slice_steps", None)
        if quarter and bar:
            needs.append(f"bars of {bar / quarter:g} quarter notes")
        if bar and window:
            needs.append(f"{window / bar:g} bars or more")
        return f"needs {', '.join(needs)}"

    def stretches(
        self, piece: music_pb2.NoteSequence, steps: int, qpm: float
    ) -> Iterator[tuple[float, music_pb2.NoteSequence]]:
        """Yields stretches of one window each: these converters slide their windows by a bar."""
        seconds = self.window_seconds(steps, qpm)
        if seconds is None:
            yield from super().stretches(piece, steps, qpm)
            return
        half_step = seconds / (2 * steps)
        last = max((note.start_time for note in piece.notes), default=0.0)
        for i in range(int((last + half_step) / seconds) + 1):
            part = _stretch(piece, i * seconds, seconds, half_step)
            if part.notes:
                yield i * seconds, part


def _stretch(
    piece: music_pb2.NoteSequence, start: float, seconds: float, half_step: float
) -> music_pb2.NoteSequence:
    """The notes that the grid puts into `seconds` from `start` on, with times from `start`."""
    part = music_pb2.NoteSequence(ticks_per_quarter=piece.ticks_per_quarter)
    part.tempos.extend(piece.tempos)
    part.time_signatures.extend(piece.time_signatures)
    for note in piece.notes:
        # A note that is a little early belongs to the step nearest to it.
        if start - half_step <= note.start_time < start + seconds - half_step:
            copied = part.notes.add()
            copied.CopyFrom(note)
            copied.start_time = max(note.start_time - start, 0.0)
            copied.end_time = min(note.end_time - start, seconds)
    part.total_time = min(piece.total_time - start, seconds)
    return part


class _Unordered(MagentaRepresentation):
    """Converters whose examples go through Python's sets, so that their order may change."""

    def ordered(self, examples: Sequence[Example]) -> list[Example]:
        """Sorts the examples: the order of a set may differ between processes."""
        return sorted(
            examples, key=lambda example: (example.outputs.tobytes(), example.controls.tobytes())
        )


class _EventList(_Unordered):
    """Converters that drop duplicates among the examples of a piece."""

    def keep_every_example(self) -> None:
        """Keeps duplicates, too."""
        super().keep_every_example()
        self.converter._dedupe_event_lists = False


class _OneHot(MagentaRepresentation):
    """Converters whose inputs and outputs are the same one-hot rows; padding is rows of zeros."""

    @property
    def inputs_are_outputs(self) -> bool:
        """Always True."""
        return True

    def encoding(self, name: str) -> encodings.Encoding:
        """Stores the index of each row's 1."""
        return encodings.Tokens(name, self._depths(), np.dtype(self.converter.output_dtype))

    def _depths(self) -> list[int]:
        """The depths of the one-hot rows that stand side by side in a row."""
        return [self.converter.output_depth]


class _Melody(_OneHot, _EventList):
    """Converters of melodies to one-hot events."""


class _Trio(_OneHot):
    """Converters of melody, bass and drums, each one-hot."""

    def _depths(self) -> list[int]:
        return self.converter._split_output_depths


class _Drums(_Unordered):
    """Converters of drums to one-hot combinations, or to piano rolls of drum classes."""

    def encoding(self, name: str) -> encodings.Encoding:
        """Stores the index of each row's 1, where rows are one-hot."""
        if getattr(self.converter, f"_roll_{name.removesuffix('s')}"):
            return super().encoding(name)
        depth, dtype = self.rows(name)
        return encodings.Tokens(name, [depth], dtype)


REPRESENTATIONS = {
    data.BaseNoteSequenceConverter: MagentaRepresentation,
    data.LegacyEventListOneHotConverter: _EventList,
    data.OneHotMelodyConverter: _Melody,
    data.DrumsConverter: _Drums,
    data.TrioConverter: _Trio,
    data_hierarchical.MultiInstrumentPerformanceConverter: _OneHot,
}
