"""LSTM layers over whole sequences, on the variables of Magenta's LSTMBlockCell.

Magenta runs its cells in a loop over the steps, so TensorFlow multiplies the inputs by the kernel
step by step and, when training, makes the kernel's gradient step by step too. Where all inputs are
known beforehand, neither belongs in a loop. Only what really recurs is left in it:

    forward    for all steps at once x W_x; in the loop h W_h, and the gates
    backward   in the loop the gates' gradients g, and g W_h'; for all steps at once x' g and h' g

The arithmetic is that of LSTMBlockCell: arXiv:1409.2329 with forget bias 1 and no peepholes. The
rows of a kernel are those of the inputs and then those of h, its columns the gates i, j (what is
new), f and o, each as wide as h.
"""

import itertools
from typing import NamedTuple

import tensorflow.compat.v1 as tf
from magenta.contrib import rnn as contrib_rnn

from models.accelerated import cudnn
from models.accelerated.layouts import LOOPS, Layout
from pipelines.runtime import cores

_FORGET_BIAS = 1.0


class State(NamedTuple):
    """The state of a layer: c and h, each [batch, units]."""

    c: tf.Tensor
    h: tf.Tensor


class Weights(NamedTuple):
    """The variables of a layer: kernel [input depth + units, 4 units] and bias [4 units]."""

    kernel: tf.Tensor
    bias: tf.Tensor

    @property
    def units(self) -> int:
        """The size of h."""
        return int(self.bias.shape[0]) // 4


def weights(scope, input_depth: int, units: int) -> Weights:
    """Gets the variables of a layer, under the names that Magenta's cell has in a scope.

    Args:
      scope: the name of the scope, below the current one, e.g. "multi_rnn_cell/cell_0".
      input_depth: the size of an input.
      units: the size of h.
    """
    with tf.variable_scope(scope), tf.variable_scope("lstm_cell"):
        kernel = tf.get_variable("kernel", [input_depth + units, 4 * units])
        bias = tf.get_variable("bias", [4 * units], initializer=tf.zeros_initializer())
    # One copy each, so that resource variables are read once and not in every use.
    return Weights(tf.identity(kernel), tf.identity(bias))


def zero_state(batch: int, units: int) -> State:
    """A state of zeros."""
    return State(tf.zeros([batch, units]), tf.zeros([batch, units]))


def sequence(inputs, state: State, layer: Weights, constant=None, layout: Layout = LOOPS):
    """Runs a layer over sequences whose inputs are all known.

    Args:
      inputs: a list of [steps, batch, depth], which stand side by side in the input of a step.
      state: before the first step.
      layer: its kernel has rows for `inputs`, then for `constant`, then for h.
      constant: [batch, depth] or None: what is the same in the input of every step.
      layout: how it runs.

    Returns:
      h of every step, [steps, batch, units].
    """
    constant = [] if constant is None else [constant]
    if layout.cudnn:
        steps = _shape(inputs[0])[0]
        inputs = [*inputs, *(tf.tile(part[tf.newaxis], [steps, 1, 1]) for part in constant)]
        return cudnn.stack(tf.concat(inputs, axis=2), [state], [layer])
    if layout.fused and not layout.compiled:
        return _fused_sequence(*layer, *state, *inputs, *constant)
    inputs = tf.concat(inputs, axis=2)
    steps, batch, depth = _shape(inputs)
    kernel, bias = layer
    of_inputs, *of_constant, of_h = tf.split(
        kernel, [depth, *(int(part.shape[1]) for part in constant), layer.units]
    )
    bias += tf.repeat([0.0, 0.0, _FORGET_BIAS, 0.0], layer.units)
    gates = tf.nn.bias_add(layout.product(tf.reshape(inputs, [-1, depth]), of_inputs), bias)
    if constant:
        # Added as a bias of a whole step: its gradient is many times as fast as that of a sum.
        same = tf.reshape(layout.product(*constant, *of_constant), [-1])
        gates = tf.nn.bias_add(tf.reshape(gates, [steps, same.shape[0]]), same)
    gates = tf.reshape(gates, [steps, batch, 4 * layer.units])
    return _recurrence(gates, of_h, *state, layout)


def step(inputs, state: State, layer: Weights, layout: Layout = LOOPS) -> State:
    """Runs a layer for one step.

    Args:
      inputs: [batch, depth].
      state: before the step.
      layer: its weights.
      layout: how it runs; what only concerns whole sequences is ignored.
    """
    if layout.fused:
        no_peephole = tf.zeros([layer.units])
        # pylint: disable-next=protected-access
        _, c, _, _, _, _, h = contrib_rnn._lstm_block_cell(
            inputs,
            *state,
            *layer,
            wci=no_peephole,
            wcf=no_peephole,
            wco=no_peephole,
            forget_bias=_FORGET_BIAS,
            cell_clip=-1,
        )
        return State(c, h)
    gates = layout.product(tf.concat([inputs, state.h], axis=1), layer.kernel) + layer.bias
    return after_gates(gates + tf.repeat([0.0, 0.0, _FORGET_BIAS, 0.0], layer.units), state.c)


