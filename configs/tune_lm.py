"""Language models of tunes: the shapes of the networks, and how they are trained."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Hparams:
    """The hyperparameters of a language model of tunes.

    Attributes:
      summary: the line that `./run.sh configs` shows.
      network: a name of `models.tune_lm.NETWORKS`.
      units: the size of the hidden vectors.
      depth: how many layers of LSTM, or blocks of the Transformer.
      heads: of attention; does not count for an LSTM.
      embedding: the size of the embedding of each column of a row.
      dropout: the share of inputs and hidden units that is dropped.
      batch_tokens: how many tokens a batch has, about, padding included.
      num_epochs: passes over the tunes.
      learning_rate: the highest; it rises for `warmup` steps, and falls to nothing along a cosine.
      warmup: see `learning_rate`.
      weight_decay: AdamW's.
      clip: the norm to which gradients are clipped.
    """

    summary: str
    network: str
    units: int
    depth: int
    heads: int = 4
    embedding: int = 32
    dropout: float = 0.35
    batch_tokens: int = 8192
    num_epochs: int = 12
    learning_rate: float = 2e-3
    warmup: int = 200
    weight_decay: float = 0.01
    clip: float = 1.0


HPARAMS = {
    "tune_lm-lstm": Hparams(
        "Whole tunes as they are written: three layers of LSTM, folk-rnn's shape",
        network="lstm",
        units=256,
        depth=3,
    ),
    "tune_lm-transformer": Hparams(
        "Whole tunes as they are written: a small Transformer with relative attention",
        network="transformer",
        units=256,
        depth=4,
    ),
}
