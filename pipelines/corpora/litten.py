"""William Litten's manuscript: 115 tunes that a ship's fiddler wrote down, dated 1802.

The transcription is the Village Music Project's, in one file.
"""

from pipelines.corpora import _tunebooks

CORPUS = _tunebooks.collection(
    name="litten",
    summary="William Litten's fiddle tunes of 1802; --input is the folder or zip",
    files=("Litten MS.abc",),
    tunes=115,
)
