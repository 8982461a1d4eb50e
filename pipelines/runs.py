"""Run folders: where a system keeps what it trained, and `run.json`, which describes it.

    RUN_DIR/run.json    what was trained, with what and on what; its "kind" names the system
    RUN_DIR/train/      checkpoints and summaries for TensorBoard
    RUN_DIR/validation/ summaries of what was measured on held-out records while training
    RUN_DIR/media/      pictures and sound of what the model plays, for TensorBoard
    RUN_DIR/best/       the checkpoint with the lowest loss on those records
    RUN_DIR/eval/       what `evaluate` measured

A system adds files and folders of its own. `run.json` is data: nothing in a run folder is ever
executed.
"""

import contextlib
import errno
import fcntl
import glob
import importlib.metadata
import json
import os
import pathlib
import platform
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import IO, Any

from pipelines.runtime import checkout, files
from pipelines.runtime.app import UserError, say
from pipelines.runtime.nearest import did_you_mean

METADATA = "run.json"

# What --checkpoint_file takes for the best checkpoint of the run that --run_dir names.
BEST = "best"

_TRAIN, _EVAL, _VALIDATION, _MEDIA = "train", "eval", "validation", "media"
_LOCK = ".lock"
_MAX_BYTES = 1 << 26  # Of run.json.
# What a file system says that has no locks, as some in a network have not.
_NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)
_URL = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_ARCHIVE = re.compile(r"\.(tar|tar\.\w+|tgz)$", re.IGNORECASE)
# Before version 0.2.0 MusicVAE's run.json lay beside its checkpoints and had no kind.
_KIND_BEFORE = "musicvae"


def train_dir(run_dir: str | os.PathLike) -> str:
    """The folder of a run's checkpoints and summaries."""
    return os.path.join(run_dir, _TRAIN)


def eval_dir(run_dir: str | os.PathLike, suffix: str = "") -> str:
    """The folder of a run's evaluations."""
    return os.path.join(run_dir, f"{_EVAL}{suffix}")


def validation_dir(run_dir: str | os.PathLike) -> str:
    """The folder of what was measured on held-out records while the run was trained."""
    return os.path.join(run_dir, _VALIDATION)


def media_dir(run_dir: str | os.PathLike) -> str:
    """The folder of pictures and sound of what the model plays, for TensorBoard."""
    return os.path.join(run_dir, _MEDIA)


def best_dir(run_dir: str | os.PathLike) -> str:
    """The folder of the checkpoint with the lowest loss on held-out records."""
    return os.path.join(run_dir, BEST)


def checkpoint_folders(run_dir: str | os.PathLike) -> list[str]:
    """The folders of a run that may hold checkpoints, of which it may itself be one."""
    return [train_dir(run_dir), best_dir(run_dir), os.fspath(run_dir)]


def named_checkpoint(run_dir: str | None, checkpoint_file: str | None) -> str | None:
    """What --checkpoint_file means beside --run_dir: "best" is the best checkpoint of that run.

    Raises:
      UserError: where that run keeps no best checkpoint.
    """
    if checkpoint_file != BEST or not run_dir:
        return checkpoint_file
    folder = best_dir(run_dir)
    if not glob.glob(os.path.join(glob.escape(folder), "*.index")):
        raise UserError(
            f"{run_dir}: no best checkpoint in it; ./run.sh train keeps one where "
            "--validation_path names held-out records. Leave out --checkpoint_file=best to take "
            "the newest one"
        )
    return folder


def last_saved(run_dir: str | os.PathLike) -> int:
    """The last training step in the names of a run's checkpoints; 0 where there is none."""
    paths = glob.glob(os.path.join(glob.escape(train_dir(run_dir)), "*.index"))
    steps = (re.search(r"-(\d+)\.index$", path) for path in paths)
    return max((int(step[1]) for step in steps if step), default=0)


def has_checkpoint(run_dir: str | os.PathLike) -> bool:
    """Whether a run has a checkpoint, by the names of files alone."""
    return any(pathlib.Path(train_dir(run_dir)).glob("*.index"))


