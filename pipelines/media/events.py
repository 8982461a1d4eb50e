"""Reads curves from TensorBoard's event files, without TensorFlow.

TensorBoard's own loader imports TensorFlow, which takes ten seconds, to read frames that
`records.tfrecord` reads as well; its messages and its conversion of tensors are used here.
"""

import collections
import pathlib
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from pipelines.records import tfrecord
from pipelines.runtime.app import UserError, say


class Curve(NamedTuple):
    """A number over the training steps.

    Attributes:
      steps: int64 array shaped [points], rising.
      values: float64 array shaped [points]; may hold NaN and infinities.
    """

    steps: np.ndarray
    values: np.ndarray


def read(folder: pathlib.Path) -> dict[str, Curve]:
    """The curves in the event files of a folder, by TensorBoard's names for them.

    A run that was killed and went on has several files, and steps that it took twice: the later
    ones count, as in TensorBoard. Of a file that is damaged or cut short, what is before that is
    read, and a warning says so.

    Args:
      folder: the folder; where there is none, or no event file in it, there is no curve.
    """
    curves: dict[str, dict[int, float]] = collections.defaultdict(dict)
    # Their names begin with the time.
    for path in sorted(folder.glob("*tfevents*")):
        begun: set[str] = set()
        for tag, step, value in _scalars(path):
            points = curves[tag]
            if tag not in begun:
                begun.add(tag)
                for taken_back in [each for each in points if each >= step]:
                    del points[taken_back]
            points[step] = value
    return {
        tag: Curve(np.array(sorted(points)), np.array([points[step] for step in sorted(points)]))
        for tag, points in curves.items()
    }


def _scalars(path: pathlib.Path) -> Iterator[tuple[str, int, float]]:
    """The numbers in an event file: name, step and value."""
    from google.protobuf.message import DecodeError
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.util import tensor_util

    plugins: dict[str, str] = {}
    try:
        for record in tfrecord.read(path):
            event = Event.FromString(record)
            for value in event.summary.value:
                # Only the first summary of a name says of which plugin it is.
                plugin = plugins.setdefault(value.tag, value.metadata.plugin_data.plugin_name)
                if value.HasField("simple_value"):
                    yield value.tag, event.step, value.simple_value
                elif value.HasField("tensor") and plugin == "scalars":
                    yield value.tag, event.step, float(tensor_util.make_ndarray(value.tensor))
    except (UserError, DecodeError, TypeError, ValueError):
        say(
            f"warning: {path}: damaged, or cut short as that of a run that was killed; the curves "
            "end before that"
        )
