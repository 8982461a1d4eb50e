"""Downloads by TensorFlow Datasets from hosts that cannot be reached."""

import socket
import threading

import pytest
import requests

from pipelines.runtime import tfds_downloads

pytestmark = pytest.mark.slow  # Importing TensorFlow Datasets takes seconds.


@pytest.fixture
def hangs_up():
    """A port whose server ends each connection at once, and the list of its connections."""
    connections = []

    def serve(server):
        while True:
            try:
                connection, address = server.accept()
            except OSError:
                return
            connections.append(address)
            connection.close()

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve, args=(server,), daemon=True)
        thread.start()
        yield server.getsockname()[1], connections
        server.shutdown(socket.SHUT_RDWR)
    thread.join(10)


def test_a_host_that_does_not_answer_is_tried_once(hangs_up, capsys):
    from tensorflow_datasets.core.download import downloader

    port, connections = hangs_up
    url = f"http://127.0.0.1:{port}/release.zip"
    original = downloader._open_url
    with pytest.raises(requests.exceptions.ConnectionError) as raised, tfds_downloads.careful():
        print("Downloading and preparing")
        with downloader._open_url(url, verify=True):
            pass
    assert len(connections) == 1, "TFDS by itself tries eleven times"
    assert downloader._open_url is original
    assert capsys.readouterr().out == "", "stdout is for results"
    assert tfds_downloads.reason(raised.value) == (
        f"no answer from {url}: ConnectionError; is there a network?"
    )


def test_the_reason_of_another_error_is_its_first_line():
    assert tfds_downloads.reason(ValueError("\n wrong\nmore")) == "wrong"
    assert tfds_downloads.reason(ValueError()) == "ValueError"
