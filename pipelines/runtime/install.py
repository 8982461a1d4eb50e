"""Installs the packages of the lock into .venv, for `run.sh`; runs before any of them is there.

    VENV/bin/python -I pipelines/runtime/install.py LOCK VENV

uv takes seconds where pip takes minutes. It knows nothing of pip's configuration, which names the
index, the proxy and the certificates of many companies, so what pip is told is told to uv too. uv
takes the certificates of the system first and its own ones second; where neither will do, pip
installs alone.

Only the standard library is imported here.
"""

import ast
import os
import ssl
import subprocess
import sys
import time
from collections import deque
from collections.abc import Mapping, Sequence

# What pip is configured with, and the variables of uv that mean the same.
_OF_UV = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "no-index": "UV_NO_INDEX",
    "trusted-host": "UV_INSECURE_HOST",
    "cert": "SSL_CERT_FILE",
    "client-cert": "SSL_CLIENT_CERT",
    "proxy": "ALL_PROXY",
}
# The older names of the same variables, which uv still takes.
_OLDER = {"UV_DEFAULT_INDEX": "UV_INDEX_URL", "UV_INDEX": "UV_EXTRA_INDEX_URL"}
# Where a value of pip's is a list, what uv separates its elements with.
_SEPARATORS = {"UV_INDEX": " ", "UV_INSECURE_HOST": " ", "UV_FIND_LINKS": ","}
_PROGRESS_SECONDS = 10
_KEPT_LINES = 20


def pip_configuration(listed: str) -> dict[str, str]:
    """What holds for `pip install`, by name without its section.

    Args:
      listed: the output of `pip config list`: lines such as `global.index-url='https://...'`.
    """
    sections: dict[str, dict[str, str]] = {"global": {}, "install": {}, ":env:": {}}
    for line in listed.splitlines():
        key, equals, value = line.partition("=")
        section, _, name = key.rpartition(".")
        if equals and section in sections:
            try:
                sections[section][name] = str(ast.literal_eval(value))
            except (SyntaxError, ValueError):
                continue
    # The later ones are the stronger ones.
    return {**sections["global"], **sections["install"], **sections[":env:"]}


def environment_of_uv(pip: Mapping[str, str], environment: Mapping[str, str]) -> dict[str, str]:
    """The environment for uv: `environment`, and what pip is configured with where uv is not."""
    added = {}
    for name, variable in _OF_UV.items():
        value = pip.get(name, "").split()
        if not value or variable in environment or _OLDER.get(variable, variable) in environment:
            continue
        added[variable] = _SEPARATORS.get(variable, " ").join(value)
    if "UV_INDEX" in added and "UV_INDEX_STRATEGY" not in environment:
        # pip looks into all indexes; uv by itself only into the first that has the package.
        added["UV_INDEX_STRATEGY"] = "unsafe-best-match"
    return {**environment, **added}


def environment_of_pip(pip: Mapping[str, str], environment: Mapping[str, str]) -> dict[str, str]:
    """The environment for pip: `environment`, and uv's indexes where pip has none."""
    added = {}
    for name, variable in (("index-url", "UV_DEFAULT_INDEX"), ("extra-index-url", "UV_INDEX")):
        value = environment.get(variable) or environment.get(_OLDER[variable])
        if value and name not in pip:
            # uv lets an index have a name: NAME=URL.
            urls = [url.split("=", 1)[1] if _is_named(url) else url for url in value.split()]
            added["PIP_" + name.upper().replace("-", "_")] = " ".join(urls)
    return {**environment, **added}


def _is_named(url: str) -> bool:
    return "=" in url.split(":", 1)[0]


