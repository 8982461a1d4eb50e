"""LSTM layers over whole sequences, on the variables of Magenta's LSTMBlockCell.

Magenta runs its cells in a loop over the steps, so TensorFlow multiplies the inputs by the kernel
step by step and, when training, makes the kernel's gradient step by step too. Where all inputs are
known beforehand neither belongs in a loop. What is left in it is what really recurs:

    forward    for all steps at once x W_x; in the loop h W_h, and the gates
    backward   in the loop the gates' gradients g, and g W_h'; for all steps at once x' g and h' g

The numbers are those of LSTMBlockCell: arXiv:1409.2329 with forget bias 1 and no peepholes. The
rows of a kernel are those of the inputs and then those of h, its columns the gates i, j (what is
new), f and o, each as wide as h.
"""

from typing import NamedTuple

import tensorflow.compat.v1 as tf
from magenta.contrib import rnn as contrib_rnn

from models import cores

_FORGET_BIAS = 1.0
# On a CPU, states of so many numbers are stepped by TensorFlow's fused kernels. Below, a step's
# numbers stay in a core's cache and the operations one by one are quicker, since more of them runs
# for all steps at once; above, each of them is a way to memory and back.
_FUSED_FROM = 1 << 16
# On two cores, states of so many numbers are stepped in two halves, each on a core of its own.
_HALVES_FROM = 1 << 15


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
        """How many numbers h has."""
        return int(self.bias.shape[0]) // 4


def weights(scope, input_depth: int, units: int) -> Weights:
    """The variables of the layer whose cell Magenta calls in a scope.

    Args:
      scope: name of the scope, below the present one, e.g. "multi_rnn_cell/cell_0".
      input_depth: numbers in an input.
      units: numbers in h.
    """
    with tf.variable_scope(scope), tf.variable_scope("lstm_cell"):
        kernel = tf.get_variable("kernel", [input_depth + units, 4 * units])
        bias = tf.get_variable("bias", [4 * units], initializer=tf.zeros_initializer())
    # One copy each, so that resource variables are read once and not in every use.
    return Weights(tf.identity(kernel), tf.identity(bias))


def zero_state(batch: int, units: int) -> State:
    """A state of zeros."""
    return State(tf.zeros([batch, units]), tf.zeros([batch, units]))


