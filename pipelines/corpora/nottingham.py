"""The Nottingham Music Database: 1,034 British and American dance tunes with chords.

The tunes are those that https://github.com/jukedeck/nottingham-dataset (GPL v3) cleaned up.
"""

from pipelines.corpora import _tunebooks

CORPUS = _tunebooks.collection(
    name="nottingham",
    summary="Nottingham Music Database; --input is its folder (ABC_cleaned) or a zip of it",
    files=(
        "ashover.abc",
        "hpps.abc",
        "jigs.abc",
        "morris.abc",
        "playford.abc",
        "reelsa-c.abc",
        "reelsd-g.abc",
        "reelsh-l.abc",
        "reelsm-q.abc",
        "reelsr-t.abc",
        "reelsu-z.abc",
        "slip.abc",
        "waltzes.abc",
        "xmas.abc",
    ),
    tunes=1034,
)
