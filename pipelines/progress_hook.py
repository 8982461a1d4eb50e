"""What a training run says about itself while it runs."""

import math
import time

import tensorflow.compat.v1 as tf

from pipelines.app import Progress, UserError, say


class ProgressHook(tf.train.SessionRunHook):
    """Shows the step, the loss, the speed and the time left on stderr.

    Args:
      model: the MusicVAE that is trained; its loss exists by the time the session does.
      num_steps: the step that training ends at.
      batch_size: examples in a step.
    """

    def __init__(self, model, num_steps: int, batch_size: int):
        self._model = model
        self._num_steps = num_steps
        self._batch_size = batch_size
        self._progress = Progress("steps", num_steps)
        self._first: tuple[int, float] | None = None

    def begin(self):
        self._tensors = {"step": tf.train.get_global_step(), "loss": self._model.loss}

    def after_create_session(self, session, coord):
        say("graph built; filling the shuffle buffer for the first step ...")

    def before_run(self, run_context):
        return tf.train.SessionRunArgs(self._tensors)

    def after_run(self, run_context, run_values):
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
            say("first step done")
            return
        first_step, first_time = self._first
        speed = (step - first_step) / (now - first_time)
        if speed:
            left = (self._num_steps - step) / speed
            self._progress.update(
                step,
                f"loss {loss:.3f}, {speed:.2f} steps/s ({speed * self._batch_size:.0f} "
                f"examples/s), {duration(left)} left",
            )

    def end(self, session):
        self._progress.close()


def duration(seconds: float) -> str:
    """Writes seconds as 2:03 or 1:02:03."""
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
