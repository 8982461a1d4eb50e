"""Files at addresses, `s3://BUCKET/NAME` and `gs://BUCKET/NAME`, by the file systems of Beam.

A bucket has objects with names, and no folders: what is called a folder here is what the names of
some objects begin with. Nothing in a bucket is renamed or locked as on a disk: an object appears
once all of it is written, and a rename is a copy.

Beam's file systems try again for minutes where a server does not answer. Here every request has an
end, and whatever goes wrong becomes one line that names the address.

All else in the project works on local files: `local_copy` fetches an object for it, and `send`
writes one. Beam is imported only once there is an address.
"""

import atexit
import concurrent.futures
import contextlib
import copy
import fcntl
import functools
import glob
import hashlib
import importlib.util
import io
import logging
import os
import pathlib
import re
import shutil
import socket
import stat
import tempfile
import threading
import urllib.parse
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, BinaryIO, NamedTuple, TypeVar

from pipelines.runtime import beam_runner
from pipelines.runtime.app import UserError

T = TypeVar("T")

_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
# The package that Beam needs for each kind of address.
_NEEDED = {"s3": ("boto3", "boto3"), "gs": ("google.cloud.storage", "google-cloud-storage")}
# The programs that copy a folder to a disk.
COPY_COMMANDS = {"s3": "aws s3 cp --recursive", "gs": "gcloud storage cp --recursive"}
# A request that takes longer is given up: a server that is up answers in less than a second.
_SECONDS = 50
# How long a connection to a server may take that the user names.
_CONNECTION_SECONDS = 10
# How slow a server may copy within a bucket, in bytes a second.
_SLOWEST_COPY = 5e6
# What is read or written by one request; S3 takes parts from 5 MiB on, and at most 10,000 of them.
_CHUNK = 8 << 20
# Larger objects are read from a copy on disk, others in memory.
_MAX_IN_MEMORY = 64 << 20
# So many requests at once: each waits for the network most of the time.
_AT_ONCE = 8
_SEE = "(docs/cluster.md#buckets)"


class File(NamedTuple):
    """An object.

    Attributes:
      address: its address.
      size: in bytes.
      updated: when it was written, in seconds since 1970.
    """

    address: str
    size: int
    updated: float


def is_address(path: str | os.PathLike) -> bool:
    """Whether a path is an address, of whatever kind."""
    return _ADDRESS.match(os.fspath(path)) is not None


def absolute(path: str | os.PathLike) -> str:
    """The path for any process, whatever its working directory; an address without a last slash."""
    path = os.fspath(path)
    return path.rstrip("/") if is_address(path) else os.path.abspath(path)


def real(path: str) -> str:
    """The path by which a file or folder is the same as another: where links lead."""
    return absolute(path) if is_address(path) else os.path.realpath(path)


# Options

_options: list[str] = []
_jobs: list[object] = [object()]


def configure(arguments: Iterable[str]) -> None:
    """Begins a job: takes the options of Beam, as on a command line, by which it reaches buckets.

    What was looked up for an earlier job is looked up again.
    """
    _options[:] = arguments
    _jobs[:] = [object()]
    _beam.cache_clear()
    _require_reachable.cache_clear()


def job() -> object:
    """What stands for the job of the last `configure`, for caches of what is in buckets."""
    return _jobs[0]


def options() -> list[str]:
    """What `configure` was given last."""
    return list(_options)


# Looking


def find(address: str) -> File | None:
    """The object of this very address; None where there is none, or no such bucket."""

    def look() -> File:
        found = _beam().get_filesystem(address).metadata(address)
        return File(address, found.size_in_bytes, found.last_updated_in_seconds)

    if "/" not in _ADDRESS.sub("", address, count=1).rstrip("/"):
        return None  # A bucket.
    try:
        return _asked(address, look)
    except NotFound:
        return None


def files_in(folder: str, most: int | None = None) -> list[File]:
    """The objects in a folder and in all folders in it, by their addresses.

    Names that end in a slash are left out: programs with folders make such objects.

    Args:
      folder: its address.
      most: how many are enough.
    """
    folder = absolute(folder)
    pattern = f"{glob.escape(folder)}/**"

    def look() -> list[File]:
        (found,) = _beam().match([pattern], limits=[most])
        return [
            File(each.path, each.size_in_bytes, each.last_updated_in_seconds)
            for each in found.metadata_list
        ]

    # A thousand names come with one answer.
    found = _asked(folder, look, seconds=20 * _SECONDS if most is None else _SECONDS)
    return sorted(file for file in found if not file.address.endswith("/"))


# Reading


