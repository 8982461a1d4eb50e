"""What of an installation works and what does not: the findings of `./run.sh doctor`.

The modules here use nothing but Python's own library, and look at other packages in processes of
their own: they must work where a part of the environment is missing or broken.
"""

import pathlib
from typing import NamedTuple

ROOT = pathlib.Path(__file__).resolve().parents[2]

# From good to bad. A note is about something optional.
OK, NOTE, WARNING, ERROR = "ok", "note", "warning", "error"


class Finding(NamedTuple):
    """What was looked at, and what to do about it.

    Attributes:
      name: what was looked at.
      status: OK, NOTE, WARNING (works, but not as it might) or ERROR (some job cannot work).
      found: what is there, in one line.
      advice: what to do, in one line; "" where there is nothing to do.
    """

    name: str
    status: str
    found: str
    advice: str = ""


def without_home(path: str | pathlib.Path) -> str:
    """A path for a report that is published: the home folder, which names the user, is "~"."""
    home = str(pathlib.Path.home())
    return str(path).replace(home, "~") if home != "/" else str(path)


def size(number: float) -> str:
    """Bytes as people read them: "3.1 GB"."""
    return f"{number / 1e9:.1f} GB"
