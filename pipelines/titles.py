"""Titles for tunes, and tunes for titles.

  titles train      learns from NoteSequence records which titles fit which tunes
  titles evaluate   measures that on held-out records, beside baselines
  titles match      names a tune: titles that fit a MIDI file or a tunebook
  titles search     finds tunes that fit a title or other words

./run.sh titles COMMAND --help shows the flags of each, with an example.
"""

from pipelines.runtime import programs

COMMANDS = ("train", "evaluate", "match", "search")


def main() -> None:
    """Runs the command that the first argument names."""
    programs.run("titles", "pipelines.systems.titles.commands", COMMANDS, __doc__ or "")


if __name__ == "__main__":
    main()
