"""What a dual tower is made and trained with."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Hparams:
    """The hparams; the defaults were chosen on validation tunes (experiments/titles/README.md).

    Attributes:
      loss: a name of `models.contrastive.LOSSES`.
      dimensions: of the vectors of tunes and titles.
      hidden: units of the tune tower's hidden layer.
      tune_dropout, title_dropout: of the towers' inputs.
      batch_size: pairs a batch, at most.
      num_epochs: passes over the pairs.
      learning_rate: at the first step; it falls to nothing along a cosine.
      weight_decay: of AdamW.
      without_rhythm: how often a title is shown without its rhythm words.
      guessed_key: how often a melody is shown in the key that its notes suggest, as in MIDI files.
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
