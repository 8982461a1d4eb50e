"""Drum grooves in the hit, velocity and offset representation of GrooVAE (arXiv:1905.06118).

All are in 4/4 with 16 steps a bar, so a bar is 16 x 27 numbers: 9 drum classes, each with a hit, a
velocity and an offset. Whatever is not named here is Magenta's default.
"""

from magenta.models.music_vae import configs, lstm_models
from magenta.models.music_vae.base_model import MusicVAE

from models.dynamics import DynamicsLstmDecoder
from pipelines.representations.groove_converter import GrooveConverter

STEPS_PER_BAR = 16

# The sizes of GrooVAE (Magenta's groovae_4bar): one encoder layer of 512 in each direction, two
# decoder layers of 256, beta at most 0.2, and 48 free bits, which for 4 bars are 12 a bar.
# Dropout keeps 0.3 of the inputs of each cell.
_GROOVAE = dict(
    enc_rnn_size=[512],
    dec_rnn_size=[256, 256],
    max_beta=0.2,
    dropout_keep_prob=0.3,
)
_FREE_BITS_PER_BAR = 12


def _config(bars, decoder, task=None, **hparams):
    """A Config for windows of `bars` bars, with `decoder`; `task` is for GrooveConverter."""
    return configs.Config(
        model=MusicVAE(lstm_models.BidirectionalLstmEncoder(), decoder),
        hparams=configs.merge_hparams(
            lstm_models.get_default_hparams(),
            configs.HParams(
                max_seq_len=bars * STEPS_PER_BAR,
                **{"free_bits": bars * _FREE_BITS_PER_BAR, **_GROOVAE, **hparams},
            ),
        ),
        data_converter=GrooveConverter(split_bars=bars, **(task or {})),
    )


def _hierarchical(core, bars):
    """A conductor over `bars` bars, each decoded by `core`."""
    # The conductor takes no input from the bars below it (disable_autoregression), so that z alone
    # decides where the piece goes; a bar still starts from the last step of the one before.
    return lstm_models.HierarchicalLstmDecoder(
        core, level_lengths=[bars, STEPS_PER_BAR], disable_autoregression=True
    )


# The sizes of GrooVAE's own configs, of 2 and of 4 bars.
_SHORT = dict(z_size=256, batch_size=512)


def flat_groove_4bar():
    """4 bars of drums, flat decoder, GrooVAE's sizes."""
    # It is groovae_4bar with our converter: every window, hopping one bar.
    return _config(4, lstm_models.GrooveLstmDecoder(), **_SHORT)


# What learnt best of the Groove MIDI Dataset within 2,000 steps (experiments/dynamics/README.md):
# a small corpus does not bear GrooVAE's dropout, and without it Adam takes twice the learning rate.
# The sizes are the demo's, a quarter of the weights, for two cores.
_SMALL = dict(
    batch_size=32,
    enc_rnn_size=[256],
    dec_rnn_size=[256],
    z_size=64,
    dropout_keep_prob=1.0,
    learning_rate=0.002,
)


def flat_groove_4bar_small():
    """4 bars of drums, flat decoder, for small corpora and small machines."""
    return _config(4, lstm_models.GrooveLstmDecoder(), **_SMALL)


def hierdec_groove_4bar():
    """4 bars of drums, a conductor over 4 bars of 16 steps."""
    decoder = _hierarchical(lstm_models.GrooveLstmDecoder(), 4)
    return _config(4, decoder, **_SHORT)


# 16 bars are 256 steps: four times those of 4 bars. z has the 512 numbers of Magenta's 16-bar
# configs, where GrooVAE's 4 bars have 256; the batch is a quarter, 512 / 4 = 128, so that one
# holds as many steps as before (128 x 256 = 512 x 64) and takes as much memory.
_LONG = dict(z_size=512, batch_size=128)


def flat_groove_16bar():
    """16 bars of drums, flat decoder: the one to compare hierdec-groove_16bar with."""
    return _config(16, lstm_models.GrooveLstmDecoder(), **_LONG)


def hierdec_groove_16bar():
    """16 bars of drums, a conductor over 16 bars of 16 steps."""
    return _config(16, _hierarchical(lstm_models.GrooveLstmDecoder(), 16), **_LONG)


def _task_2bar(task, decoder=lstm_models.GrooveLstmDecoder, **hparams):
    """2 bars, flat decoder: it plays everything, the encoder sees what the task leaves."""
    # 2 x 16 = 32 steps. Magenta's groovae_2bar_* keep the 48 free bits of 4 bars: 24 a bar here.
    return _config(2, decoder(), task, free_bits=48, **_SHORT, **hparams)


