"""A generator of samples: the sizes of its WaveNet and of its critic, and how they are trained."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Hparams:
    """The hyperparameters of a WaveNet that learns with a critic to change a sound.

    Attributes:
      layers: of a stack; each looks twice as far as the one before.
      stacks: how many of these follow each other.
      channels: of residual connections.
      skip_channels: of what layers give to the end.
      group: samples that become channels of one step of the network.
      critic_width: channels of the critic and of the siamese network.
      vector: size of the siamese network's vectors.
      piece: frames of mels of a piece, 12.5 ms each, a multiple of 4; three pieces are an example.
      batch_size: examples in a batch.
      num_steps: batches to train on.
      learning_rate, critic_learning_rate: Adam's.
      beta: Adam's first.
      floor_db: mels that are less count as this while it learns; their logarithms would
        outweigh all that is heard, and the noise of 256 levels is about there.
      adversarial, travel, margin, identity: weights of losses; the margin is a distance.
      average: of the average of the generator's weights, what is kept at each step.
      minutes: of each of the two folders that are kept in memory to learn from.
      every: steps from one validation, and checkpoint, to the next.
      patience: how many validations without a new best one end the training.
    """

    layers: int = 8
    stacks: int = 2
    channels: int = 32
    skip_channels: int = 64
    group: int = 16
    critic_width: int = 96
    vector: int = 64
    piece: int = 24
    batch_size: int = 4
    num_steps: int = 20_000
    learning_rate: float = 1e-3
    critic_learning_rate: float = 3e-4
    beta: float = 0.5
    floor_db: float = -60.0
    adversarial: float = 1.0
    travel: float = 10.0
    margin: float = 1.0
    identity: float = 10.0
    average: float = 0.995
    minutes: float = 30.0
    every: int = 250
    patience: int = 20


MODELS = {"wavenet-gan": Hparams()}
