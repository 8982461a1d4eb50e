"""Any tunebooks in ABC notation: files, folders and zip archives of them."""

from pipelines.corpora import _tunebooks

CORPUS = _tunebooks.any_tunebooks(
    name="abc",
    summary="tunebooks in ABC notation; --input is a file, a folder, a zip or a tar, or several",
)

slices_in = _tunebooks.slices_in
texts = _tunebooks.texts
texts_of = _tunebooks.texts_of
