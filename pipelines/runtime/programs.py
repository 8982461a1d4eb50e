"""Commands that have several programs: `./run.sh titles train`, `./run.sh style render`."""

import runpy
import sys
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from pipelines.runtime import app
from pipelines.runtime.nearest import did_you_mean


def run(
    command: str,
    package: str,
    names: Sequence[str],
    about: str,
    elsewhere: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Runs the program of a command that the first argument names.

    Args:
      command: the command, for messages.
      package: where its programs are: modules that are run as `__main__`.
      names: the programs.
      about: what `--help` says of the command.
      elsewhere: the modules of those of `names` that are not in the package.
    """
    name = sys.argv[1] if len(sys.argv) > 1 else "help"
    if name in ("help", "-h", "-help", "--help"):
        with app.ending():
            print(about)
        return
    if name not in names:
        print(
            f"error: {command} has no command {name!r}; it has {', '.join(names)}"
            f"{did_you_mean(name, names)} (./run.sh {command} --help)",
            file=sys.stderr,
        )
        sys.exit(2)  # as run.sh for a command that does not exist
    del sys.argv[1]
    # A program of its own: only its flags are defined.
    module = elsewhere.get(name, f"{package}.{name}")
    runpy.run_module(module, run_name="__main__", alter_sys=True)
