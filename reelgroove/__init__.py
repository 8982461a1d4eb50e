"""reelgroove in Python, for notebooks and scripts; the commands of `./run.sh` are for everything.

    import reelgroove as rg

    rg.convert("abc", "tunebooks", "tfrecords/tunes")
    run = rg.train("flat-reel_2bar", "tfrecords/tunes", "runs/reels", num_steps=2000)
    model = rg.load(run)
    tunes = model.sample(4, seed=1)
    rg.show(tunes[0])
    samples, rate = rg.render(tunes[0])  # IPython.display.Audio(samples.T, rate=rate) plays it
    rg.save(tunes[0], "tune.mid")
    rg.match("runs/titles", tunes)

Music goes in and comes out as NoteSequences, note_seq's message for a piece; where a piece goes in,
so does the path of a MIDI file, a tune in ABC notation or a score in MusicXML. What is wrong with
the input is raised as `Error`, with the line that a command would end with.

`convert`, `train` and `match` run in processes of their own. `load` builds a TensorFlow 1 graph in
this one, which turns TensorFlow 2's behaviour off in it for good: keep other TensorFlow code, and
Keras, in another notebook, or import reelgroove first and load no model.
"""

from pipelines.music.note_sequence import NoteSequence
from pipelines.runtime.app import UserError as Error
from reelgroove.jobs import Match, convert, match, train
from reelgroove.model import Model, load
from reelgroove.music import Picture, read, render, save, show

# `sample(model, 4)` is `model.sample(4)`.
sample, reconstruct, interpolate = Model.sample, Model.reconstruct, Model.interpolate
edit, average, grid = Model.edit, Model.average, Model.grid

__all__ = [
    "Error",
    "Match",
    "Model",
    "NoteSequence",
    "Picture",
    "average",
    "convert",
    "edit",
    "grid",
    "interpolate",
    "load",
    "match",
    "read",
    "reconstruct",
    "render",
    "sample",
    "save",
    "show",
    "train",
]


def __dir__() -> list[str]:
    return __all__
