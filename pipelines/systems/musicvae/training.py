"""Trains with Magenta's music_vae_train: the work of the job `train`."""

import contextlib
import dataclasses
import os
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import tensorflow.compat.v1 as tf

from configs import ConfigRef
from models.data_parallel import DataParallelMusicVAE
from pipelines import checkpoints, runs
from pipelines.examples import reading
from pipelines.examples.base import Draw, Examples
from pipelines.records import leakage
from pipelines.runtime import cores, devices, magenta_compat
from pipelines.runtime.app import UserError, say
from pipelines.runtime.draws_by_step import DrawsByStep
from pipelines.runtime.progress import Stages
from pipelines.systems.musicvae import (
    input_wait,
    layout,
    media_hook,
    run,
    strategies,
    summaries,
    validation_hook,
    validation_record,
    warm_start,
)
from pipelines.systems.musicvae.checkpoint_timer import CheckpointSaver
from pipelines.systems.musicvae.media_hook import MediaHook
from pipelines.systems.musicvae.progress_hook import ProgressHook
from pipelines.systems.musicvae.summaries import ThroughputHook
from pipelines.systems.musicvae.termination_hook import TerminationHook
from pipelines.systems.musicvae.validation import Windows, read_windows
from pipelines.systems.musicvae.validation_hook import ValidationHook
from pipelines.systems.musicvae.warm_start import WarmStart


@dataclasses.dataclass(frozen=True)
class Options:
    """How a run is trained: what the flags of the same names say.

    Attributes:
      devices: as `devices.choose` takes it; each of several gets an equal part of each batch.
      strategy: how a step is run, one of `strategies.NAMES`.
      layout: how the model runs on them, as `layout.choose` takes it.
      precision: what matrix products are rounded to, as `layout.lay_out` takes it.
      seed: the seed of the initial variables, the order of the examples and what is drawn; the
        same seed gives the same checkpoints, however often the run was stopped and went on. None
        draws a new one.
      warm_start: what a new run gets its first variables from, as `warm_start.find` takes it.
      cache_dataset: whether converted examples stay in memory.
      save_checkpoint_secs, checkpoints_to_keep, keep_checkpoint_every_n_hours: when checkpoints are
        saved, how many of the newest are kept (0: all), and how often one is kept for good.
      validation_path: the held-out records to measure on while training, if any.
      validation_every: steps between two validations.
      validation_examples: how many windows to measure on at most; 0 for all.
      patience: training ends after so many validations in a row without a better loss; None trains
        until the last step.
      media_every: steps between two times that music is written for TensorBoard; 0 writes none.
      master, task, num_ps_tasks, num_sync_workers: Magenta's flags, for several machines.
    """

    devices: str = ""
    strategy: str = strategies.GRAPH
    layout: str = "auto"
    precision: str = "float32"
    seed: int | None = None
    warm_start: str | None = None
    cache_dataset: bool = False
    save_checkpoint_secs: int = 60
    checkpoints_to_keep: int = 3
    keep_checkpoint_every_n_hours: int = 1
    validation_path: str | None = None
    validation_every: int = 500
    validation_examples: int = 1024
    patience: int | None = None
    media_every: int = 1000
    master: str = ""
    task: int = 0
    num_ps_tasks: int = 0
    num_sync_workers: int = 0

    @property
    def workers(self) -> int:
        """How many workers share a batch: one, if they are not synchronized."""
        return max(self.num_sync_workers, 1)


class _Course(NamedTuple):
    """From which step to which a run is trained, what it begins with if it is new, and hooks."""

    start: int
    end: int
    warm: WarmStart | None
    hooks: Sequence[tf.train.SessionRunHook] = ()


def train(
    ref: ConfigRef,
    run_dir: str,
    open_examples: Callable[[Any], Examples],
    num_steps: int,
    options: Options = Options(),
) -> int:
    """Trains until exactly `num_steps`, going on from the run's last checkpoint if it has one.

    Args:
      ref: names the config.
      run_dir: the run's folder.
      open_examples: takes the config and opens the examples to train on; not called for a run
        that has nothing left to do.
      num_steps: the training step to end at.
      options: how to train.

    Returns:
      The number of steps that this call took: 0 where the run was finished.

    Raises:
      UserError: for fewer examples than a batch, for a run folder that holds another config or
        other hparams or in which another job is training, for a device that does not exist, for
        a batch that cannot be divided evenly over the workers and their devices, for a warm start
        from nothing that fits, and where the examples end before `num_steps`.
    """
    music_vae_train = magenta_compat.music_vae_train()
    tf.disable_v2_behavior()
    config = ref.build()
    used = devices.use(options.devices)
    strategies.require_one_device(options.strategy, used, options.workers)
    if options.strategy == strategies.GRAPH:
        cores.lay_out()
        config = layout.lay_out(config, options.layout, used, options.precision)
        layout.say_chosen(config)
    elif (options.layout, options.precision) != ("auto", "float32"):
        raise UserError(
            f"--layout and --precision are for --strategy={strategies.GRAPH}; "
            f"--strategy={options.strategy} compiles the step as a whole"
        )
    else:
        config = strategies.without_fused(config)
    devices.require_divisible(config.hparams.batch_size, used, options.workers)
    config.hparams.batch_size //= options.workers
    # Several tasks train one run together.
    with runs.training(run_dir) if options.task == 0 else contextlib.nullcontext():
        return _train(
            music_vae_train, ref, config, run_dir, open_examples, num_steps, used, options
        )


