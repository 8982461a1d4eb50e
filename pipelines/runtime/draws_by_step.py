"""Makes a graph draw the same numbers at the same training step, in whatever session it runs.

TensorFlow's random operations count their draws in the session. A run that goes on from a
checkpoint has a new session, and draws again what it drew first. Here each operation draws by a
counter-based generator in place of its own (Salmon et al. 2011, "Parallel random numbers: as easy
as 1, 2, 3", doi:10.1145/2063384.2063405): from the seed, which operation it is, the training step
and, in a loop, the iteration. No order of iterations is needed for that.
"""

import contextlib
import functools
import hashlib
from collections.abc import Callable, Iterator

import tensorflow.compat.v1 as tf
from tensorflow.python.ops import gen_random_ops, while_loop

# Odd, so that no two iterations of a loop have the same seed; 2**32 over the golden ratio.
_SPREAD = 0x9E3779B1 - 2**32
# Iterations of an inner loop for each of an outer one.
_INNER = 1 << 16


class DrawsByStep:
    """While it is active (`with`), operations of one graph draw by the step; see `begin`.

    Args:
      seed: what is drawn follows from it.
      worker: which of several workers that train together this is, from 0; each draws its own.
    """

    def __init__(self, seed: int, worker: int = 0):
        # The first worker draws what one alone would.
        self._seed = f"{seed} of {worker}" if worker else str(seed)
        self._graph: tf.Graph | None = None
        self._step: tf.Tensor | None = None
        self._number = 0
        # The iteration of the loops that are being built, the outermost first.
        self._iterations: list[tf.Tensor] = []
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> "DrawsByStep":
        for name, drawn in (
            ("random_uniform", self._uniform),
            ("random_uniform_int", self._uniform_int),
            ("random_standard_normal", self._normal),
        ):
            self._replace(gen_random_ops, name, functools.partial(self._either, drawn))
        for module in (while_loop, tf):
            self._replace(module, "while_loop", self._while_loop)
        return self

    def __exit__(self, *error) -> None:
        self._stack.close()

    def begin(self) -> None:
        """Chooses the default graph, which has a global step; what it draws from now on counts.

        Variables are drawn as before: a run begins with them once.
        """
        self._graph = tf.get_default_graph()
        with tf.device("CPU:0"):
            self._step = tf.cast(tf.train.get_global_step(), tf.int32)

    def _replace(self, module, name: str, replacement: Callable) -> None:
        original = getattr(module, name)
        self._stack.callback(setattr, module, name, original)
        setattr(module, name, functools.partial(replacement, original))

    def _is_mine(self) -> bool:
        """Whether the graph that is being built is the one, or a function in it."""
        graph = tf.get_default_graph()
        if self._graph is None or "Initializer" in (graph.get_name_scope() or "").split("/"):
            return False
        while graph is not None and graph is not self._graph:
            graph = getattr(graph, "outer_graph", None)
        return graph is not None

    def _either(self, drawn: Callable, original: Callable, *arguments, **named):
        return (drawn if self._is_mine() else original)(*arguments, **named)

    def _uniform(self, shape, dtype, seed=0, seed2=0, name=None):
        return tf.raw_ops.StatelessRandomUniform(
            shape=shape, seed=self._next(), dtype=dtype, name=name
        )

    def _uniform_int(self, shape, minval, maxval, seed=0, seed2=0, name=None):
        return tf.raw_ops.StatelessRandomUniformInt(
            shape=shape, seed=self._next(), minval=minval, maxval=maxval, name=name
        )

    def _normal(self, shape, dtype, seed=0, seed2=0, name=None):
        return tf.raw_ops.StatelessRandomNormal(
            shape=shape, seed=self._next(), dtype=dtype, name=name
        )

    def _next(self) -> tf.Tensor:
        """The seed of the next operation, int32 shaped [2]."""
        of_operation = hashlib.sha256(f"{self._seed} {self._number}".encode()).digest()
        self._number += 1
        first = tf.constant(int.from_bytes(of_operation[:4], "big", signed=True), tf.int32)
        if self._iterations:
            iteration, *inner = self._iterations
            for each in inner:
                iteration = iteration * _INNER + each
            first += iteration * _SPREAD
        return tf.stack([first, self._step])

    def _while_loop(
        self, original, cond, body, loop_vars, shape_invariants=None, *arguments, **named
    ):
        """TensorFlow's `while_loop`, with a count of its iterations where the graph is the one."""
        if not self._is_mine():
            return original(cond, body, loop_vars, shape_invariants, *arguments, **named)

        def counted(iteration, *variables):
            with self._in_iteration(iteration):
                after = body(*variables)
            after = list(after) if isinstance(after, list | tuple) else [after]
            return [iteration + 1, *after]

        if shape_invariants is not None:
            shape_invariants = [tf.TensorShape([]), *shape_invariants]
        count = tf.zeros([], tf.int32)
        _, *after = original(
            lambda _, *variables: cond(*variables),
            counted,
            [count, *loop_vars],
            shape_invariants,
            *arguments,
            **named,
        )
        if len(tf.nest.flatten(after)) == 1 and not named.get("return_same_structure"):
            return after[0]
        return after

    @contextlib.contextmanager
    def _in_iteration(self, iteration: tf.Tensor) -> Iterator[None]:
        self._iterations.append(iteration)
        try:
            yield
        finally:
            self._iterations.pop()
