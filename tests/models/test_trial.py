"""models.accelerated.trial: it finds a layout that a device lacks, or computes otherwise."""

import pytest

from pipelines.runtime import magenta_compat

magenta_compat.apply()

import tensorflow.compat.v1 as tf  # noqa: E402

from models.accelerated import cudnn, trial  # noqa: E402
from tests.support import cudnn_reference  # noqa: E402

CPU = "/device:CPU:0"


@pytest.fixture(autouse=True)
def graphs():
    tf.disable_v2_behavior()


@pytest.mark.parametrize("layout", ["loops", "xla"])
def test_a_layout_that_works_has_no_fault(layout):
    assert trial.fault(layout, CPU) is None


def test_cudnn_has_no_cpu():
    assert "CudnnRNNV3" in trial.fault("cudnn", CPU)


def test_a_device_that_is_not_there_is_a_fault():
    assert trial.fault("loops", "/device:GPU:99")


def test_arithmetic_like_cudnns_has_no_fault(monkeypatch):
    monkeypatch.setattr(tf.raw_ops, "CudnnRNNV3", cudnn_reference.cudnn_rnn_v3)
    assert trial.fault("cudnn", CPU) is None


def test_the_session_is_set_up_as_all_others_are(monkeypatch):
    """The first session decides which GPUs are opened, and whether all their memory is taken.

    A ConfigProto of its own would forget what `runtime.devices.use` chose by tf.config.
    """
    given, session = [], tf.Session

    def opened(*arguments, **named):
        made = session(*arguments, **named)
        given.append((arguments, named, made._config.allow_soft_placement))
        return made

    monkeypatch.setattr(tf, "Session", opened)
    before = tf.config.get_soft_device_placement()
    try:
        for soft in (True, False):
            tf.config.set_soft_device_placement(soft)
            assert "CudnnRNNV3" in trial.fault("cudnn", CPU)
            assert tf.config.get_soft_device_placement() == soft
    finally:
        tf.config.set_soft_device_placement(before)
    assert given == [((), {}, False)] * 2


def test_gates_in_another_order_are_a_fault(monkeypatch):
    """AMD's MIOpen answers to the same name, and has i, f, o, c'."""
    monkeypatch.setattr(tf.raw_ops, "CudnnRNNV3", cudnn_reference.cudnn_rnn_v3)
    monkeypatch.setattr(cudnn, "_reordered", lambda rows: rows)
    assert "apart from those of loops" in trial.fault("cudnn", CPU)