def after_gates(gates, c) -> State:
    """The state after a step.

    Args:
      gates: before their activations, with the bias and the forget bias, [batch, 4 units].
      c: before the step, [batch, units].
    """
    return State(*_cell(gates, c)[-2:])


def _shape(tensor) -> list:
    """The sizes of a tensor: ints where they are known, else scalar tensors."""
    sizes = tf.shape(tensor)
    return [sizes[i] if n is None else n for i, n in enumerate(tensor.shape.as_list())]


class _Step(NamedTuple):
    """What a step computes, each [batch, units]: the activated gates, tanh(c), c and h."""

    i: tf.Tensor
    j: tf.Tensor
    f: tf.Tensor
    o: tf.Tensor
    tanh_c: tf.Tensor
    c: tf.Tensor
    h: tf.Tensor


def _cell(gates, c) -> _Step:
    """Goes from the gates before their activations, [batch, 4 units], and c to the next c and h."""
    i, j, f, o = tf.split(gates, 4, axis=1)
    i, j, f, o = tf.sigmoid(i), tf.tanh(j), tf.sigmoid(f), tf.sigmoid(o)
    c = f * c + i * j
    tanh_c = tf.tanh(c)
    return _Step(i, j, f, o, tanh_c, c, o * tanh_c)


def _cell_gradient(step: _Step, c, dc, dh, fused: bool):
    """The gradients of `_cell`.

    Args:
      step: what it returned.
      c: what it was given.
      dc, dh: the gradients of the c and h that it returned.
      fused: whether kernels may be used that XLA does not have.

    Returns:
      The gradients of the gates before their activations, and of the c that it was given.
    """
    if fused:
        batch, units = c.shape
        zeros = tf.zeros([units])
        made = tf.raw_ops.LSTMBlockCellGrad(
            i=step.i,
            ci=step.j,
            f=step.f,
            o=step.o,
            co=step.tanh_c,
            cs=step.c,
            cs_prev=c,
            cs_grad=dc,
            h_grad=dh,
            # Only their shapes are used.
            x=tf.zeros([batch, 1]),
            h_prev=c,
            w=tf.zeros([1 + units, 4 * units]),
            b=tf.zeros([4 * units]),
            wci=zeros,
            wcf=zeros,
            wco=zeros,
            use_peephole=False,
        )
        return made.dicfo, made.cs_prev_grad
    i, j, f, o, tanh_c, *_ = step
    dc += dh * o * (1 - tanh_c * tanh_c)
    gradients = (
        dc * j * i * (1 - i),
        dc * i * (1 - j * j),
        dc * c * f * (1 - f),
        dh * tanh_c * o * (1 - o),
    )
    return tf.concat(gradients, axis=1), dc * f


def _through_time(made_at, c, h, hs, hs_gradient, kernel, layout: Layout):
    """Takes gradients back through all steps.

    Args:
      made_at: a function from the index of a step to its `_Step` (whose h is not used).
      c, h: [batch, units], before the first step.
      hs: h after every step, [steps, batch, units].
      hs_gradient: the gradient of `hs`.
      kernel: [units, 4 units], the rows of the kernel for h.
      layout: how the layer runs.

    Returns:
      The gradients of the gates before their activations, [steps, batch, 4 units], of `kernel`, and
      of c and h before the first step.
    """
    steps = _shape(hs_gradient)[0]
    batch, units = c.shape
    # Transposed once: multiplying with `transpose_b` would do it in every step.
    transposed = layout.factor(tf.transpose(kernel))

    def backward(t, c_before, dc, dh, gates_gradient):
        g, dc = _cell_gradient(made_at(t), c_before, dc, dh + hs_gradient[t], layout.fused)
        return dc, layout.product(g, transposed), gates_gradient.write(t, g)

    def body(done, *gradients):
        t = steps - 1 - done
        return (done + 1, *backward(t, made_at(t - 1).c, *gradients))

    empty = tf.TensorArray(tf.float32, steps, element_shape=[batch, 4 * units])
    # Counted upwards: of such a loop XLA knows how often it runs, however often that is, so that on
    # a GPU the host does not wait for the outcome of each condition.
    _, *after_first = tf.while_loop(
        lambda done, *_: done < steps - 1, body, (0, *zero_state(batch, units), empty)
    )
    dc, dh, gates_gradient = backward(0, c, *after_first)
    gates_gradient = gates_gradient.stack()
    # h before the first step is added separately: putting it in front would copy all of them.
    kernel_gradient = _kernel_gradient(hs[:-1], gates_gradient[1:], layout)
    kernel_gradient += layout.product(h, gates_gradient[0], transpose_a=True)
    return gates_gradient, kernel_gradient, dc, dh


