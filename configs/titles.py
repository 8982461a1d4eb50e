"""The hyperparameters of a dual tower and of its training."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Hparams:
    """The hyperparameters; their defaults were chosen on validation tunes.

    experiments/titles/README.md says how.

    Attributes:
      loss: a name of `models.contrastive.LOSSES`.
      dimensions: the size of the vectors of tunes and titles.
      hidden: units of the tune tower's hidden layer.
      tune_dropout, title_dropout: the shares of the towers' inputs that are dropped.
      batch_size: how many pairs a batch has, at most.
      num_epochs: passes over the pairs.
      learning_rate: at the first step; it falls to nothing along a cosine.
      weight_decay: AdamW's.
      without_rhythm: the share of titles that are shown without their rhythm words.
      guessed_key: the share of melodies that are shown in the key that their notes suggest, since
        MIDI files do not say their key.
    """

    loss: str = "infonce"
    dimensions: int = 64
    hidden: int = 128
    tune_dropout: float = 0.5
    title_dropout: float = 0.5
    batch_size: int = 256
    num_epochs: int = 60
    learning_rate: float = 2e-3
    weight_decay: float = 0.01
    without_rhythm: float = 0.2
    guessed_key: float = 0.3
