"""How long steps wait for their batches."""

import time
import types

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from pipelines.systems.musicvae import input_wait, summaries


def reader(wait):
    """Stands in for Magenta's module: a batch takes `wait` seconds."""

    def slow(value):
        time.sleep(wait)
        return value

    def get_input_tensors(dataset, config):
        [batch] = [tf.numpy_function(slow, [np.float32(3)], tf.float32)]
        return {"input_sequence": batch, "control_sequence": None}

    return types.SimpleNamespace(_get_input_tensors=get_input_tensors)


def test_the_wait_is_that_for_the_batch():
    module = reader(0.2)
    original = module._get_input_tensors
    with tf.Graph().as_default(), tf.Session() as session:
        assert input_wait.seconds() is None
        with input_wait.measured(module):
            batch = module._get_input_tensors(None, None)["input_sequence"]
        wait = input_wait.seconds()
        for _ in range(2):
            began = time.monotonic()
            value, waited = session.run([batch, wait])
            assert value == 3
            assert 0.2 <= waited <= time.monotonic() - began
    assert module._get_input_tensors is original


def test_the_share_is_written_and_said(tmp_path, capsys, monkeypatch):
    """Of steps of 2 seconds a quarter, then a half is waited for; the first does not count."""
    waits = [100.0, 0.5, 0.5, 1.0, 1.0]
    clock = iter([0.0, 2.0, 4.0, 6.0, 8.0])
    monkeypatch.setattr(summaries.time, "monotonic", lambda: next(clock))
    with tf.Graph().as_default():
        tf.train.get_or_create_global_step()
        tf.add_to_collection(input_wait._COLLECTION, tf.constant(0.0))
        hook = summaries.ThroughputHook(str(tmp_path), batch_size=8, every=2)
        hook.begin()
        for step, wait in enumerate(waits):
            results = {"step": step, "wait": wait}
            hook.after_run(None, types.SimpleNamespace(results=results))
        hook.end(None)
    tf.summary.FileWriterCache.clear()
    [path] = tmp_path.iterdir()
    written = {
        (event.step, value.tag): value.simple_value
        for event in tf.train.summary_iterator(str(path))
        for value in event.summary.value
    }
    assert written == pytest.approx(
        {
            (2, "global_step/examples_per_sec"): 4.0,
            (2, "global_step/input_wait"): 0.25,
            (4, "global_step/examples_per_sec"): 4.0,
            (4, "global_step/input_wait"): 0.5,
        }
    )
    assert capsys.readouterr().err == "waited for examples in 37.5% of the time\n"
