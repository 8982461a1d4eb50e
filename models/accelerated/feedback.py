"""Decodes step by step, fed with what it drew, in a loop that XLA compiles whole.

The loop is that of `decoders` and `sampling`, with as few and as large operations as it can have:

    before  what is known of all steps: the products of z and of controls, dropout masks, noise
    in it   one product a layer, [x, h] W, the gates, the output, and what is drawn from it
    after   the gradients of all weights, each one product over all steps

XLA cannot hand what a loop keeps for its gradient to another compiled function, so the gradient
runs the loop again and goes back through it in the same function.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import tensorflow.compat.v1 as tf

from models.accelerated import lstm
from models.accelerated.layouts import Layout


class Network(NamedTuple):
    """What has gradients.

    Attributes:
      known: what is added to the gates of the first layer, [n, batch, 4 units]; each for as many
        steps as the others. It includes the layer's bias.
      kernels: of each layer, [input depth + units, 4 units]; of the first without the rows of
        what is in `known`.
      biases: of each layer above the first, [4 units].
      output: the kernel and the bias of the output layer.
      states: of each layer, before the first step of each segment: [segments, batch, units].
    """

    known: tf.Tensor
    kernels: Sequence[tf.Tensor]
    biases: Sequence[tf.Tensor]
    output: tuple[tf.Tensor, tf.Tensor]
    states: Sequence[lstm.State]


class Feed(NamedTuple):
    """What each step is fed with beside what is known; none of it has gradients.

    Attributes:
      start: the first input, [batch, depth].
      noise: [steps, batch, n], what is drawn with.
      drawn: [steps, batch], whether the next step is fed with the draw of this one; None for
        always.
      target: [steps, batch, depth], what it is fed with otherwise; None where that never is.
      masks: of each layer, [steps, batch, depth], what its inputs are multiplied by; empty for no
        dropout.
    """

    start: tf.Tensor
    noise: tf.Tensor
    drawn: tf.Tensor | None = None
    target: tf.Tensor | None = None
    masks: Sequence[tf.Tensor] = ()


class Decoded(NamedTuple):
    """What a loop gives.

    Attributes:
      outputs: of each step, [steps, batch, depth].
      draws: what was drawn from them, [steps, batch, depth].
      states: of each layer, after the last step.
    """

    outputs: tf.Tensor
    draws: tf.Tensor
    states: Sequence[lstm.State]


def first_layer(layer: lstm.Weights, depth: int, known, layout: Layout):
    """Splits a first layer into what is known beforehand and what is not.

    Args:
      layer: its kernel has rows for the fed inputs, then for what is known, then for h.
      depth: the depth of the fed inputs.
      known: [n, batch, known depth].
      layout: how products are computed.

    Returns:
      `Network.known`, and the first of `Network.kernels`.
    """
    of_fed, of_known, of_h = tf.split(layer.kernel, [depth, int(known.shape[2]), layer.units])
    n, batch = tf.shape(known)[0], int(known.shape[1])
    gates = layout.product(tf.reshape(known, [n * batch, int(known.shape[2])]), of_known)
    gates = tf.reshape(gates + layer.bias, [n, batch, 4 * layer.units])
    return gates, tf.concat([of_fed, of_h], axis=0)


def decode(network: Network, feed: Feed, draw: Callable, layout: Layout) -> Decoded:
    """Decodes all steps.

    Args:
      network: what computes a step.
      feed: what each step is fed with.
      draw: a function from outputs and noise of a step to what is drawn.
      layout: how it runs.

    Returns:
      What was decoded. Only `outputs` has gradients, by `network`.
    """
    flat = tf.nest.flatten(network)

    def forward(*flat):
        return _loop(tf.nest.pack_sequence_as(network, flat), feed, draw, layout)[0]

    def backward(flat, outputs_gradient):
        given = tf.nest.pack_sequence_as(network, flat)
        steps, batch = tf.shape(feed.noise)[0], int(feed.noise.shape[1])
        # 0s added to gates and outputs: their gradients are those of gates and outputs.
        sizes = [int(kernel.shape[1]) for kernel in (*given.kernels, given.output[0])]
        nudges = [tf.zeros([steps, batch, size]) for size in sizes]
        decoded, rows = _loop(given, feed, draw, layout, nudges)
        states = tf.nest.flatten(given.states)
        gradients = tf.gradients(
            decoded.outputs,
            [*nudges, *states],
            outputs_gradient,
            unconnected_gradients=tf.UnconnectedGradients.ZERO,
        )
        of_nudges = gradients[: len(nudges)]
        of_kernels = [
            layout.product(_flat(inputs), _flat(gradient), transpose_a=True)
            for inputs, gradient in zip(rows, of_nudges, strict=True)
        ]
        of_biases = [lstm.column_sums(_flat(gradient)) for gradient in of_nudges[1:]]
        n = tf.shape(given.known)[0]
        of_known = tf.reduce_sum(tf.reshape(of_nudges[0], [n, steps // n, batch, sizes[0]]), axis=1)
        of_network = Network(
            of_known,
            of_kernels[:-1],
            of_biases[:-1],
            (of_kernels[-1], of_biases[-1]),
            tf.nest.pack_sequence_as(given.states, gradients[len(nudges) :]),
        )
        return tf.nest.flatten(of_network)

    @tf.custom_gradient
    def run(*flat):
        decoded = layout.run(forward, *flat)
        flat_decoded = tf.nest.flatten(decoded)

        def gradient(outputs_gradient, *_):
            return layout.run(backward, list(flat), outputs_gradient)

        return flat_decoded, gradient

    outputs, draws, *states = run(*flat)
    return Decoded(outputs, draws, [lstm.State(*of) for of in zip(states[::2], states[1::2])])


def _flat(steps):
    """[steps, batch, depth] to [steps * batch, depth]."""
    return tf.reshape(steps, [-1, int(steps.shape[2])])


def _loop(network: Network, feed: Feed, draw: Callable, layout: Layout, nudges=None):
    """Runs the loop.

    Args:
      network, feed, draw, layout: as `decode` takes them.
      nudges: what is added to the gates of each layer and to the outputs, each [steps, batch,
        depth]; None for nothing.

    Returns:
      `Decoded`, and what the kernels of the layers and of the output layer were multiplied with:
      a list of [steps, batch, rows of the kernel], of 0 steps without nudges.
    """
    steps = tf.shape(feed.noise)[0]
    batch, depth = feed.start.shape.as_list()
    segments = int(network.states[0].h.shape[0])
    length = steps // segments
    each = steps // tf.shape(network.known)[0]
    kernels = [layout.factor(kernel) for kernel in network.kernels]
    output_kernel, output_bias = network.output
    forget = [
        tf.repeat([0.0, 0.0, 1.0, 0.0], int(kernel.shape[1]) // 4) for kernel in network.kernels
    ]

    def body(t, inputs, states, made):
        if segments > 1:
            # Cheaper on a GPU than a condition, whose outcome the host would wait for.
            begins = tf.equal(t % length, 0)
            states = tf.nest.map_structure(
                lambda all_of_them, now: tf.where(
                    tf.fill(now.shape.as_list(), begins), all_of_them[t // length], now
                ),
                list(network.states),
                states,
            )
        rows, after = [], []
        x = inputs
        for i, (kernel, state) in enumerate(zip(kernels, states, strict=True)):
            if feed.masks:
                x *= feed.masks[i][t]
            rows.append(tf.concat([x, state.h], axis=1))
            gates = layout.product(rows[-1], kernel) + forget[i]
            gates += network.biases[i - 1] if i else network.known[t // each]
            if nudges:
                gates += nudges[i][t]
            c, h = lstm.after_gates(gates, state.c)
            after.append(lstm.State(c, h))
            x = h
        rows.append(x)
        output = tf.matmul(x, output_kernel) + output_bias
        if nudges:
            output += nudges[-1][t]
        drawn = draw(output, feed.noise[t])
        following = drawn
        if feed.target is not None and feed.drawn is not None:
            takes = tf.tile(feed.drawn[t][:, tf.newaxis], [1, depth])
            following = tf.where(takes, drawn, feed.target[tf.minimum(t + 1, steps - 1)])
        values = [output, drawn, *(rows if nudges else [])]
        made = [array.write(t, value) for array, value in zip(made, values, strict=True)]
        return t + 1, following, after, made

    sizes = [int(output_bias.shape[0]), depth]
    if nudges:
        sizes += [int(kernel.shape[0]) for kernel in (*kernels, output_kernel)]
    arrays = [tf.TensorArray(tf.float32, steps, element_shape=[batch, size]) for size in sizes]
    first = tf.nest.map_structure(lambda all_of_them: all_of_them[0], list(network.states))
    _, _, states, arrays = tf.while_loop(
        lambda t, *_: t < steps,
        body,
        (0, feed.start, first, arrays),
        # XLA needs this for the gradient. Without, it knows from the condition how often the loop
        # runs, and on a GPU the host does not wait for the outcome of each.
        maximum_iterations=steps if nudges else None,
        parallel_iterations=1,
    )
    outputs, draws, *rows = (array.stack() for array in arrays)
    return Decoded(outputs, draws, states), rows
