"""The network that separates drums from the rest: its sizes, and how it is trained."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Hparams:
    """The hyperparameters of a mask network.

    Attributes:
      rate: of the sound that it is trained on, in frames a second; half of it is the highest
        frequency that it sees.
      window_seconds: of the STFT.
      channels, units, dilations: as `models.mask_network.MaskNetwork` takes them.
      num_steps: how many batches it is trained on.
      batch_size: mixtures in a batch.
      seconds: of each mixture.
      learning_rate: Adam's, which falls to nothing along a cosine.
      clip: the norm to which each variable's gradient is clipped.
      level_db: the rest is up to so many dB softer or louder than the drums.
      second: how often the rest is of two performances.
      speed: what is mixed plays up to so many times as fast or as slow, which moves its pitches.
      equalizer_db: the standard deviation of the gain of each source at each of a few frequencies.
    """

    rate: int = 16_000
    window_seconds: float = 0.064
    channels: tuple[int, ...] = (12, 16, 24, 32, 32)
    units: int = 96
    dilations: tuple[int, ...] = (1, 2, 4)
    num_steps: int = 1500
    batch_size: int = 8
    seconds: float = 2.0
    learning_rate: float = 2e-3
    clip: float = 1.0
    level_db: float = 8.0
    second: float = 0.3
    speed: float = 1.2
    equalizer_db: float = 3.0


SEPARATOR = Hparams()
