"""The Groove corpus as TensorFlow Datasets prepares it."""

import hashlib
import http.server
import pathlib
import subprocess
import sys
import threading
from functools import partial

import pytest

from pipelines.corpora import conversion, corpora
from pipelines.runtime.app import UserError
from tests.support import groove_release
from tests.support.records import contents


def listed(where):
    return list(corpora()["groove"].sources([where]))


@pytest.fixture
def release():
    return groove_release.release()


@pytest.fixture
def tfds_serving(tmp_path, monkeypatch):
    """A function that makes TFDS download an archive from this machine, with its checksum."""
    from tensorflow_datasets.core.download.checksums import UrlInfo
    from tensorflow_datasets.datasets.groove import groove_dataset_builder

    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "tfds"))
    monkeypatch.setattr("tensorflow_datasets.core.constants.DATA_DIR", str(tmp_path / "tfds"))
    servers = []

    def serve(archive: pathlib.Path):
        handler = partial(QuietHandler, directory=str(archive.parent))
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/{archive.name}"
        checksum = hashlib.sha256(archive.read_bytes()).hexdigest()
        monkeypatch.setattr(groove_dataset_builder, "_DOWNLOAD_URL_MIDI_ONLY", url)
        monkeypatch.setitem(
            groove_dataset_builder.Builder.url_infos,
            url,
            UrlInfo(archive.stat().st_size, checksum, archive.name),
        )

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.mark.slow
def test_tfds_gives_the_records_that_the_zip_gives(tmp_path, release, tfds_serving, capfd):
    archive = groove_release.write_zip(tmp_path / "groove-v1.0.0-midionly.zip", *release)
    tfds_serving(archive)
    name = "tfds:groove/full-midionly"
    manifest = conversion.convert("groove", name, str(tmp_path / "a"), 2)
    assert manifest["read"] == 14 and manifest["rejected"] == 0
    assert capfd.readouterr().out == ""
    conversion.convert("groove", str(archive), str(tmp_path / "b"), 2)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


@pytest.mark.slow
def test_the_real_dataset_through_tfds(corpora, tmp_path, tfds_serving):
    archive = corpora / "groove-v1.0.0-midionly.zip"
    tfds_serving(archive)
    conversion.convert("groove", "tfds:groove/full-midionly", str(tmp_path / "a"))
    conversion.convert("groove", str(archive), str(tmp_path / "b"))
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


@pytest.mark.slow
def test_tfds_names_that_cannot_be_had(tmp_path, tfds_serving, release):
    with pytest.raises(UserError, match="use tfds:groove/full-midionly"):
        listed("tfds:groove/2bar-midionly")
    with pytest.raises(UserError, match="tfds:grove/x cannot be prepared"):
        listed("tfds:grove/x")
    archive = groove_release.write_zip(tmp_path / "gone.zip", *release)
    tfds_serving(archive)
    archive.write_bytes(archive.read_bytes() + b"more")
    with pytest.raises(UserError, match="cannot be prepared .*give the release's zip"):
        listed("tfds:groove/full-midionly")
    archive.unlink()
    with pytest.raises(UserError, match="give the release's zip"):
        listed("tfds:groove/full-midionly")


def test_workers_read_tfds_without_tensorflow():
    script = (
        "import sys\n"
        "from pipelines.corpora import _tfds\n"
        "_tfds._example_class()\n"
        "assert 'tensorflow' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-W", "ignore", "-c", script], check=True)
