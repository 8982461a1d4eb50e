"""Saves checkpoints by a clock that nobody sets.

TensorFlow's own hook asks for the time of day. Where that is set back by an hour, it saves nothing
for an hour, and a kill loses the work of all of it.
"""

import time
from typing import Any

import tensorflow.compat.v1 as tf


class SteadyTimer(tf.train.SecondOrStepTimer):
    """Triggers at most once every N seconds of the monotonic clock."""

    # TensorFlow's, both None until the first trigger.
    _last_triggered_time: Any
    _last_triggered_step: Any

    def should_trigger_for_step(self, step: int) -> bool:
        """Whether so much time has passed since the last trigger; never twice for one step."""
        if self._last_triggered_step is None:
            return True
        passed = time.monotonic() - self._last_triggered_time
        return step != self._last_triggered_step and passed >= self._every_secs

    def update_last_triggered_step(self, step: int) -> tuple[float | None, int | None]:
        """Triggers; returns the seconds and the steps since the trigger before."""
        now = time.monotonic()
        before = self._last_triggered_time, self._last_triggered_step
        self._last_triggered_time, self._last_triggered_step = now, step
        if before[1] is None:
            return None, None
        return now - before[0], step - before[1]


class CheckpointSaver(tf.train.CheckpointSaverHook):
    """TensorFlow's hook that saves checkpoints, by the monotonic clock.

    Args:
      folder: where they go.
      seconds: the time between two.
      scaffold: has the saver.
    """

    def __init__(self, folder: str, seconds: float, scaffold: tf.train.Scaffold):
        super().__init__(folder, save_secs=seconds, scaffold=scaffold)
        self._timer = SteadyTimer(every_secs=seconds)