def _train(
    music_vae_train,
    ref: ConfigRef,
    config,
    run_dir: str,
    open_examples: Callable[[Any], Examples],
    num_steps: int,
    used: Sequence[str],
    options: Options,
) -> int:
    """`train`, with the config built and the devices chosen."""
    before = _settle(run_dir, ref, config)
    start = checkpoints.last_step(runs.train_dir(run_dir))
    if start >= num_steps:
        say(f"{run_dir} is at step {start}: nothing left to do for --num_steps={num_steps}")
        return 0
    # A run that was stopped early may have a checkpoint of step 0.
    begun = checkpoints.latest(runs.train_dir(run_dir)) is not None
    held_out = _held_out(ref, run_dir, start if begun else None, options)
    if held_out and (why := validation_hook.stopped(held_out.record, options.patience, start)):
        say(f"{run_dir} {why}: nothing left to do; a larger --patience, or none, trains it further")
        return 0
    examples = open_examples(config)
    with _plain_errors(ref, run_dir, examples):
        warm = _warm_start(run_dir, ref, config, options, begun)
    number = _count(ref, config, examples, options)
    if options.task == 0:
        facts = {
            "step": start,
            "seed": options.seed,
            **_named(examples),
            "examples": number,
            **({"warm_start": warm.facts} if warm else {}),
        }
        metadata = run.describe(ref, config, facts, before if begun else {})
        runs.write(run_dir, run.KIND, metadata)
        summaries.write_settings(run_dir, config.hparams.values(), metadata)
    os.makedirs(runs.train_dir(run_dir), exist_ok=True)
    hooks: list[tf.train.SessionRunHook] = []
    if held_out:
        if examples.paths:
            leakage.warn(held_out.paths, examples.source)
        hooks.append(held_out.hook(run_dir, options, num_steps, start))
    if (
        options.media_every
        and options.task == 0
        and media_hook.told(run_dir, config, options.media_every)
    ):
        windows = held_out.windows.examples if held_out else ()
        every = options.media_every
        hooks.append(MediaHook(run_dir, ref.name, ref.build(), windows, every, start))
    with _plain_errors(ref, run_dir, examples):
        course = _Course(start, num_steps, warm, hooks)
        _run_magenta(music_vae_train, ref, config, run_dir, examples, course, used, options)
    end = checkpoints.last_step(runs.train_dir(run_dir))
    why = held_out and validation_hook.stopped(held_out.record, options.patience, end)
    if why:
        say(why)
    # Only the first task saves checkpoints, perhaps after the others have ended.
    elif options.task == 0 and end < num_steps:
        raise UserError(
            f"{examples.source}: the examples ended at step {end} of {num_steps}, and they should "
            "repeat for ever; were its files changed? Make the records again and give the same "
            "command again"
        )
    say(f"finished at step {end}: {runs.train_dir(run_dir)}")
    if held_out and held_out.record.best:
        step, loss = held_out.record.best
        say(
            f"best on {held_out.windows.source}: step {step}, loss {loss:.3f}: "
            f"{runs.best_dir(run_dir)} (--checkpoint_file={runs.BEST})"
        )
    return (end if why else num_steps) - start


class _HeldOut(NamedTuple):
    """What a run is validated with."""

    config: Any
    windows: Windows
    paths: Sequence[str]
    record: validation_record.Record

    def hook(self, run_dir: str, options: Options, num_steps: int, start: int) -> ValidationHook:
        return ValidationHook(
            run_dir,
            self.config,
            self.windows,
            self.record,
            options.validation_every,
            options.patience,
            num_steps,
            start,
        )


def _held_out(ref: ConfigRef, run_dir: str, step: int | None, options: Options) -> _HeldOut | None:
    """Converts the held-out records, and finds what was measured on them up to a step.

    Args:
      ref: names the config.
      run_dir: the run's folder.
      step: the step that the run goes on from; None for a new run.
      options: name the records; only the first task validates.
    """
    if not options.validation_path or options.task:
        return None
    held_out = reading.open_note_sequences(options.validation_path)
    # Training changes the mode of its converter, and this one is used meanwhile.
    config = ref.build()
    windows = read_windows(held_out, config, options.validation_examples)
    record = validation_record.read(runs.validation_dir(run_dir), windows.sha256, step)
    return _HeldOut(config, windows, held_out.paths, record)


