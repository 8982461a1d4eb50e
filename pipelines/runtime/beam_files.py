"""The file systems of Beam for `s3://` and `gs://`: options, requests with an end, errors.

They try again for minutes where a server does not answer. Here every request has an end, and
whatever goes wrong becomes one line that names the address. Beam is imported only once there is an
address.
"""

import concurrent.futures
import copy
import functools
import importlib.util
import logging
import os
import socket
import threading
import urllib.parse
import warnings
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from pipelines.runtime import beam_runner
from pipelines.runtime.app import UserError

T = TypeVar("T")

# The package that Beam needs for each kind of address.
_NEEDED = {"s3": ("boto3", "boto3"), "gs": ("google.cloud.storage", "google-cloud-storage")}
# A request that takes longer is given up: a server that is up answers in less than a second.
SECONDS = 50
# How long a connection to a server may take that the user names.
_CONNECTION_SECONDS = 10
_SEE = "(docs/cluster.md#buckets)"


# Empty where Beam has started this process, and has given it the options.
_options: list[list[str]] = []
_jobs: list[object] = [object()]


def configure(arguments: Iterable[str]) -> None:
    """Begins a job: takes the options of Beam, as on a command line, by which it reaches buckets.

    What was looked up for an earlier job is looked up again.
    """
    _options[:] = [list(arguments)]
    _jobs[:] = [object()]
    file_systems.cache_clear()
    _require_reachable.cache_clear()


def job() -> object:
    """What stands for the job of the last `configure`, for caches of what is in buckets."""
    return _jobs[0]


def options() -> list[str]:
    """What `configure` was given last."""
    return list(_options[0]) if _options else []


class NotFound(UserError):
    """There is no object of this address."""


@functools.cache
def file_systems():
    """Beam's FileSystems, with this process's options."""
    with beam_runner.quiet_import():
        from apache_beam.io.filesystems import FileSystems

        logging.getLogger().addFilter(_is_not_of_beam)
        if _options or FileSystems._pipeline_options is None:
            FileSystems.set_options(beam_runner.parsed_options(options())[0])
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


def asked(address: str, request: Callable[[], T], seconds: float | None = None) -> T:
    """What a request returns. It is made in a thread, which is left behind if it never ends.

    No signal's exception comes in the midst of a request.

    Args:
      address: what it is about.
      request: makes it.
      seconds: how long it may take; SECONDS by default.

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
    seconds = SECONDS if seconds is None else seconds
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
    beam = file_systems()
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
    code = status(cause)
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


def status(error: Exception | None) -> int | None:
    """The status by which a server refused."""
    response = getattr(error, "response", None)
    if isinstance(response, dict):  # of boto3
        return response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    # Of google-resumable-media, and of Beam and Google's other packages.
    code = getattr(response, "status_code", None) or getattr(error, "code", None)
    return int(code) if isinstance(code, int) else None