@contextlib.contextmanager
def opened(address: str) -> Iterator[BinaryIO]:
    """Opens an object to read it; can be read from any position on.

    Raises:
      NotFound: where there is none.
    """
    stream = _asked(address, functools.partial(_stream, address))
    begin = _read(address, stream, _MAX_IN_MEMORY + 1)
    if len(begin) <= _MAX_IN_MEMORY:
        yield io.BytesIO(begin)
    else:
        with open(local_copy(address), "rb") as file:
            yield file


def read(address: str) -> bytes:
    """The content of a small object.

    Raises:
      NotFound: where there is none.
    """
    with opened(address) as file:
        return file.read()


def fetch(file: File, path: str | os.PathLike) -> None:
    """Copies an object to a local file.

    Raises:
      UserError: where it has changed meanwhile, or there is not enough space on the disk.
    """
    with open(path, "wb") as into:
        _fetch(file, into)


def _fetch(file: File, into: BinaryIO) -> None:
    folder = os.path.dirname(os.path.abspath(into.name))
    if file.size > shutil.disk_usage(folder).free:
        raise UserError(
            f"{file.address} has {file.size / 1e9:.1f} GB, and {folder} has not enough space for a "
            "copy of it; let the variable TMPDIR name a folder on a larger disk"
        )
    stream = _asked(file.address, functools.partial(_stream, file.address))
    written = 0
    while data := _read(file.address, stream, _CHUNK):
        into.write(data)
        written += len(data)
    into.flush()
    if written != file.size:
        raise UserError(
            f"{file.address} had {file.size} bytes, and {written} came: it has changed meanwhile; "
            "give the same command again"
        )


def _stream(address: str) -> BinaryIO:
    # Beam would unpack what is called .gz.
    from apache_beam.io.filesystem import CompressionTypes

    return _beam().open(address, compression_type=CompressionTypes.UNCOMPRESSED)


def _read(address: str, stream: BinaryIO, size: int) -> bytes:
    """Up to so many bytes, and fewer only at the end."""
    data = bytearray()
    while len(data) < size:
        some = _asked(address, functools.partial(stream.read, min(_CHUNK, size - len(data))))
        if not some:
            break
        data += some
    return bytes(data)


# Writing


def write(address: str, data: bytes) -> None:
    """Writes a small object; it appears with all of its content."""
    _send(address, io.BytesIO(data))


def send(path: str | os.PathLike, address: str) -> None:
    """Writes the content of a local file to an object, which appears once all is written."""
    with open(path, "rb") as file:
        _send(address, file)


def _send(address: str, content: BinaryIO) -> None:
    data = content.read(_CHUNK)
    if not data and address.startswith("s3://"):
        # Beam writes parts, and S3 refuses an object without a part.
        _asked(address, functools.partial(_send_empty, address))
        return
    # A signal never ends a write half-way (`_asked`): Beam would complete what is there so far.
    sink = _asked(address, functools.partial(_sink, address))
    while data:
        _asked(address, functools.partial(sink.write, data))
        data = content.read(_CHUNK)
    _asked(address, sink.close)


def _sink(address: str) -> BinaryIO:
    from apache_beam.io.filesystem import CompressionTypes

    return _beam().create(address, compression_type=CompressionTypes.UNCOMPRESSED)


def _send_empty(address: str) -> None:
    from apache_beam.io.aws.clients.s3.boto3_client import Client
    from apache_beam.options.pipeline_options import PipelineOptions

    bucket, _, key = address.removeprefix("s3://").partition("/")
    given = _beam()._pipeline_options or PipelineOptions([])
    Client(given).client.put_object(Bucket=bucket, Key=key, Body=b"")


def rename(moves: Iterable[tuple[File, str]]) -> None:
    """Gives objects other addresses in their bucket, one after another; the server copies them."""
    for file, target in moves:
        _asked(
            target,
            functools.partial(_renamed, file.address, target),
            seconds=_SECONDS + file.size / _SLOWEST_COPY,
        )


def _renamed(source: str, target: str) -> None:
    _beam().rename([source], [target])


def remove(addresses: Sequence[str]) -> None:
    """Removes objects; those that are not there are passed over."""
    for start in range(0, len(addresses), 1000):
        some = list(addresses[start : start + 1000])
        _asked(some[0], functools.partial(_remove, some), seconds=2 * _SECONDS)


def _remove(addresses: list[str]) -> None:
    from apache_beam.io.filesystem import BeamIOError

    try:
        _beam().delete(addresses)
    except BeamIOError as error:
        if any(_code(each) != 404 for each in (error.exception_details or {"": error}).values()):
            raise


def each(function: Callable[[T], Any], items: Iterable[T]) -> None:
    """Calls a function with each item, several at once; raises what the first of them raises."""
    pool = concurrent.futures.ThreadPoolExecutor(_AT_ONCE)
    try:
        for done in [pool.submit(function, item) for item in items]:
            done.result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


