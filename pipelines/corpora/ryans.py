"""Ryan's Mammoth Collection, Boston 1883: 1,059 tunes, a file each, as music21's corpus has them.

A few of its files are enough to recognise the collection; all their names would fill pages.
"""

from pipelines.corpora import _tunebooks

CORPUS = _tunebooks.collection(
    name="ryans",
    summary="Ryan's Mammoth Collection as in music21's corpus; --input is its folder or zip",
    files=(
        "42dHighlandRegimentStrathspey.abc",
        "BonniestLassInAyerStrathspey.abc",
        "LadiesDelightReel.abc",
        "SevenUpReel.abc",
        "YpsilantiHornpipe.abc",
    ),
    tunes=1059,
)
