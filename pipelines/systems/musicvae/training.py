"""Training on top of Magenta's music_vae_train: the work of the job `train`."""

import contextlib
import os
import time
from collections.abc import Iterator

import tensorflow.compat.v1 as tf

from models.data_parallel import DataParallelMusicVAE
from pipelines import runs
from pipelines.examples import reading
from pipelines.records import leakage
from pipelines.runtime import cores, devices, files, magenta_compat
from pipelines.runtime.app import UserError, say
from pipelines.runtime.ordered_loops import ordered_loops
from pipelines.runtime.progress import Stages
from pipelines.systems.musicvae.progress_hook import ProgressHook


def train(
    config_name: str,
    run_dir: str,
    examples_path: str | None,
    num_steps: int,
    *,
    tfds_name: str | None = None,
    config_file: str | None = None,
    hparams: str = "",
    device_names: str = "",
    seed: int | None = None,
    cache_dataset: bool = False,
    save_checkpoint_secs: int = 60,
    checkpoints_to_keep: int = 100,
    keep_checkpoint_every_n_hours: int = 1,
    master: str = "",
    task: int = 0,
    num_ps_tasks: int = 0,
    num_sync_workers: int = 0,
) -> int:
    """Trains until exactly `num_steps`, going on from the run's last checkpoint if it has one.

    Args:
      config_name: the config's name.
      run_dir: the run's folder.
      examples_path: a glob of TFRecord files of NoteSequences or tensors.
      num_steps: the training step to end at.
      device_names: see `devices.choose`; each of several gets an equal part of each batch.
      seed: of the initial variables, the order of the examples and what is drawn; with one, a
        run gives the same checkpoints again. None draws afresh.
      The others are described at the flags of the same name.

    Returns:
      The number of steps that this call took: 0 where the run was finished.

    Raises:
      UserError: for fewer examples than a batch, for a run folder that holds another config or
        other hparams, for a device that is not there, for a batch that cannot be divided
        evenly over the workers and their devices, and where the examples end before `num_steps`.
    """
    music_vae_train = magenta_compat.music_vae_train()
    tf.disable_v2_behavior()

    config = runs.configure(config_name, config_file, hparams)
    if not examples_path:
        # Some of Magenta's configs name a dataset.
        tfds_name = tfds_name or config.tfds_name
        if not tfds_name:
            raise UserError("--examples_path=GLOB is needed (or --tfds_name)")
    # How many workers there are without synchronizing is not known to any of them.
    workers = max(num_sync_workers, 1)
    used = devices.use(device_names)
    cores.lay_out()
    devices.require_divisible(config.hparams.batch_size, used, workers)
    config.hparams.batch_size //= workers
    train_dir = runs.train_dir(run_dir)
    os.makedirs(train_dir, exist_ok=True)
    before = runs.read_metadata(train_dir)
    runs.require_same(train_dir, before, config_name, config)
    runs.warn_of_change(before, config_file)
    runs.settle(train_dir)
    start = runs.last_step(train_dir)
    if start >= num_steps:
        say(f"{run_dir} is at step {start}: nothing left to do for --num_steps={num_steps}")
        return 0

    if examples_path:
        reading.require_fit(config_name, config, examples_path)
        leakage.require_none(examples_path)
    begun = time.monotonic()
    counts = reading.count(config, examples_path, tfds_name)
    reading.require_batch(counts, config.hparams.batch_size * workers, examples_path or tfds_name)
    say(f"{counts.summary()}; counted in {time.monotonic() - begun:.1f} s")
    if task == 0:
        facts = {
            "step": start,
            "seed": seed,
            "examples_path": examples_path,
            "tfds_name": tfds_name,
            "examples": counts.examples,
        }
        files.write_json(
            os.path.join(train_dir, runs.METADATA),
            runs.describe(config_name, config, config_file, facts, before if start else {}),
            sort_keys=True,
        )

    # A run that goes on must not see again what it saw first.
    graph_seed = None if seed is None else seed + start

    def dataset_fn():
        # Magenta builds the graph and calls this in it, before there is any variable: the only
        # place from which its seed can be set.
        if graph_seed is not None:
            tf.set_random_seed(graph_seed)
        dataset = reading.training_dataset(
            config,
            examples_path,
            tfds_name,
            graph_seed,
            cache_dataset,
            worker=task % workers,
            num_workers=workers,
        )
        # Another process cannot call back into this one.
        return dataset if master else progress.watch(dataset)

    # Magenta needs a name for its summary of the trial.
    config = config._replace(
        train_examples_path=examples_path, tfds_name=None if examples_path else tfds_name
    )
    if len(used) > 1:
        config = config._replace(model=DataParallelMusicVAE(config.model, used))
    stages = Stages()
    progress = ProgressHook(config.model, num_steps, config.hparams.batch_size, stages, start)
    ordered = ordered_loops() if seed is not None else contextlib.nullcontext()
    saver = dict(
        max_to_keep=checkpoints_to_keep, keep_checkpoint_every_n_hours=keep_checkpoint_every_n_hours
    )
    try:
        with (
            stages,
            ordered,
            _training_session(music_vae_train, saver, save_checkpoint_secs, [progress]),
        ):
            stages.begin(f"step {start} of {num_steps}; building the graph of {config_name}")
            music_vae_train.train(
                train_dir,
                config=config,
                dataset_fn=dataset_fn,
                num_steps=num_steps,
                master=master,
                num_sync_workers=num_sync_workers,
                num_ps_tasks=num_ps_tasks,
                task=task,
            )
    except ValueError as error:
        # Most hparams are only looked at while the graph is built.
        if not hparams:
            raise
        raise UserError(f"--hparams={hparams}: {config_name} cannot be built: {error}") from error
    except tf.errors.DataLossError as error:
        raise UserError(
            f"{examples_path}: a file is damaged ({error.message}); make the records again"
        ) from error
    except tf.errors.OpError as error:
        if "No space left on device" not in error.message:
            raise
        raise UserError(
            f"{train_dir}: the disk is full; free some of it and give the same command again"
        ) from error
    end = runs.last_step(train_dir)
    # Only the first task saves checkpoints, perhaps after the others have ended.
    if task == 0 and end < num_steps:
        raise UserError(
            f"{examples_path or tfds_name}: the examples ended at step {end} of {num_steps}, and "
            "they should repeat for ever; were its files changed? Make the records again and give "
            "the same command again"
        )
    say(f"finished at step {end}: {train_dir}")
    return num_steps - start


