"""Titles for tunes, and tunes for titles.

  titles train      learns from NoteSequence records which titles fit which tunes
  titles evaluate   measures that on held-out records, beside baselines
  titles match      names a tune: titles that fit a MIDI file or a tunebook
  titles search     finds tunes that fit a title or other words

./run.sh titles COMMAND --help shows the flags of each, with an example.
"""

import runpy
import sys

from pipelines.runtime import app
from pipelines.runtime.nearest import did_you_mean

COMMANDS = ("train", "evaluate", "match", "search")


def main() -> None:
    """Runs the command that the first argument names."""
    name = sys.argv[1] if len(sys.argv) > 1 else "help"
    if name in ("help", "-h", "-help", "--help"):
        with app.ending():
            print(__doc__)
        return
    if name not in COMMANDS:
        print(
            f"error: titles has no command {name!r}; it has {', '.join(COMMANDS)}"
            f"{did_you_mean(name, COMMANDS)} (./run.sh titles --help)",
            file=sys.stderr,
        )
        sys.exit(2)  # as run.sh for a command that does not exist
    del sys.argv[1]
    # A command is a program of its own: only its flags are defined.
    runpy.run_module(
        f"pipelines.systems.titles.commands.{name}", run_name="__main__", alter_sys=True
    )


if __name__ == "__main__":
    main()
