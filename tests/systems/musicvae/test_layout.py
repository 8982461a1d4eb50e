"""--layout and --precision: what is chosen for which devices, and that training is the same."""

import dataclasses
import shutil

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
import tensorflow_probability as tfp

import configs
from models.accelerated import layouts
from pipelines import checkpoints
from pipelines.runtime.app import UserError
from pipelines.systems.musicvae import generation, layout, model_flags
from pipelines.systems.musicvae.run import open_run
from tests.support.trained import TINY, train_run

CPU, GPU = "/device:CPU:0", "/device:GPU:0"


def test_the_flags_have_the_names_of_layouts():
    assert model_flags.LAYOUTS == ("auto", *layouts.NAMES)
    assert model_flags.PRECISIONS == layouts.PRECISIONS


def test_a_cpu_keeps_its_loops():
    assert layout.choose("auto", [CPU]) == "loops"
    assert layout.choose("auto", [GPU, CPU]) == "loops"
    assert layout.choose("xla", [CPU]) == "xla"


def test_cudnn_is_refused_without_a_gpu():
    with pytest.raises(UserError, match="--layout=cudnn needs a GPU"):
        layout.choose("cudnn", [CPU])
    with pytest.raises(UserError, match="--layout=cudnn needs a GPU"):
        layout.choose("cudnn", [GPU, CPU])


@pytest.mark.parametrize("fault, expected", [(None, "cudnn"), ("no cuDNN here", "loops")])
def test_a_gpu_is_tried_before_it_is_trusted(fault, expected, monkeypatch, capsys):
    tried = []
    monkeypatch.setattr(layout.trial, "fault", lambda *given: tried.append(given) or fault)
    assert layout.choose("auto", [GPU, "/device:GPU:1"]) == expected
    assert tried == [("cudnn", GPU)]
    assert ("no cuDNN here" in capsys.readouterr().err) == bool(fault)
    # Who names a layout gets it.
    assert layout.choose("cudnn", [GPU]) == "cudnn"
    assert layout.choose("loops", [GPU]) == "loops"


@pytest.mark.parametrize(
    "fault, fixed",
    [("libdevice not found at ./libdevice.10.bc", True), ("no algorithm worked!", False)],
)
def test_where_cudas_tools_are_missing_it_says_what_to_do(fault, fixed, monkeypatch, capsys):
    monkeypatch.setattr(layout.trial, "fault", lambda *given: fault)
    assert layout.choose("auto", [GPU]) == "loops"
    said = capsys.readouterr().err
    assert fault in said
    assert ("XLA_FLAGS=--xla_gpu_cuda_data_dir=" in said) == fixed


@pytest.mark.parametrize("name, warned", [("cudnn", True), ("xla", False), ("loops", False)])
def test_what_cudnn_does_not_round_is_said(name, warned, capsys):
    config = configs.get("flat-groove_4bar")
    laid_out = layout.lay_out(config, name, [GPU], "bfloat16")
    warning = "warning: --precision=bfloat16 does nothing for the layers that cuDNN runs"
    assert (warning in (said := capsys.readouterr().err)) == warned
    assert ("--layout=xla" in said) == warned
    layout.say_chosen(laid_out)
    assert capsys.readouterr().err.strip() == f"layout: {name}, bfloat16"
    layout.lay_out(config, name, [GPU], "float32")
    assert "warning" not in capsys.readouterr().err


@pytest.mark.parametrize("name", layouts.NAMES)
@pytest.mark.parametrize("precision", layouts.PRECISIONS)
def test_a_layout_knows_its_name(name, precision):
    of = layouts.of(name, precision)
    assert (of.name, of.precision) == (name, precision)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name, top_p, encodes, expected",
    [
        ("loops", 1.0, True, ""),
        ("xla", 1.0, True, "layout: encoder xla, decoder xla"),
        ("xla", 1.0, False, "layout: decoder xla"),
        # It draws from the nucleus in a way of its own.
        ("xla", 0.9, True, "layout: encoder xla, decoder loops"),
    ],
)
def test_what_generate_uses_is_said(tiny_run, name, top_p, encodes, expected, capsys):
    run = open_run(str(tiny_run))
    run = dataclasses.replace(run, config=layout.lay_out(run.config, name, [CPU]))
    player = generation.Player(run, 2, 1, top_p)
    capsys.readouterr()
    player.say_layout(encodes)
    assert capsys.readouterr().err.strip() == expected


