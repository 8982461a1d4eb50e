"""A checkpoint that cannot be had: the message says why, and what to do about it."""

import gzip
import io
import os
import tarfile

import pytest

from pipelines import checkpoints
from pipelines.runtime.app import UserError


def tar_of(**members: bytes) -> bytes:
    """The bytes of a tar archive with these files."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


WHOLE = tar_of(**{"model.ckpt.index": b"i" * 2000, "model.ckpt.data-00000-of-00001": b"d" * 2000})
URL = "https://storage.googleapis.com/magentadata/models/music_vae/checkpoints/x.tar"


@pytest.mark.parametrize("url", [URL, "gs://bucket/x.tar", "http://host/model.ckpt-3"])
def test_a_url_is_to_be_downloaded_first(url):
    with pytest.raises(UserError, match="is a URL; download it .*, then name the file") as error:
        checkpoints.find(None, url)
    assert str(error.value).startswith(url)
    with pytest.raises(UserError, match="is a URL; download"):
        checkpoints.find(url, None)


@pytest.mark.parametrize("name", ["absent.tar", "absent.tar.gz", "absent.tgz", "folder/absent.tar"])
def test_an_absent_archive_is_said_to_be_absent(tmp_path, name):
    with pytest.raises(UserError, match=f"{name}: no such file; check the path") as error:
        checkpoints.find(None, str(tmp_path / name))
    assert ".index" not in str(error.value)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"<html>404 Not Found</html>", id="a page"),
        pytest.param(WHOLE[:300], id="cut in the first header"),
        pytest.param(WHOLE[:1000], id="cut in the first file"),
        pytest.param(WHOLE[:4200], id="cut in the last file"),
        pytest.param(gzip.compress(WHOLE)[:60], id="cut in the compressed bytes"),
    ],
)
def test_a_damaged_archive_is_said_to_be_damaged(tmp_path, content):
    path = tmp_path / "model.tar"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"model\.tar: .*damaged.*download it again") as error:
        checkpoints.find(None, str(path))
    assert f"{len(content)} bytes" in str(error.value)


def test_whole_archives_open(tmp_path):
    for name, content in {"a.tar": WHOLE, "b.tar.gz": gzip.compress(WHOLE), "c": WHOLE}.items():
        (tmp_path / name).write_bytes(content)
        assert checkpoints.find(None, str(tmp_path / name)).endswith("/model.ckpt")


def test_an_archive_without_one_checkpoint_is_no_damage(tmp_path):
    path = tmp_path / "model.tar"
    path.write_bytes(tar_of(readme=b"nothing"))
    with pytest.raises(UserError, match="holds 0 checkpoints"):
        checkpoints.find(None, str(path))


def test_a_prefix_without_files_is_still_asked_for_by_its_index(tmp_path):
    with pytest.raises(UserError, match=r"model.ckpt-9: no checkpoint; .*\.index does not exist"):
        checkpoints.find(None, str(tmp_path / "model.ckpt-9"))


def test_a_pipe_among_the_files_is_no_checkpoint(tmp_path):
    os.mkfifo(tmp_path / "checkpoint")
    assert checkpoints.latest(str(tmp_path)) is None
    (tmp_path / "model.ckpt-3.index").write_bytes(b"")
    os.mkfifo(tmp_path / "model.ckpt-3.data-00000-of-00001")
    assert checkpoints.latest(str(tmp_path)) is None