def is_archive_name(path: str) -> bool:
    """Whether a file is an archive by its name, such as the .tar that Magenta publishes."""
    return bool(_ARCHIVE.search(path))


def checkpoint_prefix(path: str) -> str:
    """The prefix of a checkpoint that is named by its prefix or by one of its files.

    Raises:
      UserError: where there is no such checkpoint.
    """
    prefix = re.sub(r"\.(index|meta|data-\d{5}-of-\d{5})$", "", path)
    if not os.path.isfile(f"{prefix}.index"):
        raise UserError(f"{path}: no checkpoint; {prefix}.index does not exist")
    return prefix


def require_checkpoint(
    run_dir: str | None, checkpoint_file: str | None, new_run_dir: bool = False
) -> None:
    """Raises UserError where there can be no checkpoint, by the names of files alone.

    A job asks this before it imports TensorFlow, which takes some ten seconds. What the files
    contain is left to `checkpoints.find`.

    Args:
      run_dir, checkpoint_file, new_run_dir: as `checkpoints.find` takes them.
    """
    checkpoint_file = named_checkpoint(run_dir, checkpoint_file)
    for path in filter(None, (run_dir, checkpoint_file)):
        if _URL.match(path):
            raise UserError(
                f"{path} is a URL; download it (for example with curl -LO), then name the file here"
            )
    to_be_made = new_run_dir and checkpoint_file and not os.path.exists(run_dir or "")
    if run_dir and not to_be_made:
        require_folder(run_dir)
    named = checkpoint_file or run_dir
    if not named:
        raise UserError("give --run_dir or --checkpoint_file")
    if os.path.isdir(named):
        places = (glob.escape(place) for place in (train_dir(named), named))
        if not any(glob.glob(os.path.join(place, "*.index")) for place in places):
            raise no_checkpoint(named)
    elif not os.path.isfile(named):
        if is_archive_name(named):
            raise UserError(f"{named}: no such file; check the path, or download it first")
        checkpoint_prefix(named)


def require_folder(run_dir: str) -> None:
    """Raises UserError where a run's folder does not exist, with the nearest that do."""
    if os.path.isdir(run_dir):
        return
    beside, name = os.path.split(os.path.normpath(run_dir))
    there = glob.glob(os.path.join(glob.escape(beside), "*", ""))
    names = [os.path.basename(os.path.dirname(folder)) for folder in there]
    hint = did_you_mean(name, names, os.path.join(beside, ""))
    raise UserError(f"{run_dir}: no such run folder{hint}")


def no_checkpoint(folder: str) -> UserError:
    """The error for a folder without a complete checkpoint."""
    return UserError(f"{folder}: no checkpoint in it; train first, or name --checkpoint_file")


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


def require_free(run_dir: str | os.PathLike) -> None:
    """Raises UserError where another job is training in a run folder; `training` locks it.

    A job asks this before it imports TensorFlow, which takes some ten seconds.
    """
    path = pathlib.Path(run_dir, _LOCK)
    with contextlib.suppress(OSError), path.open("r+", encoding="utf-8", errors="replace") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _taken(path, lock) from None


def _taken(path: pathlib.Path, lock: IO[str]) -> UserError:
    """The error for a lock that another job holds, which has written its process into it."""
    lock.seek(0)
    process = lock.read(20).strip()
    who = f" (process {process})" if process.isdecimal() else ""
    return UserError(
        f"another job{who} is training in {path.parent}; wait for it to end, or name another "
        "--run_dir"
    )


def _open_lock(path: pathlib.Path, stack: contextlib.ExitStack) -> IO[str]:
    """Opens and locks the file; `stack` closes it, which lets go of the lock."""
    while True:
        lock = stack.enter_context(path.open("a+", encoding="utf-8", errors="replace"))
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _taken(path, lock) from None
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
    metadata = read_any(run_dir)
    if metadata and metadata["kind"] != kind:
        folder = _find(run_dir).parent  # type: ignore[union-attr]
        raise UserError(
            f"{folder} is a run of {metadata['kind']}, not of {kind}; name another --run_dir"
        )
    return metadata


