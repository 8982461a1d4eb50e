"""Magenta's MusicVAE, laid out to train in a fraction of the time: same variables, same loss.

`accelerated` gives a model whose encoder and decoder stand around Magenta's and do what those do,
faster, in training and in sampling. Checkpoints fit both, in both directions. What differs:

  - layers run one after another, each over whole sequences (`models.lstm`);
  - a hierarchical decoder whose conductor takes nothing from the segments (Magenta's
    disable_autoregression) decodes all segments as one batch: under teacher forcing, and scheduled
    sampling too, they depend on the conductor alone;
  - the losses of a batch are one expression, where Magenta adds nodes for each of its sequences;
  - the conductor's dropout is for training only, where Magenta leaves it on when evaluating.

What has no such counterpart stays with Magenta's class, and says so when it is built.
"""

import copy

import numpy as np
import tensorflow.compat.v1 as tf
from magenta.contrib import rnn as contrib_rnn
from magenta.models.music_vae import base_model, lstm_models, lstm_utils

from models import lstm, sampling


def accelerated(model: base_model.MusicVAE, fused: bool = True) -> base_model.MusicVAE:
    """Returns the counterpart of a model that is not built yet.

    Args:
      model: any MusicVAE.
      fused: whether kernels may be used that XLA does not have.
    """
    counterpart = copy.copy(model)
    if getattr(model.decoder, "_hierarchical_encoder", None) is model.encoder:
        counterpart._encoder = _MagentasEncoder(
            model.encoder, "the decoder encodes with it as well"
        )
    else:
        counterpart._encoder = _encoder(model.encoder, fused)
    counterpart._decoder = _decoder(model.decoder, fused)
    return counterpart


def _encoder(encoder: base_model.BaseEncoder, fused: bool) -> base_model.BaseEncoder:
    if type(encoder) is lstm_models.BidirectionalLstmEncoder:
        return BidirectionalEncoder(encoder, fused)
    if type(encoder) is lstm_models.HierarchicalLstmEncoder:
        return ParallelHierarchicalEncoder(encoder, fused)
    return _MagentasEncoder(encoder, _NO_COUNTERPART)


def _decoder(decoder: base_model.BaseDecoder, fused: bool) -> base_model.BaseDecoder:
    kind = type(decoder)
    if kind is lstm_models.HierarchicalLstmDecoder:
        reason = _sequential(decoder)
        if reason:
            return _Magentas(decoder, reason)
        return ParallelHierarchicalDecoder(_with_cores(decoder, fused), fused)
    if kind is lstm_models.SplitMultiOutLstmDecoder:
        return _SplitDecoder(_with_cores(decoder, fused))
    if kind is lstm_models.BidirectionalLstmControlPreprocessingDecoder:
        return _with_cores(decoder, fused)
    own = lstm_models.BaseLstmDecoder
    if isinstance(decoder, own) and all(
        getattr(kind, name) is getattr(own, name) for name in ("reconstruction_loss", "_decode")
    ):
        return TeacherForcedDecoder(decoder, fused)
    return _Magentas(decoder, _NO_COUNTERPART)


def _with_cores(decoder, fused: bool):
    """A copy of a decoder around other decoders, with the counterparts of these."""
    decoder = copy.copy(decoder)
    if hasattr(decoder, "_core_decoders"):
        decoder._core_decoders = [_decoder(core, fused) for core in decoder._core_decoders]
    else:
        decoder._core_decoder = _decoder(decoder._core_decoder, fused)
    return decoder


def _sequential(decoder: lstm_models.HierarchicalLstmDecoder) -> str | None:
    """Says why the segments of a decoder depend on each other, or None where they do not."""
    if decoder._hierarchical_encoder:
        return "its segments are encoded again for the next (re-encoder), so none can wait"
    if not set(range(len(decoder._level_lengths) - 1)) <= set(decoder._disable_autoregression):
        return "each of its segments depends on the one before (disable_autoregression=False)"
    return None


class _MagentasEncoder(base_model.BaseEncoder):
    """An encoder of Magenta's that stays as it is, and says why."""

    def __init__(self, encoder: base_model.BaseEncoder, reason: str):
        self._encoder = encoder
        self._reason = reason

    @property
    def output_depth(self):
        return self._encoder.output_depth

    def build(self, *args, **kwargs):
        _stays_magentas(self._encoder, self._reason)
        self._encoder.build(*args, **kwargs)

    def encode(self, *args, **kwargs):
        return self._encoder.encode(*args, **kwargs)


