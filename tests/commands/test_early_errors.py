"""What can be wrong without TensorFlow is said before it is imported, which takes ten seconds."""

import os

import pytest

from pipelines import runs
from tests.support.jobs import error_of, without_tensorflow

TRAIN = ["--config=flat-groove_4bar", "--run_dir=run"]
EDIT = ["--run_dir=run", "--output_dir=o", "--mode=edit", "--input=x.mid", "--attribute=swing"]
TITLES = ["train", "--run_dir=new", "--text_encoder=builtin"]


@pytest.fixture
def folder(tmp_path):
    """Records, a run of MusicVAE with a checkpoint, one without, and a folder with nothing."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "damaged.json").write_text("{")
    for split in ("train", "validation"):
        (tmp_path / f"{split}.tfrecord-00000-of-00001").touch()
    for name, files in (("run", ("model.ckpt-7.index",)), ("begun", ())):
        (tmp_path / name / "train").mkdir(parents=True)
        runs.write(tmp_path / name, "musicvae", {"config": "x", "hparams": {}})
        for file in files:
            (tmp_path / name / "train" / file).touch()
    return tmp_path


@pytest.mark.parametrize(
    "module, arguments, message",
    [
        ("train", [*TRAIN, "--examples_path=none*"], "no file matches 'none*'"),
        ("train", [*TRAIN, "--examples_path=train*", "--devices=GPU1"], "GPU1 is not a device"),
        ("generate", ["--run_dir=none", "--output_dir=o"], "none: no such run folder"),
        ("generate", ["--run_dir=rum", "--output_dir=o"], "folder; did you mean run?"),
        ("generate", ["--run_dir=begun", "--output_dir=o"], "begun: no checkpoint in it"),
        ("generate", ["--output_dir=o"], "give --run_dir, --checkpoint_file or --pretrained"),
        ("generate", ["--checkpoint_file=a.tar", "--output_dir=o"], "a.tar: no such file"),
        ("generate", ["--checkpoint_file=a.ckpt-3", "--output_dir=o"], "a.ckpt-3.index does not"),
        ("generate", ["--run_dir=run", "--output_dir=o", "--devices=CPU,"], "nothing is not a dev"),
        (
            "generate",
            ["--pretrained=nonesuch", "--output_dir=o"],
            "no pretrained model or folder is",
        ),
        (
            "generate",
            ["--pretrained=run", "--output_dir=o"],
            "run: no weights.safetensors in it; thi",
        ),
        (
            "evaluate",
            ["--pretrained=run", "--run_dir=run", "--examples_path=train*"],
            "--pretrained and --run_dir name a model each; give one of them",
        ),
        ("evaluate", ["--examples_path=train*"], "missing --run_dir (or --pretrained; see --help)"),
        (
            "train",
            ["--config=flat-groove_4bar", "--run_dir=new", "--warm_start=nonesuch"],
            "no pretrained model, run folder or checkpoint is named 'nonesuch'",
        ),
        (
            "train",
            [*TRAIN[:1], "--run_dir=new", "--warm_start=begun"],
            "begun: no checkpoint in it",
        ),
        ("pretrained", ["export", "--run_dir=none", "--output=o"], "none: no such run folder"),
        ("pretrained", ["export", "--run_dir=run"], "missing --output (see --help)"),
        ("evaluate", ["--run_dir=none", "--examples_path=train*"], "none: no such run folder"),
        ("evaluate", ["--run_dir=run", "--examples_path=none*"], "no file matches 'none*'"),
        (
            "evaluate",
            ["--run_dir=run", "--checkpoint_file=run/train/model.ckpt-8", "--examples_path=train*"],
            "model.ckpt-8.index does not exist",
        ),
        ("attributes", ["--run_dir=none", "--examples_path=train*"], "none: no such run folder"),
        ("attributes", ["--run_dir=run", "--examples_path=none*"], "no file matches 'none*'"),
        ("attributes", ["--run_dir=run"], "missing --examples_path"),
        ("generate", [*EDIT, "--amount=1"], "run/train/attributes.json does not exist; ./run.sh a"),
        ("generate", [*EDIT, "--amount=x"], "--amount=x: must be a number or a range"),
        ("generate", [*EDIT], "--attribute names 1 (swing), and --amount gives 0; give one for"),
        (
            "generate",
            [*EDIT, "--amount=1", "--attributes_file=damaged.json"],
            "damaged.json: no file of attributes, or a damaged one",
        ),
        (
            "generate",
            ["--run_dir=run", "--output_dir=o", "--mode=reconstruct", "--input=none.mid"],
            "none.mid: No such file or directory; check the path",
        ),
        (
            "generate",
            ["--run_dir=run", "--output_dir=o", "--mode=reconstruct", "--input=empty"],
            "empty is a folder; name a .mid, .abc or .musicxml file in it",
        ),
        (
            "tensors",
            ["--config=flat-groove_4bar", "--input=none", "--output=o"],
            "none: no such folder; --input names one that ./run.sh convert made",
        ),
        (
            "tensors",
            ["--config=flat-groove_4bar", "--input=empty", "--dry_run"],
            "empty has no manifest.json: no job finished there; make the records first",
        ),
        ("configs", ["--config_file=none.py"], "none.py: no such file; --config_file names a"),
        ("titles", [*TITLES, "--examples_path=none*"], "no file matches 'none*'"),
        ("titles", [*TITLES, "--examples_path=train*", "--devices=TPU"], "TPU is not a device"),
        ("titles", ["match", "x.mid", "--run_dir=empty"], "empty has no run.json: no run of titl"),
        ("titles", ["search", "waltz", "--run_dir=run"], "run is a run of musicvae, not of titles"),
        (
            "titles",
            ["evaluate", "--run_dir=none", "--examples_path=train*"],
            "none has no run.json: no run of titles is there; ./run.sh titles train makes one",
        ),
    ],
)
def test_it_is_one_line(module, arguments, message, folder):
    before = sorted(os.listdir(folder))
    module = module if module == "configs" else f"pipelines.{module}"
    done = without_tensorflow(module, *arguments, cwd=folder)
    assert message in error_of(done)
    assert len(done.stderr.splitlines()) == 1 and sorted(os.listdir(folder)) == before


@pytest.mark.parametrize(
    "module, arguments",
    [("pipelines.train", TRAIN), ("pipelines.titles", ["train", "--run_dir=run"])],
)
def test_a_second_job_in_a_run_folder_is_refused(module, arguments, folder):
    with runs.training(folder / "run"):
        done = without_tensorflow(module, *arguments, "--examples_path=train*", cwd=folder)
        assert error_of(done).startswith(
            f"error: another job (process {os.getpid()}) is training in run; wait for it to end"
        )


@pytest.mark.parametrize(
    "module, arguments", [("pipelines.train", TRAIN), ("pipelines.titles", TITLES)]
)
def test_training_on_several_splits_is_warned_of(module, arguments, folder):
    done = without_tensorflow(module, *arguments, "--examples_path=*.tfrecord-*", cwd=folder)
    first, *rest = done.stderr.splitlines()
    assert first == (
        "warning: *.tfrecord-* matches records of train and validation, so it trains on records "
        "that are held out; those to train on are 'train.tfrecord-*'"
    )
    assert "tensorflow" in rest[-1]


def test_a_run_with_nothing_left_to_do_needs_no_records(folder):
    def why(steps):
        flags = [*TRAIN, "--examples_path=none*", f"--num_steps={steps}"]
        return without_tensorflow("pipelines.train", *flags, cwd=folder).stderr

    assert "no file matches" in why(8) and "no file matches" not in why(7)
