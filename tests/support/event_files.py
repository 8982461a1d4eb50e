"""Event files as TensorBoard's own writer makes them, and run folders with such files."""

import json
import os
import pathlib
from collections.abc import Iterable, Mapping

from tensorboard.compat.proto import event_pb2, summary_pb2
from tensorboard.plugins.scalar import summary_v2
from tensorboard.summary.writer.event_file_writer import EventFileWriter


def write(
    folder: pathlib.Path, curves: Mapping[str, Mapping[int, float]], tensors: bool = False
) -> pathlib.Path:
    """Writes an event file with curves, by name and step; returns its path.

    Args:
      folder: where it is written.
      curves: the numbers.
      tensors: whether as TensorFlow 2 writes them, rather than TensorFlow 1.
    """
    summaries = [
        (
            step,
            summary_v2.scalar_pb(tag, value)
            if tensors
            else summary_pb2.Summary(value=[{"tag": tag, "simple_value": value}]),
        )
        for tag, points in curves.items()
        for step, value in points.items()
    ]
    return write_summaries(folder, summaries)


def write_summaries(
    folder: pathlib.Path, summaries: Iterable[tuple[int, summary_pb2.Summary]]
) -> pathlib.Path:
    """Writes an event file with summaries, each with its step; returns its path."""
    before = set(folder.glob("*")) if folder.exists() else set()
    writer = EventFileWriter(os.fspath(folder))
    for step, summary in summaries:
        writer.add_event(event_pb2.Event(step=step, summary=summary))
    writer.close()
    [path] = set(folder.glob("*")) - before
    return path


def write_run(
    folder: pathlib.Path,
    training: Mapping[str, Mapping[int, float]],
    validation: Mapping[str, Mapping[int, float]] | None = None,
    evaluated: Mapping[str, dict] | None = None,
    **metadata: str,
) -> pathlib.Path:
    """Writes a run folder without checkpoints; returns it.

    Args:
      folder: the run folder.
      training, validation: the curves; those of a run of titles are written as TensorFlow 2 does.
      evaluated: what `evaluate` wrote, by the names of the files.
      **metadata: what run.json says beside `kind`.
    """
    said = {"kind": "musicvae", "config": "flat-groove_4bar", **metadata}
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps(said))
    if training:
        write(folder / "train", training, tensors=said["kind"] == "titles")
    if validation:
        write(folder / "validation", validation)
    for name, result in (evaluated or {}).items():
        (folder / "eval").mkdir(exist_ok=True)
        (folder / "eval" / name).write_text(json.dumps(result))
    return folder
