"""Tries a sound font where a crash does no harm: the synthesiser's C code trusts its numbers.

A byte of a font that is wrong can end the whole process, with all that it has not written yet. So a
font that a user names is loaded, and each of its presets played, in a process of its own first.
"""

import functools
import importlib.util
import subprocess
import sys

from pipelines.runtime.app import UserError

_SECONDS = 60
# Every fourth pitch of a preset at once, for a moment: nearly all that crash do so when they are
# loaded. What a font lacks, or the synthesiser refuses, it says by an exception, and says it again
# when the font is used.
_TRIAL = """
import sys, tinysoundfont
synth = tinysoundfont.Synth(samplerate=44100)
try:
    font = synth.sfload(sys.argv[1], max_voices=256)
except Exception:
    sys.exit(0)
for bank, program in [(128, 0), *((0, program) for program in range(128))]:
    try:
        synth.program_select(0, font, bank, program, bank == 128)
    except Exception:
        continue
    for pitch in range(0, 128, 4):
        synth.noteon(0, pitch, 100)
    synth.generate(256)
    synth.sounds_off(0)
"""


@functools.cache
def require_harmless(path: str) -> None:
    """Raises UserError for a sound font that the synthesiser crashes on, or never ends reading.

    Fonts that it refuses by itself pass.
    """
    if importlib.util.find_spec("tinysoundfont") is None:
        return
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-c", _TRIAL, path],
            check=False,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise UserError(
            f"{path}: the synthesiser takes over {_SECONDS} s to try this sound font; name "
            "another with --sound_font"
        ) from None
    if done.returncode < 0:  # It was ended by a signal.
        raise UserError(
            f"{path}: damaged: the synthesiser crashes on this sound font; name another with "
            "--sound_font"
        )