class _Wrapper(base_model.BaseDecoder):
    """A decoder that does as the one inside; the loss is the subclass's."""

    def __init__(self, decoder: base_model.BaseDecoder):
        self._decoder = decoder

    @property
    def state_size(self):
        """As in Magenta's decoders."""
        return self._decoder.state_size

    def build(self, hparams, output_depth, is_training=True):
        """Builds the decoder inside; arguments as in BaseDecoder.build."""
        self._decoder.build(hparams, output_depth, is_training)

    def reconstruction_loss(self, *args, **kwargs):
        """The loss of the decoder inside; as in BaseDecoder.reconstruction_loss."""
        return self._decoder.reconstruction_loss(*args, **kwargs)

    def sample(self, *args, **kwargs):
        """Samples from the decoder inside; as in its own `sample`."""
        return self._decoder.sample(*args, **kwargs)


class _Magentas(_Wrapper):
    """A decoder of Magenta's that stays as it is, and says why."""

    def __init__(self, decoder, reason: str):
        super().__init__(decoder)
        self._reason = reason

    def build(self, hparams, output_depth, is_training=True):
        _stays_magentas(self._decoder, self._reason)
        super().build(hparams, output_depth, is_training)


def _stays_magentas(part, reason: str) -> None:
    tf.logging.warning("%s stays Magenta's own, at its speed: %s", type(part).__name__, reason)


_NO_COUNTERPART = "it has no counterpart here"
_OTHER_CELLS = "its cells are not plain LSTMs (residual connections have no counterpart)"


def _is_plain(cell) -> bool:
    """Whether a cell is a stack such as `lstm_utils.rnn_cell` makes, without residual connections."""
    cells = getattr(cell, "_cells", ())
    return bool(cells) and all(
        isinstance(getattr(one, "cell", None), contrib_rnn.LSTMBlockCell) for one in cells
    )


class BidirectionalEncoder(base_model.BaseEncoder):
    """`lstm_models.BidirectionalLstmEncoder` (MusicVAE, section 3.1), layer by layer.

    Args:
      encoder: Magenta's.
      fused: whether kernels may be used that XLA does not have.
    """

    def __init__(self, encoder: lstm_models.BidirectionalLstmEncoder, fused: bool):
        self._encoder = encoder
        self._fused = fused

    @property
    def output_depth(self):
        """Numbers in an embedding."""
        return self._encoder.output_depth

    def build(self, hparams, is_training=True, name_or_scope="encoder"):
        """Builds the encoder; arguments as in Magenta's."""
        self._encoder.build(hparams, is_training, name_or_scope)
        self._units = hparams.enc_rnn_size
        self._keep_prob = hparams.dropout_keep_prob if is_training else 1.0
        self._scope = name_or_scope
        cells = [cell for direction in self._encoder._cells for cell in direction]
        self._stays_magentas = not all(map(_is_plain, cells))
        if self._stays_magentas:
            _stays_magentas(self._encoder, _OTHER_CELLS)

    def encode(self, sequence, sequence_length):
        """Encodes sequences.

        Args:
          sequence: [batch, steps, depth].
          sequence_length: [batch]; what is behind it in a sequence does not count.

        Returns:
          The last h in each direction, [batch, 2 units].
        """
        if self._stays_magentas:
            return self._encoder.encode(sequence, sequence_length)
        inputs = tf.transpose(sequence, [1, 0, 2])

        def reverse(rows):
            return tf.reverse_sequence(rows, sequence_length, seq_axis=0, batch_axis=1)

        with tf.variable_scope(self._scope):
            for i, units in enumerate(self._units):
                with tf.variable_scope(f"cell_{i}/bidirectional_rnn"):
                    forward = self._run("fw", inputs, units)
                    backward = self._run("bw", reverse(inputs), units)
                inputs = tf.concat([forward, reverse(backward)], axis=2)
        # Where a sequence ends, the reversed one has been read to its beginning. One of no length
        # leaves the state at 0.
        last = tf.stack([tf.maximum(sequence_length - 1, 0), tf.range(sequence.shape[0])], axis=1)
        ends = tf.concat([tf.gather_nd(forward, last), tf.gather_nd(backward, last)], axis=1)
        return tf.where(
            tf.tile(sequence_length[:, None] > 0, [1, ends.shape[1]]), ends, tf.zeros_like(ends)
        )

    def _run(self, direction, inputs, units):
        depth = inputs.shape[2]
        layer = lstm.weights(f"{direction}/multi_rnn_cell/cell_0", depth, units)
        state = lstm.zero_state(inputs.shape[1], units)
        inputs = _dropout(inputs, self._keep_prob)
        return lstm.sequence(inputs, state, layer, fused=self._fused)


