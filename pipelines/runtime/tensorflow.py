"""Starts TensorFlow in a job without its greetings.

TensorFlow 2.21 writes a dozen lines to stderr whenever it is imported (instruction sets, CUDA that
is not there), before its log level has any effect, so TF_CPP_MIN_LOG_LEVEL does not stop them.
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

# Magenta is written in TensorFlow 1, and tells of every model outside training what it is fed with.
_NOTICE = re.compile("deprecated|^Setting non-training sampling schedule")


def load(with_magenta: bool = True) -> None:
    """Imports TensorFlow and Magenta's data modules, and does not look for devices yet.

    A process may fork after that: CUDA works only in the process that looked for the devices.

    Args:
      with_magenta: whether Magenta is wanted, which takes seconds.
    """
    with _without_greetings():
        import tensorflow.compat.v1  # noqa: F401

        if with_magenta:
            magenta_compat.apply()


def start(level: str, with_magenta: bool = True) -> None:
    """Imports TensorFlow for a job, and Magenta's data modules with it.

    Args:
      level: the least severe messages to show from now on, e.g. "WARN".
      with_magenta: as `load` takes it.
    """
    load(with_magenta)
    import tensorflow.compat.v1 as tf

    with _without_greetings():
        # The search for devices greets too.
        tf.config.list_physical_devices()
    tf.logging.set_verbosity(level)
    # Some fifty notices that its calls are deprecated.
    warnings.filterwarnings("ignore", ".*is deprecated and will be removed", module="magenta")
    tf.get_logger().addFilter(lambda record: not _NOTICE.search(record.getMessage()))


@contextlib.contextmanager
def _without_greetings() -> Iterator[None]:
    """Holds back what is written to stderr, by C++ too, and passes on what is no greeting."""
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
