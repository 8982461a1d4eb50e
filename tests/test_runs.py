"""Run folders and checkpoints."""

import io
import json
import shutil
import tarfile

import pytest

from pipelines import runs
from pipelines.runtime import files
from pipelines.runtime.app import UserError
from tests.support.trained import TINY


def checkpoint(run):
    return run / "train" / "model.ckpt-3"


def test_metadata_says_what_it_takes(tiny_run):
    metadata = json.loads((tiny_run / "train" / "run.json").read_text())
    assert metadata["config"] == "flat-groove_4bar"
    assert metadata["hparams"]["dec_rnn_size"] == [8, 8]
    assert metadata["hparams"]["max_seq_len"] == 64
    [start] = metadata["starts"]
    assert start["examples"] > 0 and start["seed"] == 1 and start["step"] == 0
    assert {"python", "tensorflow", "magenta", "numpy"} <= set(start["versions"])


@pytest.mark.parametrize(
    "name",
    [
        "",
        "train",
        "train/model.ckpt-3",
        "train/model.ckpt-3.index",
        "train/model.ckpt-3.meta",
        "train/model.ckpt-3.data-00000-of-00001",
    ],
)
def test_a_checkpoint_by_any_of_its_names(tiny_run, name):
    run = runs.open_run(checkpoint_file=str(tiny_run / name))
    assert run.checkpoint == str(checkpoint(tiny_run))
    assert (run.name, run.step) == ("flat-groove_4bar", 3)
    assert run.config.hparams.enc_rnn_size == [8]


def test_an_earlier_checkpoint_of_the_run(tiny_run):
    run = runs.open_run(str(tiny_run), checkpoint_file=str(tiny_run / "train" / "model.ckpt-0"))
    assert run.step == 0


def test_a_tar_is_unpacked_aside(tiny_run, tmp_path):
    with tarfile.open(tmp_path / "model.tar", "w") as archive:
        for path in (tiny_run / "train").glob("model.ckpt-3.*"):
            archive.add(path, path.name)
    run = runs.open_run(
        checkpoint_file=str(tmp_path / "model.tar"), config_name="flat-groove_4bar", hparams=TINY
    )
    assert run.step == 3
    assert [path.name for path in tmp_path.iterdir()] == ["model.tar"]


def test_a_tar_does_not_leave_its_folder(tmp_path):
    with tarfile.open(tmp_path / "evil.tar", "w") as archive:
        member = tarfile.TarInfo("../escaped.index")
        member.size = 1
        archive.addfile(member, io.BytesIO(b"x"))
    with pytest.raises(UserError, match="evil.tar"):
        runs.open_run(checkpoint_file=str(tmp_path / "evil.tar"))


def test_a_run_needs_no_flags_and_contradicting_ones_are_named(tiny_run):
    run = str(tiny_run)
    assert runs.open_run(run, hparams="z_size=4").config.hparams.z_size == 4
    with pytest.raises(UserError, match="z_size=4"):
        runs.open_run(run, hparams="z_size=5")
    with pytest.raises(UserError, match="was trained with flat-groove_4bar"):
        runs.open_run(run, config_name="hierdec-groove_4bar")


def test_without_metadata_the_config_must_be_named(tiny_run, tmp_path):
    for path in (tiny_run / "train").glob("model.ckpt-3.*"):
        shutil.copy(path, tmp_path)
    with pytest.raises(UserError, match="--config"):
        runs.open_run(checkpoint_file=str(tmp_path / "model.ckpt-3"))
    run = runs.open_run(
        checkpoint_file=str(tmp_path / "model.ckpt-3"), config_name="groovae_4bar", hparams=TINY
    )
    assert run.config.hparams.z_size == 4


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda run, folder: (str(folder), None), "no checkpoint in it"),
        (lambda run, folder: (str(folder / "absent"), None), "no such run folder"),
        (lambda run, folder: (None, str(folder / "model.ckpt-9")), "does not exist"),
        (lambda run, folder: (None, None), "one of --run_dir"),
    ],
)
def test_what_cannot_be_found_is_named(tiny_run, tmp_path, make, message):
    with pytest.raises(UserError, match=message):
        runs.open_run(*make(tiny_run, tmp_path))


