"""Folders and zip archives that are damaged, or have names that cannot be opened."""

import pathlib
import random
import zipfile

import pytest

from pipelines.corpora import _archives
from pipelines.music.limits import Rejected
from pipelines.runtime.app import UserError
from tests.support import groove_release


@pytest.fixture
def release():
    return groove_release.release()


def test_links_in_a_circle_and_impossible_names_are_rejected(tmp_path, release):
    rows, files = release
    folder = pathlib.Path(groove_release.write_folder(tmp_path / "groove", rows, files))
    loop = folder / rows[0]["midi_filename"]
    loop.unlink()
    loop.symlink_to(loop)
    archive, _ = _archives.find_archive(str(folder), "info.csv")
    for name in (rows[0]["midi_filename"], "drummer1/nul\0.mid"):
        with pytest.raises(Rejected) as raised:
            archive.read(name, 1000)
        assert raised.value.reason == "unreadable"


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_random_damage_to_an_archive_is_a_rejection_or_one_error(tmp_path, method):
    rng = random.Random(0)
    path = tmp_path / "z.zip"
    with zipfile.ZipFile(path, "w", method) as archive:
        for i in range(3):
            archive.writestr(f"a/{i}.mid", bytes(rng.randrange(256) for _ in range(200)))
        archive.writestr("info.csv", "x")
    whole = path.read_bytes()
    outcomes = set()
    for _ in range(300):
        damaged = bytearray(whole)
        for _ in range(rng.randint(1, 4)):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        path.unlink()
        path.write_bytes(damaged)
        try:
            archive, root = _archives.find_archive(str(path), "info.csv")
            for name in archive.names(root):
                try:
                    archive.read(name, 1000)
                    outcomes.add("read")
                except Rejected as rejected:
                    outcomes.add(rejected.reason)
        except UserError:
            outcomes.add("error")
    assert {"read", "unreadable", "error"} <= outcomes
