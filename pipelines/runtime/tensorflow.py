"""Starts TensorFlow in a job and hides what it prints while it is imported.

TensorFlow 2.21 writes a dozen lines to stderr whenever it is imported (instruction sets, missing
CUDA), before its log level has any effect, so TF_CPP_MIN_LOG_LEVEL does not stop them.
"""

import contextlib
import os
import re
import sys
import tempfile
import warnings
from collections.abc import Iterator

from pipelines.runtime import magenta_compat

_GREETING = re.compile(
    rb"WARNING: All log messages before absl::InitializeLog"
    rb"|[IW]0000 "
    rb"|E0000 .*failed call to cuInit"
    rb"|To enable the following instructions"
    # pydub looks for ffmpeg when note_seq imports it; nothing here reads audio.
    rb"|.*Couldn't find ffmpeg or avconv"
)

# Notices that say nothing to users: Magenta uses deprecated functions of TensorFlow 1, and logs the
# sampling schedule of every model that is not being trained.
_NOTICE = re.compile("deprecated|^Setting non-training sampling schedule")


def load(with_magenta: bool = True) -> None:
    """Imports TensorFlow and Magenta's data modules, and does not look for devices yet.

    A process may fork after this call, because CUDA works only in the process that looked for
    devices.

    Args:
      with_magenta: whether to import Magenta's modules too, which takes seconds.
    """
    with _without_greetings():
        import tensorflow.compat.v1  # noqa: F401

        if with_magenta:
            magenta_compat.apply()


def start(level: str, with_magenta: bool = True) -> None:
    """Imports TensorFlow for a job, and Magenta's data modules with it.

    Args:
      level: the lowest level of TensorFlow's messages to show from now on, e.g. "WARN".
      with_magenta: as `load` takes it.
    """
    load(with_magenta)
    import tensorflow.compat.v1 as tf

    with _without_greetings():
        # TensorFlow prints such lines while it looks for devices, too.
        tf.config.list_physical_devices()
    tf.logging.set_verbosity(level)
    # Magenta's calls give some fifty notices of this kind.
    warnings.filterwarnings("ignore", ".*is deprecated and will be removed", module="magenta")
    tf.get_logger().addFilter(lambda record: not _NOTICE.search(record.getMessage()))


@contextlib.contextmanager
def _without_greetings() -> Iterator[None]:
    """Holds back what Python and C++ write to stderr, and passes on all lines but greetings."""
    sys.stderr.flush()
    real = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(real, 2)
            os.close(real)
            held.seek(0)
            for line in held:
                if not _GREETING.match(line):
                    os.write(2, line)