def install(lock: str, venv: str) -> bool:
    """Installs all of `lock` into `venv`; whether that succeeded. Says on stderr what happens."""
    python = [os.path.join(venv, "bin", "python"), "-I", "-m", "pip"]
    listed = subprocess.run(
        [*python, "config", "list"], capture_output=True, text=True, check=False
    ).stdout
    pip = pip_configuration(listed)
    environment = environment_of_pip(pip, os.environ)
    with open(lock, encoding="utf-8") as file:
        packages = [line.strip() for line in file if line.strip() and line[0] != "#"]
    uv = next(package for package in packages if package.startswith("uv=="))
    get = [*python, "install", "--disable-pip-version-check"]
    _say(f"installing {uv}, then {len(packages)} packages")
    if _run_pip([*get, uv], environment, None) and _run_uv(venv, lock, pip):
        return True
    _say("uv could not install the packages; pip does it instead, which takes minutes")
    return _run_pip([*get, "--no-deps", "--requirement", lock], environment, len(packages))


def _run_uv(venv: str, lock: str, pip: Mapping[str, str]) -> bool:
    # The lock is also the constraint for building the one package that has no wheel. Compiled now,
    # all modules are compiled once: a first start takes half of the time, and so does every start
    # where Python may not write beside its modules.
    command = [os.path.join(venv, "bin", "uv"), "pip", "install"]
    command += ["--python", os.path.join(venv, "bin", "python"), "--no-deps", "--compile-bytecode"]
    # uv's progress bars are for terminals.
    command += [] if sys.stderr.isatty() else ["--quiet"]
    command += ["--build-constraints", lock, "--requirements", lock]
    environment = environment_of_uv(pip, os.environ)
    if "UV_SYSTEM_CERTS" in environment or "UV_NATIVE_TLS" in environment:
        return _succeeds(command, environment)
    # A company's certificate is in the system's store. A system without a store needs uv's own.
    with_systems = {**environment, "UV_SYSTEM_CERTS": "1"}
    if _succeeds(command, with_systems):
        return True
    _say("uv could not install the packages; trying once more with uv's own certificates")
    return _succeeds(command, environment)


def _succeeds(command: Sequence[str], environment: Mapping[str, str]) -> bool:
    # What run.sh has locked stays locked as long as an installer runs: it keeps all open files.
    done = subprocess.run(command, env=environment, check=False, close_fds=False)
    return done.returncode == 0


def _run_pip(command: Sequence[str], environment: Mapping[str, str], count: int | None) -> bool:
    """Runs pip; shows how many of `count` packages it has got, and its last lines if it fails."""
    status, last = _run_showing(command, environment, count)
    bundle = ssl.get_default_verify_paths().cafile
    # pips before 24.2 know only the certificates that they bring along.
    if status and bundle and any("CERTIFICATE_VERIFY_FAILED" in line for line in last):
        status, last = _run_showing([*command, "--cert", bundle], environment, count)
    if status:
        print("\n".join(last), file=sys.stderr)
    return status == 0


def _run_showing(
    command: Sequence[str], environment: Mapping[str, str], count: int | None
) -> tuple[int, deque[str]]:
    last: deque[str] = deque(maxlen=_KEPT_LINES)
    got, shown = 0, time.monotonic()
    process = subprocess.Popen(
        [*command, "--progress-bar", "off"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        close_fds=False,
    )
    assert process.stdout is not None
    with process.stdout:
        for line in process.stdout:
            last.append(line.rstrip())
            got += line.startswith("Collecting ")
            if count and time.monotonic() - shown >= _PROGRESS_SECONDS:
                shown = time.monotonic()
                _say(f"pip has got {got} of {count} packages")
            if count and line.startswith("Installing collected packages"):
                _say(f"pip has got {got} packages and installs them")
    return process.wait(), last


def _say(text: str) -> None:
    print(f"run.sh: {text}", file=sys.stderr, flush=True)


def main(arguments: Sequence[str]) -> int:
    """Installs; the exit status."""
    lock, venv = arguments
    started = time.monotonic()
    done = install(lock, venv)
    if done:
        _say(f"installed the packages in {time.monotonic() - started:.0f} s")
    return 0 if done else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
