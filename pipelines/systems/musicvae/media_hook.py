"""Writes for TensorBoard, while training, what the model plays: pictures and sound."""

import concurrent.futures
import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow.compat.v1 as tf
from note_seq.protobuf import music_pb2

from pipelines import checkpoints, runs
from pipelines.audio import synthesis
from pipelines.representations.contract import Example
from pipelines.runtime.app import say
from pipelines.systems.musicvae import media_summaries, summaries
from pipelines.systems.musicvae.preview import Preview
from pipelines.systems.musicvae.run import Run
from pipelines.systems.musicvae.variable_values import values_of

# So few of each cost little time and disk space, and fit on a screen.
NUMBER = 3


class MediaHook(tf.train.SessionRunHook):
    """Plays held-out windows and samples every so many steps, and after the last one.

    A thread decodes, draws and renders. Training waits while the model is loaded and the variables
    are copied, and where the thread has not finished what was due before.

    Args:
      run_dir: the run folder.
      name: the config's name.
      config: a Magenta Config of its own.
      held_out: windows with the tempo of their pieces, of which `NUMBER` are played; may be empty.
      every: steps between two times.
      start: the step that training begins at.
    """

    def __init__(
        self,
        run_dir: str,
        name: str,
        config,
        held_out: Sequence[tuple[float, Example]],
        every: int,
        start: int,
    ):
        self._run_dir = run_dir
        self._run = Run(name, config, "", None, {})
        last = len(held_out) - 1
        places = np.unique(np.linspace(0, last, NUMBER).round().astype(int)) if held_out else []
        self._held_out = [held_out[place] for place in places]
        self._every = every
        self._start = start
        self._shown = start
        self._sounds = synthesis.is_installed()
        self._preview: Preview | None = None
        self._pending: concurrent.futures.Future | None = None
        self._failed = False

    def begin(self) -> None:
        """Finds the training step; Magenta calls it before there is a session."""
        self._step = tf.train.get_global_step()

    def after_create_session(self, session, coord) -> None:
        """Loads the model; plays what it does before the first step, where that is due."""
        if self._preview is not None:
            return  # A worker that lost its session got another one.
        # Saved when the session was made, by the hook that saves checkpoints.
        checkpoint = checkpoints.latest(runs.train_dir(self._run_dir))
        assert checkpoint is not None
        run = dataclasses.replace(self._run, checkpoint=checkpoint)
        self._preview = Preview(run, self._held_out, NUMBER)
        self._writer = summaries.open_writer(runs.media_dir(self._run_dir), self._start)
        self._thread = concurrent.futures.ThreadPoolExecutor(max_workers=1)
        self._pending = self._thread.submit(self._write_originals)
        if self._start % self._every == 0:
            self._play(session, self._start)

    def before_run(self, run_context):
        """Asks for the step of each run."""
        return tf.train.SessionRunArgs(self._step)

    def after_run(self, run_context, run_values) -> None:
        """Plays where it is due."""
        # The step may have been read before it was counted up, or after.
        if (int(run_values.results) + 1) % self._every > 1:
            return
        step = int(run_context.session.run(self._step))
        if step % self._every == 0 and step != self._shown:
            self._play(run_context.session, step)

    def end(self, session) -> None:
        """Plays what came of the last step, and waits until all is written."""
        step = int(session.run(self._step))
        if step != self._shown:
            self._play(session, step)
        self._thread.shutdown()
        self._wait()
        self._writer.close()

    def _play(self, session, step: int) -> None:
        """Has the thread play the model as it is now."""
        self._wait()
        self._shown = step
        if self._failed:
            return
        assert self._preview is not None
        values = values_of(session, self._preview.variables)
        self._pending = self._thread.submit(self._write_played, values, step)

    def _wait(self) -> None:
        """Waits for the thread; tells what it could not do, and training goes on without music."""
        pending, self._pending = self._pending, None
        if pending is None:
            return
        try:
            pending.result()
        except Exception as error:
            # Hours of training are worth more than a picture.
            self._failed = True
            say(
                "warning: no more music for TensorBoard, training goes on: "
                f"{type(error).__name__}: {error}"
            )

    def _write_originals(self) -> None:
        assert self._preview is not None
        self._write("original", self._preview.originals(), self._start)
        self._writer.flush()

    def _write_played(self, values: Mapping[str, np.ndarray], step: int) -> None:
        assert self._preview is not None
        self._preview.load(values)
        held_out, samples = self._preview.play()
        self._write("decoded", held_out, step)
        self._write("sample", samples, step)
        self._writer.flush()

    def _write(self, kind: str, played: Sequence[music_pb2.NoteSequence], step: int) -> None:
        """Writes pictures and sound of pieces.

        Args:
          kind: "original" or "decoded" for held-out windows, or "sample".
          played: the pieces.
          step: the training step.
        """
        for number, sequence in enumerate(played, 1):
            if kind == "sample":
                tag, title = f"samples/{number}", f"sample {number}"
            else:
                # Beside each other in TensorBoard, the original first.
                order = "a" if kind == "original" else "b"
                tag = f"held_out/{number}{order}_{kind}"
                title = f"held-out window {number}, {kind}"
            shown = title if kind == "original" else f"{title} at step {step}"
            values = [media_summaries.picture(tag, sequence, shown)]
            if self._sounds and sequence.notes:
                # A tag has one kind of summary.
                values.append(media_summaries.audio(f"{tag}_sound", sequence))
            self._writer.add_summary(tf.Summary(value=values), step)


def told(run_dir: str, config, every: int) -> bool:
    """Whether a config's music can be shown; tells the user where it will be, or why not."""
    if config.data_converter.control_depth or not config.hparams.z_size:
        say("no music in TensorBoard: the config needs chords, or has no latent vector")
        return False
    say(
        f"piano rolls and sound for TensorBoard every {every} steps (--media_every): "
        f"{runs.media_dir(run_dir)}"
    )
    return True
