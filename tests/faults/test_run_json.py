"""A run.json from elsewhere: one clear line for what cannot be used, and nothing is executed."""

import json
import math
import os
import shutil
import subprocess
import sys

import pytest

from pipelines import runs
from pipelines.runtime.app import UserError
from tests.support.jobs import ROOT

SOUND = {"kind": "musicvae", "config": "flat-groove_4bar", "hparams": {}, "starts": []}
SAYS = "import sys\nfrom pipelines import runs\nfrom pipelines.runtime import app\n"
SAYS += "with app.ending():\n    runs.read(sys.argv[1], 'musicvae')\n"


@pytest.mark.parametrize(
    "text",
    [
        pytest.param('{"a": ' * 100_000, id="nested"),
        pytest.param("[" * 900 + "]" * 900, id="nested, and whole"),
        pytest.param('{"config": ' + "9" * 5000 + "}", id="a number of 5000 digits"),
        pytest.param('{"config": "\ud800', id="half a sign"),
        pytest.param("\0" * 1000, id="zeros"),
        pytest.param('"config"', id="a string"),
        pytest.param("NaN", id="NaN"),
        pytest.param("", id="empty"),
    ],
)
def test_what_is_no_object_is_named(tmp_path, text):
    (tmp_path / "run.json").write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(UserError, match=r"run\.json: not .*restore it"):
        runs.read(tmp_path, "musicvae")


def test_a_file_of_ten_gigabytes_is_not_read(tmp_path):
    with open(tmp_path / "run.json", "wb") as file:
        file.truncate(10 << 30)
    with pytest.raises(OSError, match="larger than 67 MB") as raised:
        runs.read(tmp_path, "musicvae")
    assert raised.value.filename == str(tmp_path / "run.json")


@pytest.mark.parametrize("kind", [None, 5, ["musicvae"], {"a": 1}, math.nan, "\x1b[31mred\u202e"])
def test_another_kind_is_named_and_shown_escaped(tmp_path, kind):
    (tmp_path / "run.json").write_text(json.dumps({**SOUND, "kind": kind}))
    done = subprocess.run(
        [sys.executable, "-c", SAYS, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ") and "name another --run_dir" in line
    assert "\x1b" not in line and "\u202e" not in line


def test_of_a_key_that_stands_twice_the_last_holds(tmp_path):
    (tmp_path / "run.json").write_text('{"kind": "x", "config": "a", "config": "b", "kind": "y"}')
    assert runs.read(tmp_path, "y") == {"kind": "y", "config": "b"}


# With TensorFlow, on a run that was trained


@pytest.fixture
def run(tiny_run, tmp_path):
    shutil.copytree(tiny_run, tmp_path / "run")
    return tmp_path / "run"


def change(run, changed=(), **fields) -> None:
    said = json.loads((run / "run.json").read_text())
    said["hparams"].update(changed)
    (run / "run.json").write_text(json.dumps({**said, **fields}))


@pytest.mark.slow
@pytest.mark.parametrize(
    "fields, named",
    [
        ({"config": 5}, "no config that can be used"),
        ({"config": ["flat-groove_4bar"]}, "no config that can be used"),
        ({"config": None}, "no config that can be used"),
        ({"config": "../../etc/passwd"}, "no config is named"),
        ({"config": "os.system"}, "no config is named"),
        ({"hparams": [1]}, "no hparams that can be used"),
        ({"starts": 5}, "no starts that can be used"),
        ({"starts": {"a": 1}}, "no starts that can be used"),
        ({"starts": [5]}, "no starts that can be used"),
        ({"starts": [{"examples_path": 5}]}, "no starts that can be used"),
        ({"starts": [{"examples_path": [["x"]]}]}, "no starts that can be used"),
        ({"config_file": 5}, "no config_file that can be used"),
        ({"config_file_sha256": 5}, "no config_file_sha256 that can be used"),
        ({"config_file_sha256": "x"}, "name that file with --config_file"),
    ],
    ids=str,
)
def test_fields_of_another_type_are_named(run, fields, named):
    from pipelines.systems.musicvae.run import open_run

    change(run, **fields)
    with pytest.raises(UserError, match=named):
        open_run(str(run))


@pytest.mark.slow
@pytest.mark.parametrize(
    "hparams, named",
    [
        ({"z_size": -1}, "z_size must be at least 1"),
        ({"z_size": 0}, "z_size must be at least 1"),
        ({"z_size": 10**12}, "z_size must be at least 1 and at most 2147483647"),
        ({"z_size": 10**400}, "z_size must be at least 1 and at most 2147483647"),
        ({"z_size": None}, "do not fit the config"),
        ({"z_size": "4; rm -r /"}, "do not fit the config"),
        ({"dec_rnn_size": []}, "dec_rnn_size must be a list of layers"),
        ({"dec_rnn_size": [-8, 8]}, "dec_rnn_size must be a list of layers"),
        ({"dec_rnn_size": {}}, "do not fit the config"),
        ({"dec_rnn_size": [[8]]}, "do not fit the config"),
        ({"batch_size": 10**15}, "batch_size must be at least 1 and at most 2147483647"),
        ({"max_seq_len": 10**9}, "max_seq_len must stay 64"),
        ({"learning_rate": math.nan}, "learning_rate must be a finite number"),
        ({"learning_rate": math.inf}, "learning_rate must be a finite number"),
        ({"__class__": 1}, "do not fit the config"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_hparams_that_no_model_works_with_are_named(run, hparams, named):
    from pipelines.systems.musicvae.run import open_run

    change(run, hparams)
    with pytest.raises(UserError, match=named) as error:
        open_run(str(run))
    assert str(run) in str(error.value)


@pytest.mark.slow
def test_training_does_not_go_on_from_starts_of_another_type(run, groove_records):
    from tests.support.trained import train_run

    change(run, starts=5)
    with pytest.raises(UserError, match="no starts that can be used"):
        train_run(groove_records, run, num_steps=4)


@pytest.mark.slow
def test_older_runs_without_starts_are_opened(run):
    from pipelines.systems.musicvae.run import open_run

    said = json.loads((run / "run.json").read_text())
    del said["starts"]
    (run / "run.json").write_text(json.dumps(said))
    assert open_run(str(run)).trained_on() == []
