"""A bucket of a server that answers as Amazon's S3 does: moto's, on the loopback interface."""

import importlib.util
import os
import socket
import uuid
from collections.abc import Iterator

import pytest

from pipelines.runtime import beam_files

# Credentials that moto takes as it takes any; a user's own are not looked at.
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "nobody",
    "AWS_SECRET_ACCESS_KEY": "secret-of-nobody",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
}


class Bucket:
    """A bucket of its own for each test.

    Attributes:
      address: its address.
    """

    def __init__(self, client, name: str):
        self._client = client
        self._name = name
        self.address = f"s3://{name}"

    def put(self, name: str, content: bytes) -> str:
        """Makes an object; returns its address."""
        self._client.put_object(Bucket=self._name, Key=name, Body=content)
        return f"{self.address}/{name}"

    def names(self, folder: str = "") -> list[str]:
        """The names of all objects in a folder, without that of the folder."""
        found = self._client.list_objects_v2(Bucket=self._name, Prefix=folder)
        return [each["Key"].removeprefix(folder) for each in found.get("Contents", ())]

    def contents(self, folder: str) -> dict[str, bytes]:
        """The content of each object in a folder, by its name."""
        return {
            name: self._client.get_object(Bucket=self._name, Key=folder + name)["Body"].read()
            for name in self.names(folder)
        }


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """The URL of the server; skips where moto, which has it, is not installed."""
    for name in ("moto", "boto3", "flask_cors"):
        if importlib.util.find_spec(name) is None:
            pytest.skip(f"no {name} here (requirements-dev.txt), and so no server like S3")
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        yield "http://{}:{}".format(*server.get_host_and_port())
    finally:
        server.stop()


@pytest.fixture
def gs_bucket(monkeypatch) -> Iterator[str]:
    """The address of a bucket on a server like Google's; skips where that is not installed.

    It is in no lock: with the packages of Google, Beam imports more. To have it, say
    `./.venv/bin/python -m pip install --target=FOLDER --no-deps` and gcp-storage-emulator,
    google-api-core, google-auth, google-auth-httplib2, google-cloud-core, google-cloud-storage,
    google-resumable-media, httplib2, opentelemetry-api, pyasn1 and pyasn1-modules, and give the
    tests `PYTHONPATH=FOLDER`.
    """
    for name in ("gcp_storage_emulator", "google.cloud", "httplib2"):
        if importlib.util.find_spec(name) is None:
            pytest.skip(
                f"no {name} here (tests/support/buckets.py), and so no server like Google's"
            )
    from gcp_storage_emulator.server import create_server

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = create_server("127.0.0.1", port, in_memory=True, default_bucket="test-bucket")
    server.start()
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{port}")
    yield "gs://test-bucket"
    server.stop()


@pytest.fixture
def bucket(s3_server, monkeypatch) -> Bucket:
    """A bucket on that server, which the environment names."""
    import boto3

    for name, value in {**ENVIRONMENT, "AWS_ENDPOINT_URL": s3_server}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    beam_files.configure(())
    name = f"test-{uuid.uuid4().hex}"
    client = boto3.client("s3")
    client.create_bucket(Bucket=name)
    return Bucket(client, name)
