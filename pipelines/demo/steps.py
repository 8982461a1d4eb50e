"""The steps of a demo: each is a command that you would give yourself, shown before it runs."""

import shlex
import time
from typing import Any

from pipelines.demo import forked_jobs
from pipelines.runtime.app import UserError


def title(text: str) -> None:
    """Says what comes next."""
    print(f"\n== {text}", flush=True)


def job(
    name: str, *words: str, stdout: str | None = None, needed: bool = True, **arguments: Any
) -> None:
    """Shows the command of a job and runs it as `./run.sh` does.

    Args:
      name: its name.
      words: its arguments that are not flags.
      stdout: a file for its output; None shows it.
      needed: whether the demo ends if the job fails.
      arguments: its flags; None for those without a value.

    Raises:
      UserError: if a job that is needed fails.
    """
    given = [
        *words,
        *(
            f"--{flag}" if value is None else f"--{flag}={value}"
            for flag, value in arguments.items()
        ),
    ]
    print(f"$ ./run.sh {shlex.join([name, *given])}", flush=True)
    started = time.monotonic()
    failed = forked_jobs.run(name, given, stdout) != 0
    print(f"({name}: {time.monotonic() - started:.0f} s)", flush=True)
    if failed and needed:
        raise UserError(
            f"{name} failed; the lines above say why. To start afresh, remove the demo's folder"
        )
