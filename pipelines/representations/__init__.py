"""Representations: music to arrays and back, one file for each, behind one contract.

A file that exports REPRESENTATIONS, a dict from converter classes to subclasses of
`contract.Representation`, is found without being named anywhere. A user's file of configs may
export the same dict. A converter class that is defined elsewhere names its representation in its
class attribute `representation`.
"""

import functools
import sys
from typing import TYPE_CHECKING

from pipelines.runtime.registry import modules_of

if TYPE_CHECKING:
    # It imports TensorFlow and Magenta, which the tokens of tunes and the titles do not need.
    from pipelines.representations.contract import Representation


def of(converter) -> "Representation":
    """The representation of a config's converter, by its class or the nearest class above that.

    Args:
      converter: a `magenta.models.music_vae.data.BaseNoteSequenceConverter`.
    """
    registered = _registered()
    for cls in type(converter).__mro__:
        found = vars(cls).get("representation") or registered.get(cls)
        if found:
            return found(converter)
    raise TypeError(f"{type(converter).__name__} is not a converter of Magenta's")


@functools.cache
def _registered() -> "dict[type, type[Representation]]":
    """Representations by the classes of their converters."""
    found: dict[type, type[Representation]] = {}
    for module in modules_of(sys.modules[__name__]):
        for cls, representation in getattr(module, "REPRESENTATIONS", {}).items():
            if cls in found:
                raise ValueError(f"two representations are given for {cls.__name__}")
            found[cls] = representation
    return found
