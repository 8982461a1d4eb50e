"""Changes to Magenta 2.1.4, without which it does not run on current packages.

`models` and `pipelines` import this module before any of their modules imports TensorFlow. Code
that imports Magenta's modules has to call `apply` before it uses them; `configs.get` does.

These are the changes, and what shows that one is no longer needed:

* Keras 2 (at import, below). Magenta subclasses TensorFlow 1 layers and cells, which TensorFlow
  2.16 and later build on Keras 2 only where tf-keras is installed and TF_USE_LEGACY_KERAS is set;
  otherwise `tf.layers` and `tf.nn.rnn_cell` are missing. TensorFlow reads the variable while it is
  being imported, so this change alone cannot wait for `apply`. It is needed as long as Magenta's
  TensorFlow 1 layers are used.
* `Dataset.unbatch` (`apply`). On TensorFlow 2.15 to 2.21 it ends the process with a segmentation
  fault on tensors with a zero-sized dimension, and Magenta's `get_dataset` unbatches control
  tensors of depth 0. It is needed until test_unbatch_still_crashes fails.
* `numpy.size` (`apply`). `data_hierarchical` asks it for the size of nested lists of arrays of
  unequal length, which NumPy refuses from 1.24 on. It is needed until
  test_ragged_size_still_raises fails.
* pyfluidsynth (at import, below). Where the variable CI is set it prints the library that it found
  to standard output, among the lines of `--json`; pretty_midi imports it wherever it is installed.
  It is needed as long as pyfluidsynth prints.
* Flags (`music_vae_train`). Importing the module defines absl flags whose names our jobs use too.
  It is needed as long as that module is imported.

The lock file has the packages that Magenta and note_seq need besides: NumPy 2 (`numpy.bool` is
back), setuptools (TensorFlow Probability imports distutils), audioop-lts on Python 3.13 (pydub
imports audioop).
"""

import contextlib
import functools
import importlib
import os
import sys
import types
from collections.abc import Iterator

_KERAS = "TF_USE_LEGACY_KERAS"

# Code that only reads records may run beside Keras 3, so that only `apply` raises an error.
_TOO_LATE = "tensorflow" in sys.modules and os.environ.get(_KERAS) not in ("1", "true", "True")
os.environ[_KERAS] = "1"

if _CI := os.environ.pop("CI", None):
    # Further imports find the module loaded, and print nothing.
    with contextlib.suppress(ImportError, OSError):
        import fluidsynth  # noqa: F401
    os.environ["CI"] = _CI


@functools.cache
def apply() -> None:
    """Changes Magenta's modules in this process; further calls do nothing.

    It imports Magenta's data modules, and TensorFlow with them. They may have been imported before.

    Raises:
      ImportError: if TensorFlow was imported with Keras 3 before this module was.
    """
    if _TOO_LATE:
        raise ImportError(
            f"import {__name__} before tensorflow, or set {_KERAS}=1: Magenta needs Keras 2"
        )
    from magenta.models.music_vae import data, data_hierarchical

    data.get_dataset = _with_safe_unbatch(data.get_dataset)
    data_hierarchical.hierarchical_pad_tensors = _with_sized_controls(
        data_hierarchical.hierarchical_pad_tensors
    )


def music_vae_train() -> types.ModuleType:
    """Returns `magenta.models.music_vae.music_vae_train`, changed, and with flags of its own.

    Its flags (`--run_dir`, `--config`, ...) go to a registry of the module's own and keep their
    defaults there, so that they neither collide with a job's flags nor see its command line. The
    module's `train` and `evaluate` take arguments and need no flags. As in Magenta's own program,
    call `tensorflow.compat.v1.disable_v2_behavior()` before them.
    """
    apply()
    name = "magenta.models.music_vae.music_vae_train"
    with _private_flags():
        return importlib.import_module(name)


def _with_safe_unbatch(get_dataset):
    """Wraps Magenta's `get_dataset`; the elements and their order stay the same."""
    import tensorflow as tf

    # TensorFlow 1's Dataset calls the unbatch of this class, so this changes both.
    dataset = tf.compat.v2.data.Dataset

    def unbatch(self, name=None):
        return self.flat_map(
            lambda *batch: dataset.from_tensor_slices(batch if len(batch) > 1 else batch[0]),
            name=name,
        )

    @functools.wraps(get_dataset)
    def wrapper(*args, **kwargs):
        # The change lasts only while Magenta builds its dataset: other code keeps TensorFlow's own.
        original = dataset.unbatch
        dataset.unbatch = unbatch
        try:
            return get_dataset(*args, **kwargs)
        finally:
            dataset.unbatch = original

    return wrapper


class _Sized(list):
    """A nested list of arrays with a `size`, so that `numpy.size` need not make an array of it."""

    @property
    def size(self) -> int:
        """The number of elements in all arrays together."""
        return sum(_Sized(item).size if isinstance(item, list) else item.size for item in self)


def _with_sized_controls(hierarchical_pad_tensors):
    """Wraps Magenta's `hierarchical_pad_tensors`: control tensors may be ragged."""

    @functools.wraps(hierarchical_pad_tensors)
    def wrapper(tensors, *args, **kwargs):
        controls = [_Sized(c) if isinstance(c, list) else c for c in tensors.controls]
        return hierarchical_pad_tensors(tensors._replace(controls=controls), *args, **kwargs)

    return wrapper


@contextlib.contextmanager
def _private_flags() -> Iterator[None]:
    """While this is active, `tf.app.flags` defines flags in a registry that nothing else sees."""
    import tensorflow.compat.v1 as tf
    from absl import flags

    values = flags.FlagValues()
    private = types.SimpleNamespace(FLAGS=values)
    for kind in ("string", "integer", "bool", "boolean", "float"):
        define = getattr(flags, f"DEFINE_{kind}")
        setattr(private, f"DEFINE_{kind}", functools.partial(define, flag_values=values))
    original = tf.app.flags
    tf.app.flags = private
    try:
        yield
    finally:
        tf.app.flags = original
        values.mark_as_parsed()
