"""Decoders on one LSTM, and on several side by side."""

import functools

import tensorflow.compat.v1 as tf
from magenta.models.music_vae import lstm_models, lstm_utils

from models.accelerated import draws, feedback, lstm, sampling, wrappers
from models.accelerated.operations import (
    checked_z,
    decode_results,
    dropout,
    mask,
    repeated,
    stack,
    time_major,
)


class TeacherForcedDecoder(wrappers.LayeredDecoder):
    """A decoder on one LSTM, `lstm_models.BaseLstmDecoder`, which training feeds with the target.

    Args:
      decoder: Magenta's.
      layout: how it runs.
    """

    def _cells(self, hparams) -> list:
        return [self._decoder._dec_cell]

    @property
    def samples_segments(self) -> bool:
        """Whether the decoder inside samples as Magenta's do, and not in a way of its own."""
        return not self._stays_magentas and type(self._decoder).sample in (
            lstm_models.BaseLstmDecoder.sample,
            # It only turns the end token into a function.
            lstm_models.CategoricalLstmDecoder.sample,
        )

    def reconstruction_loss(self, x_input, x_target, x_length, z=None, c_input=None):
        """The loss of BaseLstmDecoder.reconstruction_loss, for a whole batch in one expression.

        Args:
          x_input: [batch, steps, output_depth], what the decoder is fed with: 0s, then the target.
          x_target: [batch, steps, output_depth].
          x_length: [batch]; steps after it are ignored.
          z: [batch, z_size] or None.
          c_input: controls, [batch, steps, control_depth] or None.

        Returns:
          The loss of each sequence, [batch]; when not training, metrics as in Magenta; and
          LstmDecodeResults that hold rnn_output, [batch, steps, depth], alone.
        """
        if self._stays_magentas:
            return super().reconstruction_loss(x_input, x_target, x_length, z, c_input)
        batch = x_input.shape[0]
        z = tf.zeros([batch, 0]) if z is None else z
        state = lstm_utils.initial_cell_state_from_embedding(
            self._decoder._dec_cell, z, name="decoder/z_to_initial_state"
        )
        state = [lstm.State(*of_layer) for of_layer in state]
        depth = x_input.shape[2] + z.shape[1] + (0 if c_input is None else c_input.shape[2])
        forced = tf.get_static_value(self._decoder._sampling_probability) == 0.0
        run = self._run if forced else self._run_sampling
        if not forced and self._drawer:
            run = functools.partial(self._run_sampling_compiled, self._drawer)
        with tf.variable_scope("decoder"):
            layers = self._layers(depth)
            # Creates the variables, which must happen once: not in a loop, nor for each half.
            self._output(state[-1].h)
            rnn_output = self._in_halves(functools.partial(run, layers), x_input, z, c_input, state)
        outputs = tf.reshape(rnn_output, [-1, rnn_output.shape[2]])
        target = tf.reshape(x_target, [-1, x_target.shape[2]])
        losses, _ = self._decoder._flat_reconstruction_loss(target, outputs)
        # Steps after the end of a sequence have a loss too; it is not counted.
        counts = tf.sequence_mask(x_length, tf.shape(x_target)[1])
        losses = tf.reshape(losses, [batch, -1, losses.shape[1:].num_elements()])
        losses = tf.reduce_sum(losses, axis=2)
        losses = tf.reduce_sum(tf.where(counts, losses, tf.zeros_like(losses)), axis=1)
        metrics = {}
        if not self._is_training:
            counts = tf.reshape(counts, [-1])
            _, metrics = self._decoder._flat_reconstruction_loss(
                tf.boolean_mask(target, counts), tf.boolean_mask(outputs, counts)
            )
        return losses, metrics, decode_results(rnn_output, x_length)

    def sample(
        self,
        n,
        max_length=None,
        z=None,
        c_input=None,
        temperature=1.0,
        start_inputs=None,
        end_fn=None,
    ):
        """Samples as BaseLstmDecoder.sample, in one loop.

        Magenta's own `sample` does the work for sequences that may end before `max_length` or are
        fed with controls.

        Args:
          n: how many sequences.
          max_length: steps, an int or a scalar tensor.
          z: [n, z_size] or None.
          c_input: controls, [steps, control_depth] or None.
          temperature: what the logits are divided by.
          start_inputs: [n, output_depth], what the first step is fed with, or None for 0.
          end_fn: what ends a sequence, or None.

        Returns:
          The samples, [n, steps, output_depth], and LstmDecodeResults.

        Raises:
          ValueError: where the first dimension of `z` is not n.
        """
        ends = max_length is None or end_fn is not None
        if ends or c_input is not None or not self.samples_segments:
            # Some of Magenta's decoders do not take these arguments.
            given = {"start_inputs": start_inputs, "end_fn": end_fn}
            given = {name: value for name, value in given.items() if value is not None}
            return super().sample(n, max_length, z, c_input, temperature=temperature, **given)
        z = checked_z(z, n)
        return self.sample_segments(z[tf.newaxis], max_length, temperature, start_inputs)

    def sample_segments(self, embeddings, steps, temperature=1.0, start_inputs=None):
        """Samples sequences of segments, each fed first with the last sample of the one before.

        Args:
          embeddings: [segments, n, z_size], what each is conditioned on.
          steps: steps in a segment, an int or a scalar tensor.
          temperature: what the logits are divided by.
          start_inputs: [n, output_depth], what the first step is fed with, or None for 0.

        Returns:
          The samples, [n, all steps, output_depth], and LstmDecodeResults.
        """
        segments, n, z_size = embeddings.shape
        states = lstm_utils.initial_cell_state_from_embedding(
            self._decoder._dec_cell,
            tf.reshape(embeddings, [segments * n, z_size]),
            name="decoder/z_to_initial_state",
        )
        states = [
            lstm.State(*(tf.reshape(part, [segments, n, part.shape[1]]) for part in of_layer))
            for of_layer in states
        ]
        if start_inputs is None:
            start_inputs = tf.zeros([n, self._decoder._output_depth])
        with tf.variable_scope("decoder"):
            layers = self._layers(start_inputs.shape[1] + z_size)
            # Creates the variables, which is impossible in a loop.
            output_depth = self._output(states[-1].h[0]).shape[1]
            if self._drawer:
                return self._sample_compiled(
                    self._drawer, layers, embeddings, states, steps, temperature, start_inputs
                )

            def step(inputs, segment, state):
                inputs = tf.concat([inputs, embeddings[segment]], axis=1)
                output, state = self._step(inputs, state, layers)
                return output, self._decoder._sample(output, temperature), state

            sampled = sampling.sample(step, states, start_inputs, steps, output_depth)
        return self._sampled(sampled, segments * steps)

    def _sample_compiled(
        self, drawer: draws.Drawer, layers, embeddings, states, steps, temperature, start_inputs
    ):
        """`sample_segments`, in a loop that XLA compiles."""
        segments, n, _ = embeddings.shape.as_list()
        network = self._network(layers, int(start_inputs.shape[1]), embeddings, states)
        uniform = draws.noise([segments * steps, n, drawer.depth])

        def draw(output, uniform):
            return drawer.draw(output, uniform, temperature)

        decoded = feedback.decode(network, feedback.Feed(start_inputs, uniform), draw, self._layout)
        outputs, samples = time_major(decoded.outputs), time_major(decoded.draws)
        inputs = tf.concat([start_inputs[:, tf.newaxis], samples], axis=1)[:, :-1]
        sampled = sampling.Sampled(inputs, outputs, samples, list(decoded.states))
        return self._sampled(sampled, segments * steps)

    def _sampled(self, sampled: sampling.Sampled, steps):
        """The result of `sample_segments`."""
        n = sampled.samples.shape[0]
        return sampled.samples, lstm_utils.LstmDecodeResults(
            rnn_input=sampled.inputs,
            rnn_output=sampled.outputs,
            samples=sampled.samples,
            final_state=tuple(tf.nn.rnn_cell.LSTMStateTuple(*of) for of in sampled.state),
            final_sequence_lengths=tf.fill([n], steps),
        )

    @property
    def _drawer(self) -> draws.Drawer | None:
        """How it draws in loops that XLA compiles; None where the layout has none.

        Nor are there any of a decoder that draws, or makes its outputs, in a way of its own.
        """
        if not self._layout.compiled or not isinstance(
            self._decoder._output_layer, tf.layers.Dense
        ):
            return None
        return draws.of(self._decoder, self._decoder._output_depth)

    def _network(self, layers, depth: int, known, states) -> feedback.Network:
        """What a step of `feedback` computes with; the arguments are those of its parts."""
        gates, kernel = feedback.first_layer(layers[0], depth, known, self._layout)
        dense = self._decoder._output_layer
        return feedback.Network(
            gates,
            [kernel, *(layer.kernel for layer in layers[1:])],
            [layer.bias for layer in layers[1:]],
            (tf.identity(dense.kernel), tf.identity(dense.bias)),
            states,
        )

    def _step(self, inputs, state, layers):
        """One step of all layers: the output, [n, depth], and the state after."""
        after = []
        for of_layer, layer in zip(state, layers, strict=True):
            after.append(lstm.step(dropout(inputs, self._keep_prob), of_layer, layer, self._layout))
            inputs = after[-1].h
        return self._output(inputs), after

    def _layers(self, input_depth: int) -> list[lstm.Weights]:
        layers = []
        for i, units in enumerate(self._units):
            layers.append(lstm.weights(f"multi_rnn_cell/cell_{i}", input_depth, units))
            input_depth = units
        return layers

    def _output(self, h):
        """The output of the decoder, [n, depth], for h, [n, units]."""
        return self._decoder._output_layer(h)

    def _run(self, layers, x_input, z, c_input, state):
        """The outputs of every step, [batch, steps, depth], with teacher forcing."""
        inputs = [time_major(x_input)]
        constant = z
        if c_input is not None or self._keep_prob < 1:
            # With dropout each step drops other elements of z. With controls z does not come last
            # among the inputs, as a constant has to.
            constant = None
            controls = [] if c_input is None else [time_major(c_input)]
            inputs += [repeated(z, inputs[0]), *controls]
        hs = stack(inputs, state, layers, constant, self._keep_prob, self._layout)
        steps = tf.shape(hs)[0]
        batch, units = hs.shape[1:]
        outputs = self._output(tf.reshape(hs, [-1, units]))
        return time_major(tf.reshape(outputs, [steps, batch, outputs.shape[1]]))

    def _run_sampling(self, layers, x_input, z, c_input, state):
        """The outputs of every step, [batch, steps, depth], with scheduled sampling.

        It follows contrib's ScheduledOutputTrainingHelper: after each step, each sequence of the
        batch is fed with a sample of its own output with the sampling probability, else with the
        target.
        """
        inputs = time_major(x_input)
        steps, batch = tf.shape(inputs)[0], inputs.shape[1]
        controls = [] if c_input is None else [time_major(c_input)]
        constant = tf.concat([repeated(z, inputs), *controls], axis=2)
        depth = self._output(state[-1].h).shape[1]
        probability = self._decoder._sampling_probability

        def step(t, previous, state, outputs):
            output, after = self._step(tf.concat([previous, constant[t]], axis=1), state, layers)
            drawn = tf.random.uniform([batch]) < probability
            drawn = tf.tile(drawn[:, None], [1, previous.shape[1]])
            following = inputs[tf.minimum(t + 1, steps - 1)]
            following = tf.where(drawn, self._decoder._sample(output), following)
            return t + 1, following, after, outputs.write(t, output)

        outputs = tf.TensorArray(tf.float32, steps, element_shape=[batch, depth])
        # One iteration after another, so that a seed gives the same draws.
        *_, outputs = tf.while_loop(
            lambda t, *_: t < steps,
            step,
            (0, inputs[0], state, outputs),
            # XLA needs this for the gradient.
            maximum_iterations=steps,
            parallel_iterations=1,
        )
        return time_major(outputs.stack())

    def _run_sampling_compiled(self, drawer: draws.Drawer, layers, x_input, z, c_input, state):
        """`_run_sampling`, in a loop that XLA compiles.

        The gradients by `x_input` are left out, since a target has none.
        """
        inputs = tf.stop_gradient(time_major(x_input))
        steps, (_, batch, depth) = tf.shape(inputs)[0], inputs.shape.as_list()
        known = z[tf.newaxis]
        if c_input is not None:
            known = tf.concat([repeated(z, inputs), time_major(c_input)], axis=2)
        masks = []
        if self._keep_prob < 1:
            depths = [depth, *self._units[:-1]]
            masks = [mask([steps, batch, each], self._keep_prob) for each in depths]
            # Each step drops other elements of z.
            known = known if c_input is not None else repeated(z, inputs)
            known *= mask(tf.shape(known), self._keep_prob)
        feed = feedback.Feed(
            inputs[0],
            draws.noise([steps, batch, drawer.depth]),
            draws.noise([steps, batch]) < self._decoder._sampling_probability,
            inputs,
            masks,
        )
        network = self._network(
            layers, depth, known, [lstm.State(c[tf.newaxis], h[tf.newaxis]) for c, h in state]
        )

        def draw(output, uniform):
            return drawer.draw(output, uniform, 1.0)

        return time_major(feedback.decode(network, feed, draw, self._layout).outputs)


