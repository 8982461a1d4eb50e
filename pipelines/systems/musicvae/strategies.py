"""How a training step is run: operation by operation, or compiled as a whole by XLA."""

import re
from collections.abc import Callable, Sequence

import tensorflow.compat.v1 as tf

from models import accelerated, compiled_step
from pipelines.runtime import tpus
from pipelines.runtime.app import UserError
from pipelines.systems.musicvae import summaries

GRAPH, COMPILED, TPU = NAMES = ("graph", "compiled", "tpu")
_UNSUPPORTED = re.compile(r"(\w+) \(No registered '\w+' OpKernel for XLA")


def require_one_device(strategy: str, used: Sequence[str], workers: int) -> None:
    """Raises UserError where a step that is compiled whole is to be divided.

    Args:
      strategy: one of NAMES.
      used: the devices.
      workers: how many share a batch.
    """
    if strategy == GRAPH:
        return
    if workers > 1:
        raise UserError(f"--strategy={strategy} is for one machine; leave --num_sync_workers out")
    if len(used) > 1:
        raise UserError(
            f"--strategy={strategy} computes on one device, and {len(used)} are there; name one, "
            "as in --devices=GPU:0"
        )


def without_fused(config):
    """A config with a model of the same variables, without the fused kernels, which XLA lacks."""
    return config._replace(model=accelerated.accelerated(config.model, fused=False))


def train(
    music_vae_train,
    strategy: str,
    train_dir: str,
    config,
    dataset_fn: Callable[[], tf.data.Dataset],
    num_steps: int,
    device: str,
) -> None:
    """Does what Magenta's `music_vae_train.train` does, with a step that XLA compiles whole.

    Args:
      music_vae_train: Magenta's module, whose call of tf_slim runs the session.
      strategy: COMPILED or TPU.
      train_dir: the folder of the checkpoints.
      config: from `without_fused`. Its model's loss is the step's afterwards.
      dataset_fn: makes the dataset of batches; called when the graph has a global step.
      num_steps: the step to end at.
      device: the name for `tf.device`. A TPU is the one of this machine, whatever the name.

    Raises:
      UserError: where XLA lacks an operation of the model, or the TPU does not start.
    """
    if strategy == TPU:
        tpus.start()
        # It places what it rewrites itself.
        compile, on = tf.tpu.rewrite, None
    else:
        compile, on = tf.xla.experimental.compile, device
    named = config.train_examples_path or config.tfds_name
    music_vae_train._trial_summary(config.hparams, named, train_dir)
    with tf.Graph().as_default():
        step = build(music_vae_train, config, dataset_fn, compile, on)
        try:
            music_vae_train.tf_slim.training.train(
                train_op=step.loss,
                logdir=train_dir,
                hooks=[tf.train.StopAtStepHook(last_step=num_steps)],
            )
        except tf.errors.InvalidArgumentError as error:
            lacking = sorted(set(_UNSUPPORTED.findall(error.message)))
            if not lacking:
                raise
            raise UserError(
                f"--strategy={strategy}: XLA has no {', '.join(lacking)}, which this config's "
                f"model needs; train it with --strategy={GRAPH}"
            ) from error


def build(
    music_vae_train, config, dataset_fn, compile, device: str | None
) -> compiled_step.CompiledStep:
    """Builds the input and the compiled step in the default graph, with summaries around the step.

    Args:
      music_vae_train, config, dataset_fn: as in `train`.
      compile: as `compiled_step.build` takes it.
      device: for the step's operations and its variables; None leaves it to TensorFlow.
    """
    with compiled_step.resource_variables():
        tf.train.get_or_create_global_step()
    with tf.device("/device:CPU:0"):
        tensors = music_vae_train._get_input_tensors(dataset_fn(), config)
        tensors = compiled_step.static(tensors, config.hparams.max_seq_len)
    with tf.device(device):
        step = compiled_step.build(
            config.model,
            config.hparams,
            config.data_converter.output_depth,
            tensors,
            compile,
            also=summaries.add_active_units,
        )
    for tag, value in step.scalars.items():
        tf.summary.scalar(tag, value)
    return step