def _kernel_gradient(inputs, gates_gradient, layout: Layout = LOOPS):
    """The gradient of a kernel by which the inputs of all steps were multiplied.

    Args:
      inputs: [steps, batch, depth].
      gates_gradient: the gradient of the gates that the products are part of, [steps, batch,
        4 units].
      layout: how the layer runs.
    """
    steps = _shape(inputs)[0]
    # Two products, since a single one would leave a core idle in an encoder's last direction.
    ends = [0, steps // 2, steps] if cores.halved() else [0, steps]
    products = []
    for begin, end in itertools.pairwise(ends):
        rows = tf.reshape(inputs[begin:end], [-1, inputs.shape[2]])
        gates_rows = tf.reshape(gates_gradient[begin:end], [-1, gates_gradient.shape[2]])
        products.append(layout.product(rows, gates_rows, transpose_a=True))
    return tf.add_n(products)


def _recurrence(gates, kernel, c, h, layout: Layout):
    """Runs the recurrence over gates that the inputs are added to already.

    Args:
      gates: [steps, batch, 4 units], with the bias and the forget bias.
      kernel: [units, 4 units], the rows of the kernel for h.
      c, h: [batch, units], before the first step.
      layout: how it runs.

    Returns:
      h of every step, [steps, batch, units].
    """
    # A function that XLA compiles takes and returns tensors, and no TensorArrays.
    separate = layout._replace(fused=False)

    def forward(gates, kernel, c, h):
        steps = _shape(gates)[0]
        kernel = layout.factor(kernel)

        def step(t, c, h, made):
            step = _cell(gates[t] + layout.product(h, kernel), c)
            made = _Step(*(array.write(t, value) for array, value in zip(made, step)))
            return t + 1, step.c, step.h, made

        made = _Step(
            *(tf.TensorArray(tf.float32, steps, element_shape=c.shape) for _ in _Step._fields)
        )
        *_, made = tf.while_loop(lambda t, *_: t < steps, step, (0, c, h, made))
        return tuple(array.stack() for array in made)

    def backward(made, c, h, kernel, hs_gradient):
        made = _Step(*made)
        return _through_time(
            lambda t: _Step(*(values[t] for values in made)),
            c,
            h,
            made.h,
            hs_gradient,
            kernel,
            separate,
        )

    @tf.custom_gradient
    def run(gates, kernel, c, h):
        made = layout.run(forward, gates, kernel, c, h)

        def gradient(hs_gradient):
            return layout.run(backward, made, c, h, kernel, hs_gradient)

        return made[-1], gradient

    return run(gates, kernel, c, h)


@tf.custom_gradient
def _fused_sequence(kernel, bias, c, h, *inputs):
    """Does the same as `sequence` by TensorFlow's BlockLSTM, which loops inside one operation.

    The gradient that comes with BlockLSTM is not used: it computes the kernel's step by step.

    Args:
      kernel, bias: the variables of the layer.
      c, h: [batch, units], before the first step.
      *inputs: [steps, batch, depth], side by side; the last one may be [batch, depth], the same in
        all steps.
    """
    constant = [part for part in inputs if part.shape.rank == 2]
    varying = [part for part in inputs if part.shape.rank == 3]
    steps = _shape(varying[0])[0]
    given = tf.concat(varying, axis=2)
    depths = [int(part.shape[-1]) for part in varying + constant]
    no_peephole = tf.zeros([h.shape[1]])
    made = tf.raw_ops.BlockLSTM(
        seq_len_max=tf.cast(steps, tf.int64),
        x=tf.concat([given, *(tf.tile(part[tf.newaxis], [steps, 1, 1]) for part in constant)], 2),
        cs_prev=c,
        h_prev=h,
        w=kernel,
        b=bias,
        forget_bias=_FORGET_BIAS,
        cell_clip=-1.0,
        wci=no_peephole,
        wcf=no_peephole,
        wco=no_peephole,
        use_peephole=False,
    )

    def gradient(hs_gradient):
        *of_inputs, of_h = tf.split(kernel, [*depths, int(h.shape[1])])

        def made_at(t):
            names = ("i", "ci", "f", "o", "co", "cs")
            return _Step._make([*(getattr(made, name)[t] for name in names), None])

        gates_gradient, of_h_gradient, dc, dh = _through_time(
            made_at, c, h, made.h, hs_gradient, of_h, LOOPS
        )
        kernel_gradient = [_kernel_gradient(given, gates_gradient)]
        flat = tf.reshape(gates_gradient, [-1, kernel.shape[1]])
        # Computed one by one, so that those nobody asks for are left out.
        inputs_gradients = [
            tf.reshape(tf.matmul(flat, of_part, transpose_b=True), tf.shape(part))
            for part, of_part in zip(varying, of_inputs)
        ]
        if constant:
            # What all steps have in common is multiplied by the sum of their gradients.
            total = tf.reshape(
                column_sums(tf.reshape(gates_gradient, [steps, -1])), [-1, kernel.shape[1]]
            )
            kernel_gradient.append(tf.matmul(*constant, total, transpose_a=True))
            inputs_gradients.append(tf.matmul(total, of_inputs[-1], transpose_b=True))
        kernel_gradient = tf.concat([*kernel_gradient, of_h_gradient], axis=0)
        return kernel_gradient, column_sums(flat), dc, dh, *inputs_gradients

    return made.h, gradient


def column_sums(matrix):
    """The sum of each column, many times as fast on a CPU as tf.reduce_sum."""
    return tf.raw_ops.BiasAddGrad(out_backprop=matrix)
