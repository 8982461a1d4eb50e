"""Language models of tunes: an LSTM and a small Transformer, in Keras 3.

Both are told about each step as a row of integers, and give the next token in two parts: its kind
(a sign, or the length of a note or rest), and the pitch of a note given its kind. All of both but
the layers between is the same, so that they can be compared.
"""

import math
from collections.abc import Sequence

import keras
from keras import layers, ops

# The distances that attention tells apart, and from which on it does not.
_BUCKETS, _FARTHEST = 64, 512
# Of a block's wide layer, in units.
_WIDER = 3
_UNSEEN = -1e9


class TuneLM(keras.Model):
    """The part that all language models of tunes share: what goes in and what comes out.

    A subclass has `sequence`, `initial_state` and `advance`.

    Args:
      columns: for each column of a row the name of what its values mean, and how many there are.
        Columns of the same name share their embeddings.
      kinds, pitches: how many kinds and pitches of tokens there are.
      units: the size of the hidden vectors.
      embedding: the size of the embedding of each column.
      dropout: the share of the inputs and hidden units that is dropped while training.
    """

    def __init__(
        self,
        columns: Sequence[tuple[str, int]],
        kinds: int,
        pitches: int,
        units: int,
        embedding: int,
        dropout: float,
    ):
        super().__init__()
        sizes = dict(columns)
        first = dict(zip(sizes, [0, *_running_sums(sizes.values())]))
        self._first = [first[name] for name, _ in columns]
        self._width = len(columns) * embedding
        self._embed = layers.Embedding(sum(sizes.values()), embedding, name="embed")
        self._enter = layers.Dense(units, name="enter")
        self._drop = layers.Dropout(dropout)
        self._leave = layers.Dense(units, activation="gelu", name="leave")
        self._kind = layers.Dense(kinds, name="kind")
        self._of_kind = layers.Embedding(kinds, units, name="of_kind")
        self._for_pitch = layers.Dense(units, name="for_pitch")
        self._pitch = layers.Dense(pitches, name="pitch")

    def inputs(self, rows, training: bool = False):
        """Rows shaped [..., columns] as vectors shaped [..., units]."""
        embedded = self._embed(ops.cast(rows, "int32") + ops.array(self._first, "int32"))
        flat = ops.reshape(embedded, (*ops.shape(rows)[:-1], self._width))
        return self._enter(self._drop(flat, training=training))

    def hidden(self, rows, training: bool = False):
        """Hidden vectors shaped [batch, time, units] of rows shaped [batch, time, columns]."""
        entered = self.inputs(rows, training)
        return self._outputs(entered, self.sequence(entered, training), training)

    def _outputs(self, entered, hidden, training: bool = False):
        both = ops.concatenate([entered, hidden], axis=-1)
        return self._drop(self._leave(both), training=training)

    def step(self, rows, state):
        """One step of `hidden`: hidden vectors shaped [batch, units], and the state after it."""
        entered = self.inputs(rows)
        hidden, state = self.advance(entered, state)
        return self._outputs(entered, hidden), state

    def kind_logits(self, hidden):
        """Logits of the kind of the next token, shaped [..., kinds]."""
        return self._kind(hidden)

    def pitch_logits(self, hidden, kinds):
        """Logits of the pitch of the next token, shaped [..., pitches], where its kind is known."""
        return self._pitch(ops.gelu(self._for_pitch(hidden) + self._of_kind(kinds)))

    def log_probabilities(self, rows, kinds, pitches, training: bool = False):
        """The natural logarithms of the probabilities of tokens.

        Args:
          rows: int tensor shaped [batch, time, columns].
          kinds, pitches: int tensors shaped [batch, time]; a pitch beyond the last one is that of a
            token without a pitch.

        Returns:
          Float tensor shaped [batch, time].
        """
        hidden = self.hidden(rows, training=training)
        kind = _log_probability(self.kind_logits(hidden), kinds)
        pitch = _log_probability(self.pitch_logits(hidden, kinds), pitches)
        return kind + ops.where(pitches < self._pitch.units, pitch, 0.0)


class LstmTuneLM(TuneLM):
    """Layers of LSTM with residual connections: the shape of folk-rnn (Sturm et al., 2016).

    Args:
      depth: how many layers.
      others: those of `TuneLM`.
    """

    def __init__(self, *, depth: int, units: int, dropout: float, **others):
        super().__init__(units=units, dropout=dropout, **others)
        self._lstms = [
            layers.LSTM(units, return_sequences=True, name=f"lstm_{i}") for i in range(depth)
        ]

    def sequence(self, entered, training: bool):
        """All steps at once."""
        hidden = entered
        for lstm in self._lstms:
            hidden = hidden + self._drop(lstm(hidden), training=training)
        return hidden

    def initial_state(self, batch: int, longest: int) -> list:
        """The state before the first step: output and cell of each layer.

        Args:
          batch: how many tunes.
          longest: how many steps there may be, which does not matter here.
        """
        del longest
        return [ops.zeros((batch, lstm.units)) for lstm in self._lstms for _ in ("output", "cell")]

    def advance(self, entered, state: list):
        """One step of `sequence`, and the state after it."""
        hidden, after = entered, []
        for i, lstm in enumerate(self._lstms):
            output, states = lstm.cell(hidden, state[2 * i : 2 * i + 2])
            hidden = hidden + output
            after += states
        return hidden, after