@pytest.mark.slow
@pytest.mark.parametrize(
    "config, expected",
    [
        ("flat-groove_4bar", "encoder cudnn, decoder xla"),
        ("flat-groove_4bar-dynamics", "encoder cudnn, decoder loops"),
        ("hierdec-groove_4bar", "encoder cudnn, decoder cudnn and xla"),
    ],
)
def test_what_cudnn_runs_is_seen_in_the_graph(config, expected, capsys):
    """It is built, which takes no GPU."""
    laid_out = layout.lay_out(configs.get(config), "cudnn", [GPU])
    with tf.Graph().as_default():
        laid_out.hparams.batch_size = 2
        depth = laid_out.data_converter.output_depth
        laid_out.model.build(laid_out.hparams, depth, is_training=False)
        steps = laid_out.hparams.max_seq_len
        samples, _ = laid_out.model.sample(
            2, max_length=steps, z=tf.zeros([2, laid_out.hparams.z_size])
        )
        posterior = laid_out.model.encode(tf.zeros([2, steps, depth]), tf.fill([2], steps))
        layout.say_used(laid_out, encoder=posterior.loc, decoder=samples)
    assert capsys.readouterr().err.strip() == f"layout: {expected}"


@pytest.mark.slow
@pytest.mark.parametrize("given", [{"layout": "xla"}, {"precision": "bfloat16"}])
def test_a_run_goes_on_in_another_layout(groove_records, tmp_path, given, capsys):
    """The checkpoints are the same: variables, optimizer and step."""
    assert train_run(groove_records, tmp_path, num_steps=2) == 2
    assert "layout:" not in capsys.readouterr().err
    assert train_run(groove_records, tmp_path, num_steps=4, **given) == 2
    said = f"layout: {given.get('layout', 'loops')}, {given.get('precision', 'float32')}"
    assert said in capsys.readouterr().err
    assert train_run(groove_records, tmp_path, num_steps=5) == 1
    assert checkpoints.last_step(str(tmp_path / "train")) == 5


@pytest.mark.slow
def test_steps_in_loops_of_xla_are_those_of_loops(groove_records, tmp_path, monkeypatch):
    """Without chance, from one checkpoint on: the same variables after the same steps."""
    posterior = tfp.distributions.MultivariateNormalDiag
    monkeypatch.setattr(posterior, "sample", lambda self: self.mean())
    hparams = TINY + ",dropout_keep_prob=1.0"
    train_run(groove_records, tmp_path / "first", num_steps=1, hparams=hparams)
    after = []
    for name in ("loops", "xla"):
        shutil.copytree(tmp_path / "first", tmp_path / name)
        train_run(groove_records, tmp_path / name, num_steps=4, hparams=hparams, layout=name)
        reader = tf.train.load_checkpoint(checkpoints.latest(str(tmp_path / name / "train")))
        names = reader.get_variable_to_shape_map()
        after.append({each: reader.get_tensor(each) for each in names})
    before = tf.train.load_checkpoint(checkpoints.latest(str(tmp_path / "first" / "train")))
    assert after[0].keys() == after[1].keys()
    for name, expected in after[0].items():
        np.testing.assert_allclose(after[1][name], expected, rtol=1e-3, atol=1e-4, err_msg=name)
    kernel = "decoder/multi_rnn_cell/cell_1/lstm_cell/kernel"
    assert abs(after[0][kernel] - before.get_tensor(kernel)).max() > 1e-3


@pytest.mark.slow
def test_scheduled_sampling_in_compiled_loops_draws_by_the_seed(groove_records, tmp_path):
    """XLA knows no seeds: what is drawn is drawn outside of what it compiles."""
    kernels = []
    hparams = TINY + ",dropout_keep_prob=0.7,sampling_schedule=constant,sampling_rate=0.5"
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        train_run(
            groove_records, tmp_path / name, num_steps=2, seed=seed, layout="xla", hparams=hparams
        )
        checkpoint = checkpoints.latest(str(tmp_path / name / "train"))
        kernels.append(tf.train.load_variable(checkpoint, "decoder/output_projection/kernel"))
    np.testing.assert_array_equal(kernels[0], kernels[1])
    assert not np.array_equal(kernels[0], kernels[2])
