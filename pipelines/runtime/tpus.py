"""TPUs of this machine: whether TensorFlow can use one, and its start."""

import glob
import importlib.util

from pipelines.runtime.app import UserError

# What the drivers of Cloud TPU VMs make: before v5e, and since.
_DEVICES = ("/dev/accel[0-9]*", "/dev/vfio/[0-9]*")


def require() -> None:
    """Checks, without TensorFlow, that there is a TPU and what TensorFlow needs for it.

    Raises:
      UserError: where something is missing; it says what to do.
    """
    if not any(map(glob.glob, _DEVICES)):
        raise UserError(
            "--strategy=tpu: no TPU here (neither /dev/accel0 nor /dev/vfio/0); run it on a TPU "
            "VM, or the same step on a CPU or GPU by --strategy=compiled"
        )
    if importlib.util.find_spec("libtpu") is None:
        raise UserError(
            "--strategy=tpu: this TensorFlow is without libtpu, which drives the TPU; install "
            "tensorflow-tpu in its place as docs/devices.md says"
        )


def start() -> None:
    """Starts the TPU for the sessions of this process. Call it before the first of them.

    Raises:
      UserError: where TensorFlow cannot start it.
    """
    import tensorflow.compat.v1 as tf

    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver(tpu="local")
        tf.tpu.experimental.initialize_tpu_system(resolver)
    except tf.errors.OpError as error:
        raise UserError(
            f"--strategy=tpu: TensorFlow {tf.version.VERSION} cannot start the TPU "
            f"({type(error).__name__}); see that no other process uses it, and docs/devices.md"
        ) from error
