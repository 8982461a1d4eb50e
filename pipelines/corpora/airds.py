"""Aird's Airs: six volumes of Scotch, English, Irish and foreign airs, Glasgow 1782 to 1801.

The transcription is Jack Campin's; music21's corpus has it as airdsAirs.
"""

from pipelines.corpora import _tunebooks

CORPUS = _tunebooks.collection(
    name="airds",
    summary="Aird's Airs as in music21's corpus; --input is its folder or zip",
    files=(
        "book1.abc",
        "book2.abc",
        "book3.abc",
        "book4.abc",
        "book5.abc",
        "book6.abc",
    ),
    tunes=1180,
)