class SplitDecoder(wrappers.DecoderWrapper):
    """`lstm_models.SplitMultiOutLstmDecoder` around accelerated decoders."""

    @property
    def samples_segments(self) -> bool:
        """Whether all of its decoders have `sample_segments`."""
        return all(
            getattr(core, "samples_segments", False) for core in self._decoder._core_decoders
        )

    def sample_segments(self, embeddings, steps, temperature=1.0):
        """Samples from each decoder, fed with its own samples alone; as in TeacherForcedDecoder."""
        parts = []
        for i, core in enumerate(self._decoder._core_decoders):
            with tf.variable_scope(f"core_decoder_{i}"):
                parts.append(core.sample_segments(embeddings, steps, temperature))
        samples, results = zip(*parts)
        return tf.concat(samples, axis=2), self._decoder._merge_decode_results(results)

    def reconstruction_loss(self, x_input, x_target, x_length, z=None, c_input=None):
        """The sum of the decoders' losses; as in TeacherForcedDecoder.reconstruction_loss."""
        depths = self._decoder._output_depths
        parts = []
        for i, (core, part_input, part_target) in enumerate(
            zip(
                self._decoder._core_decoders,
                tf.split(x_input, depths, axis=2),
                tf.split(x_target, depths, axis=2),
                strict=True,
            )
        ):
            with tf.variable_scope(f"core_decoder_{i}"):
                parts.append(
                    core.reconstruction_loss(part_input, part_target, x_length, z, c_input)
                )
        losses, metrics, results = zip(*parts)
        # The metrics have the names that Magenta gives them.
        merged = {f"{name}/output_{i}": m for i, of in enumerate(metrics) for name, m in of.items()}
        for name in metrics[0]:
            merged[name] = tf.reduce_mean([of[name][0] for of in metrics]), tf.no_op()
        rnn_output = tf.concat([result.rnn_output for result in results], axis=2)
        return tf.add_n(losses), merged, decode_results(rnn_output, x_length)
