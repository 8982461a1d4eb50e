"""A vocoder of mels: the sizes of its WaveNet, and how it is trained."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Hparams:
    """The hyperparameters of a WaveNet on mels.

    Attributes:
      layers: of a stack; each looks twice as far back as the one before.
      stacks: how many of these follow each other.
      channels: of residual connections.
      skip_channels: of what layers give to the end.
      frames: of mels that an example has, 12.5 ms each.
      batch_size: examples of a batch.
      num_steps: batches to train on.
      learning_rate: Adam's.
      every: steps from one checkpoint, and measurement on other sounds, to the next.
    """

    layers: int = 9
    stacks: int = 2
    channels: int = 32
    skip_channels: int = 64
    frames: int = 24
    batch_size: int = 4
    num_steps: int = 5000
    learning_rate: float = 1e-3
    every: int = 250


MODELS = {"wavenet": Hparams()}
