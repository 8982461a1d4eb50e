"""run.sh, with stand-ins for Python and uv that record how they are called."""

import importlib.util
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
COMMANDS = {
    "demo": "pipelines.demo",
    "convert": "pipelines.convert",
    "tensors": "pipelines.tensors",
    "train": "pipelines.train",
    "evaluate": "pipelines.evaluate",
    "generate": "pipelines.generate",
    "prior": "pipelines.prior",
    "attributes": "pipelines.attributes",
    "titles": "pipelines.titles",
    "judge": "pipelines.judge",
    "style": "pipelines.style",
    "pretrained": "pipelines.pretrained",
    "page": "pipelines.page",
    "plot": "pipelines.plot",
    "corpora": "pipelines.corpora",
    "configs": "configs",
    "bench": "pipelines.bench",
    "test": "tests",
    "doctor": "pipelines.doctor",
    "tensorboard": "pipelines.tensorboard",
}

# $FAKE is a folder; its file `calls` is the record, and other files in it make things go wrong.
FAKE_PYTHON = r"""#!/bin/bash
say() { echo "$*" >>"$FAKE/calls"; }
case "$*" in
  *find_spec*) if [ -e "$FAKE/unfit" ]; then cat "$FAKE/unfit"; else echo "ok $0"; fi ;;
  *fcntl* | *install.py*) exec REAL_PYTHON "$@" ;;
  *"pip config list") cat "$FAKE/pip.conf" 2>/dev/null ;;
  -V) echo Python 3.12.9 ;;
  "-I -m venv "*)
    say venv
    mkdir -p "$4/bin"
    echo "executable = $0" >"$4/pyvenv.cfg"
    cp "$0" "$4/bin/python"
    ;;
  *"pip install"*uv==*)
    say get uv "$PIP_INDEX_URL"
    cp "$FAKE/uv" "${0%/*}/uv"
    ;;
  *"pip install"*)
    say pip "$PIP_INDEX_URL"
    echo Collecting one==1
    [ ! -e "$FAKE/no-pip" ]
    ;;
  *)
    echo "job: $*"
    echo "cwd: $PWD"
    echo "path: $PYTHONPATH"
    echo "safe: $PYTHONSAFEPATH"
    [ ! -e "$FAKE/job-fails" ] || exit 7
    ;;
esac
"""
FAKE_UV = r"""#!/bin/bash
echo uv "${UV_SYSTEM_CERTS:-own} $UV_DEFAULT_INDEX" >>"$FAKE/calls"
echo downloading
if [ -e "$FAKE/hang" ]; then
  sleep 100 & # a child of its own, as installers have
  echo $! >"$FAKE/child"
  echo $$ >"$FAKE/hangs"
  wait
fi
[ ! -e "$FAKE/slow" ] || sleep 1
[ ! -e "$FAKE/no-uv" ] && [ ! -e "$FAKE/no-system-store" -o -z "${UV_SYSTEM_CERTS:-}" ]
"""


def write_program(path: pathlib.Path, text: str) -> pathlib.Path:
    path.write_text(text.replace("REAL_PYTHON", sys.executable))
    path.chmod(0o755)
    return path


