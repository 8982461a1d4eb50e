"""Models of melody curves: what each predicts, the shape of the network, and how it is trained.

`curves-faithful` is the model of the course on melody modelling in DeepArt
(https://github.com/maclab-kaist/DeepArt, melody_rnn), with its faults; `curves` is the same mended.
"""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Hparams:
    """The hyperparameters of a model of melody curves.

    Attributes:
      summary: the line that `./run.sh configs` shows.
      ahead: how many curves ahead each output predicts.
      window: how many curves an example has; the LSTM begins anew in each. 0 for whole tunes, in
        parts of at most `longest` curves.
      longest: see `window`.
      music21_time: whether equal curves with differently rounded times are different
        (`pipelines.representations.curves.music21_times`).
      context: whether the place in the bar, the degree of the scale and the meter are inputs too.
      loss: a name of `models.curves.LOSSES`.
      layers, units: of the LSTM.
      dropout: the share of what each layer gives that is dropped.
      batch_size: examples in a batch.
      num_epochs: passes over the examples.
      learning_rate: Adam's.
      cosine: whether the learning rate falls to nothing along a cosine.
      clip: the norm to which each variable's gradient is clipped; 0 for any.
      residual: whether each layer but the first adds to what it is given.
    """

    summary: str
    ahead: int
    window: int
    music21_time: bool
    context: bool
    loss: str
    longest: int = 128
    layers: int = 3
    units: int = 64
    dropout: float = 0.0
    batch_size: int = 16
    num_epochs: int = 20
    learning_rate: float = 1e-3
    cosine: bool = False
    clip: float = 0.0
    residual: bool = False


HPARAMS = {
    "curves": Hparams(
        "Melody curves, one step ahead, with the place in the bar and the degree of the scale",
        ahead=1,
        window=0,
        music21_time=False,
        context=True,
        loss="softmax",
        dropout=0.2,
        learning_rate=5e-3,
        cosine=True,
        clip=1.0,
        residual=True,
    ),
    "curves-faithful": Hparams(
        "Melody curves as a course predicts them: windows of 8, eight steps ahead, the likeliest",
        ahead=8,
        window=8,
        music21_time=True,
        context=False,
        loss="sigmoid",
    ),
}
