"""Training runs: their ends, their interruptions and what they leave."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import time
import types

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from models import magenta_compat
from pipelines import runs
from pipelines.app import UserError
from pipelines.progress_hook import ProgressHook, duration
from tests.trained import TINY, train_run

pytestmark = pytest.mark.slow


def checkpoints(run_dir):
    return {path.name: path.stat().st_mtime_ns for path in (run_dir / "train").iterdir()}


def test_ends_at_exactly_num_steps_and_a_finished_run_stays_as_it_is(tiny_run, groove_records):
    assert runs.last_step(str(tiny_run / "train")) == 3
    before = checkpoints(tiny_run)
    assert train_run(groove_records, tiny_run) == 0
    assert checkpoints(tiny_run) == before


def test_goes_on_to_a_later_end(groove_records, tmp_path):
    assert train_run(groove_records, tmp_path, num_steps=2) == 2
    assert train_run(groove_records, tmp_path, num_steps=5) == 3
    assert runs.last_step(str(tmp_path / "train")) == 5


def test_the_same_seed_gives_the_same_variables(groove_records, tmp_path):
    kernels = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        train_run(groove_records, tmp_path / name, num_steps=2, seed=seed)
        checkpoint = tf.train.latest_checkpoint(str(tmp_path / name / "train"))
        kernels.append(tf.train.load_variable(checkpoint, "decoder/output_projection/kernel"))
    np.testing.assert_array_equal(kernels[0], kernels[1])
    assert not np.array_equal(kernels[0], kernels[2])


@pytest.mark.parametrize("absolute", [False, True])
def test_a_run_that_was_moved_goes_on(groove_records, tmp_path, absolute):
    """With the paths that we write, and with the absolute ones of stock Magenta."""
    before, after = tmp_path / "before", tmp_path / "after"
    train_run(groove_records, before, num_steps=2)
    if absolute:
        state = before / "train" / "checkpoint"
        state.write_text(f'model_checkpoint_path: "{before}/train/model.ckpt-2"\n')
    before.rename(after)
    assert train_run(groove_records, after, num_steps=3) == 1
    assert runs.last_step(str(after / "train")) == 3


@pytest.mark.parametrize("config", ["hierdec-groove_4bar", "groovae_4bar"])
def test_other_configs_train(config, groove_records, tmp_path):
    assert train_run(groove_records, tmp_path, config, num_steps=1) == 1


def test_summaries_are_magentas(tiny_run):
    tags = set()
    for path in (tiny_run / "train").glob("events*"):
        for event in tf.train.summary_iterator(str(path)):
            tags |= {value.tag for value in event.summary.value}
    assert {"loss", "losses/r_loss", "losses/kl_loss", "learning_rate"} <= tags


def test_another_config_or_hparams_in_the_same_folder_is_refused(tiny_run, groove_records):
    with pytest.raises(UserError, match="holds a run of flat-groove_4bar"):
        train_run(groove_records, tiny_run, "hierdec-groove_4bar")
    with pytest.raises(UserError, match=r"z_size=4 \(now 5\)"):
        train_run(groove_records, tiny_run, hparams=TINY.replace("z_size=4", "z_size=5"))


def test_fewer_examples_than_a_batch_are_refused(groove_records, tmp_path):
    with pytest.raises(UserError, match="fewer than a batch of 100000"):
        train_run(groove_records, tmp_path, hparams="batch_size=100000")
    assert runs.last_step(str(tmp_path / "train")) == 0


def command(records, run_dir, num_steps, *more):
    return [
        sys.executable,
        "-m",
        "pipelines.train",
        "--config=flat-groove_4bar",
        f"--examples_path={records}/train.tfrecord*",
        f"--run_dir={run_dir}",
        f"--num_steps={num_steps}",
        f"--hparams={TINY}",
        *more,
    ]


def test_killed_and_resumed(groove_records, tmp_path):
    """Killed without warning, then run again: what was saved is kept, the end is exact."""
    root = pathlib.Path(runs.__file__).parents[1]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    with open(tmp_path / "log", "wb") as log:
        process = subprocess.Popen(
            command(groove_records, tmp_path / "run", 10**6, "--save_checkpoint_secs=1"),
            stderr=log,
            env=environment,
        )
        train_dir, deadline = str(tmp_path / "run" / "train"), time.monotonic() + 240
        while runs.last_step(train_dir) < 2 and time.monotonic() < deadline:
            assert process.poll() is None, (tmp_path / "log").read_text()
            time.sleep(0.5)
        process.send_signal(signal.SIGKILL)
        process.wait()
    saved = runs.last_step(train_dir)
    assert saved >= 2
    done = subprocess.run(
        command(groove_records, tmp_path / "run", saved + 3),
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert runs.last_step(train_dir) == saved + 3
    assert f"step {saved} of {saved + 3}" in done.stderr
    assert "device: CPU" in done.stderr
    metadata = json.loads((tmp_path / "run" / "train" / "run.json").read_text())
    assert metadata["config"] == "flat-groove_4bar"


@pytest.mark.parametrize(
    "arguments, message",
    [
        ([], "missing --config, --run_dir"),
        (["--config=flat-groove_4bar", "--run_dir=x"], "exactly one of --examples_path"),
        (["--config=x", "--run_dir=x", "--examples_path=x", "--mode=eval"], "run.sh evaluate"),
        (
            ["--config=flat-groove", "--run_dir=RUN", "--examples_path=x"],
            "nearest: flat-groove_4bar",
        ),
        (
            ["--config=flat-groove_4bar", "--run_dir=RUN", "--examples_path=none*"],
            "no file matches",
        ),
    ],
)
def test_bad_command_lines_end_in_one_line(arguments, message, tmp_path):
    root = pathlib.Path(runs.__file__).parents[1]
    arguments = [a.replace("RUN", str(tmp_path / "run")) for a in arguments]
    done = subprocess.run(
        [sys.executable, "-m", "pipelines.train", *arguments],
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    [line] = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert message in line
    assert done.stderr.splitlines()[-1] == line
    assert not done.stdout and "Traceback" not in done.stderr


def test_a_loss_that_is_no_number_ends_the_run():
    hook = ProgressHook(None, num_steps=9, batch_size=1)
    values = types.SimpleNamespace(results={"step": 4, "loss": float("nan")})
    with pytest.raises(UserError, match="the loss is nan at step 4"):
        hook.after_run(None, values)


def test_a_full_disk_is_one_line(groove_records, tmp_path, monkeypatch):
    def full(*args, **kwargs):
        raise tf.errors.ResourceExhaustedError(None, None, "x; No space left on device")

    monkeypatch.setattr(magenta_compat.music_vae_train(), "train", full)
    with pytest.raises(UserError, match="the disk is full"):
        train_run(groove_records, tmp_path)


def test_durations():
    assert duration(59.9) == "0:59"
    assert duration(3723) == "1:02:03"
