"""Magenta's MusicVAE, laid out to train in a fraction of the time: same variables, same loss.

`accelerated` gives a model whose encoder and decoder wrap Magenta's and compute the same faster,
in training and in sampling. A checkpoint of either model fits the other. What differs:

  - layers run one after another, each over whole sequences (`models.accelerated.lstm`);
  - a hierarchical decoder whose conductor takes nothing from the segments (Magenta's
    disable_autoregression) decodes all segments as one batch: under teacher forcing, and scheduled
    sampling too, they depend on the conductor alone;
  - on a GPU, cuDNN runs whole layers, or XLA compiles the loops (`models.accelerated.layouts`);
  - the losses of a batch are one expression, where Magenta adds nodes for each of its sequences;
  - the conductor's dropout is for training only, where Magenta leaves it on when evaluating.

An encoder or decoder without such a counterpart keeps Magenta's class, and logs a warning when it
is built.
"""

import copy

from magenta.models.music_vae import base_model, lstm_models

from models.accelerated import layouts
from models.accelerated.decoders import SplitDecoder, TeacherForcedDecoder
from models.accelerated.encoders import BidirectionalEncoder, ParallelHierarchicalEncoder
from models.accelerated.hierarchical_decoder import (
    ParallelHierarchicalDecoder,
    SequentialHierarchicalDecoder,
)
from models.accelerated.wrappers import NO_COUNTERPART, MagentasDecoder, MagentasEncoder


def accelerated(
    model: base_model.MusicVAE,
    fused: bool = True,
    layout: str = "loops",
    precision: str = "float32",
) -> base_model.MusicVAE:
    """Returns the accelerated counterpart of a model that is not built yet.

    Args:
      model: any MusicVAE; one that is accelerated already is laid out anew.
      fused: whether kernels may be used that XLA does not have; without, XLA can compile a whole
        training step.
      layout: a name in `layouts.NAMES`.
      precision: a name in `layouts.PRECISIONS`.
    """
    return _laid_out(getattr(model, "_magentas", model), layouts.of(layout, precision, fused))


def layout_of(model: base_model.MusicVAE) -> layouts.Layout:
    """The layout that a model was given by `accelerated`; LOOPS for a model of Magenta's."""
    return getattr(model, "_layout", layouts.LOOPS)


def _laid_out(model: base_model.MusicVAE, layout: layouts.Layout) -> base_model.MusicVAE:
    counterpart = copy.copy(model)
    counterpart._magentas = model
    counterpart._layout = layout
    if getattr(model.decoder, "_hierarchical_encoder", None) is model.encoder:
        counterpart._encoder = MagentasEncoder(model.encoder, "the decoder encodes with it as well")
    else:
        counterpart._encoder = _encoder(model.encoder, layout)
    counterpart._decoder = _decoder(model.decoder, layout)
    return counterpart


def level_lengths(part: base_model.BaseEncoder | base_model.BaseDecoder) -> list[int] | None:
    """The level lengths of an encoder or decoder, accelerated or not; None if it has no levels."""
    while part is not None:
        lengths = getattr(part, "_level_lengths", None)
        if lengths is not None:
            return list(lengths)
        part = getattr(part, "_decoder", None) or getattr(part, "_encoder", None)
    return None


def expected(decoder: base_model.BaseDecoder, rnn_output):
    """What a built decoder takes for likeliest, from its raw outputs; None if it does not say.

    Args:
      decoder: accelerated or not.
      rnn_output: raw outputs, shaped [batch, steps, depth].
    """
    while decoder is not None:
        if hasattr(decoder, "expected"):
            return decoder.expected(rnn_output)
        decoder = getattr(decoder, "_core_decoder", None) or getattr(decoder, "_decoder", None)
    return None


def _encoder(encoder: base_model.BaseEncoder, layout: layouts.Layout) -> base_model.BaseEncoder:
    if type(encoder) is lstm_models.BidirectionalLstmEncoder:
        return BidirectionalEncoder(encoder, layout)
    if type(encoder) is lstm_models.HierarchicalLstmEncoder:
        encoder = copy.copy(encoder)
        make = encoder._core_encoder_cls
        encoder._core_encoder_cls = lambda: _encoder(make(), layout)
        return ParallelHierarchicalEncoder(encoder)
    return MagentasEncoder(encoder, NO_COUNTERPART)


def _decoder(decoder: base_model.BaseDecoder, layout: layouts.Layout) -> base_model.BaseDecoder:
    kind = type(decoder)
    if kind is lstm_models.HierarchicalLstmDecoder:
        reason = _sequential(decoder)
        if reason:
            return SequentialHierarchicalDecoder(copy.copy(decoder), reason)
        return ParallelHierarchicalDecoder(_with_cores(decoder, layout), layout)
    if kind is lstm_models.SplitMultiOutLstmDecoder:
        return SplitDecoder(_with_cores(decoder, layout))
    if kind is lstm_models.BidirectionalLstmControlPreprocessingDecoder:
        return _with_cores(decoder, layout)
    own = lstm_models.BaseLstmDecoder
    if isinstance(decoder, own) and all(
        getattr(kind, name) is getattr(own, name) for name in ("reconstruction_loss", "_decode")
    ):
        return TeacherForcedDecoder(decoder, layout)
    return MagentasDecoder(decoder, NO_COUNTERPART)


def _with_cores(decoder, layout: layouts.Layout):
    """A copy of a decoder that wraps other decoders, with the counterparts of those."""
    decoder = copy.copy(decoder)
    if hasattr(decoder, "_core_decoders"):
        decoder._core_decoders = [_decoder(core, layout) for core in decoder._core_decoders]
    else:
        decoder._core_decoder = _decoder(decoder._core_decoder, layout)
    return decoder


def _sequential(decoder: lstm_models.HierarchicalLstmDecoder) -> str | None:
    """Says why the segments of a decoder depend on each other, or None where they do not."""
    if decoder._hierarchical_encoder:
        return "each of its segments is encoded before the next is decoded (re-encoder)"
    if not set(range(len(decoder._level_lengths) - 1)) <= set(decoder._disable_autoregression):
        return "each of its segments depends on the one before (disable_autoregression=False)"
    return None