def _settle(run_dir: str, ref: ConfigRef, config) -> dict:
    """Makes a run folder ready to go on; returns what its run.json says."""
    before = run.read_metadata(run_dir)
    run.require_same(run_dir, before, ref.name, config)
    run.warn_of_change(before, ref.file)
    checkpoints.settle(runs.train_dir(run_dir))
    return before


def _warm_start(
    run_dir: str, ref: ConfigRef, config, options: Options, begun: bool
) -> WarmStart | None:
    """What a run begins with that is to start from another; None for a run that has begun."""
    if not options.warm_start or options.task:
        return None
    if begun:
        say(
            f"{run_dir} has a checkpoint and goes on from it; "
            f"--warm_start={options.warm_start} is not applied"
        )
        return None
    found = warm_start.find(options.warm_start, ref, config)
    say(found.summary)
    return found


def _count(ref: ConfigRef, config, examples: Examples, options: Options) -> int:
    """Checks and counts the examples; says how many there are."""
    examples.require_fit(ref.name, config)
    if examples.paths:
        leakage.require_none(examples.paths, examples.source)
    begun = time.monotonic()
    counts = examples.count(config)
    counts.require_batch(config.hparams.batch_size * options.workers, examples.source)
    say(f"{counts.summary()}; counted in {time.monotonic() - begun:.1f} s")
    return counts.examples


def _named(examples: Examples) -> dict[str, str | None]:
    """The flags that name the examples, as in run.json and Magenta's summary of the trial."""
    in_files = bool(examples.paths)
    return {
        "examples_path": examples.source if in_files else None,
        "tfds_name": None if in_files else examples.source,
    }


def _run_magenta(
    music_vae_train,
    ref: ConfigRef,
    config,
    run_dir: str,
    examples: Examples,
    course: _Course,
    used: Sequence[str],
    options: Options,
) -> None:
    """Has Magenta's `music_vae_train.train` train along a course."""
    start, num_steps, warm, more_hooks = course
    seed = options.seed
    draw = Draw(
        seed,
        options.cache_dataset,
        options.task % options.workers,
        options.workers,
        # Without a seed there is an order of its own for each start.
        taken=0 if seed is None else start,
    )
    draws = None if seed is None else DrawsByStep(seed, options.task)
    if draw.taken:
        number = draw.taken * config.hparams.batch_size
        say(
            f"passing over {number:,} examples of {start} steps: with a seed each comes in its turn"
        )
    if draws is None and options.strategy != strategies.GRAPH:
        # Compiled operations that draw by themselves take no seed from TensorFlow.
        draws = DrawsByStep(secrets.randbits(32), options.task)

    def dataset_fn():
        # Magenta builds the graph and calls this in it, before there is any variable but the step:
        # the only place from which its seed can be set.
        if seed is not None:
            tf.set_random_seed(seed)
        dataset = examples.training_dataset(config, draw)
        if draws:
            draws.begin()
        # With a master, another process reads the dataset and cannot call back into this one.
        return dataset if options.master else progress.watch(dataset)

    named = _named(examples)
    trained = config._replace(
        train_examples_path=named["examples_path"], tfds_name=named["tfds_name"]
    )
    if len(used) > 1:
        trained = trained._replace(model=DataParallelMusicVAE(config.model, used))
    stages = Stages()
    progress = ProgressHook(trained.model, num_steps, config.hparams.batch_size, stages, start)
    stopping = TerminationHook()
    hooks = [progress, *more_hooks, stopping]
    if options.task == 0:
        hooks.append(ThroughputHook(runs.train_dir(run_dir), config.hparams.batch_size))
    session = _training_session(music_vae_train, options, hooks, warm)
    with (
        stages,
        contextlib.closing(stopping),
        contextlib.closing(progress),
        draws or contextlib.nullcontext(),
        input_wait.measured(music_vae_train),
        session,
    ):
        stages.begin(f"step {start} of {num_steps}; building the graph of {ref.name}")
        if options.strategy != strategies.GRAPH:
            strategies.train(
                music_vae_train,
                options.strategy,
                runs.train_dir(run_dir),
                trained,
                dataset_fn,
                num_steps,
                used[0],
            )
            return
        music_vae_train.train(
            runs.train_dir(run_dir),
            config=trained,
            dataset_fn=dataset_fn,
            num_steps=num_steps,
            master=options.master,
            num_sync_workers=options.num_sync_workers,
            num_ps_tasks=options.num_ps_tasks,
            task=options.task,
        )


