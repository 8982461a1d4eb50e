"""Music with another sound, each beside a truth to measure it by.

  style render       NoteSequence records to audio, in pairs of two sounds where asked
  style sounds       lists the sound fonts that are found, and the presets of one
  style reconstruct  sound to a spectrogram and back, to hear what that keeps

./run.sh style COMMAND --help shows the flags of each, with an example.
"""

import runpy
import sys

from pipelines.runtime import app
from pipelines.runtime.nearest import did_you_mean

COMMANDS = ("render", "sounds", "reconstruct")


def main() -> None:
    """Runs the command that the first argument names."""
    name = sys.argv[1] if len(sys.argv) > 1 else "help"
    if name in ("help", "-h", "-help", "--help"):
        with app.ending():
            print(__doc__)
        return
    if name not in COMMANDS:
        print(
            f"error: style has no command {name!r}; it has {', '.join(COMMANDS)}"
            f"{did_you_mean(name, COMMANDS)} (./run.sh style --help)",
            file=sys.stderr,
        )
        sys.exit(2)  # as run.sh for a command that does not exist
    del sys.argv[1]
    # A command is a program of its own: only its flags are defined.
    runpy.run_module(
        f"pipelines.systems.style.commands.{name}", run_name="__main__", alter_sys=True
    )


if __name__ == "__main__":
    main()
