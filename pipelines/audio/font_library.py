"""Sound fonts by name: the one that the package pretty_midi brings, and those of the system.

Debian and Ubuntu have several by apt: fluid-soundfont-gm (FluidR3_GM), fluidr3mono-gm-soundfont
(FluidR3Mono_GM), musescore-general-soundfont-small (MuseScore_General_Lite) and
avldrums.lv2-soundfont (Black_Pearl_4_LV2 and Red_Zeppelin_4_LV2, two drum kits).
"""

import os
import pathlib
import re
from typing import NamedTuple

from pipelines.audio import presets, synthesis
from pipelines.audio.presets import Preset
from pipelines.runtime.app import UserError
from pipelines.runtime.nearest import PART, did_you_mean

# Where distributions put sound fonts: Debian, Arch and Fedora, and a user's own.
_FOLDERS = (
    "/usr/share/sounds/sf2",
    "/usr/share/sounds/sf3",
    "/usr/share/soundfonts",
    "/usr/local/share/sounds/sf2",
    "/usr/local/share/soundfonts",
    "~/.local/share/sounds/sf2",
    "~/.local/share/soundfonts",
)
_ENDINGS = (".sf2", ".sf3")
# Fonts of drums alone whose presets are in bank 0. Their drums have the pitches of General MIDI.
_DRUM_FONTS = ("black_pearl", "red_zeppelin")
_PACKAGES = {
    "fluidr3_gm": "fluid-soundfont-gm",
    "fluidr3mono_gm": "fluidr3mono-gm-soundfont",
    "musescore_general": "musescore-general-soundfont-small",
    "musescore_general_lite": "musescore-general-soundfont-small",
    "black_pearl_4_lv2": "avldrums.lv2-soundfont",
    "red_zeppelin_4_lv2": "avldrums.lv2-soundfont",
}


class Sound(NamedTuple):
    """A preset of a sound font.

    Attributes:
      font: the name of the font's file without its ending.
      path: the font's file.
      preset: what plays.
    """

    font: str
    path: str
    preset: Preset

    @property
    def name(self) -> str:
        """FONT:PRESET, the same wherever the font lies."""
        return f"{self.font}:{self.preset.name}"


def fonts() -> dict[str, str]:
    """The sound fonts that are found by name, and their files; in the order of their names."""
    found = {}
    for folder in _FOLDERS:
        for path in sorted(pathlib.Path(folder).expanduser().glob("*")):
            if path.suffix.lower() in _ENDINGS and path.is_file():
                found.setdefault(path.stem, os.fspath(path))
    try:
        ours = synthesis.find_sound_font()
        found[pathlib.Path(ours).stem] = ours
    except UserError:  # The package is missing; the others may do.
        pass
    return dict(sorted(found.items(), key=lambda item: item[0].lower()))


def find_font(name: str) -> str:
    """The file of a sound font.

    Args:
      name: a path, or the name of a font of `fonts` in whatever case.

    Raises:
      UserError: where there is none.
    """
    if os.path.isfile(path := os.path.expanduser(name)):
        return path
    known = fonts()
    for each, path in known.items():
        if each.lower() == name.lower():
            return path
    package = _PACKAGES.get(name.lower())
    fix = (
        f"; on Debian: apt install {package}" if package else did_you_mean(name, known, least=PART)
    )
    raise UserError(
        f"no sound font {name!r}: it is no file, and not in the folders of sound fonts{fix} "
        "(./run.sh style sounds lists what there is)"
    )


def presets_of(path: str) -> list[Preset]:
    """The presets of a sound font; see `presets.read`."""
    return presets.read(path, pathlib.Path(path).name.lower().startswith(_DRUM_FONTS))


def find_sound(text: str) -> Sound:
    """The sound that FONT:PRESET names.

    Args:
      text: FONT is a path or a name, PRESET a name or bank:program. A font of one preset needs no
        PRESET.

    Raises:
      UserError: where there is no such font or preset, or the font is damaged.
    """
    font, preset = text, ""
    if not os.path.isfile(os.path.expanduser(text)):
        match = re.fullmatch(r"(.*?):(\d+:\d+|[^:]+)", text)
        font, preset = (match[1], match[2]) if match else (text, "")
    path = find_font(font)
    found = presets.find(presets_of(path), preset.strip(), font)
    return Sound(pathlib.Path(path).stem, os.path.abspath(path), found)
