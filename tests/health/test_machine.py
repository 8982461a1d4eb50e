"""The machine, and what a report may tell of it."""

import collections

import pytest

from pipelines.health import OK, WARNING, machine, optional, without_home

Usage = collections.namedtuple("Usage", "total used free")


@pytest.mark.parametrize("free, status", [(4.9e9, WARNING), (5.1e9, OK)])
def test_a_disk_that_is_nearly_full(free, status, monkeypatch):
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda path: Usage(9e9, 9e9 - free, free))
    found = list(machine.disks())
    assert found and all(each.status == status for each in found)
    assert all(bool(each.advice) == (status == WARNING) for each in found)


def test_variables_that_change_jobs_are_told_and_no_others(monkeypatch):
    for name in list(machine.os.environ):
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", "/home/someone")
    monkeypatch.setenv("TF_XLA_FLAGS", "--x")
    monkeypatch.setenv("TF_USE_LEGACY_KERAS", "1")
    monkeypatch.setenv("TF_VAR_password", "secret")
    monkeypatch.setenv("PIP_INDEX_URL", "https://me:secret@example.org")
    monkeypatch.setenv("TFDS_DATA_DIR", "/home/someone/data")
    assert machine.variables() == "TFDS_DATA_DIR=~/data TF_XLA_FLAGS=--x"


def test_the_name_of_the_user_is_not_told(monkeypatch):
    monkeypatch.setenv("HOME", "/home/someone")
    assert without_home("/home/someone/runs") == "~/runs" and without_home("/data") == "/data"
    monkeypatch.setenv("HOME", "/")
    assert without_home("/data/x") == "/data/x"


def test_fluidsynth_is_its_library_and_its_package(monkeypatch):
    monkeypatch.setattr(optional, "installed_version", lambda name: "1.4.0")
    monkeypatch.setattr(optional.ctypes.util, "find_library", {"fluidsynth": "lib.so.3"}.get)
    assert optional.fluidsynth()[1:3] == ("ok", "--synthesizer=fluidsynth, lib.so.3")
    monkeypatch.setattr(optional.ctypes.util, "find_library", {}.get)
    assert optional.fluidsynth().status == "note"
    assert "apt install libfluidsynth3" in optional.fluidsynth().advice
    monkeypatch.setattr(optional, "installed_version", {}.get)
    assert "pip install --no-deps pyfluidsynth" in optional.fluidsynth().advice


def test_optional_parts_have_advice_where_they_are_missing(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(tmp_path / "hub"))
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "tfds"))
    found = {each.name: each for each in optional.look()}
    for name in ("abc2midi", "git", "encoders of TF-Hub", "datasets of TFDS"):
        assert found[name].status == "note" and found[name].advice
    program = tmp_path / "abc2midi"
    program.write_text("#!/bin/sh\necho 4.84 abc2midi\nexit 1\n")
    program.chmod(0o755)
    (tmp_path / "hub" / "abc").mkdir(parents=True)
    (tmp_path / "hub" / "abc" / "saved_model.pb").touch()
    (tmp_path / "tfds" / "groove").mkdir(parents=True)
    (tmp_path / "tfds" / "downloads").mkdir()
    (tmp_path / "my.sf2").touch()
    found = {each.name: each for each in optional.look()}
    assert found["abc2midi"].found == "4.84 abc2midi, ~/abc2midi"
    assert found["encoders of TF-Hub"].found == "1 in ~/hub"
    assert found["datasets of TFDS"].found == "groove in ~/tfds"
    if found["sound font"].found.startswith("~"):  # The system may have one.
        assert found["sound font"].found == "~/my.sf2"
