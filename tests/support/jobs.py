"""The commands of the project, each run in a process of its own."""

import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]


def job(verb: str, *arguments, **kwargs) -> subprocess.CompletedProcess:
    """Runs a job of the project in a process of its own, as run.sh does."""
    return subprocess.run(
        [sys.executable, "-m", f"pipelines.{verb}", *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        **kwargs,
    )


def without_tensorflow(module: str, *arguments, cwd) -> subprocess.CompletedProcess:
    """Runs a module of the project in a process that fails when it imports TensorFlow."""
    code = (
        "import runpy, sys\n"
        "sys.modules['tensorflow'] = None\n"
        f"runpy.run_module({module!r}, run_name='__main__', alter_sys=True)\n"
    )
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )


def error_of(done: subprocess.CompletedProcess) -> str:
    """The one line that a job ends with on bad input; fails where it is otherwise."""
    assert done.returncode == 1, done.stderr
    assert not done.stdout and "Traceback" not in done.stderr
    *_, line = done.stderr.splitlines()
    assert line.startswith("error: ")
    return line
