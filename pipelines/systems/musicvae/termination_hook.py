"""Ends training where SIGTERM asks for it: after the step, with a checkpoint."""

import contextlib

import tensorflow.compat.v1 as tf

from pipelines.runtime import interruptions


class TerminationHook(tf.train.SessionRunHook):
    """Lets training end by itself at SIGTERM, so that the hook that saves checkpoints saves one.

    Before the first step is done there is nothing to save, and the signal ends the job at once.
    """

    def __init__(self) -> None:
        self._stack = contextlib.ExitStack()
        self._held: interruptions.Held | None = None

    def after_run(self, run_context, run_values) -> None:
        """Asks for the end where the signal has come."""
        if self._held is None:
            self._held = self._stack.enter_context(interruptions.held())
        elif self._held.came:
            run_context.request_stop()

    def close(self) -> None:
        """Lets the signal do what it does, once training has ended, however it has."""
        self._stack.close()
