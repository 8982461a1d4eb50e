"""TensorFlow and the other large packages, whether they can be imported, and what they compute on.

They are imported in a process of its own: one that is broken may end its process, or hang.
"""

import glob
import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from pipelines.health import ERROR, NOTE, OK, WARNING, Finding
from pipelines.health.environment import ANEW, installed_version, skipped

# A first import after the installation may take a minute on a slow disk.
_SECONDS = 180.0
_MODULES = (
    "numpy", "absl", "scipy", "google.protobuf", "note_seq", "apache_beam", "matplotlib",
    "tensorflow", "tf_keras", "keras", "tensorflow_hub", "tensorboard", "tensorflow_datasets",
    "magenta.models.music_vae",
)  # fmt: skip
# Each line of the answer is JSON; the last module that was begun is known even if it ends all.
_PROBE = """
import importlib, json, sys, warnings
warnings.simplefilter("ignore")
def say(**facts):
    print(json.dumps(facts), flush=True)
for name in sys.argv[1:]:
    say(begun=name)
    try:
        importlib.import_module(name)
    except BaseException as error:
        say(broken=name, why=f"{type(error).__name__}: {error}")
if "tensorflow" not in sys.argv:
    sys.exit(say(begun=""))
say(begun="devices")
import tensorflow as tf
gpus = tf.config.list_physical_devices("GPU")
models = [tf.config.experimental.get_device_details(gpu).get("device_name", "") for gpu in gpus]
build = tf.sysconfig.get_build_info()
cuda = {key: str(build.get(key, "")) for key in ("cuda_version", "cudnn_version")}
say(version=tf.version.VERSION, gpus=models, built_with_cuda=tf.test.is_built_with_cuda(), **cuda)
say(begun="")
"""
_DRIVER_FILES = ("/dev/nvidiactl", "/proc/driver/nvidia/version", "/dev/dxg")


def look() -> Iterator[Finding]:
    """Whether the large packages can be imported, then the devices of TensorFlow."""
    if left_out := skipped("imports"):
        yield left_out
        yield left_out._replace(name="GPU")
        return
    facts = ask(_MODULES)
    yield imports(facts)
    yield gpus(facts, machine())


def ask(modules: tuple[str, ...], seconds: float = _SECONDS) -> dict[str, Any]:
    """Imports modules in another process and asks TensorFlow for its devices.

    Returns:
      "broken" (why by module), "messages" (what was written to stderr), and what TensorFlow said:
      "version", "gpus" (their models), "built_with_cuda", "cuda_version", "cudnn_version".
    """
    environment = {**os.environ, "TF_USE_LEGACY_KERAS": "1"}
    environment.pop("TF_CPP_MIN_LOG_LEVEL", None)
    try:
        done = subprocess.run(
            [sys.executable, "-c", _PROBE, *modules],
            check=False,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=seconds,
        )
        out, err, how = done.stdout, done.stderr, f"ends Python with status {done.returncode}"
    except subprocess.TimeoutExpired as error:
        out, err = error.stdout or b"", error.stderr or b""
        how = f"does not end within {seconds:.0f} s"
    except OSError as error:
        out, err, how = b"", b"", str(error)
    facts: dict[str, Any] = {"broken": {}, "messages": err.decode("utf-8", "replace")}
    begun = "Python"
    for line in out.decode("utf-8", "replace").splitlines():
        try:
            answer = json.loads(line)
        except ValueError:
            continue  # Some package prints while it is imported.
        begun = answer.pop("begun", begun)
        if "broken" in answer:
            facts["broken"][answer["broken"]] = " ".join(answer["why"].split())[:200]
        else:
            facts.update(answer)
    if begun and begun not in facts["broken"] and not (begun == "devices" and facts["broken"]):
        facts["broken"][begun] = how
    return facts


