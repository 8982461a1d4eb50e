"""Reading the values of absl's flags."""

import math
import os

from absl import flags

from pipelines.runtime.app import UserError


def path_flag(name: str) -> str | None:
    """The value of a flag that is a path or a pattern; a leading ~, if quoted, is expanded here."""
    value = flags.FLAGS[name].value
    return value and os.path.expanduser(value)


def required_path_flag(name: str) -> str:
    """The value of a flag that is a path and that the job requires (`app.run`), as `path_flag`."""
    return os.path.expanduser(flags.FLAGS[name].value)


def path_flags(name: str) -> list[str]:
    """The values of a flag that may be given several times, each expanded as by `path_flag`."""
    return [os.path.expanduser(value) for value in flags.FLAGS[name].value if value]


def require_finite(*names: str) -> None:
    """Raises UserError if the number in one of these flags is infinite or NaN."""
    for name in names:
        value = flags.FLAGS[name].value
        if value is not None and not math.isfinite(value):
            raise UserError(f"--{name}={value}: must be a finite number")
