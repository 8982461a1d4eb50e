"""Python, `.venv` and the packages beside the lock."""

import importlib.metadata

import pytest

from pipelines.health import ERROR, NOTE, OK, WARNING, devices, environment, optional


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A checkout whose lock and environment a test makes; these packages are installed."""
    monkeypatch.setattr(environment, "ROOT", tmp_path)
    installed = {"one": "1.0", "two-words": "2.0", "more": "3.0", "pip": "9", "nvidia-cuda": "12"}

    def version(name):
        try:
            return installed[name]
        except KeyError:
            raise importlib.metadata.PackageNotFoundError(name) from None

    monkeypatch.setattr(importlib.metadata, "version", version)
    monkeypatch.setattr(environment, "_installed", lambda: ["more", "one", "two-words"])
    return tmp_path


def lock(folder, *lines, name="requirements.txt"):
    (folder / name).write_text("\n".join(["# a comment", *lines, ""]))


def test_packages_as_in_the_lock(checkout):
    lock(checkout, "one==1.0", "Two_Words==2.0 ; python_version >= '3.0'", "more[x]==3.0")
    found = environment.packages()
    assert (found.status, found.found) == (OK, "3 of 3 as in requirements.txt")
    assert not found.advice


def test_packages_that_differ_are_named(checkout):
    lock(checkout, "one==1.1", "gone==1", "gone-too==1", "never==1 ; python_version < '3'")
    lock(checkout, "more==3.0", name="requirements-dev.txt")
    found = environment.packages()
    assert found.status == ERROR and "remove the folder .venv" in found.advice
    assert found.found == (
        "0 of 3 as in requirements.txt; missing: gone, gone-too; other: one 1.0 (not 1.1); "
        "not in requirements.txt: two-words"
    )


def test_packages_besides_the_lock_are_a_note(checkout):
    lock(checkout, "one==1.0")
    found = environment.packages()
    assert found.status == NOTE
    assert found.found.endswith("; not in requirements.txt: more, two-words")
    assert found.advice == "if a job fails, uninstall these and try again"


def test_packages_of_another_python_are_not_looked_at(checkout, monkeypatch):
    lock(checkout, "one==1.0")
    names = {
        "packages",
        "imports",
        "GPU",
        "encoder minilm",
        "datasets of TFDS",
        "sound",
        "FluidSynth",
    }

    def findings():
        return [each for room in (environment, devices, optional) for each in room.look()]

    def left_out():
        found = {each.name: each for each in findings() if each.found.startswith("not looked at")}
        assert set(found) == names and {each.status for each in found.values()} == {NOTE}
        return found["GPU"]

    monkeypatch.setattr(devices, "ask", lambda modules: pytest.fail("packages are imported"))
    assert left_out()[2:] == ("not looked at: .venv is not made yet", "./run.sh configs makes it")
    assert [each.name for each in findings() if each.status == ERROR] == [".venv"]
    assert not any("two-words" in each.found for each in findings())
    (checkout / ".venv").mkdir()
    assert left_out()[2:] == ("not looked at: another Python runs this", "see .venv")
    monkeypatch.setattr(environment.sys, "prefix", str(checkout / ".venv"))
    assert all(environment.skipped(name) is None for name in names)


def test_the_state_of_the_environment(checkout, monkeypatch):
    lock(checkout, "one==1.0")
    assert environment.virtual_environment()[1:3] == (ERROR, "not made yet")
    (checkout / ".venv").mkdir()
    assert environment.virtual_environment().found.startswith("not finished")
    lock(checkout / ".venv", "one==0.9", name="installed.txt")
    assert environment.virtual_environment().status == WARNING
    lock(checkout / ".venv", "one==1.0", name="installed.txt")
    found = environment.virtual_environment()
    assert found.status == ERROR and "its Python does not run" in found.found
    monkeypatch.setattr(environment.sys, "prefix", str(checkout / ".venv"))
    assert environment.virtual_environment().status == OK


@pytest.mark.parametrize(
    "version, status", [((3, 10), ERROR), ((3, 11), OK), ((3, 13), OK), ((3, 14), ERROR)]
)
def test_the_python(version, status, monkeypatch):
    monkeypatch.setattr(environment.sys, "version_info", (*version, 0))
    assert environment.python().status == status
