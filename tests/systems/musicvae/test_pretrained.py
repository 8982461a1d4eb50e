"""Trained models in folders: found by name or path, and opened as a run with a checkpoint."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest

from pipelines import runs
from pipelines.exported import folders, weights
from pipelines.runtime.app import UserError
from pipelines.systems.musicvae import directions, pretrained
from tests.support.jobs import ROOT, error_of, job

# Read before any test puts another folder in its place.
BOX = folders.BOX
NAMES = [name for name in folders.names() if runs.read_any(BOX / name)["kind"] == "musicvae"]
RUN_JSON = {"config": "flat-groove_4bar", "hparams": {}, "kind": "musicvae"}


def folder_of(path: pathlib.Path, *files: str) -> pathlib.Path:
    """A folder with empty files."""
    for name in files:
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).touch()
    return path


@pytest.fixture
def folder(tiny_run, tmp_path) -> pathlib.Path:
    """A model that was exported of a run with a few units."""
    from tests.support import trained  # Imports Magenta, which few tests here need.

    return trained.make_model(tiny_run, tmp_path / "model")


@pytest.fixture
def box(tmp_path, monkeypatch):
    """A project with two models, where the current folder is beside them."""
    for name in ("groove_4bar", "reel_2bar"):
        folder_of(tmp_path / "box" / name, "weights.safetensors", "run.json")
    folder_of(tmp_path / "box" / "unfinished", "CARD.md")
    monkeypatch.setattr(folders, "BOX", tmp_path / "box")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "box"


def test_models_are_found_by_name_and_by_path(box):
    assert folders.names() == ["groove_4bar", "reel_2bar"]
    assert folders.find("reel_2bar") == box / "reel_2bar"
    mine = folder_of(pathlib.Path("mine"), "weights.safetensors", "run.json")
    assert folders.find("mine") == mine and folders.is_model("mine")
    # The project's model has the name, and one of the user's its path.
    folder_of(pathlib.Path("reel_2bar"), "weights.safetensors", "run.json")
    assert folders.find("reel_2bar") == box / "reel_2bar"
    assert folders.find("./reel_2bar") == pathlib.Path("reel_2bar")


@pytest.mark.parametrize(
    "name, message",
    [
        ("grove_4bar", "no pretrained model or folder is named 'grove_4bar'; did you mean groove_"),
        ("reel", "no pretrained model or folder is named 'reel'; did you mean reel_2bar?"),
        ("xyz", "no pretrained model or folder is named 'xyz'; there is groove_4bar and reel_2bar"),
        ("unfinished", "no pretrained model or folder is named 'unfinished'"),
        ("no/such", "no/such: no such folder; ./run.sh pretrained export makes one of a run"),
        ("file", "file: no folder; name the folder that has weights.safetensors in it"),
        ("empty", "empty: no weights.safetensors in it; ./run.sh pretrained export makes a folder"),
        ("half", "half: no run.json in it; "),
        ("run", "run: no weights.safetensors in it; this is the folder of a run: name it with --r"),
        ("run/train", "train: no weights.safetensors in it; this is the folder of a run"),
    ],
)
def test_what_is_no_model_is_answered_with_what_to_do(name, message, box):
    here = pathlib.Path.cwd()
    folder_of(here, "file", "empty/x", "half/weights.safetensors", "run/train/model.ckpt-3.index")
    with pytest.raises(UserError, match=re.escape(message)):
        folders.find(name)


def test_without_models_none_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(folders, "BOX", tmp_path / "absent")
    assert folders.names() == []
    with pytest.raises(UserError, match="^no pretrained model or folder is named 'xyz'$"):
        folders.find("xyz")


def test_one_model_is_named(box):
    folder_of(pathlib.Path("run"), "train/model.ckpt-3.index")
    folders.require("run", None, None)
    folders.require(None, None, "groove_4bar")
    folders.require("new", "run/train/model.ckpt-3", None, new_run_dir=True)
    with pytest.raises(UserError, match="^give --run_dir, --checkpoint_file or --pretrained$"):
        folders.require(None, None, None)
    with pytest.raises(UserError, match="--pretrained and --run_dir name a model each; give one"):
        folders.require("run", None, "groove_4bar")
    with pytest.raises(UserError, match="--pretrained and --checkpoint_file name a model each"):
        folders.require(None, "run/train/model.ckpt-3", "groove_4bar")


def test_a_warm_start_is_from_a_model_a_run_or_a_checkpoint(box):
    folder_of(pathlib.Path("run"), "train/model.ckpt-3.index")
    folder_of(pathlib.Path("mine"), "weights.safetensors", "run.json")
    folder_of(pathlib.Path(), "model.ckpt-5.index")
    for source in ("groove_4bar", "run", "mine", "run/train/model.ckpt-3", "model.ckpt-5"):
        pretrained.require_source(source)
    for source, message in [
        ("grove_4bar", "no pretrained model, run folder or checkpoint is named 'grove_4bar'; did"),
        ("run/train/model.ckpt-4", "model.ckpt-4.index does not exist"),
        ("http://host/x.tar", "is a URL; download it"),
    ]:
        with pytest.raises(UserError, match=message):
            pretrained.require_source(source)


def test_damaged_weights_are_found_before_a_checkpoint_is_written(tmp_path, monkeypatch):
    def written(*args):
        raise AssertionError("a checkpoint is written")

    monkeypatch.setattr(pretrained, "write_checkpoint", written)
    from pipelines.systems.musicvae.run import open_run

    runs.write(tmp_path, "musicvae", RUN_JSON)
    weights.write(tmp_path / "weights.safetensors", {"x": np.ones(4)}, "flat-groove_4bar", 1)
    content = (tmp_path / "weights.safetensors").read_bytes()
    (tmp_path / "weights.safetensors").write_bytes(content[:-1] + b"\0")
    with pytest.raises(UserError, match="weights.safetensors: damaged: its numbers have the sha25"):
        open_run(name=str(tmp_path))
    weights.write(tmp_path / "weights.safetensors", {"x": np.ones(4)}, "hierdec-groove_4bar", 1)
    message = "these are weights of hierdec-groove_4bar, and run.json beside them is of flat-groove"
    with pytest.raises(UserError, match=message):
        open_run(name=str(tmp_path))


@pytest.mark.slow
def test_weights_of_other_shapes_are_named(folder):
    from pipelines.systems.musicvae import model
    from pipelines.systems.musicvae.run import open_run

    found = folders.read(folder)
    changed = {**found.tensors, "decoder/output_projection/bias": np.ones(5)}
    del changed["encoder/mu/bias"]
    weights.write(folder / "weights.safetensors", changed, found.config, found.step)
    run = open_run(name=str(folder))
    with pytest.raises(UserError) as error:
        model.load(run, 1, seed=0)
    assert str(error.value) == (
        f"{folder}/weights.safetensors: does not fit the config and its hparams: "
        "decoder/output_projection/bias is [27] in the model and [5] in the checkpoint; "
        "encoder/mu/bias is [4] in the model and absent in the checkpoint"
    )


@pytest.mark.slow
def test_it_opens_as_a_run_with_a_checkpoint_of_magentas(folder, tiny_run):
    import tensorflow.compat.v1 as tf

    from pipelines.systems.musicvae.run import open_run

    (folder / "prior.safetensors").write_bytes(b"prior")
    first, second = open_run(name=str(folder)), open_run(name=str(folder))
    assert first.checkpoint != second.checkpoint  # Two at once are not in each other's way.
    assert (first.name, first.step) == ("flat-groove_4bar", 3)
    assert first.source == f"{folder}/weights.safetensors"
    assert first.config.hparams.enc_rnn_size == [8]
    saved = tf.train.load_checkpoint(first.checkpoint)
    assert saved.get_tensor("global_step") == 3
    trained = tf.train.load_checkpoint(str(tiny_run / "train" / "model.ckpt-3"))
    for name, tensor in folders.read(folder).tensors.items():
        assert saved.get_tensor(name).dtype == np.float32
        rounded = trained.get_tensor(name).astype(np.float16).astype(np.float32)
        np.testing.assert_array_equal(saved.get_tensor(name), rounded)
        np.testing.assert_array_equal(saved.get_tensor(name), tensor)
    # What lies beside the weights lies beside the checkpoint.
    assert pathlib.Path(first.companion("prior.safetensors") or "").read_bytes() == b"prior"
    assert first.companion("attributes.json") is None


@pytest.mark.slow
def test_the_checkpoint_goes_when_its_process_ends(folder, tmp_path):
    """Also in a process that was forked, as the demo's jobs are; nothing is left to be damaged."""
    code = (
        "import multiprocessing, os, sys\n"
        "from pipelines.systems.musicvae.run import open_run\n"
        "def job():\n"
        "    print(open_run(name=sys.argv[1]).checkpoint, flush=True)\n"
        "    assert len(os.listdir(os.environ['TMPDIR'])) == before + 1\n"
        "before = 0\n"
        "process = multiprocessing.get_context('fork').Process(target=job)\n"
        "process.start(); process.join()\n"
        "assert process.exitcode == 0 and not os.listdir(os.environ['TMPDIR'])\n"
        "job()\n"
    )
    (tmp_path / "temporary").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", code, folder],
        env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path / "temporary")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert len(set(done.stdout.split())) == 2
    assert not list((tmp_path / "temporary").iterdir())


