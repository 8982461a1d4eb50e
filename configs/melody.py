"""Melodies of folk tunes, a family of four configs for each kind of meter.

A step is a sixteenth note, so a bar of n/d has 16 n / d steps:

    reel      4/4 and 2/2  16      polka     2/4   8
    jig       6/8          12      slipjig   9/8  18
    waltz     3/4          12

A window of 2 bars has 2 x 16 = 32 steps in a reel, 16 bars have 256; a jig 24 and 192, a slip jig
36 and 288. Each step is one of 48 events: nothing, the end of a note, and the beginning of one of
the 46 pitches from 55 to 100. Whatever is not named here is Magenta's default.

The hparam `rhythm` (--hparams=rhythm=reel) takes only the tunes whose R: header has that word.
"""

from typing import NamedTuple

from magenta.models.music_vae import configs, lstm_models
from magenta.models.music_vae.base_model import MusicVAE

from pipelines.representations.melody_converter import MelodyConverter


class _Tune(NamedTuple):
    """A kind of tune, by its meter.

    Attributes:
      meters: the meters that its tunes are written in.
      steps_per_bar: sixteenths in a bar.
    """

    meters: tuple[tuple[int, int], ...]
    steps_per_bar: int


_TUNES = {
    "reel": _Tune(((4, 4), (2, 2)), 16),
    "jig": _Tune(((6, 8),), 12),
    "waltz": _Tune(((3, 4),), 12),
    "polka": _Tune(((2, 4),), 8),
    "slipjig": _Tune(((9, 8),), 18),
}

# Twelve transpositions: each key once.
_TRANSPOSE = (-5, 6)

# The hparams of Magenta's cat-mel_2bar_small: no free bits, and scheduled sampling that feeds its
# outputs back more and more.
_SHORT = dict(
    batch_size=512,
    z_size=256,
    enc_rnn_size=[512],
    dec_rnn_size=[256, 256],
    free_bits=0,
    max_beta=0.2,
    beta_rate=0.99999,
    sampling_schedule="inverse_sigmoid",
    sampling_rate=1000,
)

# What had the least loss on reels after 2,000 steps (experiments/dynamics/README.md): the sizes are
# the demo's, for two cores; small models bear a high learning rate; and beta, which is at its
# maximum after some 500 steps, keeps the posterior near the prior, which samples are drawn from.
_SMALL = dict(
    batch_size=64,
    z_size=32,
    enc_rnn_size=[128],
    dec_rnn_size=[128],
    max_beta=0.04,
    beta_rate=0.99,
    learning_rate=0.008,
)

# Magenta's 16-bar melodies (flat-mel_16bar, hierdec-mel_16bar) have two encoder layers of 2048
# units in each direction and decoders of 3 x 2048 (flat) or 2 x 1024 (hierarchical), for the
# melodies of more than a million MIDI files. Tunebooks have thousands: half of the hierarchical
# one's units, one encoder layer of half the units, and a quarter of the batch. Magenta's 256 free
# bits for 256 steps are one a step.
_LONG = dict(batch_size=128, z_size=512, enc_rnn_size=[1024], max_beta=0.2)

# The two decoders have equally many weights, so that they can be compared. With two layers of h
# units, z numbers in z and 48 events,
#   flat           12 h^2 + (8 z + 252) h + 48: LSTMs 4 h (48 + z + h + 1) and 4 h (2 h + 1), their
#                  first states 4 h (z + 1), the events 48 (h + 1);
#   hierarchical   32 h^2 + (4 z + 268) h + 48: the same with h in the place of z, and the
#                  conductor's 4 h (1 + h + 1), 4 h (2 h + 1) and 4 h (z + 1).
# z = 512: 512 hierarchical units make 9,574,448, 730 flat ones 9,568,888 (0.06% fewer).
# Another such pair: z = 256, 256 units (2,427,952) and 364 (2,427,200).
_HIERARCHICAL_UNITS = [512, 512]
_FLAT_UNITS = [730, 730]