def read_checked(
    run_dir: str | os.PathLike, kind: str, check: Callable[[dict[str, Any]], bool]
) -> dict[str, Any]:
    """Reads run.json, and checks that it has what the system wrote.

    Args:
      run_dir, kind: as of `read`.
      check: whether all is there; it may raise KeyError, TypeError or ValueError where it is not.

    Returns:
      What run.json says; {} where there is none.

    Raises:
      UserError: where it is damaged, or of another kind of run.
    """
    found = read(run_dir, kind)
    if not found:
        return {}
    try:
        sound = check(found)
    except (KeyError, TypeError, ValueError):
        sound = False
    if not sound:
        raise damaged(run_dir)
    return found


def read_any(run_dir: str | os.PathLike) -> dict[str, Any]:
    """Reads run.json, whatever system the run is of, which it says under "kind".

    Returns:
      What run.json says; {} where there is none.

    Raises:
      UserError: where run.json is damaged.
    """
    path = _find(run_dir)
    if path is None:
        return {}
    try:
        metadata = json.loads(files.read_regular(path, _MAX_BYTES).decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise UserError(
            f"{path}: not JSON ({error}); restore it, or move it away and train in another folder"
        ) from error
    if not isinstance(metadata, dict):
        raise UserError(f"{path}: not a JSON object; restore it, or train in another folder")
    metadata.setdefault("kind", _KIND_BEFORE)
    return metadata


def require(run_dir: str | os.PathLike, kind: str, command: str) -> None:
    """Raises UserError where a folder has no run.json of this kind.

    Args:
      run_dir: the run folder.
      kind: the name of the system that reads it.
      command: the command that makes such a run, for the message.
    """
    if not read(run_dir, kind):
        raise UserError(
            f"{run_dir} has no {METADATA}: no run of {kind} is there; ./run.sh {command} makes one"
        )


def damaged(run_dir: str | os.PathLike) -> UserError:
    """What to tell where run.json lacks what its system wrote."""
    path = os.path.join(run_dir, METADATA)
    return UserError(f"{path} is damaged; restore it, or train in another folder")


def require_same(
    run_dir: str | os.PathLike,
    before: Mapping[str, Any],
    settings: Mapping[str, Any],
    hashes: Iterable[str] = ("records",),
) -> None:
    """Checks that a run goes on as it was begun.

    Args:
      run_dir: the run's folder.
      before: what its run.json says; {} where there is none.
      settings: what has to be the same.
      hashes: names of settings whose values tell nobody anything.

    Raises:
      UserError: where a setting is another, or there are checkpoints of nobody knows what.
    """
    if not before:
        named = os.path.exists(os.path.join(train_dir(run_dir), "checkpoint"))
        if named or has_checkpoint(run_dir):
            # They would be taken for this run's, and replaced.
            raise UserError(f"{run_dir} has checkpoints but no {METADATA}; name another --run_dir")
        return
    other = [name for name, value in settings.items() if before.get(name) != value]
    if other:
        told = ", ".join(f"{name} {before.get(name)}" for name in other if name not in hashes)
        raise UserError(
            f"{run_dir} was begun with another {' and '.join(other)}{told and f' ({told})'}; "
            "name another --run_dir"
        )


def is_trained(run_dir: str | os.PathLike, before: Mapping[str, Any]) -> bool:
    """Whether the training of a run is over, which is said.

    Args:
      run_dir: the run's folder.
      before: what its run.json says; {} where there is none.
    """
    trained = before.get("finished") is True
    if trained:
        say(f"{run_dir} is trained; nothing left to do")
    return trained


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
    if folder.name in (_TRAIN, BEST):
        places.append(folder.parent)
    return next((place / METADATA for place in places if (place / METADATA).is_file()), None)


def provenance(packages: Iterable[str]) -> dict[str, Any]:
    """The versions that a run is trained with: of Python, of packages and of this checkout."""
    versions = {package: importlib.metadata.version(package) for package in packages}
    return {
        "versions": {"python": platform.python_version(), **versions},
        "code": checkout.commit(),
    }
