"""Makes what is drawn inside a model's loops come in the same order each time."""

import contextlib
import functools
from collections.abc import Iterator

import tensorflow.compat.v1 as tf
from magenta.contrib import rnn as contrib_rnn
from magenta.contrib import seq2seq as contrib_seq2seq


@contextlib.contextmanager
def ordered_loops() -> Iterator[None]:
    """While it lasts, Magenta's encoders and decoders build loops that run step by step.

    TensorFlow runs up to 32 iterations of a loop at once, where they do not need each other's
    results. Dropout masks and the noise of sampling do not, so they are drawn in whatever order
    the threads come, and a seed alone does not give the same numbers again.
    """
    with contextlib.ExitStack() as stack:
        for module, name in (
            (contrib_seq2seq, "dynamic_decode"),
            (contrib_rnn, "stack_bidirectional_dynamic_rnn"),
            (tf.nn, "dynamic_rnn"),
        ):
            original = getattr(module, name)
            stack.callback(setattr, module, name, original)
            setattr(module, name, functools.partial(original, parallel_iterations=1))
        yield
