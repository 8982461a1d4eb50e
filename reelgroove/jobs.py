"""What runs in a process of its own: conversion, training, and titles for tunes.

Their flags are those of the commands, given as keywords: `num_shards=2`, `overwrite=True`,
`hparams={"batch_size": 32}`.
"""

import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from absl import flags as absl_flags

import pipelines
from pipelines.music.note_sequence import NoteSequence
from pipelines.records import manifest, tfrecord
from pipelines.runtime.app import UserError
from reelgroove.music import pieces_of

Path = str | os.PathLike[str]

_ROOT = pathlib.Path(pipelines.__file__).resolve().parents[1]
_LINES_KEPT = 20
# Flags that are given once for each value; other lists are one flag, with commas between values.
_REPEATED = ("input", "taken")
# As in run.sh: note_seq imports pydub, which warns of these.
_PYTHONWARNINGS = (
    "ignore:Couldn't find ffmpeg or avconv:RuntimeWarning,ignore:invalid escape sequence"
)


class Match(NamedTuple):
    """A title for a tune.

    Attributes:
      title: as it is written.
      score: the higher, the better; no probability (`titles match` says what it is).
      exists: whether a tune of that title is known already.
    """

    title: str
    score: float
    exists: bool


def convert(
    corpus: str, paths: Path | Iterable[Path], output: Path, **flags: Any
) -> dict[str, Any]:
    """Converts a corpus to records.

    Args:
      corpus: its name, such as "groove", "abc" or "midi".
      paths: where it is: a folder, a zip or a file, or several.
      output: the folder for the records.
      **flags: other flags of `./run.sh convert`, such as labels="styles.csv".

    Returns:
      The manifest: what was read, kept and rejected, and the records of each split.

    Raises:
      Error: for an unknown corpus, unusable paths or output, or if nothing was kept.
    """
    inputs = [paths] if isinstance(paths, str | os.PathLike) else list(paths)
    given = {"corpus": corpus, "input": inputs, "output": output, **flags}
    return json.loads(_run("pipelines.convert", given))


def train(
    config: str,
    examples: Path,
    run_dir: Path,
    num_steps: int,
    hparams: Mapping[str, Any] | str = "",
    **flags: Any,
) -> str:
    """Trains a model, or trains it further.

    Ctrl-C, the stop button of a notebook, ends it; the same call goes on from its last checkpoint.

    Args:
      config: its name; `./run.sh configs` lists them.
      examples: a folder of records, of which the train split is taken, or a pattern of files.
      run_dir: the folder of the run.
      num_steps: the training step at which it ends.
      hparams: changed hparams, such as {"batch_size": 32}.
      **flags: other flags of `./run.sh train`.

    Returns:
      `run_dir`, for `load`.

    Raises:
      Error: for an unknown config, examples that do not fit it, or a folder of another run.
    """
    pattern = os.path.expanduser(examples)
    if os.path.isdir(pattern):
        pattern = manifest.split_pattern(pattern, "train")
    if not isinstance(hparams, str):
        hparams = ",".join(f"{name}={_hparam(value)}" for name, value in hparams.items())
    given = {"config": config, "examples_path": pattern, "run_dir": run_dir}
    _run("pipelines.train", {**given, "num_steps": num_steps, "hparams": hparams, **flags})
    return os.path.expanduser(run_dir)


def match(
    run_dir: Path,
    pieces: NoteSequence | Path | Iterable[NoteSequence | Path],
    top_k: int = 10,
    **flags: Any,
) -> list[list[Match]]:
    """Finds titles that fit tunes.

    Args:
      run_dir: a run of `./run.sh titles train`.
      pieces: tunes as NoteSequences or paths; a tunebook is all of its tunes.
      top_k: how many titles for each.
      **flags: other flags of `./run.sh titles match`, such as titles="ideas.txt".

    Returns:
      For each tune its titles, the best first; none for a tune without a melody.

    Raises:
      Error: for a run that is not of titles, or pieces that cannot be read.
    """
    tunes = pieces_of(pieces)
    with tempfile.TemporaryDirectory() as folder:
        records = pathlib.Path(folder, "tunes.tfrecord")
        with open(records, "wb") as file:
            for tune in tunes:
                tfrecord.write_record(file, tune.SerializeToString())
        given = {"records": records, "run_dir": run_dir, "top_k": top_k, **flags}
        found = json.loads(_run("reelgroove.titles", given))
    return [[Match(*each) for each in titles] for titles in found]


def _hparam(value: Any) -> str:
    """A value as Magenta's hparams are written: without spaces."""
    return str(value).replace(" ", "")


def _flags(given: Mapping[str, Any]) -> list[str]:
    """Keywords as flags; None is left out, and a list is as its flag takes several values."""
    written = []
    for name, value in given.items():
        if isinstance(value, bool):
            written.append(f"--{name}" if value else f"--no{name}")
        elif isinstance(value, list | tuple) and name in _REPEATED:
            written += [f"--{name}={each}" for each in value]
        elif isinstance(value, list | tuple):
            # Quotes a value that has a comma in it, as absl reads such flags.
            joined = absl_flags.CsvListSerializer(",").serialize(list(value))
            written.append(f"--{name}={joined}")
        elif value is not None:
            written.append(f"--{name}={value}")
    return written


def _run(module: str, given: Mapping[str, Any]) -> str:
    """Runs a command, shows its progress, and returns what it prints.

    Raises:
      Error: with the line that it ends with on bad input.
      RuntimeError: where it fails otherwise, with its last lines.
    """
    environment = {
        **os.environ,
        "PYTHONPATH": _joined(str(_ROOT), "PYTHONPATH", os.pathsep),
        "PYTHONWARNINGS": _joined(_PYTHONWARNINGS, "PYTHONWARNINGS", ","),
        "PYTHONUNBUFFERED": "1",
    }
    process = subprocess.Popen(
        [sys.executable, "-m", module, *_flags(given)],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    )
    assert process.stdout and process.stderr
    results: list[str] = []
    reader = threading.Thread(target=lambda out: results.append(out.read()), args=(process.stdout,))
    reader.start()
    last: deque[str] = deque(maxlen=_LINES_KEPT)
    try:
        for line in process.stderr:
            last.append(line)
            if not line.startswith("error: "):
                print(line, end="", file=sys.stderr, flush=True)
        status = process.wait()
    except BaseException:
        _end(process)
        raise
    finally:
        reader.join()
        process.stdout.close()
        process.stderr.close()
    if not status:
        return results[0]
    if last and last[-1].startswith("error: "):
        raise UserError(last[-1].removeprefix("error: ").strip())
    raise RuntimeError(f"{module} ended with status {status}:\n{''.join(last)}")


def _joined(first: str, variable: str, separator: str) -> str:
    """A variable of the environment for a command, with the project's own value before its value.

    The project's packages come first, and the user's filters of warnings count more than its own.
    """
    return separator.join(filter(None, [first, os.environ.get(variable)]))


def _end(process: subprocess.Popen[str]) -> None:
    """Ends a process that was probably interrupted together with this one.

    Terminals and Jupyter send an interrupt to all processes of a group; a second one would disturb
    what the first one ends in order.
    """
    for seconds, then in ((1, signal.SIGINT), (30, signal.SIGTERM), (10, signal.SIGKILL)):
        try:
            process.wait(seconds)
            return
        except subprocess.TimeoutExpired:
            process.send_signal(then)
    process.wait()