@pytest.mark.slow
def test_a_full_disk_is_named(folder, tmp_path, monkeypatch):
    found = folders.read(folder)
    place = tmp_path / "place"
    place.touch()  # No folder, so nothing can be written in it.
    monkeypatch.setattr(pretrained.tempfile, "mkdtemp", lambda prefix: str(place))
    with pytest.raises(
        UserError, match=r"cannot be written \(\w+Error\); free some of .* variable TMPDIR"
    ):
        pretrained.write_checkpoint(folder, found)


@pytest.mark.slow
def test_every_mode_plays_it(folder, groove_records, tmp_path):
    from pipelines.systems.musicvae import generation
    from pipelines.systems.musicvae.run import open_run

    beat = str(next((groove_records.parent / "corpus").rglob("*_beat_4-4.mid")))
    options = generation.Options(num_outputs=2, seed=1, pianoroll=False)
    for mode, inputs, number in (("sample", 0, 2), ("reconstruct", 1, 1), ("interpolate", 2, 2)):
        run = open_run(name=str(folder))
        found = generation.generate(run, mode, str(tmp_path / mode), [beat] * inputs, options)
        assert len(found) == number == len(list((tmp_path / mode).glob("*.mid")))


@pytest.mark.slow
def test_the_commands_take_it(folder, tiny_run, groove_records, tmp_path):
    beat = next((groove_records.parent / "corpus").rglob("*_beat_4-4.mid"))
    flag = f"--pretrained={folder}"
    more = ["--mode=interpolate", "--num_outputs=2", f"--output_dir={tmp_path / 'music'}"]
    done = job("generate", flag, *more, *[f"--input={beat}"] * 2)
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "music").glob("*.mid"))) == 2 == len(done.stdout.split())
    examples = f"--examples_path={groove_records}/validation.tfrecord*"
    before = sorted(folder.iterdir())
    done = job("evaluate", flag, examples, "--eval_num_batches=1", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    measured = json.loads(done.stdout)
    assert (measured["config"], measured["step"]) == ("flat-groove_4bar", 3)
    assert sorted(folder.iterdir()) == before
    both = job("evaluate", flag, f"--run_dir={tiny_run}", examples)
    assert "--pretrained and --run_dir name a model each; give one" in error_of(both)


def test_the_list_of_models():
    lines = job("pretrained").stdout.splitlines()
    listed = json.loads(job("pretrained", "--json").stdout)["pretrained"]
    assert (
        [line.split()[0] for line in lines] == [each["name"] for each in listed] == folders.names()
    )
    assert error_of(job("pretrained", "exprt")).endswith("'exprt'; it has export (see --help)")


def _attributes_of(name: str) -> pathlib.Path:
    path = BOX / name / directions.FILE
    # Whoever reads the README edits with this one.
    assert path.exists() or name != "groove_4bar"
    if not path.exists():
        pytest.skip(f"{name} comes without attributes")
    return path


@pytest.mark.parametrize(
    "name", NAMES or [pytest.param("", marks=pytest.mark.skip(f"there is no model in {BOX.name}"))]
)
class TestModelsOfTheProject:
    @pytest.mark.slow
    def test_it_plays(self, name, tmp_path):
        from pipelines.systems.musicvae import generation
        from pipelines.systems.musicvae.run import open_run

        player = generation.Player(open_run(name=name), batch_size=4, seed=1)
        assert all(piece.notes for piece in player.sample(4, 1, 0.5, 120))

    def test_the_file_of_its_attributes_names_no_folder_of_who_made_it(self, name):
        found = directions.read(_attributes_of(name))
        assert found.made_for["config"] == folders.read(BOX / name).config
        assert not os.path.isabs(found.made_of["examples_path"])

    @pytest.mark.slow
    def test_it_is_edited_by_what_lies_beside_it(self, name, groove_records, tmp_path):
        """As in the README: more hits where more are asked for."""
        from pipelines.media import reading

        if "groove" not in _attributes_of(name).parent.name:
            pytest.skip(f"{name} plays no drums")
        beat = next((groove_records.parent / "corpus").rglob("*_beat_4-4.mid"))
        flags = [f"--pretrained={name}", "--mode=edit", f"--input={beat}", "--json", "--seed=1"]
        flags += ["--attribute=density", "--amount=-2..2", "--num_outputs=2", "--nopianoroll"]
        done = job("generate", *flags, f"--output_dir={tmp_path}")
        assert done.returncode == 0, done.stderr
        fewer, more = (reading.read_piece(path) for path in json.loads(done.stdout)["files"])
        assert 0 < len(fewer.notes) < len(more.notes)

    def test_its_attributes_are_not_overwritten(self, name):
        for flag in (name, str(BOX / name)):
            done = job("attributes", f"--pretrained={flag}", "--examples_path=none")
            assert (
                f"{flag} comes with the project, where nothing is written over; name"
                in error_of(done)
            )


def test_copied_weights_are_a_model(tmp_path):
    """A folder may be copied and renamed: nothing in it says where it is."""
    folder = tmp_path / "one"
    folder.mkdir()
    runs.write(folder, "musicvae", RUN_JSON)
    weights.write(folder / "weights.safetensors", {"x": np.ones(4)}, "flat-groove_4bar", 1)
    shutil.copytree(folder, tmp_path / "two")
    assert folders.read(folders.find(str(tmp_path / "two"))).step == 1
