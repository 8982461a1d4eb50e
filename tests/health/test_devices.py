"""What can be imported, and why TensorFlow sees no GPU."""

import os
import signal

import pytest

from pipelines.health import ERROR, NOTE, OK, WARNING, devices

BROKEN = {
    "raises": "raise ValueError('a\\n b')",
    "exits": "raise SystemExit(3)",
    "chatters": "print('hello'); print('{}')",
    "dies": f"import os; os.kill(os.getpid(), {int(signal.SIGKILL)})",
    "hangs": "import time; time.sleep(600)",
}


@pytest.fixture
def modules(tmp_path, monkeypatch):
    for name, text in BROKEN.items():
        (tmp_path / f"{name}_module.py").write_text(text)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return lambda *names, **how: devices.ask(tuple(f"{name}_module" for name in names), **how)


def test_modules_that_are_broken_are_named_and_the_others_tried(modules):
    facts = modules("gone", "raises", "exits", "chatters")
    assert facts["broken"] == {
        "gone_module": "ModuleNotFoundError: No module named 'gone_module'",
        "raises_module": "ValueError: a b",
        "exits_module": "SystemExit: 3",
    }
    found = devices.imports(facts)
    assert found.status == ERROR and "raises_module: ValueError: a b" in found.found
    assert devices.imports(modules("chatters")).status == OK


def test_a_module_that_ends_python_is_named(modules):
    broken = modules("chatters", "dies", "raises")["broken"]
    assert broken == {"dies_module": "ends Python with status -9"}


def test_a_module_that_hangs_is_named(modules):
    broken = modules("chatters", "hangs", seconds=2)["broken"]
    assert broken == {"hangs_module": "does not end within 2 s"}


NO_GPU = {
    "broken": {},
    "messages": "",
    "version": "2.21.0",
    "gpus": [],
    "built_with_cuda": True,
    "cuda_version": "12.5.1",
}
HERE = {
    "driver": True,
    "listed": ["NVIDIA H100, 550.1"],
    "packages": ["nvidia-cudnn-cu12"],
    "hidden": None,
    "other": False,
}


@pytest.mark.parametrize(
    "facts, seen, status, advice",
    [
        ({}, {"driver": False, "listed": []}, NOTE, "install its driver"),
        ({}, {"driver": False, "listed": [], "other": True}, NOTE, "AMD"),
        ({"built_with_cuda": False}, {}, WARNING, "built without CUDA"),
        ({}, {"hidden": ""}, WARNING, "unset CUDA_VISIBLE_DEVICES=, which hides it"),
        ({}, {"packages": []}, WARNING, "'tensorflow[and-cuda]=="),
        ({}, {"listed": []}, WARNING, "nvidia-smi lists no GPU"),
        ({"messages": "x\nCannot dlopen some GPU libraries. y"}, {}, WARNING, "library of CUDA"),
        (
            {"messages": "failed call to cuInit: CUDA_ERROR_OLD\nz"},
            {},
            WARNING,
            "the driver refuses CUDA (CUDA_ERROR_OLD)",
        ),
        ({}, {}, WARNING, "made for CUDA 12.5.1"),
        ({"gpus": ["H100"]}, {}, OK, ""),
        ({"gpus": ["H100"]}, {"hidden": "0", "listed": ["a", "b"]}, NOTE, "to use all"),
    ],
)
def test_why_there_is_no_gpu(facts, seen, status, advice):
    found = devices.gpus({**NO_GPU, **facts}, {**HERE, **seen})
    assert found.status == status and advice in found.advice
    assert bool(found.advice) == bool(advice)


def test_without_tensorflow_there_is_nothing_to_see():
    assert devices.gpus({"broken": {}}, HERE).status == ERROR


def test_a_machine_is_looked_at_without_nvidias_program(monkeypatch):
    monkeypatch.setenv("PATH", os.devnull)
    assert devices.machine()["listed"] == []