def sequence(inputs, state: State, layer: Weights, constant=None, fused: bool = True):
    """Runs a layer over sequences whose inputs are all known.

    Args:
      inputs: [steps, batch, depth].
      state: before the first step.
      layer: its kernel has rows for `inputs`, then for `constant`, then for h.
      constant: [batch, depth] or None: what is the same in the input of every step.
      fused: whether kernels may be used that XLA does not have.

    Returns:
      h of every step, [steps, batch, units].
    """
    if fused and _halves_pay(state):
        batch = int(state.c.shape[0])
        sizes = [batch - batch // 2, batch // 2]
        halves = zip(
            tf.split(inputs, sizes, axis=1),
            map(State, tf.split(state.c, sizes), tf.split(state.h, sizes)),
            [None] * 2 if constant is None else tf.split(constant, sizes),
        )
        hs = [_sequence(half, of_half, layer, same, fused) for half, of_half, same in halves]
        return tf.concat(hs, axis=1)
    return _sequence(inputs, state, layer, constant, fused)


def _sequence(inputs, state: State, layer: Weights, constant, fused: bool):
    """`sequence` for a whole batch at once."""
    steps, batch, depth = _shape(inputs)
    if fused and _fused_pays(state):
        if constant is not None:
            constant = tf.tile(constant[tf.newaxis], [steps, 1, 1])
            inputs = tf.concat([inputs, constant], axis=2)
        return _fused_sequence(inputs, *layer, *state)
    kernel, bias = layer
    rest = 0 if constant is None else int(constant.shape[1])
    of_inputs, of_constant, of_h = tf.split(kernel, [depth, rest, layer.units])
    bias += tf.repeat([0.0, 0.0, _FORGET_BIAS, 0.0], layer.units)
    gates = tf.nn.bias_add(tf.matmul(tf.reshape(inputs, [-1, depth]), of_inputs), bias)
    if rest:
        # As a bias of all numbers of a step, whose gradient is many times as quick as of a sum.
        same = tf.reshape(tf.matmul(constant, of_constant), [-1])
        gates = tf.nn.bias_add(tf.reshape(gates, [steps, same.shape[0]]), same)
    gates = tf.reshape(gates, [steps, batch, 4 * layer.units])
    return _recurrence(gates, of_h, *state, fused)


def step(inputs, state: State, layer: Weights, fused: bool = True) -> State:
    """Runs a layer for one step.

    Args:
      inputs: [batch, depth].
      state: before the step.
      layer: its weights.
      fused: whether kernels may be used that XLA does not have.
    """
    if fused:
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
    gates = tf.matmul(tf.concat([inputs, state.h], axis=1), layer.kernel) + layer.bias
    gates += tf.repeat([0.0, 0.0, _FORGET_BIAS, 0.0], layer.units)
    return State(*_cell(gates, state.c)[-2:])


def _fused_pays(state: State) -> bool:
    # On a GPU every operation is a launch, so the fewer the better.
    on_gpu = bool(tf.config.get_visible_devices("GPU"))
    return on_gpu or state.c.shape.num_elements() >= _FUSED_FROM


def _halves_pay(state: State) -> bool:
    return cores.halved() and state.c.shape.num_elements() >= _HALVES_FROM


def _shape(tensor) -> list:
    """The sizes of a tensor: numbers where they are known, else scalars."""
    sizes = tf.shape(tensor)
    return [sizes[i] if n is None else n for i, n in enumerate(tensor.shape.as_list())]


class _Step(NamedTuple):
    """What a step makes, each [batch, units]: the gates, activated, tanh(c), c and h."""

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
            # Looked at for their shapes alone.
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


def _through_time(made_at, hs_before, hs_gradient, kernel, fused: bool):
    """Takes gradients back through all steps.

    Args:
      made_at: a function from the number of a step to its `_Step` (h is not looked at) and to the c
        before it.
      hs_before: h before every step, [steps, batch, units].
      hs_gradient: the gradient of h after every step, [steps, batch, units].
      kernel: [units, 4 units], of h.
      fused: whether kernels may be used that XLA does not have.

    Returns:
      The gradients of the gates before their activations, [steps, batch, 4 units], of `kernel`, and
      of c and h before the first step.
    """
    steps = _shape(hs_gradient)[0]
    batch, units = hs_before.shape[1:]
    # Transposed once: a multiplication by a transposed kernel would do it in every step.
    transposed = tf.transpose(kernel)

    def backward(t, dc, dh, gates_gradient):
        step, c = made_at(t)
        g, dc = _cell_gradient(step, c, dc, dh + hs_gradient[t], fused)
        return t - 1, dc, tf.matmul(g, transposed), gates_gradient.write(t, g)

    empty = tf.TensorArray(tf.float32, steps, element_shape=[batch, 4 * units])
    _, dc, dh, gates_gradient = tf.while_loop(
        lambda t, *_: t >= 0, backward, (steps - 1, *zero_state(batch, units), empty)
    )
    gates_gradient = gates_gradient.stack()
    kernel_gradient = tf.matmul(
        tf.reshape(hs_before, [-1, units]),
        tf.reshape(gates_gradient, [-1, 4 * units]),
        transpose_a=True,
    )
    return gates_gradient, kernel_gradient, dc, dh


def _recurrence(gates, kernel, c, h, fused: bool):
    """Steps through what the inputs add to the gates.

    Args:
      gates: [steps, batch, 4 units], the bias and the forget bias in it.
      kernel: [units, 4 units], of h.
      c, h: [batch, units], before the first step.
      fused: whether kernels may be used that XLA does not have.

    Returns:
      h of every step, [steps, batch, units].
    """
    steps = _shape(gates)[0]

    def array(size):
        return tf.TensorArray(tf.float32, size, element_shape=c.shape, clear_after_read=False)

    @tf.custom_gradient
    def run(gates, kernel, c, h):
        # Of c and h the one before the first step too: that of step t is at t + 1.
        made = _Step(*[array(steps) for _ in range(5)], *[array(steps + 1) for _ in range(2)])
        made = made._replace(c=made.c.write(0, c), h=made.h.write(0, h))

        def forward(t, c, h, made):
            step = _cell(gates[t] + tf.matmul(h, kernel), c)
            places = [t] * 5 + [t + 1] * 2
            made = _Step(*(a.write(p, value) for a, p, value in zip(made, places, step)))
            return t + 1, step.c, step.h, made

        *_, made = tf.while_loop(lambda t, *_: t < steps, forward, (0, c, h, made))
        hs = made.h.stack()

        def gradient(hs_gradient):
            def made_at(t):
                step = _Step(*(a.read(t) for a in made[:5]), made.c.read(t + 1), None)
                return step, made.c.read(t)

            return _through_time(made_at, hs[:-1], hs_gradient, kernel, fused)

        return hs[1:], gradient

    return run(gates, kernel, c, h)


@tf.custom_gradient
def _fused_sequence(inputs, kernel, bias, c, h):
    """The same as `sequence` by TensorFlow's BlockLSTM, which loops inside one operation.

    Its own gradient makes that of the kernel step by step.
    """
    steps, _, depth = _shape(inputs)
    no_peephole = tf.zeros([h.shape[1]])
    made = tf.raw_ops.BlockLSTM(
        seq_len_max=tf.cast(steps, tf.int64),
        x=inputs,
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
        cs_before = tf.concat([c[tf.newaxis], made.cs[:-1]], axis=0)
        hs_before = tf.concat([h[tf.newaxis], made.h[:-1]], axis=0)

        def made_at(t):
            names = ("i", "ci", "f", "o", "co", "cs")
            return _Step(*(getattr(made, name)[t] for name in names), None), cs_before[t]

        gates_gradient, of_h, dc, dh = _through_time(
            made_at, hs_before, hs_gradient, kernel[depth:], fused=True
        )
        flat = tf.reshape(gates_gradient, [-1, kernel.shape[1]])
        inputs_gradient = tf.reshape(
            tf.matmul(flat, kernel[:depth], transpose_b=True), tf.shape(inputs)
        )
        of_inputs = tf.matmul(tf.reshape(inputs, [-1, depth]), flat, transpose_a=True)
        kernel_gradient = tf.concat([of_inputs, of_h], axis=0)
        # Many times as quick as tf.reduce_sum.
        bias_gradient = tf.raw_ops.BiasAddGrad(out_backprop=flat)
        return inputs_gradient, kernel_gradient, bias_gradient, dc, dh

    return made.h, gradient