_HUMANIZE = dict(humanize=True)


def flat_groove_2bar_humanize():
    """2 bars of drums from their hits alone: plays a quantized beat as a drummer would."""
    # It is groovae_2bar_humanize with our converter: every window, hopping one bar.
    return _task_2bar(_HUMANIZE)


# A tap is the loudest hit of a step: its timing, but neither its drum nor its velocity.
_TAP = dict(tapify=True, fixed_velocities=True)


def flat_groove_2bar_tap():
    """2 bars of drums from taps: plays a drum part to their rhythm and timing."""
    # It is groovae_2bar_tap_fixed_velocity with our converter: every window, hopping one bar.
    return _task_2bar(_TAP)


def flat_groove_2bar_tap_dropout():
    """2 bars of drums from taps of some of their hits: plays more than is tapped."""
    # It is groovae_2bar_tap_fixed_velocity_note_dropout with our converter: every window, hopping
    # one bar. A window drops a hit of velocity v with probability p max(0.2, 1 - v), where p is 0
    # to 0.8, 0.4 on average: 0.4 x 0.2 = 8% of the hits of velocity 127, 0.4 x 0.75 = 30% of those
    # of 32.
    return _task_2bar({**_TAP, "max_note_dropout_probability": 0.8})


# Velocity and timing are learnt where there is a hit, and drawn from what was learnt. Less dropout
# and a higher learning rate than GrooVAE's are what lets a small corpus teach them:
# experiments/dynamics/README.md has the figures.
_DYNAMICS = dict(
    dynamics="mixture",
    dynamics_weight=0.5,
    dropout_keep_prob=0.8,
    learning_rate=0.002,
)


def flat_groove_4bar_dynamics():
    """4 bars of drums, flat decoder that learns velocity and timing of the hits."""
    return _config(4, DynamicsLstmDecoder(), **_SHORT, **_DYNAMICS)


def flat_groove_4bar_dynamics_small():
    """4 bars of drums, velocity and timing learnt, for small corpora and small machines."""
    return _config(4, DynamicsLstmDecoder(), **{**_DYNAMICS, **_SMALL})


def hierdec_groove_4bar_dynamics():
    """4 bars of drums, a conductor over 4 bars, velocity and timing of the hits learnt."""
    decoder = _hierarchical(DynamicsLstmDecoder(), 4)
    return _config(4, decoder, **_SHORT, **_DYNAMICS)


def flat_groove_16bar_dynamics():
    """16 bars of drums, flat decoder that learns velocity and timing of the hits."""
    return _config(16, DynamicsLstmDecoder(), **_LONG, **_DYNAMICS)


def hierdec_groove_16bar_dynamics():
    """16 bars of drums, a conductor over 16 bars, velocity and timing of the hits learnt."""
    return _config(16, _hierarchical(DynamicsLstmDecoder(), 16), **_LONG, **_DYNAMICS)


def flat_groove_2bar_humanize_dynamics():
    """2 bars of drums from their hits alone, with velocity and timing that are learnt and drawn."""
    return _task_2bar(_HUMANIZE, DynamicsLstmDecoder, **_DYNAMICS)


CONFIGS = {
    "flat-groove_2bar-humanize": flat_groove_2bar_humanize,
    "flat-groove_2bar-humanize-dynamics": flat_groove_2bar_humanize_dynamics,
    "flat-groove_2bar-tap": flat_groove_2bar_tap,
    "flat-groove_2bar-tap_dropout": flat_groove_2bar_tap_dropout,
    "flat-groove_4bar": flat_groove_4bar,
    "flat-groove_4bar-dynamics": flat_groove_4bar_dynamics,
    "flat-groove_4bar-dynamics-small": flat_groove_4bar_dynamics_small,
    "flat-groove_4bar-small": flat_groove_4bar_small,
    "hierdec-groove_4bar": hierdec_groove_4bar,
    "hierdec-groove_4bar-dynamics": hierdec_groove_4bar_dynamics,
    "flat-groove_16bar": flat_groove_16bar,
    "flat-groove_16bar-dynamics": flat_groove_16bar_dynamics,
    "hierdec-groove_16bar": hierdec_groove_16bar,
    "hierdec-groove_16bar-dynamics": hierdec_groove_16bar_dynamics,
}
