"""Language models of tunes: the shapes of the networks, and how they are trained."""

import dataclasses
import math

from pipelines.runtime.app import UserError

# Those of `models.tune_lm`, which imports Keras.
_NETWORKS = ("lstm", "transformer")
# Larger networks than this do not fit the memory of any machine.
_MOST = {"units": 8192, "depth": 64, "heads": 8192, "embedding": 1024}


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
        self._require_types()
        for name in ("units", "depth", "heads", "embedding", "batch_tokens", "num_epochs"):
            if getattr(self, name) < 1:
                raise UserError(f"{name} must be 1 or more, not {getattr(self, name)}")
        for name, most in _MOST.items():
            if getattr(self, name) > most:
                raise UserError(f"{name} must be at most {most}, not {getattr(self, name)}")
        for name in ("warmup", "weight_decay"):
            if getattr(self, name) < 0:
                raise UserError(f"{name} must be 0 or more, not {getattr(self, name)}")
        if not 0 <= self.dropout < 1:
            raise UserError(f"dropout must be from 0 to less than 1, not {self.dropout}")
        for name in ("learning_rate", "clip"):
            if getattr(self, name) <= 0:
                raise UserError(f"{name} must be more than 0, not {getattr(self, name)}")
        if self.network not in _NETWORKS:
            raise UserError(f"network must be {' or '.join(_NETWORKS)}, not {self.network!r}")
        if self.network == "transformer" and self.units % self.heads:
            raise UserError(f"{self.heads} heads do not divide {self.units} units")

    def _require_types(self):
        """Raises UserError for values of other types, which a damaged run.json may have."""
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            known = (int, float) if field.type is float else field.type
            if isinstance(value, bool) or not isinstance(value, known):  # type: ignore[arg-type]
                wanted = "a whole number" if field.type is int else "a number"
                wanted = "text" if field.type is str else wanted
                raise UserError(f"{field.name} must be {wanted}, not {value!r}")
            if field.type is float and not math.isfinite(value):
                raise UserError(f"{field.name} must be finite, not {value}")


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
