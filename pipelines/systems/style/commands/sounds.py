"""Lists the sound fonts that are found by name, or the presets of one.

A line for each font: its name, the number of its presets, its file. With a font (a name or a file),
a line for each preset: bank:program, drums or notes, its name. Fields are divided by tabs.

Examples:
  ./run.sh style sounds
  ./run.sh style sounds TimGM6mb
"""

from pipelines.audio import font_library
from pipelines.runtime import app
from pipelines.runtime.app import UserError, say
from pipelines.runtime.terminal import shown


def main(arguments: list[str]) -> None:
    """Runs the job."""
    if len(arguments) > 1:
        raise UserError(f"{' '.join(arguments)!r}: name one sound font, or none to list them all")
    if arguments:
        for each in font_library.presets_of(font_library.find_font(arguments[0])):
            kind = "drums" if each.is_drums else "notes"
            print(f"{each.bank}:{each.program}\t{kind}\t{shown(each.name)}")
        return
    for name, path in font_library.fonts().items():
        try:
            presets = font_library.presets_of(path)
        except (UserError, OSError) as error:
            say(f"left out: {error}")
            continue
        print(f"{shown(name)}\t{len(presets)}\t{shown(path)}")


if __name__ == "__main__":
    app.run(main, with_arguments=True)
