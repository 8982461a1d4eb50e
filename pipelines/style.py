"""Music with another sound, each beside a truth to measure it by.

  style render       NoteSequence records to audio, in pairs of two sounds where asked
  style sounds       lists the sound fonts that are found, and the presets of one
  style reconstruct  sound to a spectrogram and back, to hear what that keeps
  style separate     songs to drums and the rest
  style train_separator  the network of separate --method=net, on rendered sounds
  style train        a network that gives sounds of one folder the sound of another
  style convert      sound with the sound of a target
  style evaluate     how near that is to the true target, on pairs
  style demo         all of it on music that the project makes itself, in under five minutes

./run.sh style COMMAND --help shows the flags of each, with an example.
"""

from pipelines.runtime import programs

COMMANDS = (
    "render", "sounds", "reconstruct", "separate", "train_separator", "train", "convert",
    "evaluate", "demo",
)  # fmt: skip
# It uses corpora that stand above the system.
_ELSEWHERE = {"demo": "pipelines.demo.sounds"}


def main() -> None:
    """Runs the command that the first argument names."""
    programs.run("style", "pipelines.systems.style.commands", COMMANDS, __doc__ or "", _ELSEWHERE)


if __name__ == "__main__":
    main()
