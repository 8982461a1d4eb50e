"""Python, the environment `.venv`, and its packages beside the lock."""

import importlib.metadata
import platform
import re
import sys
from collections.abc import Iterator

from pipelines.health import ERROR, NOTE, OK, ROOT, WARNING, Finding, without_home

SUPPORTED = ((3, 11), (3, 13))
ANEW = "remove the folder .venv and give any command: ./run.sh makes it anew"
_MORE = 6  # Names in a line.


def look() -> Iterator[Finding]:
    """Python, `.venv` and the packages."""
    yield python()
    yield virtual_environment()
    yield skipped("packages") or packages()


def skipped(name: str) -> Finding | None:
    """The finding in place of others where another Python than that of `.venv` runs this.

    Its packages are not the project's, and a published report should not list them.

    Args:
      name: what is not looked at.

    Returns:
      None where `.venv` runs this.
    """
    venv = ROOT / ".venv"
    if not venv.exists():
        return Finding(
            name, NOTE, "not looked at: .venv is not made yet", "./run.sh configs makes it"
        )
    if not venv.samefile(sys.prefix):
        return Finding(name, NOTE, "not looked at: another Python runs this", "see .venv")
    return None


def python() -> Finding:
    """The interpreter that runs this."""
    found = f"{platform.python_version()} ({without_home(sys.executable)})"
    if SUPPORTED[0] <= sys.version_info[:2] <= SUPPORTED[1]:
        return Finding("Python", OK, found)
    return Finding(
        "Python",
        ERROR,
        found,
        "install Python 3.11, 3.12 or 3.13; PYTHON=/path/to/python3.12 ./run.sh ... names it",
    )


def virtual_environment() -> Finding:
    """Whether `.venv` is complete and made from this lock."""
    venv = ROOT / ".venv"
    stamp = venv / "installed.txt"
    if not venv.exists():
        return Finding(
            ".venv",
            ERROR,
            "not made yet",
            "give any command, such as ./run.sh configs: it makes it",
        )
    if not stamp.exists():
        return Finding(".venv", ERROR, "not finished, or not made by ./run.sh", ANEW)
    if stamp.read_bytes() != (ROOT / "requirements.txt").read_bytes():
        return Finding(
            ".venv",
            WARNING,
            "made from another requirements.txt",
            "give any command: ./run.sh makes it anew",
        )
    if not venv.samefile(sys.prefix):
        return Finding(
            ".venv", ERROR, f"its Python does not run; this is {without_home(sys.prefix)}", ANEW
        )
    return Finding(".venv", OK, "made from this requirements.txt")


def packages() -> Finding:
    """The packages that are missing, of another version than in the lock, or not in it."""
    locked = dict(_pins("requirements.txt"))
    missing, differing = [], []
    for name, version in locked.items():
        installed = installed_version(name)
        if installed is None:
            missing.append(name)
        elif installed != version:
            differing.append(f"{name} {installed} (not {version})")
    tools = dict(_pins("requirements-dev.txt"))
    more = [name for name in _installed() if name not in locked and name not in tools]
    good = len(locked) - len(missing) - len(differing)
    parts = [f"{good} of {len(locked)} as in requirements.txt"]
    for what, names in (
        ("missing", missing),
        ("other", differing),
        ("not in requirements.txt", more),
    ):
        if names:
            parts.append(f"{what}: {_few(names)}")
    found = "; ".join(parts)
    if missing or differing:
        return Finding("packages", ERROR, found, ANEW)
    if more:
        return Finding("packages", NOTE, found, "if a job fails, uninstall these and try again")
    return Finding("packages", OK, found)


def installed_version(name: str) -> str | None:
    """The version of an installed package; None where it is missing or has lost its metadata."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _installed() -> list[str]:
    """The names of the installed packages, but for pip itself and what CUDA consists of."""
    names = {
        _normal(name)
        for each in importlib.metadata.distributions()
        if (name := each.metadata["Name"])
    }
    return sorted(name for name in names - {"pip"} if not name.startswith("nvidia-"))


def _pins(lock: str) -> Iterator[tuple[str, str]]:
    """The packages of a lock that belong here, with their versions."""
    try:
        lines = (ROOT / lock).read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        pin = re.match(r"([\w.-]+)(?:\[[^]]*\])?==([^\s;]+)\s*(?:;\s*(.*))?$", line)
        if pin and (not pin[3] or _applies(pin[3], pin[1])):
            yield _normal(pin[1]), pin[2]


def _applies(marker: str, name: str) -> bool:
    """Whether a marker, such as "python_full_version >= '3.13'", is true of this Python."""
    try:
        from packaging.markers import Marker
    except ImportError:
        # Without the package that understands markers, what is not there is not missed.
        return installed_version(name) is not None
    return bool(Marker(marker).evaluate())


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _few(names: list[str]) -> str:
    more = f" and {len(names) - _MORE} more" if len(names) > _MORE else ""
    return ", ".join(names[:_MORE]) + more
