"""setup.py and requirements.txt agree, the lock is whole, and converting needs no TensorFlow."""

import importlib.metadata
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tarfile
from distutils.core import run_setup

import pytest
import setuptools  # noqa: F401  brings distutils, which Python 3.12 has no more
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from pipelines.systems.titles.text_encoders import minilm
from tests.support import groove_release
from tests.support.jobs import job
from tests.support.records import contents

ROOT = pathlib.Path(__file__).resolve().parents[2]


def read_lock(name: str) -> list[Requirement]:
    """The lines of a lock beside setup.py."""
    lines = (ROOT / name).read_text().splitlines()
    return [Requirement(line) for line in lines if not line.startswith("#")]


PINS = read_lock("requirements.txt")
TOOLS = read_lock("requirements-dev.txt")


@pytest.fixture(scope="module")
def versions() -> dict[str, str]:
    """The packages that the lock installs on this Python and system: name to version."""
    return versions_of(PINS)


def versions_of(pins):
    return {
        canonicalize_name(pin.name): next(iter(pin.specifier)).version
        for pin in pins
        if pin.marker is None or pin.marker.evaluate()
    }


@pytest.fixture(scope="module")
def setup():
    """The arguments of setup.py, as setuptools understands them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        return run_setup("setup.py", stop_after="init")


def unmet(requirements, versions) -> list[str]:
    """The requirements that apply here and that `versions` do not satisfy."""
    missing = []
    for text in requirements:
        wanted = Requirement(text)
        if wanted.marker is None or wanted.marker.evaluate({"extra": ""}):
            version = versions.get(canonicalize_name(wanted.name))
            if version is None or not wanted.specifier.contains(version, prereleases=True):
                missing.append(text)
    return missing


def test_every_line_of_the_lock_is_one_exact_version():
    assert all([spec.operator for spec in pin.specifier] == ["=="] for pin in PINS)
    assert len({canonicalize_name(pin.name) for pin in PINS}) == len(PINS) > 100


def test_the_lock_has_what_setup_asks_for(setup, versions):
    extras = setup.extras_require
    assert set(extras) == {"train", "cuda", "minilm", "sound", "test", "s3", "gs"}
    locked = (setup.install_requires, extras["train"], extras["sound"], extras["test"])
    wanted = [requirement for requirements in locked for requirement in requirements]
    assert unmet(wanted, versions) == []
    # Its own requirements ask for PyTorch, so it is installed separately, with --no-deps.
    assert extras["minilm"] == [minilm.PACKAGE]
    assert minilm.PACKAGE.partition("==")[0] not in versions
    # Buckets need more packages, of which the tools have those that the tests take.
    assert unmet(extras["s3"], versions_of(TOOLS)) == []
    # The packages for a GPU are those of exactly this TensorFlow.
    assert unmet([requirement.replace("[and-cuda]", "") for requirement in extras["cuda"]],
                 versions) == []  # fmt: skip


def test_the_lock_has_what_its_packages_ask_for(versions):
    missing = {
        name: unmet(importlib.metadata.requires(name) or [], versions)
        for name in versions
        if name not in ("magenta", "uv")  # Magenta's pins are why it is installed with --no-deps
    }
    # It imports PyAudio only to play on a sound card, which nothing here does.
    if "tinysoundfont" in missing:
        assert missing.pop("tinysoundfont") == ["pyaudio"]
    assert {name: lines for name, lines in missing.items() if lines} == {}


def test_the_tools_are_exact_and_change_no_package_of_the_lock(versions):
    assert all([spec.operator for spec in tool.specifier] == ["=="] for tool in TOOLS)
    names = {canonicalize_name(tool.name) for tool in TOOLS}
    assert {"coverage", "import-linter", "mypy", "pre-commit", "ruff"} <= names
    shared = [tool for tool in TOOLS if canonicalize_name(tool.name) in versions]
    assert shared
    assert unmet(map(str, shared), versions) == []


def test_what_is_installed_is_what_the_lock_says(versions):
    installed = {name: importlib.metadata.version(name) for name in versions if name != "uv"}
    assert installed == {name: versions[name] for name in installed}


def test_setup_packs_the_projects_packages_and_no_tests(setup):
    packages = set(setup.packages)
    assert {"configs", "models", "pipelines", "pipelines.corpora"} <= packages
    assert {name.partition(".")[0] for name in packages} == {
        *("configs", "models", "pipelines", "reelgroove")
    }


def test_what_beam_workers_install_has_no_trained_models(tmp_path):
    command = [sys.executable, "setup.py", "-q", "egg_info", "--egg-base", tmp_path]
    done = subprocess.run([*command, "sdist", "--dist-dir", tmp_path / "dist"], cwd=ROOT,
                          capture_output=True, text=True)  # fmt: skip
    assert done.returncode == 0, done.stderr
    (archive,) = (tmp_path / "dist").iterdir()
    with tarfile.open(archive) as packed:
        names = [name.partition("/")[2] for name in packed.getnames()]
    assert "pipelines/exported/folders.py" in names
    assert not [name for name in names if name.startswith("models/pretrained")]
    assert not [name for name in names if name.endswith(".safetensors")]


def test_converting_a_corpus_needs_what_setup_installs_and_no_more(tmp_path):
    """A whole conversion in a Python that lacks the packages that Beam workers lack."""
    source = groove_release.write_folder(tmp_path / "release", *groove_release.release())
    code = (
        "import sys\n"
        "for name in ('tensorflow', 'tf_keras', 'tensorflow_datasets', 'magenta', 'matplotlib',\n"
        "             'tensorflow_probability', 'tf_slim', 'tensorboard', 'pytest'):\n"
        "    sys.modules[name] = None  # importing it raises ImportError\n"
        "from pipelines.corpora import conversion\n"
        "print(conversion.convert('groove', sys.argv[1], sys.argv[2])['read'])\n"
    )
    done = subprocess.run([sys.executable, "-c", code, source, tmp_path / "records"], cwd=ROOT,
                          capture_output=True, text=True, timeout=120)  # fmt: skip
    assert done.stdout.split() == ["14"], done.stderr


@pytest.fixture(scope="module")
def worker(tmp_path_factory) -> pathlib.Path:
    """The Python of a new environment that has what setup.py packs and asks for, and no more."""
    folder = tmp_path_factory.mktemp("worker")
    # A copy, since setuptools leaves files of its own beside what it packs.
    for name in ("configs", "models", "pipelines", "reelgroove"):
        without = shutil.ignore_patterns("__pycache__", "pretrained")
        shutil.copytree(ROOT / name, folder / "checkout" / name, ignore=without)
    for name in ("setup.py", "LICENSE", "README.md"):
        shutil.copy(ROOT / name, folder / "checkout")
    run([sys.executable, "setup.py", "-q", "sdist", "--dist-dir", folder], folder / "checkout")
    (sdist,) = folder.glob("*.tar.gz")
    uv = [sys.executable, "-m", "uv"]
    run([*uv, "venv", "--python", sys.executable, folder / "venv"], folder)
    python = folder / "venv" / "bin" / "python"
    constraints = ["--constraint", ROOT / "requirements.txt"]
    install = [*uv, "pip", "install", "--python", python, *constraints, sdist]
    done = subprocess.run(install, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        assert "error sending request" in done.stderr or "Failed to fetch" in done.stderr
        pytest.skip("no package index is reached, to install what setup.py asks for")
    return python


def run(command, folder) -> str:
    """Runs a command in a folder without the checkout's modules; returns what it prints."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run([*map(str, command)], cwd=folder, env=environment, capture_output=True,
                          text=True, timeout=300, check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_what_setup_packs_converts_in_a_new_environment_without_tensorflow(worker, tmp_path):
    names = json.loads(
        run(
            [sys.executable, "-m", "uv", "pip", "list", "--format=json", "--python", worker],
            tmp_path,
        )
    )
    installed = {canonicalize_name(each["name"]) for each in names}
    assert {"reelgroove", "apache-beam", "note-seq"} <= installed
    assert not {"tensorflow", "tf-keras", "keras", "magenta", "matplotlib"} & installed
    where = run([worker, "-c", "import pipelines; print(pipelines.__file__)"], tmp_path).strip()
    assert pathlib.Path(where).is_relative_to(worker.parents[1])
    source = groove_release.write_folder(tmp_path / "release", *groove_release.release())
    flags = ["--corpus=groove", f"--input={source}"]
    run([worker, "-m", "pipelines.convert", *flags, "--output=there"], tmp_path)
    # Processes of its own have to find the project as well.
    options = "--pipeline_options=--direct_running_mode=multi_processing,--direct_num_workers=2"
    run([worker, "-m", "pipelines.convert", *flags, "--output=split", options], tmp_path)
    assert job("convert", *flags, f"--output={tmp_path}/here").returncode == 0
    assert contents(tmp_path / "there") == contents(tmp_path / "here")
    assert contents(tmp_path / "split") == contents(tmp_path / "here")
