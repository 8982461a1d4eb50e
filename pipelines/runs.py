"""Run folders: where a system keeps what it trained, and `run.json`, which describes it.

    RUN_DIR/run.json    what was trained, with what and on what; its "kind" names the system
    RUN_DIR/train/      checkpoints and summaries for TensorBoard
    RUN_DIR/eval/       what `evaluate` measured

A system adds files and folders of its own. `run.json` is data: nothing in a run folder is ever
executed.
"""

import contextlib
import errno
import fcntl
import importlib.metadata
import json
import os
import pathlib
import platform
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from typing import IO, Any

from pipelines.runtime import files
from pipelines.runtime.app import UserError, say

METADATA = "run.json"

_TRAIN, _EVAL = "train", "eval"
_LOCK = ".lock"
# What a file system says that has no locks, as some in a network have not.
_NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)
# Before version 0.2.0 MusicVAE's run.json lay beside its checkpoints and had no kind.
_KIND_BEFORE = "musicvae"


def train_dir(run_dir: str | os.PathLike) -> str:
    """The folder of a run's checkpoints and summaries."""
    return os.path.join(run_dir, _TRAIN)


def eval_dir(run_dir: str | os.PathLike, suffix: str = "") -> str:
    """The folder of a run's evaluations."""
    return os.path.join(run_dir, f"{_EVAL}{suffix}")


@contextlib.contextmanager
def training(run_dir: str | os.PathLike) -> Iterator[None]:
    """Keeps a run folder to this job as long as it trains; makes the folder where there is none.

    Two jobs in one folder would replace each other's checkpoints. The lock ends with the process,
    however that ends.

    Raises:
      UserError: where another job is training in the folder.
    """
    folder = pathlib.Path(run_dir)
    made = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK):
        yield  # Nothing can be saved there, so a run that is not finished ends with that error.
        return
    path = folder / _LOCK
    with contextlib.ExitStack() as stack:
        lock = _open_lock(path, stack)
        lock.seek(0)
        lock.truncate()
        lock.write(str(os.getpid()))
        lock.flush()
        try:
            yield
        finally:
            # Who waits for this file finds that it has gone, and opens another.
            path.unlink(missing_ok=True)
            if made and not any(folder.iterdir()):
                folder.rmdir()


def _open_lock(path: pathlib.Path, stack: contextlib.ExitStack) -> IO[str]:
    """Opens and locks the file; `stack` closes it, which lets go of the lock."""
    while True:
        lock = stack.enter_context(path.open("a+", encoding="utf-8", errors="replace"))
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            process = lock.read(20).strip()
            who = f" (process {process})" if process.isdecimal() else ""
            raise UserError(
                f"another job{who} is training in {path.parent}; wait for it to end, or name "
                "another --run_dir"
            ) from None
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
            say(
                f"warning: {path.parent} lies on a file system without locks; see to it that no "
                "other job trains there"
            )
            return lock
        # The job before may have removed the file after it was opened here.
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(lock.fileno()), path.stat()):
                return lock


def read(run_dir: str | os.PathLike, kind: str) -> dict[str, Any]:
    """Reads run.json.

    Args:
      run_dir: a run folder, or its folder of checkpoints.
      kind: the name of the system that reads it.

    Returns:
      What run.json says; {} where there is none.

    Raises:
      UserError: where run.json is damaged, or describes a run of another system.
    """
    path = _find(run_dir)
    if path is None:
        return {}
    try:
        metadata = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise UserError(
            f"{path}: not JSON ({error}); restore it, or move it away and train in another folder"
        ) from error
    if not isinstance(metadata, dict):
        raise UserError(f"{path}: not a JSON object; restore it, or train in another folder")
    found = metadata.setdefault("kind", _KIND_BEFORE)
    if found != kind:
        raise UserError(f"{path.parent} is a run of {found}, not of {kind}; name another --run_dir")
    return metadata


def write(run_dir: str | os.PathLike, kind: str, metadata: Mapping[str, Any]) -> None:
    """Writes run.json, in place of what was there.

    Args:
      run_dir: the run folder.
      kind: the name of the system that trained the run.
      metadata: JSON values.
    """
    os.makedirs(run_dir, exist_ok=True)
    files.write_json(pathlib.Path(run_dir, METADATA), {**metadata, "kind": kind}, sort_keys=True)
    # This replaces the file that an older version left beside the checkpoints.
    pathlib.Path(train_dir(run_dir), METADATA).unlink(missing_ok=True)


def _find(run_dir: str | os.PathLike) -> pathlib.Path | None:
    """The run.json of a run folder, or of the run that a folder of checkpoints belongs to."""
    folder = pathlib.Path(run_dir).absolute()
    places = [folder, folder / _TRAIN]
    if folder.name == _TRAIN:
        places.append(folder.parent)
    return next((place / METADATA for place in places if (place / METADATA).is_file()), None)


def provenance(packages: Iterable[str]) -> dict[str, Any]:
    """The versions that a run is trained with: of Python, of packages and of this checkout."""
    versions = {package: importlib.metadata.version(package) for package in packages}
    return {
        "versions": {"python": platform.python_version(), **versions},
        "code": _code_version(),
    }


def _code_version() -> str | None:
    """The commit of this checkout, marked "dirty" where files differ; None outside of git."""
    here = os.path.dirname(os.path.abspath(__file__))
    try:
        done = subprocess.run(
            ["git", "-C", here, "describe", "--always", "--dirty", "--abbrev=40"],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None