class Checkout:
    """A checkout with nothing in it but run.sh and what it reads."""

    def __init__(self, folder: pathlib.Path):
        self.root = folder / "a check out"
        self.fake = folder / "fake"
        self.caller = folder / "caller"
        for made in (self.root, self.fake, self.caller):
            made.mkdir()
        shutil.copy(ROOT / "run.sh", self.root)
        installer = self.root / "pipelines" / "runtime" / "install.py"
        installer.parent.mkdir(parents=True)
        shutil.copy(ROOT / "pipelines" / "runtime" / "install.py", installer)
        self.lock("one==1")
        self.python = write_program(folder / "python3.12", FAKE_PYTHON)
        write_program(self.fake / "uv", FAKE_UV)
        self.venv = self.root / ".venv"

    def lock(self, line: str) -> None:
        (self.root / "requirements.txt").write_text(f"# all of it\n{line}\nuv==0.1\n")

    def calls(self) -> list[str]:
        """The programs that installed, in order; empties the record."""
        names = [line.split()[0] for line in self.record()]
        return [name for name in names if name in ("venv", "uv", "pip")]

    def record(self) -> list[str]:
        """What the programs that installed say of their environment; empties the record."""
        record = self.fake / "calls"
        lines = record.read_text().splitlines() if record.exists() else []
        record.unlink(missing_ok=True)
        return [line.rstrip() for line in lines]

    def start(self, *arguments, script=None, **env) -> subprocess.Popen:
        inherited = {
            name: value
            for name, value in os.environ.items()
            if name != "PYTHONPATH" and not name.startswith(("PIP_", "UV_"))
        }
        env = {**inherited, "FAKE": str(self.fake), "PYTHON": str(self.python), **env}
        return subprocess.Popen(
            [script or self.root / "run.sh", *arguments],
            cwd=self.caller,
            env=env,
            preexec_fn=_heed_signals,  # noqa: PLW1509  no threads here
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def run(self, *arguments, **env) -> subprocess.CompletedProcess:
        process = self.start(*arguments, **env)
        out, err = process.communicate(timeout=60)
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    def wait_for(self, name: str) -> str:
        """Waits until a stand-in has written the file `name`, and returns what is in it."""
        deadline = time.monotonic() + 30
        while not (self.fake / name).exists() or not (self.fake / name).read_text().strip():
            assert time.monotonic() < deadline, f"no {name}"
            time.sleep(0.02)
        return (self.fake / name).read_text().strip()


def _heed_signals() -> None:
    """A shell cannot trap a signal that was ignored when it started, as under nohup."""
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)