class _SafeSaver(tf.train.Saver):
    """A Saver that keeps the last good checkpoint: it does not save variables that are no numbers.

    The loss of a step is computed before its update, so the loss alone shows too late that the
    update has spoilt the variables.
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
                "the model's variables are no numbers any more; the last checkpoint is good: go on "
                "with a lower --hparams=learning_rate=X"
            )
        return super().save(sess, *args, **kwargs)


@contextlib.contextmanager
def _training_session(
    music_vae_train, saver: dict, save_checkpoint_secs: int, hooks: list
) -> Iterator[None]:
    """Gives the session that Magenta's `train` opens our hooks, saver and time between checkpoints.

    `music_vae_train.train` takes none of them, so the one call that it makes to tf_slim is
    wrapped while it runs.

    Args:
      music_vae_train: Magenta's module.
      saver: arguments of the tf.train.Saver. Magenta's own keeps absolute paths, so that a run
        folder that was moved starts again from step 0.
      save_checkpoint_secs: seconds between checkpoints.
      hooks: more SessionRunHooks.
    """
    training = music_vae_train.tf_slim.training
    original = training.train

    def with_ours(train_op, logdir, **kwargs):
        kwargs.update(
            save_checkpoint_secs=save_checkpoint_secs,
            scaffold=tf.train.Scaffold(saver=_SafeSaver(save_relative_paths=True, **saver)),
            hooks=kwargs["hooks"] + hooks,
        )
        return original(train_op, logdir, **kwargs)

    training.train = with_ours
    try:
        yield
    finally:
        training.train = original