class ParallelHierarchicalEncoder(base_model.BaseEncoder):
    """`lstm_models.HierarchicalLstmEncoder`, all segments of a level as one batch.

    Args:
      encoder: Magenta's.
      fused: whether kernels may be used that XLA does not have.
    """

    def __init__(self, encoder: lstm_models.HierarchicalLstmEncoder, fused: bool):
        self._encoder = copy.copy(encoder)
        make = encoder._core_encoder_cls
        self._encoder._core_encoder_cls = lambda: _encoder(make(), fused)

    @property
    def output_depth(self):
        """Numbers in an embedding."""
        return self._encoder.output_depth

    @property
    def level_lengths(self):
        """As in Magenta's."""
        return self._encoder.level_lengths

    def build(self, hparams, is_training=True):
        """Builds the encoders of all levels; arguments as in BaseEncoder.build."""
        self._encoder.build(hparams, is_training)
        self._total_length = hparams.max_seq_len

    def encode(self, sequence, sequence_length):
        """Encodes sequences of padded segments; arguments and result as in Magenta's."""
        batch, lengths = sequence.shape[0], self.level_lengths
        sequence_length = lstm_utils.maybe_split_sequence_lengths(
            sequence_length, int(np.prod(lengths[1:])), self._total_length
        )
        for level, length in enumerate(lengths):
            splits = int(np.prod(lengths[level + 1 :]))
            segments = tf.reshape(sequence, [batch * splits, length, sequence.shape[2]])
            if level:
                sequence_length = tf.fill([batch, splits], length)
            embeddings = self._encoder.level(level).encode(
                segments, tf.reshape(sequence_length, [batch * splits])
            )
            sequence = tf.reshape(embeddings, [batch, splits, embeddings.shape[1]])
        return sequence[:, 0]