@pytest.fixture
def checkout(tmp_path) -> Checkout:
    return Checkout(tmp_path)


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended does not, even if nobody has waited for it."""
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True)
    return bool(state.stdout.strip()) and not state.stdout.startswith("Z")


def parent(pid: int) -> int:
    return int(subprocess.check_output(["ps", "-o", "ppid=", "-p", str(pid)], text=True))


@pytest.mark.parametrize("arguments", [(), ("help",), ("--help",), ("-h",)])
def test_it_lists_its_commands_a_line_each(checkout, arguments):
    done = checkout.run(*arguments)
    listed = [line.split() for line in done.stdout.splitlines() if line.startswith("  ")]
    assert {words[0] for words in listed} == set(COMMANDS)
    assert all(len(words) > 3 for words in listed)
    assert (done.returncode, done.stderr, checkout.venv.exists()) == (0, "", False)


def test_an_unknown_command_gets_the_list_and_makes_nothing(checkout):
    done = checkout.run("trian")
    assert (done.returncode, done.stdout, checkout.venv.exists()) == (2, "", False)
    assert "no command is named 'trian'" in done.stderr
    assert all(f"  {name} " in done.stderr for name in COMMANDS)


@pytest.mark.parametrize(
    "wrong, nearest",
    [("trian", "train"), ("eval", "evaluate"), ("genrate", "generate"), ("config", "configs")],
)
def test_an_unknown_command_is_answered_with_the_nearest(checkout, wrong, nearest):
    done = checkout.run(wrong)
    assert done.stderr.splitlines()[0].endswith(f"'{wrong}'; did you mean '{nearest}'?")


@pytest.mark.parametrize("wrong", ["x", "xyzzy", "a b", "-n", "\\d*", "%s"])
def test_a_command_that_is_near_none_gets_no_guess(checkout, wrong):
    done = checkout.run(wrong)
    assert done.stderr.splitlines()[0] == f"run.sh: error: no command is named '{wrong}'"


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_a_command_is_a_module(checkout, command):
    module = COMMANDS[command]
    done = checkout.run(command, "--some=thing")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[:3] == ["job:", "-m", module]
    assert "--some=thing" in done.stdout.split()
    assert importlib.util.find_spec(module) is not None


def test_the_first_use_installs_and_the_next_does_not(checkout):
    first = checkout.run("train")
    assert checkout.calls() == ["venv", "uv"]
    assert first.stdout.startswith("job: -m pipelines.train\n"), "stdout is the job's alone"
    assert "making .venv with Python 3.12.9" in first.stderr
    assert "downloading" in first.stderr

    again = checkout.run("train")
    assert checkout.calls() == []
    assert (again.stdout, again.stderr) == (first.stdout, "")


def test_it_installs_anew_when_the_lock_changes(checkout):
    checkout.run("train")
    checkout.calls()
    (checkout.venv / "of the old lock").touch()
    checkout.lock("one==2")
    checkout.run("train")
    assert checkout.calls() == ["venv", "uv"]
    assert not (checkout.venv / "of the old lock").exists()
    checkout.run("train")
    assert checkout.calls() == []


def test_it_installs_anew_for_another_python(checkout, tmp_path):
    checkout.run("train")
    checkout.calls()
    other = write_program(tmp_path / "python3.13", FAKE_PYTHON)
    checkout.run("train", PYTHON=str(other))
    assert checkout.calls() == ["venv", "uv"]
    # Later calls need not name it again.
    checkout.run("train", PYTHON="")
    assert checkout.calls() == []


def test_it_installs_anew_when_the_python_was_removed(checkout):
    checkout.run("train")
    checkout.calls()
    python = checkout.venv / "bin" / "python"
    python.unlink()
    python.symlink_to(checkout.root / "gone")
    assert checkout.run("train").returncode == 0
    assert checkout.calls() == ["venv", "uv"]


def test_without_uv_it_uses_pip(checkout):
    (checkout.fake / "no-uv").touch()
    done = checkout.run("train")
    assert (done.returncode, checkout.calls()) == (0, ["venv", "uv", "uv", "pip"])
    assert "uv could not install the packages; pip does it instead" in done.stderr
    assert "Collecting" not in done.stderr, "pip's hundreds of lines are not shown"
    assert done.stdout.startswith("job: -m pipelines.train\n")


def test_uv_takes_the_certificates_of_the_system_first_and_its_own_second(checkout):
    checkout.run("train")
    assert checkout.record() == ["venv", "get uv", "uv 1"]
    shutil.rmtree(checkout.venv)
    (checkout.fake / "no-system-store").touch()
    done = checkout.run("train")
    assert (done.returncode, checkout.record()) == (0, ["venv", "get uv", "uv 1", "uv own"])
    assert "trying once more with uv's own certificates" in done.stderr


def test_the_users_word_on_certificates_holds(checkout):
    (checkout.fake / "no-uv").touch()
    checkout.run("train", UV_SYSTEM_CERTS="0")
    assert checkout.record() == ["venv", "get uv", "uv 0", "pip"]


@pytest.mark.parametrize(
    "configuration, env, of_uv, of_pip",
    [
        ("global.index-url='https://a/simple'", {}, "https://a/simple", ""),
        (
            "global.index-url='https://a/simple'\n:env:.index-url='https://b/simple'",
            {"PIP_INDEX_URL": "https://b/simple"},
            "https://b/simple",
            "https://b/simple",
        ),
        ("", {"UV_INDEX_URL": "https://c/simple"}, "", "https://c/simple"),
        (
            "",
            {"UV_DEFAULT_INDEX": "corp=https://c/simple?a=b"},
            "corp=https://c/simple?a=b",
            "https://c/simple?a=b",
        ),
    ],
)
def test_an_index_of_ones_own_holds_for_both(checkout, configuration, env, of_uv, of_pip):
    (checkout.fake / "pip.conf").write_text(configuration)
    (checkout.fake / "no-uv").touch()
    checkout.run("train", **env)
    assert checkout.record() == [
        "venv",
        f"get uv {of_pip}".rstrip(),
        f"uv 1 {of_uv}".rstrip(),
        f"uv own {of_uv}".rstrip(),
        f"pip {of_pip}".rstrip(),
    ]


def test_a_failed_installation_leaves_nothing(checkout):
    (checkout.fake / "no-uv").touch()
    (checkout.fake / "no-pip").touch()
    done = checkout.run("train")
    assert (done.returncode, done.stdout) == (1, "")
    assert "PyPI" in done.stderr and "disk" in done.stderr
    assert not checkout.venv.exists()
    (checkout.fake / "no-uv").unlink()
    assert checkout.run("train").returncode == 0


@pytest.mark.parametrize("name, status", [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
def test_an_interrupted_installation_leaves_nothing(checkout, name, status):
    (checkout.fake / "hang").touch()
    process = checkout.start("train")
    pids = [int(checkout.wait_for("hangs")), int(checkout.wait_for("child"))]
    assert all(alive(pid) for pid in pids)
    process.send_signal(getattr(signal, name))
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (status, ""), err
    assert not checkout.venv.exists()
    assert not any(alive(pid) for pid in pids)


def test_a_killed_installation_is_made_anew(checkout):
    (checkout.fake / "hang").touch()
    process = checkout.start("train")
    pids = [int(checkout.wait_for("hangs")), int(checkout.wait_for("child"))]
    for pid in (process.pid, parent(pids[0]), *pids):
        os.kill(pid, signal.SIGKILL)
    process.communicate(timeout=30)
    assert checkout.venv.exists()
    (checkout.fake / "hang").unlink()
    checkout.calls()
    assert checkout.run("train").returncode == 0
    assert checkout.calls() == ["venv", "uv"]


def test_two_at_once_install_once(checkout):
    (checkout.fake / "slow").touch()
    processes = [checkout.start("train") for _ in range(3)]
    results = [process.communicate(timeout=60) for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert all(out.startswith("job: -m pipelines.train\n") for out, _ in results)
    assert checkout.calls() == ["venv", "uv"]
    assert sum("waiting for it" in err for _, err in results) == 2


@pytest.mark.parametrize("why", ["is Python 3.8.1", "has no venv or ensurepip (apt install it)"])
def test_a_python_that_will_not_do_is_named(checkout, why):
    (checkout.fake / "unfit").write_text(why)
    done = checkout.run("train")
    assert done.returncode == 1
    assert f"error: PYTHON={checkout.python} {why}" in done.stderr
    assert not checkout.venv.exists()


def tools_without_python(folder: pathlib.Path) -> pathlib.Path:
    """A PATH with everything that run.sh calls, except Python."""
    folder.mkdir()
    for tool in ("awk", "bash", "cat", "cmp", "cp", "df", "dirname", "env", "grep", "mkdir", "mv",
                 "readlink", "rm", "sleep"):  # fmt: skip
        (folder / tool).symlink_to(shutil.which(tool))
    return folder


def test_no_python_at_all_is_said(checkout, tmp_path):
    tools = tools_without_python(tmp_path / "tools")
    write_program(tools / "python3.13", "#!/bin/bash\necho shim >&2; exit 127\n")
    done = checkout.run("train", PYTHON="", PATH=str(tools), HOME=str(tmp_path), PYENV_ROOT="/-")
    assert done.returncode == 1
    assert "no Python 3.11, 3.12 or 3.13 here; python3.13 does not run. Install" in done.stderr
    assert not checkout.venv.exists()


def test_a_python_that_runs_is_found_behind_one_that_does_not(checkout, tmp_path):
    tools = tools_without_python(tmp_path / "tools")
    write_program(tools / "python3.13", "#!/bin/bash\necho shim >&2; exit 127\n")
    pyenv = tmp_path / "pyenv" / "versions" / "3.12.4" / "bin"
    pyenv.mkdir(parents=True)
    write_program(pyenv / "python", FAKE_PYTHON)
    done = checkout.run("train", PYTHON="", PATH=str(tools), PYENV_ROOT=str(tmp_path / "pyenv"))
    assert done.returncode == 0, done.stderr
    assert str(pyenv / "python") in (checkout.venv / "pyvenv.cfg").read_text()


def test_somebody_elses_environment_is_not_touched(checkout):
    (checkout.venv / "bin").mkdir(parents=True)
    (checkout.venv / "mine").touch()
    done = checkout.run("train")
    assert done.returncode == 1
    assert "was not made by run.sh" in done.stderr
    assert (checkout.venv / "mine").exists()


def test_paths_mean_what_they_mean_to_the_caller(checkout, tmp_path):
    link = tmp_path / "linked"
    link.symlink_to("a check out/run.sh")
    process = checkout.start("convert", "--input=here", "a b", script=link, PYTHONPATH="/theirs")
    out, err = process.communicate(timeout=60)
    assert out.splitlines() == [
        "job: -m pipelines.convert --input=here a b",
        f"cwd: {checkout.caller}",
        f"path: {checkout.root}:/theirs",
        "safe: 1",  # so a folder named configs or models at the caller's is not taken for ours
    ], err
    assert checkout.venv.exists()


def test_the_doctor_needs_no_environment_and_makes_none(checkout):
    done = checkout.run("doctor", "--json")
    assert done.stdout.startswith("job: -m pipelines.doctor --json\n"), done.stderr
    assert checkout.calls() == [] and not checkout.venv.exists()
    # One that is broken is looked at from outside, and kept.
    checkout.run("train")
    checkout.calls()
    python = checkout.venv / "bin" / "python"
    python.unlink()
    python.symlink_to(checkout.root / "gone")
    assert checkout.run("doctor").returncode == 0
    assert checkout.calls() == [] and python.is_symlink()


def test_the_jobs_exit_status_is_its_own(checkout):
    (checkout.fake / "job-fails").touch()
    assert checkout.run("train").returncode == 7
