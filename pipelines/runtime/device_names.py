"""The names in --devices, read without TensorFlow, whose import takes some ten seconds."""

import re

from pipelines.runtime.app import UserError


def read(text: str) -> list[str]:
    """The devices that `--devices` names, in upper case: CPU, GPU, or one of several as GPU:1.

    Args:
      text: names joined by commas; "" names none.

    Raises:
      UserError: for a name that is not of this form.
    """
    names = [name.strip().upper() for name in text.split(",")] if text else []
    for name in names:
        if not re.fullmatch(r"(CPU|GPU)(:\d+)?", name):
            raise UserError(
                f"--devices={text}: {name or 'nothing'} is not a device; write CPU, GPU or e.g. "
                "GPU:0,GPU:2"
            )
    return names
