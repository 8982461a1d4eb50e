"""A config's encoder or decoder as JSON values, from which another process builds it."""

import inspect
from typing import Any

from magenta.models.music_vae import base_model

from pipelines.runtime.app import UserError


def plan(part: Any) -> Any:
    """Describes an encoder or decoder by Magenta's class and the arguments of its constructor.

    Args:
      part: a BaseEncoder or BaseDecoder, a class of either, or an argument of one.

    Returns:
      For an object {"module", "class", "arguments"}, for a class the same without arguments;
      everything else is as it was.

    Raises:
      UserError: for a class that is not made as Magenta's are.
    """
    if isinstance(part, list | tuple):
        return [plan(each) for each in part]
    if isinstance(part, type):
        return _name(part)
    if not isinstance(part, base_model.BaseEncoder | base_model.BaseDecoder):
        return part
    described = _name(type(part))
    cls = next(cls for cls in type(part).__mro__ if cls.__name__ == described["class"])
    # Magenta's constructors keep each argument in an attribute of its name with an underscore.
    names = [name for name in inspect.signature(cls).parameters if name not in ("args", "kwargs")]
    missing = [name for name in names if not hasattr(part, f"_{name}")]
    if missing:
        raise UserError(f"{cls.__name__} cannot be built elsewhere: it keeps no _{missing[0]}")
    return {**described, "arguments": {name: plan(getattr(part, f"_{name}")) for name in names}}


def _name(cls: type) -> dict[str, str]:
    """The class itself if it is Magenta's, else the nearest of its bases that is."""
    for each in cls.__mro__:
        if each.__module__.startswith("magenta.") and not inspect.isabstract(each):
            return {"module": each.__module__, "class": each.__name__}
    raise UserError(f"{cls.__name__} is made of none of Magenta's encoders and decoders")
