"""Which commit this checkout is. Python's own library alone, because `doctor` needs it too."""

import os
import subprocess


def commit(digits: int = 40) -> str | None:
    """The commit of this checkout, marked "dirty" where files differ; None outside of git.

    Args:
      digits: how many digits of its hash.
    """
    here = os.path.dirname(os.path.abspath(__file__))
    try:
        done = subprocess.run(
            ["git", "-C", here, "describe", "--always", "--dirty", f"--abbrev={digits}"],
            capture_output=True,
            text=True,
            timeout=20,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None
