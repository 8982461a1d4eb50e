"""A run of MusicVAE is found again with its config."""

import io
import json
import shutil
import tarfile

import pytest

from configs import ConfigRef
from pipelines import runs
from pipelines.runtime.app import UserError
from pipelines.systems.musicvae.run import (
    KIND,
    describe,
    open_run,
    read_metadata,
    warn_of_change,
)
from tests.support.trained import TINY


def checkpoint(run):
    return run / "train" / "model.ckpt-3"


def test_metadata_says_what_it_takes(tiny_run):
    metadata = json.loads((tiny_run / "run.json").read_text())
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
    run = open_run(checkpoint_file=str(tiny_run / name))
    assert run.checkpoint == str(checkpoint(tiny_run))
    assert (run.name, run.step) == ("flat-groove_4bar", 3)
    assert run.config.hparams.enc_rnn_size == [8]


def test_an_earlier_checkpoint_of_the_run(tiny_run):
    run = open_run(str(tiny_run), checkpoint_file=str(tiny_run / "train" / "model.ckpt-0"))
    assert run.step == 0


def test_a_tar_is_unpacked_aside(tiny_run, tmp_path):
    with tarfile.open(tmp_path / "model.tar", "w") as archive:
        for path in (tiny_run / "train").glob("model.ckpt-3.*"):
            archive.add(path, path.name)
    run = open_run(
        checkpoint_file=str(tmp_path / "model.tar"),
        given=ConfigRef("flat-groove_4bar", hparams=TINY),
    )
    assert run.step == 3
    assert [path.name for path in tmp_path.iterdir()] == ["model.tar"]


def test_results_of_a_checkpoint_may_go_to_a_new_folder(tiny_run, tmp_path):
    for path in (tiny_run / "train").glob("model.ckpt-3.*"):
        shutil.copy(path, tmp_path)
    ref = ConfigRef("flat-groove_4bar", hparams=TINY)
    prefix, new = str(tmp_path / "model.ckpt-3"), str(tmp_path / "new")
    assert open_run(new, prefix, ref, new_run_dir=True).checkpoint == prefix
    # Results of a run's own checkpoint do not go to another folder.
    with pytest.raises(UserError, match="is of another run"):
        open_run(new, str(checkpoint(tiny_run)), new_run_dir=True)
    for run_dir, given in ((new, None), (f"{prefix}.index", prefix)):
        with pytest.raises(UserError, match="no such run folder"):
            open_run(run_dir, given, ref, new_run_dir=True)
    # Where no results go to the folder, its absence is a mistake.
    with pytest.raises(UserError, match="no such run folder"):
        open_run(new, prefix, ref)
    assert not (tmp_path / "new").exists()


def test_a_tar_that_is_not_one_is_named(tmp_path):
    (tmp_path / "model.tar").write_bytes(b"<html")
    message = r"model.tar: not a .tar archive, or a damaged one \(5 bytes\); download it again"
    with pytest.raises(UserError, match=message):
        open_run(checkpoint_file=str(tmp_path / "model.tar"))


def test_a_tar_does_not_leave_its_folder(tmp_path):
    with tarfile.open(tmp_path / "evil.tar", "w") as archive:
        member = tarfile.TarInfo("../escaped.index")
        member.size = 1
        archive.addfile(member, io.BytesIO(b"x"))
    with pytest.raises(UserError, match="evil.tar"):
        open_run(checkpoint_file=str(tmp_path / "evil.tar"))


def test_a_run_needs_no_flags_and_contradicting_ones_are_named(tiny_run):
    run = str(tiny_run)
    assert open_run(run, given=ConfigRef("", hparams="z_size=4")).config.hparams.z_size == 4
    with pytest.raises(UserError, match="z_size=4"):
        open_run(run, given=ConfigRef("", hparams="z_size=5"))
    with pytest.raises(UserError, match="was trained with flat-groove_4bar"):
        open_run(run, given=ConfigRef("hierdec-groove_4bar"))