def _config(tune, bars, decoder, **hparams):
    """A Config for windows of `bars` bars, with `decoder`."""
    hparams = configs.merge_hparams(
        lstm_models.get_default_hparams(),
        configs.HParams(max_seq_len=bars * tune.steps_per_bar, rhythm="", **hparams),
    )
    return configs.Config(
        model=MusicVAE(lstm_models.BidirectionalLstmEncoder(), decoder),
        hparams=hparams,
        data_converter=MelodyConverter(tune.meters, bars, transpose=_TRANSPOSE, hparams=hparams),
    )


def _flat_2bar(tune):
    """2 bars, flat decoder, the sizes of cat-mel_2bar_small"""
    return _config(tune, 2, lstm_models.CategoricalLstmDecoder(), **_SHORT)


def _flat_2bar_small(tune):
    """2 bars, flat decoder, for small corpora and small machines"""
    return _config(tune, 2, lstm_models.CategoricalLstmDecoder(), **{**_SHORT, **_SMALL})


def _flat_16bar(tune):
    """16 bars, flat decoder: the one to compare the hierarchical one with"""
    return _config(
        tune,
        16,
        lstm_models.CategoricalLstmDecoder(),
        dec_rnn_size=_FLAT_UNITS,
        free_bits=16 * tune.steps_per_bar,
        **_LONG,
    )


def _hierdec_16bar(tune):
    """16 bars, a conductor over the bars"""
    # The conductor takes no input from the bars below it, as in Magenta's hierdec-mel_16bar.
    decoder = lstm_models.HierarchicalLstmDecoder(
        lstm_models.CategoricalLstmDecoder(),
        level_lengths=[16, tune.steps_per_bar],
        disable_autoregression=True,
    )
    return _config(
        tune,
        16,
        decoder,
        dec_rnn_size=_HIERARCHICAL_UNITS,
        free_bits=16 * tune.steps_per_bar,
        **_LONG,
    )


def _builder(make, name):
    """A function of no arguments that builds a config of a kind of tune, with a docstring."""
    tune = _TUNES[name]

    def build():
        return make(tune)

    meters = " or ".join(f"{above}/{below}" for above, below in tune.meters)
    build.__doc__ = f"A melody in {meters}, {make.__doc__}."
    return build


# Written out, so that the names can be read without importing Magenta (configs/_names.py).
CONFIGS = {
    "flat-reel_2bar": _builder(_flat_2bar, "reel"),
    "flat-reel_2bar-small": _builder(_flat_2bar_small, "reel"),
    "flat-reel_16bar": _builder(_flat_16bar, "reel"),
    "hierdec-reel_16bar": _builder(_hierdec_16bar, "reel"),
    "flat-jig_2bar": _builder(_flat_2bar, "jig"),
    "flat-jig_2bar-small": _builder(_flat_2bar_small, "jig"),
    "flat-jig_16bar": _builder(_flat_16bar, "jig"),
    "hierdec-jig_16bar": _builder(_hierdec_16bar, "jig"),
    "flat-waltz_2bar": _builder(_flat_2bar, "waltz"),
    "flat-waltz_2bar-small": _builder(_flat_2bar_small, "waltz"),
    "flat-waltz_16bar": _builder(_flat_16bar, "waltz"),
    "hierdec-waltz_16bar": _builder(_hierdec_16bar, "waltz"),
    "flat-polka_2bar": _builder(_flat_2bar, "polka"),
    "flat-polka_2bar-small": _builder(_flat_2bar_small, "polka"),
    "flat-polka_16bar": _builder(_flat_16bar, "polka"),
    "hierdec-polka_16bar": _builder(_hierdec_16bar, "polka"),
    "flat-slipjig_2bar": _builder(_flat_2bar, "slipjig"),
    "flat-slipjig_2bar-small": _builder(_flat_2bar_small, "slipjig"),
    "flat-slipjig_16bar": _builder(_flat_16bar, "slipjig"),
    "hierdec-slipjig_16bar": _builder(_hierdec_16bar, "slipjig"),
}
