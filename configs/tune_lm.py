"""Language models of tunes: the shapes of the networks, and how they are trained."""

import dataclasses

from pipelines.runtime.app import UserError

# Those of `models.tune_lm`, which imports Keras.
_NETWORKS = ("lstm", "transformer")


@dataclasses.dataclass(frozen=True)
class Hparams:
    """The hyperparameters of a language model of tunes.

    Attributes:
      summary: the line that `./run.sh configs` shows.
      network: "lstm" or "transformer".
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

    Raises:
      UserError: for values that no model works with.
    """

    summary: str
    network: str
    units: int
    depth: int
    heads: int = 4
    embedding: int = 32
    dropout: float = 0.35
    batch_tokens: int = 8192
    num_epochs: int = 7
    learning_rate: float = 2e-3
    warmup: int = 200
    weight_decay: float = 0.01
    clip: float = 1.0

    def __post_init__(self):
        for name in ("units", "depth", "heads", "embedding", "batch_tokens", "num_epochs"):
            if getattr(self, name) < 1:
                raise UserError(f"{name} must be 1 or more, not {getattr(self, name)}")
        if not 0 <= self.dropout < 1:
            raise UserError(f"dropout must be from 0 to less than 1, not {self.dropout}")
        for name in ("learning_rate", "clip"):
            if getattr(self, name) <= 0:
                raise UserError(f"{name} must be more than 0, not {getattr(self, name)}")
        if self.network not in _NETWORKS:
            raise UserError(f"network must be {' or '.join(_NETWORKS)}, not {self.network!r}")
        if self.network == "transformer" and self.units % self.heads:
            raise UserError(f"{self.heads} heads do not divide {self.units} units")


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
        units=192,
        depth=4,
        dropout=0.25,
    ),
}