def test_without_metadata_the_config_must_be_named(tiny_run, tmp_path):
    for path in (tiny_run / "train").glob("model.ckpt-3.*"):
        shutil.copy(path, tmp_path)
    with pytest.raises(UserError, match="--config"):
        open_run(checkpoint_file=str(tmp_path / "model.ckpt-3"))
    run = open_run(
        checkpoint_file=str(tmp_path / "model.ckpt-3"),
        given=ConfigRef("groovae_4bar", hparams=TINY),
    )
    assert run.config.hparams.z_size == 4


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda run, folder: (str(folder), None), "no checkpoint in it"),
        (lambda run, folder: (str(folder / "absent"), None), "no such run folder"),
        (lambda run, folder: (None, str(folder / "model.ckpt-9")), "does not exist"),
        (lambda run, folder: (None, None), "give --run_dir or --checkpoint_file"),
    ],
)
def test_what_cannot_be_found_is_named(tiny_run, tmp_path, make, message):
    with pytest.raises(UserError, match=message):
        open_run(*make(tiny_run, tmp_path))


def test_a_checkpoint_of_another_run_is_refused(tiny_run, tmp_path):
    shutil.copytree(tiny_run, tmp_path / "other")
    with pytest.raises(UserError, match="is of another run"):
        open_run(str(tmp_path / "other"), checkpoint_file=str(tiny_run / "train" / "model.ckpt-3"))


def test_an_incomplete_newest_checkpoint_is_passed_over(tiny_run, tmp_path):
    shutil.copytree(tiny_run, tmp_path / "run")
    (tmp_path / "run" / "train" / "model.ckpt-3.data-00000-of-00001").unlink()
    assert open_run(str(tmp_path / "run")).step == 0


def test_half_a_checkpoint_is_named(tiny_run, tmp_path):
    shutil.copy(f"{checkpoint(tiny_run)}.index", tmp_path)
    with pytest.raises(UserError, match="incomplete"):
        open_run(checkpoint_file=str(tmp_path / "model.ckpt-3"))


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"config": "x"}', '{"config": 5, "hparams": []}', "\xff"]
)
def test_damaged_metadata_is_named(text, tmp_path):
    (tmp_path / "run.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(UserError, match="run.json"):
        read_metadata(str(tmp_path))


def test_a_users_config_file_is_asked_for_and_compared(tiny_run, tmp_path, capsys):
    source = tmp_path / "mine.py"
    source.write_text("import configs\nCONFIG_MAP = {'mine': configs.get('flat-groove_4bar')}\n")
    shutil.copytree(tiny_run / "train", tmp_path / "run" / "train")
    ref = ConfigRef("mine", str(source), TINY)
    metadata = describe(ref, ref.build(), {"step": 0}, {})
    run_dir = str(tmp_path / "run")
    runs.write(run_dir, KIND, metadata)
    with pytest.raises(UserError, match="mine.py"):
        open_run(run_dir)
    run = open_run(run_dir, given=ConfigRef("", str(source)))
    warn_of_change(run.metadata, str(source))
    assert not capsys.readouterr().err
    source.write_text(source.read_text() + "# changed\n")
    warn_of_change(run.metadata, str(source))
    assert "has changed" in capsys.readouterr().err


def test_a_file_beside_a_built_in_config_is_not_asked_for(tmp_path):
    source = tmp_path / "mine.py"
    source.write_text("CONFIG_MAP = {}\n")
    ref = ConfigRef("flat-groove_4bar", str(source))
    metadata = describe(ref, ref.build(), {}, {})
    assert metadata["config_file"] is None and metadata["config_file_sha256"] is None


def as_before(tiny_run, folder):
    """A copy of a run as version 0.1.0 left it: run.json beside the checkpoints, without a kind."""
    shutil.copytree(tiny_run, folder)
    metadata = json.loads((folder / "run.json").read_text())
    del metadata["kind"]
    (folder / "run.json").unlink()
    (folder / "train" / "run.json").write_text(json.dumps(metadata))
    return folder


@pytest.mark.parametrize("name", ["", "train", "train/model.ckpt-3"])
def test_a_run_of_an_older_version_opens(name, tiny_run, tmp_path):
    run = open_run(checkpoint_file=str(as_before(tiny_run, tmp_path / "run") / name))
    assert (run.name, run.step) == ("flat-groove_4bar", 3)
    assert run.config.hparams.enc_rnn_size == [8]
    assert open_run(str(tmp_path / "run")).metadata == run.metadata


def test_a_run_knows_what_it_was_trained_on(tiny_run, groove_records):
    assert open_run(str(tiny_run)).trained_on() == [f"{groove_records}/train.tfrecord*"]
