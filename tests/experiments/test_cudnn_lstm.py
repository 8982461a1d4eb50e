"""experiments.speed.cudnn_lstm: the shapes of a config, and that PyTorch trains LSTMs of these."""

import math

import pytest

from configs import ConfigRef
from experiments.speed import cudnn_lstm


def test_the_shapes_are_those_of_the_config():
    flat = cudnn_lstm.shapes(ConfigRef("flat-groove_4bar").build())
    assert flat == (27, 27, 64, [64], [512], [256, 256], 256, 0.3)
    hparams = "enc_rnn_size=[256],dec_rnn_size=[256,256]"
    levels = cudnn_lstm.shapes(ConfigRef("hierdec-groove_16bar", hparams=hparams).build())
    assert math.prod(levels.levels) == levels.steps == 256
    assert levels.encoder == [256]
    assert levels.z == 512


@pytest.mark.slow
@pytest.mark.parametrize("name", ["flat-groove_4bar", "hierdec-groove_16bar"])
def test_it_learns_its_batch(name):
    pytest.importorskip("torch", reason="PyTorch is not installed")
    hparams = "enc_rnn_size=[8],dec_rnn_size=[8,8],z_size=4,dropout_keep_prob=1.0"
    sizes = cudnn_lstm.shapes(ConfigRef(name, hparams=hparams).build())
    found = cudnn_lstm.measure(sizes, 2, 40, "cpu", "float32")
    assert found["loss at the last step"] < found["loss at the first step"]
