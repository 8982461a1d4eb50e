"""Losses of stock Magenta's checkpoints in our models, and of ours in stock Magenta's.

REELGROOVE_STOCK is the folder of an environment with stock Magenta in it (Magenta 2.1.4 needs
Python 3.8 and TensorFlow 2.9).
"""

import os
import pathlib
import subprocess

import numpy as np
import pytest

from pipelines.runtime import magenta_compat

magenta_compat.apply()

import tensorflow.compat.v1 as tf  # noqa: E402

from models import accelerated  # noqa: E402
from tests.support import stock_program  # noqa: E402

STOCK = os.environ.get("REELGROOVE_STOCK")


@pytest.mark.slow
@pytest.mark.skipif(not STOCK, reason="REELGROOVE_STOCK names no environment with stock Magenta")
@pytest.mark.parametrize("writer", ["stock", "ours"])
@pytest.mark.parametrize("name", stock_program.MODELS)
def test_a_checkpoint_gives_both_the_same_loss(name, writer, tmp_path):
    tf.disable_v2_behavior()
    arrays = stock_program.batch(name, 5)
    np.savez(tmp_path / "batch.npz", **arrays)
    checkpoint = str(tmp_path / "model.ckpt")

    def ours():
        model = accelerated.accelerated(stock_program.make(name))
        return stock_program.losses(model, arrays, checkpoint, writer == "ours")

    def stock():
        python = pathlib.Path(STOCK, "bin", "python")
        paths = [checkpoint, tmp_path / "batch.npz", tmp_path / "result.npz"]
        written = ["write"] * (writer == "stock")
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "TF_"))}
        done = subprocess.run(
            [python, stock_program.__file__, name, *paths, *written],
            env=environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        with np.load(tmp_path / "result.npz") as result:
            return result["loss"], result["encoded"]

    first, second = (ours, stock) if writer == "ours" else (stock, ours)
    (loss, encoded), (other_loss, other_encoded) = first(), second()
    assert len(set(np.round(loss, 3))) == 5
    np.testing.assert_allclose(other_loss, loss, rtol=1e-5)
    np.testing.assert_allclose(other_encoded, encoded, rtol=1e-4, atol=1e-6)