class TeacherForcedDecoder(_Wrapper):
    """A decoder on one LSTM, `lstm_models.BaseLstmDecoder`, fed with what it should give.

    Args:
      decoder: Magenta's.
      fused: whether kernels may be used that XLA does not have.
    """

    def __init__(self, decoder: lstm_models.BaseLstmDecoder, fused: bool):
        super().__init__(decoder)
        self._fused = fused

    def build(self, hparams, output_depth, is_training=True):
        """Builds the decoder; arguments as in BaseDecoder.build."""
        super().build(hparams, output_depth, is_training)
        self._is_training = is_training
        self._units = hparams.dec_rnn_size
        self._keep_prob = hparams.dropout_keep_prob if is_training else 1.0
        self._stays_magentas = not _is_plain(self._decoder._dec_cell)
        if self._stays_magentas:
            _stays_magentas(self._decoder, _OTHER_CELLS)

    def reconstruction_loss(self, x_input, x_target, x_length, z=None, c_input=None):
        """The loss of BaseLstmDecoder.reconstruction_loss, for a whole batch in one expression.

        Args:
          x_input: [batch, steps, output_depth], what the decoder is fed with: 0, then the target.
          x_target: [batch, steps, output_depth].
          x_length: [batch]; what is behind it does not count.
          z: [batch, z_size] or None.
          c_input: controls, [batch, steps, control_depth] or None.

        Returns:
          The loss of each sequence, [batch]; when not training, metrics as in Magenta; and
          LstmDecodeResults with rnn_output, [batch, steps, depth], alone.
        """
        if self._stays_magentas:
            return super().reconstruction_loss(x_input, x_target, x_length, z, c_input)
        batch = x_input.shape[0]
        z = tf.zeros([batch, 0]) if z is None else z
        state = lstm_utils.initial_cell_state_from_embedding(
            self._decoder._dec_cell, z, name="decoder/z_to_initial_state"
        )
        state = [lstm.State(*of_layer) for of_layer in state]
        inputs = _time_major(x_input)
        controls = None if c_input is None else _time_major(c_input)
        with tf.variable_scope("decoder"):
            if tf.get_static_value(self._decoder._sampling_probability) == 0.0:
                hs = self._run(inputs, z, controls, state)
                outputs = self._output(tf.reshape(hs, [-1, hs.shape[2]]))
            else:
                outputs = self._run_sampling(inputs, z, controls, state)
        target = tf.reshape(_time_major(x_target), [-1, x_target.shape[2]])
        losses, _ = self._decoder._flat_reconstruction_loss(target, outputs)
        # What is behind the length of a sequence has a loss like any other; it is not counted.
        counts = tf.sequence_mask(x_length, tf.shape(x_target)[1])
        losses = tf.reduce_sum(tf.reshape(losses, [-1, batch, losses.shape[1:].num_elements()]), 2)
        losses = tf.reduce_sum(
            tf.where(tf.transpose(counts), losses, tf.zeros_like(losses)), axis=0
        )
        metrics = {}
        if not self._is_training:
            counts = tf.reshape(tf.transpose(counts), [-1])
            _, metrics = self._decoder._flat_reconstruction_loss(
                tf.boolean_mask(target, counts), tf.boolean_mask(outputs, counts)
            )
        rnn_output = _time_major(tf.reshape(outputs, [-1, batch, outputs.shape[1]]))
        return losses, metrics, _results(rnn_output, x_length)

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

        It leaves to Magenta's what may end before `max_length` or is fed with controls.

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
        if max_length is None or c_input is not None or end_fn is not None or self._stays_magentas:
            return super().sample(
                n,
                max_length,
                z,
                c_input,
                temperature=temperature,
                start_inputs=start_inputs,
                end_fn=end_fn,
            )
        z = _checked_z(z, n)
        return self.sample_segments(z[tf.newaxis], max_length, temperature, start_inputs)

    def sample_segments(self, embeddings, steps, temperature=1.0, start_inputs=None):
        """Samples sequences of segments, each fed first with the last sample of the one before.

        Args:
          embeddings: [segments, n, z_size], what each is conditioned on.
          steps: of a segment, an int or a scalar tensor.
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
            # Makes the variables, which cannot be made in a loop.
            output_depth = self._output(states[-1].h[0]).shape[1]

            def step(inputs, segment, state):
                inputs = tf.concat([inputs, embeddings[segment]], axis=1)
                output, state = self._step(inputs, state, layers)
                return output, self._decoder._sample(output, temperature), state

            sampled = sampling.sample(step, states, start_inputs, steps, output_depth)
        lengths = tf.fill([n], segments * steps)
        return sampled.samples, lstm_utils.LstmDecodeResults(
            rnn_input=sampled.inputs,
            rnn_output=sampled.outputs,
            samples=sampled.samples,
            final_state=tuple(tf.nn.rnn_cell.LSTMStateTuple(*of) for of in sampled.state),
            final_sequence_lengths=lengths,
        )

    def _step(self, inputs, state, layers):
        """One step of all layers: the output, [n, depth], and the state after."""
        after = []
        for of_layer, layer in zip(state, layers, strict=True):
            after.append(lstm.step(_dropout(inputs, self._keep_prob), of_layer, layer, self._fused))
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

    def _run(self, inputs, z, controls, state):
        """h of the last layer at every step, [steps, batch, units], with teacher forcing."""
        constant = z
        if controls is not None or self._keep_prob < 1:
            # z is not constant where each step drops other numbers of it.
            constant = None
            inputs = tf.concat([inputs, _repeated(z, inputs), *_given(controls)], axis=2)
        depth = inputs.shape[2] + (0 if constant is None else constant.shape[1])
        for of_layer, layer in zip(state, self._layers(depth), strict=True):
            inputs = _dropout(inputs, self._keep_prob)
            inputs = lstm.sequence(inputs, of_layer, layer, constant, self._fused)
            constant = None
        return inputs

    def _run_sampling(self, inputs, z, controls, state):
        """The outputs of every step, [steps * batch, depth], with scheduled sampling.

        As contrib's ScheduledOutputTrainingHelper: after each step, each sequence of the batch goes
        on from what is drawn from its own output with the sampling probability, else from the
        target.
        """
        steps, batch = tf.shape(inputs)[0], inputs.shape[1]
        constant = tf.concat([_repeated(z, inputs), *_given(controls)], axis=2)
        layers = self._layers(inputs.shape[2] + constant.shape[2])
        # Makes the variables, which cannot be made in a loop.
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
            # XLA needs it for the gradient.
            maximum_iterations=steps,
            parallel_iterations=1,
        )
        return tf.reshape(outputs.stack(), [-1, depth])


class _SplitDecoder(_Wrapper):
    """`lstm_models.SplitMultiOutLstmDecoder` around accelerated decoders."""

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
        # By the names that Magenta gives them.
        merged = {f"{name}/output_{i}": m for i, of in enumerate(metrics) for name, m in of.items()}
        for name in metrics[0]:
            merged[name] = tf.reduce_mean([of[name][0] for of in metrics]), tf.no_op()
        rnn_output = tf.concat([result.rnn_output for result in results], axis=2)
        return tf.add_n(losses), merged, _results(rnn_output, x_length)


class ParallelHierarchicalDecoder(_Wrapper):
    """`lstm_models.HierarchicalLstmDecoder` (MusicVAE, section 3.2), all segments as one batch.

    Args:
      decoder: Magenta's, its core decoder accelerated, for which `_sequential` is None.
      fused: whether kernels may be used that XLA does not have.
    """

    def __init__(self, decoder: lstm_models.HierarchicalLstmDecoder, fused: bool):
        super().__init__(decoder)
        self._fused = fused

    def build(self, hparams, output_depth, is_training=True):
        """Builds the conductor's cells and the core decoder; arguments as in BaseDecoder.build."""
        super().build(hparams, output_depth, is_training)
        # One stack of cells for every level above the core decoder. Magenta makes them as if always
        # training, so that what is sampled goes through their dropout.
        self._decoder._hier_cells = [
            lstm_utils.rnn_cell(
                hparams.dec_rnn_size,
                hparams.dropout_keep_prob,
                hparams.residual_decoder,
                is_training,
            )
            for _ in self._levels
        ]
        self._total_length = hparams.max_seq_len
        self._units = hparams.dec_rnn_size
        self._keep_prob = hparams.dropout_keep_prob if is_training else 1.0
        self._stays_magentas = not all(map(_is_plain, self._decoder._hier_cells))
        if self._stays_magentas:
            _stays_magentas(self._decoder, _OTHER_CELLS)

    @property
    def _levels(self) -> list[int]:
        """How many times each level of conductors divides what is above it."""
        return self._decoder._level_lengths[:-1]

    def reconstruction_loss(self, x_input, x_target, x_length, z=None, c_input=None):
        """The loss of HierarchicalLstmDecoder.reconstruction_loss.

        Args:
          x_input, x_target: [batch, max_seq_len, output_depth], each segment padded.
          x_length: [batch, segments], or [batch] where all segments are full, or all empty.
          z: [batch, z_size] or None.
          c_input: controls, [batch, max_seq_len, control_depth] or None.

        Returns:
          The loss of each sequence, [batch]; when not training, metrics of all segments together,
          where Magenta has each one's and their mean; and LstmDecodeResults with rnn_output,
          [batch, max_seq_len, depth], alone.
        """
        if self._stays_magentas:
            return super().reconstruction_loss(x_input, x_target, x_length, z, c_input)
        batch = x_input.shape[0]
        splits = int(np.prod(self._levels))
        steps = self._decoder._level_lengths[-1]
        lengths = lstm_utils.maybe_split_sequence_lengths(x_length, splits, self._total_length)

        def segments(tensor):
            """[batch, max_seq_len, depth] to [batch * segments, steps, depth]."""
            if tensor is None:
                return None
            return tf.reshape(tensor, [batch * splits, steps, tensor.shape[2]])

        embeddings = self._conduct(tf.zeros([batch, 0]) if z is None else z)
        with tf.variable_scope("core_decoder", reuse=tf.AUTO_REUSE):
            losses, metrics, results = self._decoder._core_decoder.reconstruction_loss(
                segments(x_input),
                segments(x_target),
                tf.reshape(lengths, [-1]),
                embeddings,
                segments(c_input),
            )
        rnn_output = results.rnn_output
        rnn_output = tf.reshape(rnn_output, [batch, splits * steps, rnn_output.shape[2]])
        losses = tf.reduce_sum(tf.reshape(losses, [batch, splits]), axis=1)
        return losses, metrics, _results(rnn_output, lengths)

    def sample(self, n, max_length=None, z=None, c_input=None, temperature=1.0, end_fn=None):
        """Samples as HierarchicalLstmDecoder.sample, in one loop after the conductor's.

        It leaves to Magenta's what may end before its segment or is fed with controls.

        Args:
          n: how many sequences.
          max_length: hparams.max_seq_len, or None, which means the same.
          z: [n, z_size] or None.
          c_input: controls, [max_seq_len, control_depth] or None.
          temperature: what the logits are divided by.
          end_fn: what ends a segment, or None.

        Returns:
          The samples, [n, max_seq_len, output_depth], and LstmDecodeResults.

        Raises:
          ValueError: where the first dimension of `z` is not n.
        """
        core = self._decoder._core_decoder
        in_one_loop = hasattr(core, "sample_segments") and not self._stays_magentas
        if not in_one_loop or c_input is not None or end_fn is not None:
            given = {} if end_fn is None else {"end_fn": end_fn}
            return super().sample(n, max_length, z, c_input, temperature=temperature, **given)
        z = _checked_z(z, n)
        if max_length is not None:
            of_config = tf.assert_equal(
                max_length, self._total_length, message="max_length must be hparams.max_seq_len"
            )
            with tf.control_dependencies([of_config]):
                z = tf.identity(z)
        embeddings = self._conduct(z)
        embeddings = tf.reshape(embeddings, [n, -1, embeddings.shape[1]])
        with tf.variable_scope("core_decoder", reuse=tf.AUTO_REUSE):
            return core.sample_segments(
                _time_major(embeddings), self._decoder._level_lengths[-1], temperature
            )

    def _conduct(self, z):
        """The embeddings of all segments, [batch * segments, units], sequence by sequence."""
        embeddings = z
        for level, length in enumerate(self._levels):
            scope = tf.VariableScope(tf.AUTO_REUSE, f"decoder/hierarchical_level_{level}")
            with tf.variable_scope(scope):
                state = lstm_utils.initial_cell_state_from_embedding(
                    self._decoder._hier_cells[level], embeddings, name="initial_state"
                )
                # The conductor's input is one 0.
                inputs = tf.zeros([length, embeddings.shape[0], 1])
                for i, units in enumerate(self._units):
                    layer = lstm.weights(f"cell_{i}", inputs.shape[2], units)
                    inputs = _dropout(inputs, self._keep_prob)
                    inputs = lstm.sequence(inputs, lstm.State(*state[i]), layer, fused=self._fused)
            embeddings = tf.reshape(_time_major(inputs), [-1, self._units[-1]])
            embeddings.set_shape([z.shape[0] * int(np.prod(self._levels[: level + 1])), None])
        return embeddings


def _checked_z(z, n: int):
    """z, [n, z_size], of size 0 where there is none; raises ValueError where it is not of n."""
    if z is None:
        return tf.zeros([n, 0])
    if z.shape[0] != n:
        raise ValueError(f"z is of {z.shape[0]} sequences, and {n} are to be sampled")
    return z


def _time_major(tensor):
    """[batch, steps, depth] to [steps, batch, depth], and back."""
    return tf.transpose(tensor, [1, 0, 2])


def _repeated(z, inputs):
    """z, [batch, z_size], for every step of the inputs."""
    return tf.tile(z[tf.newaxis], [tf.shape(inputs)[0], 1, 1])


def _given(tensor) -> list:
    return [] if tensor is None else [tensor]


def _dropout(tensor, keep_prob: float):
    """As tf.nn.rnn_cell.DropoutWrapper on inputs: each step has its own mask."""
    return tensor if keep_prob == 1 else tf.nn.dropout(tensor, rate=1 - keep_prob)


def _results(rnn_output, lengths) -> lstm_utils.LstmDecodeResults:
    return lstm_utils.LstmDecodeResults(
        rnn_input=None,
        rnn_output=rnn_output,
        samples=None,
        final_state=None,
        final_sequence_lengths=lengths,
    )
