"""Objects in buckets: what is read, written and listed, and one line for all that goes wrong."""

import importlib.util
import os
import pathlib
import random
import socket
import subprocess
import sys
import urllib.request

import pytest

from pipelines.corpora import _archives
from pipelines.runtime import beam_files, storage, storage_copies
from pipelines.runtime.app import UserError
from tests.support.jobs import ROOT


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """An empty folder for temporary files."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return tmp_path


def test_paths_and_addresses():
    assert [
        storage.is_address(path) for path in ("s3://b/x", "GS://b", "s3:/b", "a/s3://b", ".")
    ] == [*(True, True, False, False, False)]
    assert storage.absolute("s3://b/x/") == storage.real("s3://b/x") == "s3://b/x"
    assert storage.absolute("x") == os.path.join(os.getcwd(), "x")
    assert storage_copies.local_copy("x") == storage_copies.local_folder("x") == "x"


def test_other_addresses_are_refused():
    for address in ("https://example.org/a.zip", "hdfs://x/y", "abfs://x/y"):
        with pytest.raises(UserError, match=f"^{address} is an address, and only .* give a local"):
            storage.find(address)


@pytest.mark.parametrize(
    "address, package", [("s3://b/x", "boto3"), ("gs://b/x", "google-cloud-storage")]
)
def test_a_package_that_is_missing_is_named(monkeypatch, address, package):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    beam_files.configure(())
    with pytest.raises(UserError, match=f"needs the package {package}: .*pip install {package}"):
        storage.find(address)


@pytest.mark.slow
def test_what_is_written_is_read_and_listed(bucket):
    """Also where names have what patterns mean something else by, and no or several parts."""
    generator = random.Random(1)
    for name, size in {"a b[1]/*": 0, "a b[1]/é?/x": 3, "a b1/x": 3, "large": 9 << 20}.items():
        data = generator.randbytes(size)
        storage.write(f"{bucket.address}/f/{name}", data)
        assert storage.read(f"{bucket.address}/f/{name}") == data
        found = storage.find(f"{bucket.address}/f/{name}")
        assert found is not None and found.size == size
    bucket.put("f/a b[1]/", b"")  # As programs with folders make it.

    def names(folder, **options):
        prefix = f"{bucket.address}/{folder}/"
        return [each.address.removeprefix(prefix) for each in storage.files_in(prefix, **options)]

    assert names("f/a b[1]") == ["*", "é?/x"]
    assert names("f") == ["a b1/x", "a b[1]/*", "a b[1]/é?/x", "large"]
    assert len(names("f", most=1)) == 1
    assert names("lar") == names("nothing") == []
    assert storage.find(f"{bucket.address}/f") is storage.find(bucket.address) is None
    with pytest.raises(
        storage.NotFound, match=r"/f/none: there is no such bucket, or no such name"
    ):
        storage.read(f"{bucket.address}/f/none")
    moved = storage.find(f"{bucket.address}/f/large")
    storage.rename([(moved, f"{bucket.address}/moved")])
    storage.remove([f"{bucket.address}/f/a b1/x", f"{bucket.address}/f/not-there"])
    storage.remove([])
    assert bucket.names() == ["f/a b[1]/", "f/a b[1]/*", "f/a b[1]/é?/x", "moved"]


@pytest.mark.slow
def test_a_large_object_is_read_from_any_position(bucket, temporary, monkeypatch):
    monkeypatch.setattr(_archives, "_MAX_IN_MEMORY", 1000)
    bucket.put("f/x.bin", bytes(range(256)) * 16)
    with _archives.open_archive(f"{bucket.address}/f").open("x.bin") as file:
        file.seek(1030)
        assert file.read(3) == bytes([6, 7, 8])
    assert len(list(temporary.glob("*/*-x.bin"))) == 1


@pytest.mark.slow
def test_processes_share_a_copy_which_goes_with_the_last(bucket, temporary):
    address = bucket.put("a/tunes.tar.gz", b"content")
    code = (
        "import sys; from pipelines.runtime import storage_copies\n"
        "path = storage_copies.local_copy(sys.argv[1])\n"
        "print(path, open(path).read(), flush=True)\n"
        "input()"
    )

    def begun():
        return subprocess.Popen(
            [sys.executable, "-c", code, address],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def end(process):
        process.communicate("\n", timeout=120)
        assert process.returncode == 0

    first, second = begun(), begun()
    path, content = first.stdout.readline().split()
    assert second.stdout.readline().split() == [path, content]
    assert path.endswith("-tunes.tar.gz") and content == "content"
    assert pathlib.Path(path).parent.stat().st_mode & 0o777 == 0o700
    end(first)
    assert os.path.exists(path)
    end(second)
    assert not os.path.exists(path)
    # What a killed process leaves is removed by the next one, even of another object.
    killed = begun()
    assert killed.stdout.readline().split() == [path, content]
    killed.kill()
    killed.communicate()
    assert os.path.exists(path)
    storage_copies.local_copy(bucket.put("b", b"other"))
    assert not os.path.exists(path)
    # An object that has changed is another one.
    bucket.put("b", b"changed")
    beam_files.configure(())
    assert pathlib.Path(storage_copies.local_copy(f"{bucket.address}/b")).read_bytes() == b"changed"


@pytest.mark.slow
def test_a_folder_of_copies_goes_with_its_process_or_with_the_next_copy(bucket, temporary):
    bucket.put("folder/a", b"1")
    code = (
        "import os, signal, sys; from pipelines.runtime import storage_copies\n"
        "path = storage_copies.local_folder(sys.argv[1])\n"
        "print(path, *os.listdir(path), flush=True)\n"
        "if len(sys.argv) > 2: os.kill(os.getpid(), signal.SIGKILL)"
    )

    def left(*arguments):
        done = subprocess.run(
            [sys.executable, "-c", code, f"{bucket.address}/folder", *arguments],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
        )
        path, *names = done.stdout.split()
        assert names == ["a"], done.stderr
        return pathlib.Path(path)

    assert not left().exists()
    path = left("killed")
    assert path.exists()
    mine = pathlib.Path(storage_copies.local_folder(f"{bucket.address}/folder"))
    assert not path.exists()
    storage_copies.local_copy(bucket.put("b", b"other"))
    assert (mine / "a").read_bytes() == b"1"


def test_a_scratch_folder_goes_at_the_end_or_with_the_next_one(temporary):
    code = (
        "import os, signal; from pipelines.runtime import storage_copies\n"
        "with storage_copies.scratch_folder() as path:\n"
        "    (path / 'x').write_text('x'); print(path, flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    left = pathlib.Path(done.stdout.strip())
    assert (left / "x").read_text() == "x" and left.is_relative_to(temporary)
    with storage_copies.scratch_folder() as one, storage_copies.scratch_folder() as other:
        assert not left.exists()
        assert one != other and one.is_dir() and other.is_dir()
        assert one.stat().st_mode & 0o777 == 0o700
    assert not one.exists() and not other.exists()


def test_who_comes_late_removes_no_folder_that_another_process_has_made_again(temporary):
    path = storage_copies.scratch_path()
    path.mkdir()
    late = os.open(path, os.O_RDONLY)
    path.rmdir()
    with storage_copies.scratch_folder(path):
        storage_copies._remove_unused(late, path)
        assert path.is_dir()
    os.close(late)


@pytest.mark.slow
def test_credentials_that_are_wrong_or_missing(bucket, s3_server, monkeypatch):
    address = bucket.put("x", b"1")

    def let_in(requests):
        """Has the server take so many requests with whatever credentials."""
        where = f"{s3_server}/moto-api/reset-auth"
        kind = {"Content-Type": "text/plain"}
        urllib.request.urlopen(urllib.request.Request(where, requests, kind)).close()

    let_in(b"0")
    try:
        for request in (storage.find, storage.read, storage.files_in):
            with pytest.raises(UserError, match=rf"^{address}: the server refuses \(.*credentials"):
                request(address)
        with pytest.raises(UserError, match="the server refuses") as told:
            storage.write(f"{bucket.address}/y", b"1")
    finally:
        let_in(b"1000000000")
    assert os.environ["AWS_SECRET_ACCESS_KEY"] not in str(told.value)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    beam_files.configure(())
    with pytest.raises(UserError, match="s3:// needs credentials, and there are none: set AWS_"):
        storage.read(address)
    beam_files.configure(["--s3_access_key_id=a", "--s3_secret_access_key=b"])
    assert storage.read(address) == b"1"


# The request that is given up leaves its connection behind.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.slow
def test_a_server_that_is_away_or_silent(bucket, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        beam_files.configure([f"--s3_endpoint_url={endpoint}"])
        monkeypatch.setattr(beam_files, "SECONDS", 1.5)
        with pytest.raises(UserError, match=r"^s3://b/x: the server did not answer in 2 seconds"):
            storage.find("s3://b/x")
    beam_files.configure([f"--s3_endpoint_url={endpoint}"])
    with pytest.raises(UserError, match=f"no server for s3:// answers at {endpoint} .*start it"):
        storage.read("s3://b/x")
    beam_files.configure(["--s3_endpoint_url=nonsense"])
    with pytest.raises(UserError, match="no server for s3:// answers at nonsense"):
        storage.read("s3://b/x")
    beam_files.configure(["--s3_endpoint=x"])
    with pytest.raises(UserError, match="Beam has no option '--s3_endpoint'"):
        storage.read("s3://b/x")