def imports(facts: Mapping[str, Any]) -> Finding:
    """Whether the large packages can be imported."""
    if not facts["broken"]:
        return Finding("imports", OK, f"all {len(_MODULES)} that were tried")
    found = "; ".join(f"{name}: {why}" for name, why in list(facts["broken"].items())[:3])
    more = len(facts["broken"]) - 3
    return Finding("imports", ERROR, found + (f"; and {more} more" if more > 0 else ""), ANEW)


def machine() -> dict[str, Any]:
    """What the system says of NVIDIA's GPUs, their driver and CUDA's packages."""
    listed: list[str] = []
    path = shutil.which("nvidia-smi")
    if path:
        try:
            done = subprocess.run(
                [path, "--query-gpu=name,driver_version", "--format=csv,noheader"],
                check=False,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=30,
            )
            listed = done.stdout.splitlines() if done.returncode == 0 else []
        except (OSError, subprocess.SubprocessError):
            pass
    names = {(each.metadata["Name"] or "").lower() for each in importlib.metadata.distributions()}
    return {
        "driver": any(os.path.exists(path) for path in _DRIVER_FILES),
        "listed": listed,
        "packages": sorted(name for name in names if name.startswith("nvidia-")),
        "hidden": os.environ.get("CUDA_VISIBLE_DEVICES"),
        "other": bool(glob.glob("/dev/kfd")),
    }


def gpus(facts: Mapping[str, Any], seen: Mapping[str, Any]) -> Finding:
    """What TensorFlow computes on and, where it sees no GPU, why.

    Args:
      facts: from `ask`.
      seen: from `machine`.
    """
    name = "GPU"
    driver = f"; nvidia-smi lists {', '.join(seen['listed'])}" if seen["listed"] else ""
    if "gpus" not in facts:
        return Finding(name, ERROR, f"TensorFlow does not run{driver}", "see imports")
    if facts["gpus"]:
        count = len(seen["listed"])
        models = ", ".join(model or "GPU" for model in facts["gpus"])
        if seen["hidden"] is not None and count > len(facts["gpus"]):
            return Finding(
                name,
                NOTE,
                f"{models}{driver}; CUDA_VISIBLE_DEVICES={seen['hidden']} hides the others",
                "unset CUDA_VISIBLE_DEVICES to use all",
            )
        return Finding(name, OK, f"{models}; CUDA {facts['cuda_version']}{driver}")
    found = f"TensorFlow {facts['version']} finds none and computes on the CPU{driver}"
    if not seen["driver"] and not seen["listed"]:
        advice = "for an NVIDIA GPU install its driver (in a container: --gpus=all); docs/gpu.md"
        if seen["other"]:
            advice = "TensorFlow from PyPI uses NVIDIA GPUs alone; AMD has builds of its own"
        return Finding(name, NOTE, f"{found}; there is no NVIDIA driver", advice)
    return Finding(name, WARNING, found, _why(facts, seen))


def _why(facts: Mapping[str, Any], seen: Mapping[str, Any]) -> str:
    """Why TensorFlow does not see a GPU that has a driver, and what to do."""
    if not facts.get("built_with_cuda"):
        return "this TensorFlow was built without CUDA, as those for macOS and Windows are"
    if seen["hidden"] is not None:
        return f"unset CUDA_VISIBLE_DEVICES={seen['hidden']}, which hides it"
    if not seen["packages"]:
        version = installed_version("tensorflow") or "2.21.0"
        return (
            "CUDA's packages are missing: ./.venv/bin/uv pip install --python .venv/bin/python "
            f"'tensorflow[and-cuda]=={version}'"
        )
    if not seen["listed"]:
        return "nvidia-smi lists no GPU: load the driver, or start the container with --gpus=all"
    if "Cannot dlopen some GPU libraries" in facts["messages"]:
        return (
            f"a library of CUDA is missing: install 'tensorflow[and-cuda]=={facts['version']}' anew"
        )
    failed = re.search(r"failed call to cuInit: (.*)", facts["messages"])
    if failed:
        return f"the driver refuses CUDA ({failed[1][:80]}): update it, then restart the machine"
    return (
        f"update the driver: this TensorFlow is made for CUDA {facts['cuda_version']}; docs/gpu.md"
    )
