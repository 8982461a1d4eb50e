"""A MusicVAE's training step as one computation that XLA compiles, as a TPU needs it.

Magenta's `music_vae_train.train` builds the same step operation by operation, with summaries among
them, and TensorFlow runs one after another. Here the loss, the gradients, their clipping and the
update are one function of a batch of static shapes. What it calls on the host, or TensorFlow keeps
between steps, is left out of it: metrics, which training does not read, and summaries, whose values
it returns. Variables, checkpoints and numbers are those of Magenta's step.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import tensorflow.compat.v1 as tf
from magenta.models.music_vae.base_model import MusicVAE

# compile(computation, inputs) adds the computation to the graph, for XLA.
Compile = Callable[[Callable, Sequence], Sequence]


class CompiledStep(NamedTuple):
    """A training step in a graph.

    Attributes:
      loss: of the batch, before the update. Running it, or any of the scalars, runs the step.
      scalars: what Magenta's step has summaries of, by their tags.
    """

    loss: tf.Tensor
    scalars: Mapping[str, tf.Tensor]


def static(tensors: Mapping[str, Any], steps: int) -> dict[str, Any]:
    """Pads or cuts sequences to one length, which XLA has to know; lengths stay as they are.

    Args:
      tensors: the arguments of MusicVAE.train: sequences [batch, steps of the longest, depth],
        lengths, and None for controls that there are not.
      steps: the length.
    """

    def fixed(name: str, tensor):
        if tensor is None or name == "sequence_length":
            return tensor
        missing = tf.maximum(steps - tf.shape(tensor)[1], 0)
        tensor = tf.pad(tensor, [[0, 0], [0, missing], [0, 0]])[:, :steps]
        tensor.set_shape([tensor.shape[0], steps, tensor.shape[2]])
        return tensor

    return {name: fixed(name, tensor) for name, tensor in tensors.items()}


def build(
    model: MusicVAE,
    hparams,
    output_depth: int,
    tensors: Mapping[str, Any],
    compile: Compile,
    also: Callable[[], None] = lambda: None,
) -> CompiledStep:
    """Builds the training step of a model in the default graph, which has a global step.

    The model's variables are resource variables, the only ones that XLA can change.

    Args:
      model: all of its operations must have kernels for XLA; `models.accelerated.accelerated` makes
        such models, with fused=False. Its loss is that of the compiled step afterwards.
      hparams: what it is trained with.
      output_depth: of the decoder.
      tensors: the arguments of MusicVAE.train, of static shapes (`static`).
      compile: `tf.xla.experimental.compile`, or `tf.tpu.rewrite`.
      also: is called when the step is built, and may add scalar summaries of it.
    """
    names = [name for name, tensor in tensors.items() if tensor is not None]
    tags: list[str] = []

    def computation(*given):
        batch = dict.fromkeys(tensors) | dict(zip(names, given, strict=True))
        with _scalars() as scalars, _without_metrics():
            model.build(hparams, output_depth, is_training=True)
            update = _update(model, hparams, model.train(**batch))
            also()
        tags.extend(scalars)
        # Whatever follows from the step has to read it before it is counted up: the order in which
        # XLA reads and writes a variable is open otherwise.
        with tf.control_dependencies([update, model.loss, *scalars.values()]):
            counted = tf.assign_add(model.global_step, 1)
        return [model.loss, *scalars.values(), counted.op]

    with resource_variables():
        loss, *values = compile(computation, [tensors[name] for name in names])
    model.loss = loss
    return CompiledStep(loss, dict(zip(tags, values, strict=True)))


@contextlib.contextmanager
def resource_variables() -> Iterator[None]:
    """Has variables be resource variables, in a process where they are not by default."""
    before = tf.resource_variables_enabled()
    tf.enable_resource_variables()
    try:
        yield
    finally:
        if not before:
            tf.disable_resource_variables()


def _update(model: MusicVAE, hparams, optimizer: tf.train.Optimizer) -> tf.Operation:
    """Updates the variables as `music_vae_train.train` does; the step is not counted yet."""
    gradients, variables = zip(*optimizer.compute_gradients(model.loss))
    norm = tf.global_norm(gradients)
    tf.summary.scalar("global_norm", norm)
    if hparams.clip_mode == "value":
        bound = hparams.grad_clip
        clipped = [tf.clip_by_value(gradient, -bound, bound) for gradient in gradients]
    elif hparams.clip_mode == "global_norm":
        clipped, _ = tf.clip_by_global_norm(gradients, hparams.grad_clip, use_norm=norm)
        kept = norm < hparams.grad_norm_clip_to_zero
        # Not multiplied by 0: a norm that is not finite makes NaN of all gradients.
        clipped = [
            tf.where(tf.fill(tf.shape(gradient), kept), gradient, tf.zeros_like(gradient))
            for gradient in clipped
        ]
    else:
        raise ValueError(f"Unknown clip_mode: {hparams.clip_mode}")
    return optimizer.apply_gradients(list(zip(clipped, variables)), name="train_step")


@contextlib.contextmanager
def _scalars() -> Iterator[dict[str, tf.Tensor]]:
    """Gives a dict that takes the place of scalar summaries: their values, by their tags."""
    taken: dict[str, tf.Tensor] = {}

    def scalar(name, tensor, *args, **kwargs):
        tag, number = name, 0
        while tag in taken:
            # As TensorFlow makes the names of its operations unique.
            number += 1
            tag = f"{name}_{number}"
        taken[tag] = tf.convert_to_tensor(tensor)

    with _replaced(tf.summary, "scalar", scalar):
        yield taken


@contextlib.contextmanager
def _without_metrics() -> Iterator[None]:
    """Has Magenta's decoders build no metrics, which are variables that a step would update."""

    def none(*args, **kwargs):
        return tf.zeros([]), tf.no_op()

    with contextlib.ExitStack() as stack:
        for name in dir(tf.metrics):
            if not name.startswith("_") and callable(getattr(tf.metrics, name)):
                stack.enter_context(_replaced(tf.metrics, name, none))
        yield


@contextlib.contextmanager
def _replaced(module, name: str, replacement) -> Iterator[None]:
    original = getattr(module, name)
    setattr(module, name, replacement)
    try:
        yield
    finally:
        setattr(module, name, original)
