"""Run folders: one run.json with its kind, wherever it is."""

import json

import pytest

from pipelines import runs
from pipelines.runtime.app import UserError


def test_what_is_written_is_read(tmp_path):
    assert runs.read(tmp_path, "some") == {}
    runs.write(tmp_path / "run", "some", {"b": [1, None], "a": "é"})
    assert runs.read(tmp_path / "run", "some") == {"kind": "some", "a": "é", "b": [1, None]}
    assert runs.read(runs.train_dir(tmp_path / "run"), "some")["a"] == "é"


def test_a_run_of_another_system_is_refused(tmp_path):
    runs.write(tmp_path, "some", {})
    with pytest.raises(UserError, match="is a run of some, not of other; name another --run_dir"):
        runs.read(tmp_path, "other")


def test_run_json_of_an_older_version_is_read_and_replaced(tmp_path):
    """MusicVAE's run.json was beside its checkpoints and had no kind."""
    old = tmp_path / "train" / "run.json"
    old.parent.mkdir()
    old.write_text('{"config": "x", "hparams": {}}')
    for folder in (tmp_path, tmp_path / "train"):
        assert runs.read(folder, "musicvae")["config"] == "x"
        with pytest.raises(UserError, match="a run of musicvae"):
            runs.read(folder, "titles")
    runs.write(tmp_path, "musicvae", {"config": "y"})
    assert not old.exists()
    for folder in (tmp_path, tmp_path / "train"):
        assert runs.read(folder, "musicvae")["config"] == "y"


def test_a_run_folder_may_be_called_train(tmp_path):
    runs.write(tmp_path, "outer", {})
    runs.write(tmp_path / "train", "inner", {})
    assert runs.read(tmp_path / "train", "inner")["kind"] == "inner"


@pytest.mark.parametrize("text", ["{", "[]", "5", "\xff", pytest.param("[" * 100_000, id="deep")])
def test_a_damaged_run_json_is_named(text, tmp_path):
    (tmp_path / "run.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(UserError, match="run.json"):
        runs.read(tmp_path, "some")


def test_it_can_be_read_by_people(tmp_path):
    """Names are sorted, so that two runs are easy to compare."""
    runs.write(tmp_path, "some", {"b": 1, "a": 2})
    assert list(json.loads((tmp_path / "run.json").read_text())) == ["a", "b", "kind"]
