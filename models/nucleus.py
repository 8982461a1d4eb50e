"""Nucleus sampling: each step is drawn from its likeliest outcomes alone.

Holtzman et al., "The curious case of neural text degeneration" (arXiv:1904.09751), section 3.1:
the nucleus is the smallest set of outcomes whose probability is at least p, at the temperature of
sampling. A hit of drums has two outcomes, so there the likelier one is taken where its probability
is at least p.
"""

import copy
import functools

import tensorflow.compat.v1 as tf
from magenta.models.music_vae import base_model, lstm_models

# Far from what any network gives, and finite after a division by a temperature.
_NEVER = 1e9
# Where a wrapper of a decoder, or a decoder of several parts, keeps the decoders inside.
_INSIDE = ("_decoder", "_core_decoder", "_core_decoders")


def with_nucleus(model: base_model.MusicVAE, top_p: float) -> base_model.MusicVAE:
    """Returns a copy of a model, not built yet, that draws from the nucleus of each step.

    Args:
      model: any MusicVAE, accelerated or not.
      top_p: the least probability of the nucleus, in (0, 1]; with 1 the model draws as ever.

    Raises:
      ValueError: where a decoder draws in a way that has no nucleus here.
    """
    narrowed = copy.copy(model)
    if top_p < 1:
        narrowed._decoder = _narrowed(model.decoder, top_p)
    return narrowed


def _narrowed(decoder: base_model.BaseDecoder, top_p: float) -> base_model.BaseDecoder:
    narrowed = copy.copy(decoder)
    inside = [name for name in _INSIDE if getattr(decoder, name, None) is not None]
    for name in inside:
        part = getattr(decoder, name)
        if isinstance(part, base_model.BaseDecoder):
            setattr(narrowed, name, _narrowed(part, top_p))
        else:
            setattr(narrowed, name, [_narrowed(each, top_p) for each in part])
    if not inside:
        narrowed._sample = functools.partial(_sample, narrowed, _nucleus_of(narrowed), top_p)
    return narrowed


def _sample(decoder, nucleus, top_p, rnn_output, temperature=1.0):
    """Draws as the class of the decoder does, from raw outputs of which a part was made sure."""
    narrowed = nucleus(decoder, rnn_output, temperature, top_p)
    return type(decoder)._sample(decoder, narrowed, temperature)


def _nucleus_of(decoder: base_model.BaseDecoder):
    """Which of the functions below narrows the raw outputs of a decoder."""
    if isinstance(decoder, lstm_models.GrooveLstmDecoder):
        return _groove
    if isinstance(decoder, lstm_models.BooleanLstmDecoder):
        return lambda _, logits, *how: bernoulli(logits, *how)
    if isinstance(decoder, lstm_models.MultiOutCategoricalLstmDecoder):
        return _several
    if isinstance(decoder, lstm_models.CategoricalLstmDecoder):
        return lambda _, logits, *how: categorical(logits, *how)
    raise ValueError(f"{type(decoder).__name__} has no top_p")


def _groove(decoder, rnn_output, temperature, top_p):
    """Raw outputs begin with the logits of the hits, a third of what they stand for."""
    classes = decoder._output_depth // 3
    hits, rest = rnn_output[:, :classes], rnn_output[:, classes:]
    return tf.concat([bernoulli(hits, temperature, top_p), rest], axis=1)


def _several(decoder, rnn_output, temperature, top_p):
    """Raw outputs are the logits of several choices."""
    parts = tf.split(rnn_output, decoder._output_depths, axis=-1)
    return tf.concat([categorical(part, temperature, top_p) for part in parts], axis=-1)


def bernoulli(logits, temperature, top_p: float):
    """Logits of hits, sure where the likelier outcome is the nucleus.

    Args:
      logits: float tensor of any shape.
      temperature: what the logits will be divided by.
      top_p: the least probability of the nucleus.
    """
    likelier = tf.sigmoid(tf.abs(logits / temperature))
    return tf.where(likelier >= top_p, _NEVER * tf.sign(logits) * temperature, logits)


def categorical(logits, temperature, top_p: float):
    """Logits of a choice, in which outcomes outside of the nucleus are impossible.

    Args:
      logits: float tensor shaped [n, outcomes].
      temperature: what the logits will be divided by.
      top_p: the least probability of the nucleus.
    """
    ordered = tf.sort(logits, axis=-1, direction="DESCENDING")
    probabilities = tf.nn.softmax(ordered / temperature)
    before = tf.cumsum(probabilities, axis=-1, exclusive=True)
    size = tf.reduce_sum(tf.cast(before < top_p, tf.int32), axis=-1)
    least = tf.gather(ordered, size - 1, axis=1, batch_dims=1)
    return tf.where(logits >= least[:, tf.newaxis], logits, tf.fill(tf.shape(logits), -_NEVER))