def test_a_checkpoint_of_another_run_is_refused(tiny_run, tmp_path):
    shutil.copytree(tiny_run, tmp_path / "other")
    with pytest.raises(UserError, match="is of another run"):
        runs.open_run(
            str(tmp_path / "other"), checkpoint_file=str(tiny_run / "train" / "model.ckpt-3")
        )


def test_an_incomplete_newest_checkpoint_is_passed_over(tiny_run, tmp_path):
    shutil.copytree(tiny_run, tmp_path / "run")
    (tmp_path / "run" / "train" / "model.ckpt-3.data-00000-of-00001").unlink()
    assert runs.open_run(str(tmp_path / "run")).step == 0


def test_half_a_checkpoint_is_named(tiny_run, tmp_path):
    shutil.copy(f"{checkpoint(tiny_run)}.index", tmp_path)
    with pytest.raises(UserError, match="incomplete"):
        runs.open_run(checkpoint_file=str(tmp_path / "model.ckpt-3"))


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"config": "x"}', '{"config": 5, "hparams": []}', "\xff"]
)
def test_damaged_metadata_is_named(text, tmp_path):
    (tmp_path / "run.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(UserError, match="run.json"):
        runs.read_metadata(str(tmp_path))


def test_unknown_hparams_are_named():
    with pytest.raises(UserError, match="z_sise.*z_size"):
        runs.configure("flat-groove_4bar", hparams="z_sise=3")
    with pytest.raises(UserError, match="--hparams=z_size=many"):
        runs.configure("flat-groove_4bar", hparams="z_size=many")


@pytest.mark.parametrize(
    "hparams, message",
    [
        ("batch_size=0", "batch_size must be at least 1"),
        ("z_size=0", "z_size must be at least 1"),
        ("dec_rnn_size=[]", "dec_rnn_size must be a list"),
        ("enc_rnn_size=[0]", "enc_rnn_size must be a list"),
        ("dropout_keep_prob=0.0", "dropout_keep_prob"),
        ("learning_rate=nan", "learning_rate must be a finite number"),
        ("max_seq_len=32", "max_seq_len must stay 64"),
    ],
)
def test_hparams_that_no_model_can_have_are_refused(hparams, message):
    with pytest.raises(UserError, match=message):
        runs.configure("flat-groove_4bar", hparams=hparams)


def test_a_users_config_file_is_asked_for_and_compared(tiny_run, tmp_path, capsys):
    source = tmp_path / "mine.py"
    source.write_text("import configs\nCONFIG_MAP = {'mine': configs.get('flat-groove_4bar')}\n")
    train_dir = tmp_path / "run" / "train"
    shutil.copytree(tiny_run / "train", train_dir)
    config = runs.configure("mine", str(source), TINY)
    metadata = runs.describe("mine", config, str(source), {"step": 0}, {})
    files.write_json(str(train_dir / "run.json"), metadata)
    run_dir = str(tmp_path / "run")
    with pytest.raises(UserError, match="mine.py"):
        runs.open_run(run_dir)
    run = runs.open_run(run_dir, config_file=str(source))
    runs.warn_of_change(run.metadata, str(source))
    assert not capsys.readouterr().err
    source.write_text(source.read_text() + "# changed\n")
    runs.warn_of_change(run.metadata, str(source))
    assert "has changed" in capsys.readouterr().err


def test_a_file_beside_a_built_in_config_is_not_asked_for(tmp_path):
    source = tmp_path / "mine.py"
    source.write_text("CONFIG_MAP = {}\n")
    config = runs.configure("flat-groove_4bar", str(source))
    metadata = runs.describe("flat-groove_4bar", config, str(source), {}, {})
    assert metadata["config_file"] is None and metadata["config_file_sha256"] is None