@contextlib.contextmanager
def _plain_errors(ref: ConfigRef, run_dir: str, examples: Examples) -> Iterator[None]:
    """Turns TensorFlow's errors about hparams, damaged records and a full disk into one line."""
    try:
        yield
    except tf.errors.OpError as error:
        if error.op is not None and error.op.type == "RestoreV2":
            raise _restore_error(run_dir, error) from error
        told = _data_error(run_dir, examples, error)
        if told is error:
            raise
        raise told from error
    except ValueError as error:
        # Most hparams are only checked while the graph is built.
        if not ref.hparams:
            raise
        raise UserError(f"--hparams={ref.hparams}: {ref.name} cannot be built: {error}") from error


def _data_error(run_dir: str, examples: Examples, error: tf.errors.OpError) -> Exception:
    """What to raise for an error of TensorFlow: one line about damaged records or a full disk."""
    if isinstance(error, tf.errors.DataLossError):
        return UserError(
            f"{examples.source}: a file is damaged ({error.message}); make the records again"
        )
    if "No space left on device" in error.message:
        return UserError(
            f"{runs.train_dir(run_dir)}: the disk is full; free some of it and give the same "
            "command again"
        )
    return error


def _restore_error(run_dir: str, error: tf.errors.OpError) -> UserError:
    """Says what is wrong with the checkpoint that a run cannot go on from."""
    checkpoint = checkpoints.latest(runs.train_dir(run_dir)) or runs.train_dir(run_dir)
    variables = error.op.graph.get_collection(tf.GraphKeys.GLOBAL_VARIABLES)
    shapes = {variable.op.name: variable.shape.as_list() for variable in variables}
    mismatch = checkpoints.shape_mismatch(checkpoint, shapes)
    if mismatch is None:
        return checkpoints.damaged(checkpoint, error)
    return UserError(f"{mismatch}; remove {checkpoint}.* to go on from the one before")


class _SafeSaver(tf.train.Saver):
    """A Saver that keeps the last good checkpoint: it does not save variables that are not finite.

    The loss of a step is computed before its update, so the loss alone shows too late that the
    update has made the variables infinite or NaN.
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self._finite = tf.reduce_all(
            [tf.reduce_all(tf.math.is_finite(variable)) for variable in tf.trainable_variables()]
        )

    def save(self, sess, *args, **kwargs):
        """Saves a checkpoint; arguments as in tf.train.Saver.save."""
        if not sess.run(self._finite):
            raise UserError(
                "the model's variables are not finite any more; the last checkpoint is good: go on "
                "with a lower --hparams=learning_rate=X"
            )
        return super().save(sess, *args, **kwargs)


@contextlib.contextmanager
def _training_session(
    music_vae_train, options: Options, hooks: list, warm: WarmStart | None
) -> Iterator[None]:
    """Gives our hooks, saver and checkpoint interval to the session that Magenta's `train` opens.

    `music_vae_train.train` takes none of these, so the one call that it makes to tf_slim is
    wrapped while it runs.

    Args:
      music_vae_train: Magenta's module.
      options: when checkpoints are saved, and which are kept. Magenta's own saver writes absolute
        paths, with which a run folder that was moved starts again from step 0.
      hooks: the SessionRunHooks to add.
      warm: what a new run begins with, if not with random variables alone.
    """
    training = music_vae_train.tf_slim.training
    original = training.train

    def saver():
        return _SafeSaver(
            save_relative_paths=True,
            max_to_keep=options.checkpoints_to_keep,
            keep_checkpoint_every_n_hours=options.keep_checkpoint_every_n_hours,
        )

    def with_ours(train_op, logdir, **kwargs):
        summaries.add_training_summaries(in_step=options.strategy != strategies.GRAPH)
        if options.task == 0:
            say(_about_checkpoints(options))
        scaffold = tf.train.Scaffold(saver=saver(), init_fn=warm and warm.init_fn())
        saving = CheckpointSaver(logdir, options.save_checkpoint_secs, scaffold)
        kwargs.update(
            # Our own hook saves.
            save_checkpoint_secs=None,
            scaffold=scaffold,
            # Only the first task saves.
            hooks=[saving] * (options.task == 0) + kwargs["hooks"] + hooks,
        )
        return original(train_op, logdir, **kwargs)

    training.train = with_ours
    try:
        yield
    finally:
        training.train = original


def _about_checkpoints(options: Options) -> str:
    """Says when checkpoints are saved, how large they are, and which are kept."""
    size = sum(v.shape.num_elements() * v.dtype.size for v in tf.global_variables())
    newest = f"the newest {options.checkpoints_to_keep}" if options.checkpoints_to_keep else "all"
    hours = options.keep_checkpoint_every_n_hours
    return (
        f"a checkpoint of {size / 1e6:,.1f} MB every {options.save_checkpoint_secs} s; "
        f"{newest} are kept (--checkpoints_to_keep), and one every {hours} h"
    )
