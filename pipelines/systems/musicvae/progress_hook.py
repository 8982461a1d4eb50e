"""Tells the user on stderr how training goes."""

import math
import time
from collections.abc import Callable

import numpy as np
import tensorflow.compat.v1 as tf

from pipelines.runtime.app import UserError
from pipelines.runtime.progress import Progress, Stages


class ProgressHook(tf.train.SessionRunHook):
    """Shows on stderr what training waits for, then the step, loss, speed and time left.

    Args:
      model: the MusicVAE that is trained; its loss exists by the time the session does.
      num_steps: the step that training ends at.
      batch_size: examples in a step.
      stages: tells what is being waited for; the graph is being built when the hook begins.
      start: the step that the variables are restored from; 0 for a new run.
    """

    def __init__(self, model, num_steps: int, batch_size: int, stages: Stages, start: int = 0):
        self._model = model
        self._num_steps = num_steps
        self._batch_size = batch_size
        self._stages = stages
        self._start = start
        self._progress: Progress | None = None
        self._begun = False
        self._first: tuple[int, float] | None = None

    def watch(self, dataset: tf.data.Dataset) -> tf.data.Dataset:
        """Returns the same dataset, made to tell when its first element is asked for and ready.

        A session's first `run` optimises the graph, then waits for the input, then computes; only
        the dataset can tell these apart.
        """

        def asked_for():
            self._stages.end("graph optimised")
            self._stages.begin("waiting for the first batch, while the shuffle buffers fill")

        def there():
            self._stages.end("first batch ready")
            self._stages.begin("computing the first step")

        # A zipped dataset takes its elements from left to right.
        zipped = tf.data.Dataset.zip((_calling(asked_for), dataset, _calling(there)))
        return zipped.map(lambda _, element, __: element)

    def begin(self) -> None:
        """Says that the graph is built; Magenta calls it before there is a session."""
        graph = tf.get_default_graph()
        self._stages.end(f"graph of {len(graph.get_operations())} nodes built")
        self._stages.begin("opening the session")
        self._fetches = {"step": tf.train.get_global_step(), "loss": self._model.loss}

    def after_create_session(self, session, coord) -> None:
        """Says how many weights there are, and where they are from."""
        if self._begun:
            return  # A worker that lost its session got another one.
        count = sum(variable.shape.num_elements() for variable in tf.trainable_variables())
        origin = f"restored from step {self._start}" if self._start else "drawn"
        self._stages.end(f"session open, {count:,} weights {origin}")
        # TensorFlow optimises the graph anew for each set of tensors to fetch. Magenta's summaries
        # are fetched every hundredth step and cost next to nothing, so they are always fetched:
        # one optimisation instead of two.
        self._fetches["summaries"] = tf.get_collection(tf.GraphKeys.SUMMARY_OP)

    def before_run(self, run_context):
        """Asks for the step and the loss of each run."""
        if not self._begun:
            self._begun = True
            self._stages.begin("optimising the graph")
        return tf.train.SessionRunArgs(self._fetches)

    def after_run(self, run_context, run_values) -> None:
        """Shows the progress; raises UserError where the loss is not finite."""
        step, loss = int(run_values.results["step"]), run_values.results["loss"]
        if not math.isfinite(loss):
            raise UserError(
                f"the loss is {loss} at step {step}; go on from the last checkpoint with a lower "
                "--hparams=learning_rate=X"
            )
        now = time.monotonic()
        if self._first is None:
            # Speed counts from here: the first step also pays for the start.
            self._first = step, now
            self._stages.end("first step done")
            self._progress = Progress("steps", self._num_steps, first=step)
            return
        first_step, first_time = self._first
        speed = (step - first_step) / (now - first_time)
        if speed and self._progress:
            left = (self._num_steps - step) / speed
            examples = f"{speed * self._batch_size:.0f} examples/s"
            self._progress.update(
                step,
                f"loss {loss:.3f}, {speed:.2f} steps/s ({examples}), {duration(left)} left",
                bar_note=f"{examples}, loss {loss:.3f}",
            )

    def end(self, session) -> None:
        """Ends the progress."""
        self.close()

    def close(self) -> None:
        """Ends what is shown, also where training ends by an error."""
        if self._progress:
            self._progress.close()


def _calling(function: Callable[[], None]) -> tf.data.Dataset:
    """An endless dataset of zeros that calls a function when the first of them is taken."""

    def first(zero):
        def call(value):
            function()
            return value

        value = tf.numpy_function(call, [zero], zero.dtype)
        value.set_shape(zero.shape)
        return value

    zero = tf.data.Dataset.from_tensors(np.int32(0))
    return zero.map(tf.autograph.experimental.do_not_convert(first)).concatenate(zero.repeat())


def duration(seconds: float) -> str:
    """Writes seconds as 2:03 or 1:02:03."""
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
