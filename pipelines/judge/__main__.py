"""Judges tunes: copied? in rhythm? in its mode? in form? a melody?

  judge FILE...     verdicts on tunes, with the bars that they rest on
  judge learn       makes a judge from people's tunes; one comes with the project

./run.sh judge --help and ./run.sh judge learn --help show the flags, with an example.
"""

import runpy
import sys


def main() -> None:
    """Runs the program that the first argument names: `learn`, or else the judge."""
    name = "verdicts"
    if sys.argv[1:2] == ["learn"]:
        name = "learn"
        del sys.argv[1]
    # A program of its own: only its flags are defined.
    runpy.run_module(f"pipelines.judge.commands.{name}", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
