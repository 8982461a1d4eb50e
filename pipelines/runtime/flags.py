"""Reading the values of absl's flags."""

import math
import os
from typing import Any

from absl import flags

from pipelines.runtime.app import UserError


def path_flag(name: str) -> str | None:
    """The value of a flag that is a path or a pattern; a leading ~, if quoted, is expanded here."""
    value = _value(name)
    return value and os.path.expanduser(value)


def required_path_flag(name: str) -> str:
    """As `path_flag`, for a flag that the job requires (`app.run`)."""
    return os.path.expanduser(_value(name))


def path_flags(name: str) -> list[str]:
    """The values of a flag that may be given several times, each expanded as by `path_flag`."""
    return [os.path.expanduser(value) for value in _value(name) if value]


def require_finite(*names: str) -> None:
    """Raises UserError if the number in one of these flags is infinite or NaN."""
    for name in names:
        value = _value(name)
        if value is not None and not math.isfinite(value):
            raise UserError(f"--{name}={value}: must be a finite number")


def _value(name: str) -> Any:
    return flags.FLAGS[name].value
