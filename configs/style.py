"""Models of timbre transfer: sizes of their networks, and how they are trained.

The small ones are for two cores; `melganvc-published` has the networks and sizes of the paper.
"""

import dataclasses
from typing import Any

NO_METHOD = "none"


@dataclasses.dataclass(frozen=True)
class Hparams:
    """The hyperparameters of a model of timbre transfer.

    Attributes:
      summary: a line about the model.
      method: how it learns: melganvc, cyclegan, paired or pseudopaired.
      width, critic_width: channels of the generator and of the critic.
      vector: size of the siamese network's vectors.
      piece: frames of a piece, a multiple of 4; three pieces are an example.
      batch_size: examples in a batch.
      num_steps: batches to train on.
      learning_rate: Adam's.
      beta: Adam's first.
      start: the method that converts the source first, so that the network learns the rest: eq,
        quantile, knn or onsets; `none` where the network sees the source as it is.
      teacher: the method whose results `pseudopaired` learns.
      average: how much of the averaged generator, which is what is kept and used, stays when the
        generator learns; 0 where it is the generator as it was trained last.
      residual: 1 where the generator adds to what it is given, 0 where it ends in tanh.
      batch_norm: 1 where generator and siamese network normalize batches.
      critic_steps: batches that the critic learns of for each that the generator learns of.
      travel, margin, identity, cycle, penalty: weights of losses; the margin is a distance.
      identity_steps: in how many steps CycleGAN's identity loss falls to nothing.
      warm_up: in how many steps CycleGAN's adversarial loss gets its whole weight.
      adversarial: the weight of the adversarial loss.
      minutes: of each of the two folders that are kept in memory to learn from.
      every: steps from one validation, and checkpoint, to the next.
      patience: how many validations without a new best one end the training.
    """

    summary: str
    method: str
    width: int = 96
    critic_width: int = 128
    vector: int = 64
    piece: int = 24
    batch_size: int = 16
    num_steps: int = 20_000
    learning_rate: float = 2e-4
    beta: float = 0.5
    start: str = "quantile"
    teacher: str = NO_METHOD
    average: float = 0.999
    residual: int = 1
    batch_norm: int = 0
    critic_steps: int = 2
    travel: float = 10.0
    margin: float = 1.0
    identity: float = 0.5
    cycle: float = 10.0
    penalty: float = 10.0
    identity_steps: int = 2_000
    warm_up: int = 500
    adversarial: float = 1.0
    minutes: float = 30.0
    every: int = 250
    patience: int = 20


# A network that knows what it is to make learns faster than one that is judged.
_OF_PAIRS: dict[str, Any] = {
    "width": 192,
    "learning_rate": 1e-3,
    "beta": 0.9,
    "average": 0.995,
    "critic_steps": 1,
}
# What it learns is not the truth, and more steps bring it nearer to that alone.
_OF_PSEUDOPAIRS = {**_OF_PAIRS, "num_steps": 750}

# By the names that `style train --model` takes.
MODELS = {
    "melganvc": Hparams("MelGAN-VC, small, on bands matched by quantiles", "melganvc"),
    "melganvc-published": Hparams(
        "MelGAN-VC as published",
        "melganvc",
        width=256,
        critic_width=512,
        vector=128,
        num_steps=500_000,
        learning_rate=1e-4,
        start=NO_METHOD,
        average=0.0,
        residual=0,
        batch_norm=1,
        critic_steps=4,
        every=1_000,
        patience=50,
    ),
    "cyclegan": Hparams(
        "CycleGAN, small, with a gradient penalty", "cyclegan", identity=5.0, critic_steps=1
    ),
    "paired": Hparams(
        "A network that learns from pairs, which is the most that can be had",
        "paired",
        **_OF_PAIRS,
    ),
    "pseudopaired": Hparams(
        "A network that learns the results of nearest frames (knn), without pairs: for melodies",
        "pseudopaired",
        teacher="knn",
        **_OF_PSEUDOPAIRS,
    ),
    "pseudopaired-drums": Hparams(
        "A network that learns the results of `onsets`, without pairs: for drums",
        "pseudopaired",
        teacher="onsets",
        **_OF_PSEUDOPAIRS,
    ),
}