class TransformerTuneLM(TuneLM):
    """Decoder-only blocks of attention, with biases by distance in place of positions.

    The biases are those of T5 (Raffel et al., 2020, section 2.1): one for each head and bucket of
    distances, in each block; layers are normalised before each part of a block.

    Args:
      depth: how many blocks.
      heads: how many heads of attention, which divide `units`.
      others: those of `TuneLM`.
    """

    def __init__(self, *, depth: int, heads: int, units: int, dropout: float, **others):
        super().__init__(units=units, dropout=dropout, **others)
        self._heads, self._size = heads, units // heads
        self._blocks = [_Block(heads, units, dropout, name=f"block_{i}") for i in range(depth)]
        self._norm = layers.LayerNormalization(epsilon=1e-5, name="norm")

    def sequence(self, entered, training: bool):
        """All steps at once."""
        steps = ops.arange(ops.shape(entered)[1])
        distance = steps[:, None] - steps[None, :]
        hidden = entered
        for block in self._blocks:
            hidden, _ = block(hidden, distance, training=training)
        return self._norm(hidden)

    def initial_state(self, batch: int, longest: int) -> list:
        """The state before the first step: the step's number, then keys and values of each block.

        Args:
          batch: how many tunes.
          longest: how many steps there may be.
        """
        shape = batch, longest, self._heads, self._size
        return [
            ops.zeros((), "int32"),
            *(ops.zeros(shape) for _ in self._blocks for _ in ("keys", "values")),
        ]

    def advance(self, entered, state: list):
        """One step of `sequence`, and the state after it."""
        number, *caches = state
        distance = (number - ops.arange(caches[0].shape[1]))[None, :]
        hidden, after = entered[:, None], [number + 1]
        for i, block in enumerate(self._blocks):
            before = caches[2 * i], caches[2 * i + 1], number
            hidden, kept = block(hidden, distance, before)
            after += kept
        return self._norm(hidden)[:, 0], after


class _Block(layers.Layer):
    """Attention to what came before, then two dense layers; each is added to what goes in."""

    def __init__(self, heads: int, units: int, dropout: float, name: str):
        super().__init__(name=name)
        self._heads, self._size = heads, units // heads
        # Names are given, since those that Keras gives depend on what was made before.
        self._norms = [
            layers.LayerNormalization(epsilon=1e-5, name=f"{part}_norm")
            for part in ("attend", "widen")
        ]
        self._attend = layers.Dense(3 * units, name="attend")
        self._bias = layers.Embedding(_BUCKETS, heads, name="bias")
        self._project = layers.Dense(units, name="project")
        self._widen = layers.Dense(_WIDER * units, activation="gelu", name="widen")
        self._narrow = layers.Dense(units, name="narrow")
        self._drop = layers.Dropout(dropout)

    def call(self, hidden, distance, before=None, training: bool = False):
        """The block's output, and the keys and values.

        Args:
          hidden: float tensor shaped [batch, steps, units].
          distance: int tensor shaped [steps, all steps]: how many steps each looks back; what is
            negative is not seen.
          before: the keys and values of all steps, and the number of the one step that `hidden`
            has, which gets a place among them. None where `hidden` has all steps.
          training: whether to drop units.
        """
        heads = self._attend(self._norms[0](hidden))
        shape = (*ops.shape(heads)[:2], 3, self._heads, self._size)
        queries, keys, values = ops.unstack(ops.reshape(heads, shape), axis=2)
        if before is not None:
            at = (0, before[2], 0, 0)
            keys = ops.slice_update(before[0], at, keys)
            values = ops.slice_update(before[1], at, values)
        logits = ops.einsum("bqhd,bkhd->bhqk", queries, keys) * self._size**-0.5
        logits = logits + ops.transpose(self._bias(_bucket(distance)), (2, 0, 1))
        weights = ops.softmax(ops.where(distance >= 0, logits, _UNSEEN), axis=-1)
        seen = ops.einsum("bhqk,bkhd->bqhd", self._drop(weights, training=training), values)
        seen = ops.reshape(seen, ops.shape(hidden))
        hidden = hidden + self._drop(self._project(seen), training=training)
        wide = self._widen(self._norms[1](hidden))
        return hidden + self._drop(self._narrow(wide), training=training), [keys, values]


def _bucket(distance):
    """Buckets of distances: each one up to half of them, then ever wider ones up to _FARTHEST."""
    exact = _BUCKETS // 2
    near = ops.maximum(distance, 0)
    ratio = ops.log(ops.cast(ops.maximum(near, 1), "float32") / exact) / math.log(_FARTHEST / exact)
    far = exact + ops.cast(ratio * (_BUCKETS - exact), "int32")
    return ops.where(near < exact, near, ops.minimum(far, _BUCKETS - 1))


def _running_sums(sizes) -> list[int]:
    total, sums = 0, []
    for size in sizes:
        total += size
        sums.append(total)
    return sums


def _log_probability(logits, chosen):
    chosen = ops.minimum(ops.cast(chosen, "int32"), logits.shape[-1] - 1)
    log = ops.take_along_axis(logits, ops.expand_dims(chosen, -1), axis=-1)
    return ops.squeeze(log, -1) - ops.logsumexp(logits, axis=-1)


NETWORKS = {"lstm": LstmTuneLM, "transformer": TransformerTuneLM}