# Copies on this machine


def local_copy(path: str) -> str:
    """A path of this machine with the content of an object; of a local path, the path itself.

    A copy is made once, for all processes of the user on this machine. It is removed when the last
    of those that use it ends; what a killed process has left, by the next one that makes a copy.

    Raises:
      NotFound: where there is none.
    """
    if not is_address(path):
        return path
    return _copy(absolute(path), os.getpid(), job())


@functools.cache
def _copy(address: str, _process: int, _job: object) -> str:
    file = find(address)
    if file is None:
        raise NotFound(f"{address}: no such object")
    folder = _copies()
    _sweep(folder)
    version = hashlib.blake2b(repr(file).encode(), digest_size=12).hexdigest()
    # Programs know an archive by the end of its name.
    path = folder / f"{version}-{os.path.basename(address)[-100:]}"
    held = _locked(path, fcntl.LOCK_SH)
    while os.fstat(held.fileno()).st_size != file.size:
        # One process fetches it, the others wait here.
        held.close()
        held = _locked(path, fcntl.LOCK_EX)
        if os.fstat(held.fileno()).st_size != file.size:
            held.truncate(0)
            try:
                _fetch(file, held)
            except BaseException:
                path.unlink(missing_ok=True)
                held.close()
                raise
        held.close()
        held = _locked(path, fcntl.LOCK_SH)
    # As long as a process has this lock, nobody removes the copy.
    atexit.register(_let_go, held, path)
    return os.fspath(path)


def _locked(path: pathlib.Path, kind: int) -> BinaryIO:
    """Opens a file of this name, and takes a lock of it."""
    while True:
        held = open(path, "ab")  # noqa: SIM115  (whoever asked for it closes it)
        fcntl.flock(held, kind)
        # Between these two lines another process may have removed it.
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(held.fileno()), path.stat()):
                return held
        held.close()


def _copies() -> pathlib.Path:
    """The folder of the user's copies, in which nobody else can write."""
    folder = pathlib.Path(tempfile.gettempdir(), f"reelgroove-copies-{os.getuid()}")
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o022:
        raise UserError(
            f"{folder}, for copies of objects, can be written by others; remove it, or let the "
            "variable TMPDIR name another folder"
        )
    return folder


def _sweep(folder: pathlib.Path) -> None:
    """Removes the copies that no process uses."""
    for path in folder.iterdir():
        with contextlib.suppress(OSError), open(path, "rb") as file:
            _remove_unused(file, path)


def _let_go(held: BinaryIO, path: pathlib.Path) -> None:
    with contextlib.suppress(OSError), held:
        _remove_unused(held, path)


