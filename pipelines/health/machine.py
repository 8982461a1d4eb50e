"""The machine: its system, memory and disks, and the variables that change what jobs do."""

import os
import platform
import re
import shutil
import tempfile
from collections.abc import Iterator

from pipelines.health import OK, ROOT, WARNING, Finding, size, without_home

# An environment takes 4 GB, and the checkpoints of a run some hundred megabytes.
_LITTLE_DISK, _LITTLE_MEMORY = 5e9, 3e9
_VARIABLES = re.compile(
    # Terraform's variables, which may be secrets, begin with TF_ too.
    r"CUDA_VISIBLE_DEVICES|TF_(?:CPP|CUDNN|ENABLE|FORCE|GPU|NUM|USE|XLA)_\w+|TFDS_DATA_DIR|TFHUB_CACHE_DIR|XLA_FLAGS|KERAS_\w+|LD_LIBRARY_PATH"
    r"|LD_PRELOAD|OMP_NUM_THREADS|PYTHONHOME|PYTHONPATH|PYTHONSTARTUP|REELGROOVE_\w+"
)


def look() -> Iterator[Finding]:
    """The system, memory, disks and variables."""
    cores = os.cpu_count()
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else cores
    share = f" (this process may use {usable})" if usable != cores else ""
    yield Finding("system", OK, f"{platform.platform()}; {cores} cores{share}")
    yield memory()
    yield from disks()
    if found := variables():
        yield Finding("variables", OK, found)


def memory() -> Finding:
    """The memory that is free."""
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            lines = dict(line.split(":") for line in file)
        total, free = (int(lines[key].split()[0]) * 1024 for key in ("MemTotal", "MemAvailable"))
    except (OSError, KeyError, ValueError):
        return Finding("memory", OK, "not known on this system")
    found = f"{size(free)} free of {size(total)}"
    if free < _LITTLE_MEMORY:
        return Finding(
            "memory", WARNING, found, "end other programs, or train with a lower batch_size"
        )
    return Finding("memory", OK, found)


def disks() -> Iterator[Finding]:
    """The space at the checkout, for temporary files and where the user stands, each disk once."""
    seen = set()
    for what, path in (
        ("checkout", str(ROOT)),
        ("temporary files", tempfile.gettempdir()),
        ("this folder", os.getcwd()),
    ):
        device = os.stat(path).st_dev
        if device in seen:
            continue
        seen.add(device)
        usage = shutil.disk_usage(path)
        found = f"{size(usage.free)} free of {size(usage.total)} ({without_home(path)})"
        if usage.free < _LITTLE_DISK:
            advice = "free some of it: an environment takes 4 GB, and a run some hundred megabytes"
            yield Finding(f"disk, {what}", WARNING, found, advice)
        else:
            yield Finding(f"disk, {what}", OK, found)


def variables() -> str:
    """The variables that are set and change what jobs do, with their values."""
    names = sorted(name for name in os.environ if _VARIABLES.fullmatch(name))
    # run.sh and `pipelines` set these themselves.
    ours = {"PYTHONPATH": str(ROOT), "TF_USE_LEGACY_KERAS": "1"}
    return " ".join(
        f"{name}={without_home(os.environ[name])}"
        for name in names
        if os.environ[name] != ours.get(name)
    )