def _remove_unused(file: BinaryIO, path: pathlib.Path) -> None:
    with contextlib.suppress(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink(missing_ok=True)


def local_folder(folder: str) -> str:
    """A folder of this machine with copies of the objects right in a folder, under their names.

    Of a local path, the path itself. The folder goes when the process ends.
    """
    return _folder(absolute(folder), job()) if is_address(folder) else folder


@functools.cache
def _folder(folder: str, _job: object) -> str:
    prefix = f"{folder}/"
    names = [file.address.removeprefix(prefix) for file in files_in(folder)]
    made = tempfile.TemporaryDirectory(prefix="reelgroove-")
    atexit.register(made.cleanup)

    def link(name: str) -> None:
        os.symlink(local_copy(prefix + name), os.path.join(made.name, name))

    each(link, (name for name in names if "/" not in name))
    return made.name


# Asking Beam


class NotFound(UserError):
    """There is no object of this address."""


@functools.cache
def _beam():
    """Beam's FileSystems, with this process's options."""
    with beam_runner.quiet_import():
        from apache_beam.io.filesystems import FileSystems

        logging.getLogger().addFilter(_is_not_of_beam)
        # A worker that Beam itself started has them already.
        if _options or FileSystems._pipeline_options is None:
            FileSystems.set_options(beam_runner.parsed_options(_options)[0])
    # What these say, an exception says as well.
    for name in ("apache_beam.io", "apache_beam.utils.retry", "apache_beam.internal.gcp"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    # Of the patterns that Beam makes of names with a bracket.
    warnings.filterwarnings("ignore", "Possible nested set", FutureWarning)
    return FileSystems


def _share_client(boto3_client) -> None:
    """Lets Beam's calls of S3 share a client in each process.

    Beam makes a new one for each call, which takes ten times as long as a request. The clients of
    boto3 are for several threads. What Beam keeps beside one, the object being read, is not.

    Args:
      boto3_client: the module of Beam.
    """
    make, lock = boto3_client.Client, threading.Lock()
    made: dict[str, Any] = {}

    def client(options):
        given = {name: each for name, each in options.get_all_options().items() if "s3_" in name}
        with lock:
            name = f"{os.getpid()} {given}"
            if name not in made:
                made[name] = make(options)
            return copy.copy(made[name])

    boto3_client.Client = client


def _is_not_of_beam(record: logging.LogRecord) -> bool:
    return "/apache_beam/" not in record.pathname


def _asked(address: str, request: Callable[[], T], seconds: float = _SECONDS) -> T:
    """What a request returns. It is made in a thread, which is left behind if it never ends.

    No signal's exception comes in the midst of a request.

    Raises:
      NotFound: where there is no such object or bucket.
      UserError: for anything else that goes wrong.
    """
    kind = address.partition(":")[0].lower()
    if kind not in _NEEDED:
        raise UserError(
            f"{address} is an address, and only those of s3:// and gs:// are read and written; "
            "download or copy it yourself, and give a local path"
        )
    _require_reachable(kind, os.getpid())
    done: concurrent.futures.Future[T] = concurrent.futures.Future()

    def work() -> None:
        try:
            done.set_result(request())
        except BaseException as error:
            done.set_exception(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        thread.join(seconds)
    except KeyboardInterrupt:
        thread.join(seconds)
        raise
    if not done.done():
        raise UserError(
            f"{address}: the server did not answer in {seconds:.0f} seconds; check the network and "
            f"where the server is {_SEE}, then give the same command again"
        )
    try:
        return done.result()
    except UserError:
        raise
    except Exception as error:
        raise _told(address, error) from error


@functools.cache
def _require_reachable(kind: str, _process: int) -> None:
    """Raises UserError, once for each process, where a kind of address cannot be used at all."""
    module, package = _NEEDED[kind]
    try:
        found = importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        found = False
    if not found:
        raise UserError(
            f"{kind}:// needs the package {package}: ./.venv/bin/python -m pip install {package} "
            f"{_SEE}"
        )
    if kind == "s3":
        _require_s3()


def _require_s3() -> None:
    """Raises UserError at once for what Beam would try again for minutes."""
    beam = _beam()
    import boto3
    from apache_beam.io.aws.clients.s3 import boto3_client

    if isinstance(boto3_client.Client, type):
        _share_client(boto3_client)
    given = beam._pipeline_options
    given = given.get_all_options(drop_default=True) if given else {}
    endpoint = given.get("s3_endpoint_url") or next(
        filter(None, map(os.environ.get, ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"))), None
    )
    if endpoint:
        url = urllib.parse.urlsplit(endpoint)
        try:
            port = url.port or {"http": 80, "https": 443}[url.scheme]
            where = (url.hostname or "", port)
            socket.create_connection(where, _CONNECTION_SECONDS).close()
        except (OSError, ValueError, KeyError) as error:
            raise UserError(
                f"no server for s3:// answers at {endpoint} ({error!r}); start it, or correct "
                f"--s3_endpoint_url or AWS_ENDPOINT_URL {_SEE}"
            ) from None
    if "s3_access_key_id" not in given and boto3.session.Session().get_credentials() is None:
        raise UserError(
            "s3:// needs credentials, and there are none: set AWS_ACCESS_KEY_ID and "
            f"AWS_SECRET_ACCESS_KEY, or what else boto3 takes {_SEE}"
        )


def _told(address: str, error: Exception) -> UserError:
    """What to tell of an exception out of a file system of Beam."""
    cause = _cause(error)
    code = _code(cause)
    text = " ".join(str(getattr(cause, "message", cause)).split())[:300] or type(cause).__name__
    if code == 404 or isinstance(cause, FileNotFoundError):
        return NotFound(
            f"{address}: there is no such bucket, or no such name in it ({text}); correct it"
        )
    if code in (400, 401, 403):
        return UserError(
            f"{address}: the server refuses ({text}); check the name of the bucket, the "
            f"credentials, and what they allow {_SEE}"
        )
    return UserError(f"{address}: {text}; check the network and where the server is {_SEE}")


def _cause(error: Exception) -> Exception:
    """The exception that Beam has wrapped."""
    while details := getattr(error, "exception_details", None):
        error = next(iter(details.values()))
    return error


def _code(error: Exception | None) -> int | None:
    """The status by which a server refused."""
    response = getattr(error, "response", None)
    if isinstance(response, dict):  # of boto3
        return response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    # Of google-resumable-media, and of Beam and Google's other packages.
    code = getattr(response, "status_code", None) or getattr(error, "code", None)
    return int(code) if isinstance(code, int) else None
