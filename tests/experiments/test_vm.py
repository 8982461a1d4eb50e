"""The start-up script of a VM: it goes on where it was, and loses nothing."""

import contextlib
import functools
import hashlib
import http.server
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import tarfile
import threading
import time

import pytest

from experiments.faults import kill
from experiments.vm import preempt

VM = preempt.SCRIPT.parent
ROOT = VM.parents[1]
# A project that takes no time: what it is told is in CALLS, and training counts to VM_NUM_STEPS, a
# step in a tenth of a second, from its checkpoint, which it saves every five steps and at SIGTERM;
# with BUILDING it never gets to its first step.
PROJECT = r"""#!/usr/bin/env bash
set -euo pipefail
echo "$*" >>"$CALLS"
for word in "$@"; do
  case $word in
    --output=*) output=${word#*=} ;;
    --run_dir=*) run=${word#*=} ;;
    --num_steps=*) steps=${word#*=} ;;
  esac
done
save() { echo "$step" >"$run/train/at-$step.index"; echo "at-$step" >"$run/train/checkpoint"; }
case $1 in
  convert) mkdir -p "$output"; echo '{}' >"$output/manifest.json" ;;
  tensorboard) exec sleep 1000 ;;
  train)
    mkdir -p "$run/train"
    echo '{}' >"$run/run.json"
    step=0
    [ ! -e "$run/train/checkpoint" ] || step=$(sed s/at-// "$run/train/checkpoint")
    echo "from $step" >>"$CALLS"
    [ -z "${BUILDING:-}" ] || exec sleep 1000
    trap 'save; echo "terminated at $step" >>"$CALLS"; exit 143' TERM
    while [ "$step" -lt "$steps" ]; do
      sleep 0.1
      step=$((step + 1))
      [ $((step % 5)) != 0 ] || save
    done
    save
    ;;
esac
"""


@pytest.fixture
def machine(tmp_path):
    """A function that starts the script with a project that takes no time."""
    project = tmp_path / "project"
    (project / "experiments" / "vm").mkdir(parents=True)
    shutil.copy(preempt.SCRIPT, project / "experiments" / "vm")
    (project / "run.sh").write_text(PROJECT)
    (project / "run.sh").chmod(0o755)
    started = []

    def start(*arguments, **settings):
        settings = {
            "VM_WORK": str(tmp_path / "disk"),
            "VM_CORPUS": "abc",
            "VM_INPUT": "tunes",
            "VM_CONFIG": "small",
            "VM_NUM_STEPS": "3",
            "VM_TENSORBOARD_PORT": "0",
            **settings,
        }
        process = subprocess.Popen(
            [project / "experiments" / "vm" / "start.sh", *arguments],
            # As in a unit of systemd, there is no home.
            env={"PATH": os.environ["PATH"], "CALLS": str(tmp_path / "calls"), **settings},
            cwd=tmp_path,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


@pytest.fixture
def calls(tmp_path):
    """A function: what the project was told so far, without the flags."""

    def read():
        path = tmp_path / "calls"
        lines = path.read_text().splitlines() if path.exists() else []
        return [line if "--" not in line else line.split()[0] for line in lines]

    return read


def ended(process, status=0):
    """What a script said; it has to end so."""
    said = process.communicate(timeout=60)[1]
    assert process.returncode == status, said
    return said


def await_call(calls, call):
    deadline = time.monotonic() + 30
    while call not in calls():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_the_steps_come_once_each_and_a_trained_run_is_left_alone(machine, calls, tmp_path):
    flags = {"VM_SEED": "7", "VM_TRAIN_FLAGS": "--hparams=a=[1],b=2\n  --validation_path=/x/*\n"}
    assert "trained: small to step 3 on abc of tunes, --hparams" in ended(machine(**flags))
    assert calls() == ["configs", "convert", "train", "from 0"]
    told = (tmp_path / "calls").read_text().splitlines()
    disk = tmp_path / "disk"
    convert, train, _ = told[1:]
    assert convert == f"convert --corpus=abc --input=tunes --output={disk}/records"
    assert train == (
        f"train --config=small --examples_path={disk}/records/train.tfrecord* "
        f"--run_dir={disk}/run --num_steps=3 --hparams=a=[1],b=2 --validation_path=/x/* --seed=7"
    )
    assert "is trained" in ended(machine(**flags))
    assert calls() == ["configs", "convert", "train", "from 0"]
    # Another end is another goal.
    ended(machine(**flags, VM_NUM_STEPS="5"))
    assert calls()[4:] == ["configs", "train", "from 3"]


def test_other_music_wants_another_folder(machine, calls, tmp_path):
    ended(machine())
    said = ended(machine(VM_INPUT="others", VM_NUM_STEPS="5"), 1)
    assert "run was trained on abc of tunes, not abc of others; name another VM_WORK" in said
    # Other music is another goal, too.
    assert "was trained on" in ended(machine(VM_INPUT="others"), 1)
    shutil.rmtree(tmp_path / "disk" / "run")
    said = ended(machine(VM_INPUT="others"), 1)
    assert "records is abc of tunes, not abc of others; name another VM_WORK" in said
    assert calls().count("train") == 1


def test_settings_come_from_a_file(machine, calls, tmp_path):
    settings = tmp_path / "settings.env"
    settings.write_text("VM_NUM_STEPS=4\nVM_CONFIG='large'\n")
    assert "trained: large to step 4" in ended(machine(str(settings)))
    # A mere name is one of the working directory, and not one that is looked for in PATH.
    ended(machine("settings.env"))
    assert "no such file" in ended(machine(str(tmp_path / "none.env")), 1)
    assert "VM_CORPUS is not set" in ended(machine(VM_CORPUS=""), 1)
    said = ended(machine(VM_BUCKET="bucket", VM_BUCKET_SECONDS="1m"), 1)
    assert said == "start.sh: error: VM_BUCKET_SECONDS=1m: it has to be a number, as 60\n"


def test_what_an_installation_left_that_was_cut_short_is_ended_first(machine, tmp_path):
    programs = tmp_path / "programs"
    programs.mkdir()
    for folder in ("/bin", "/usr/bin"):
        for path in pathlib.Path(folder).iterdir():
            if path.name not in ("git", "dpkg", "apt-get") and not (programs / path.name).exists():
                (programs / path.name).symlink_to(path)
    for name in ("dpkg", "apt-get"):
        (programs / name).write_text(f'#!/bin/sh\necho {name} "$*" >>"$CALLS"\n')
        (programs / name).chmod(0o755)
    ended(machine(PATH=str(programs)))
    told = (tmp_path / "calls").read_text().splitlines()
    assert told[0] == "dpkg --configure -a"
    assert [told[1].split()[-1], told[2].split()[-1]] == ["update", "git"]


def test_sigterm_has_training_save_and_the_next_start_goes_on(machine, calls):
    process = machine(VM_NUM_STEPS="30")
    await_call(calls, "from 0")
    time.sleep(0.5)
    process.send_signal(signal.SIGTERM)
    ended(process, 143)
    assert kill.left_processes(process.pid) == []
    (at,) = (int(call.split()[-1]) for call in calls() if call.startswith("terminated"))
    assert at > 0
    ended(machine(VM_NUM_STEPS="30"))
    assert calls()[-1] == f"from {at}"


def test_what_a_killed_script_has_started_ends(machine, calls):
    process = machine(VM_NUM_STEPS="1000", VM_TENSORBOARD_PORT="1")
    await_call(calls, "from 0")
    assert "tensorboard" in calls()
    process.kill()
    process.wait()
    assert kill.left_processes(process.pid) == []
    assert calls()[-1].startswith("terminated at")


def test_tensorboard_ends_with_the_script(machine, calls):
    process = machine(VM_TENSORBOARD_PORT="6010")
    assert "http://localhost:6010" in ended(process)
    assert kill.left_processes(process.pid) == []


def test_of_two_scripts_one_waits_for_the_other(machine, calls):
    first = machine(VM_NUM_STEPS="10")
    await_call(calls, "from 0")
    second = machine(VM_NUM_STEPS="10")
    assert "is trained" in ended(second)
    ended(first)
    assert calls().count("train") == 1


@pytest.fixture
def server(tmp_path):
    """The address of a server of a folder, and the folder."""
    folder = tmp_path / "served"
    folder.mkdir()
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    handler.log_message = lambda *args: None  # type: ignore[attr-defined]
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as serving:
        thread = threading.Thread(target=serving.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{serving.server_port}", folder
        serving.shutdown()
        thread.join()


def test_an_input_is_fetched_once_and_only_where_it_is_the_one(machine, calls, tmp_path, server):
    address, folder = server
    (folder / "tunes.zip").write_bytes(b"tunes")
    wanted = {"VM_INPUT": f"{address}/tunes.zip"}
    assert "VM_INPUT_SHA256 has to give" in ended(machine(**wanted), 1)
    assert "is not the file" in ended(machine(**wanted, VM_INPUT_SHA256="0" * 64), 1)
    assert "convert" not in calls()
    right = hashlib.sha256(b"tunes").hexdigest()
    ended(machine(**wanted, VM_INPUT_SHA256=right))
    kept = tmp_path / "disk" / "input" / "tunes.zip"
    assert kept.read_bytes() == b"tunes" and "convert" in calls()
    (folder / "tunes.zip").write_bytes(b"others")
    ended(machine(**wanted, VM_INPUT_SHA256=right, VM_NUM_STEPS="4"))
    # Others of the same name: they are not taken for these, nor these for them.
    assert "is not the file" in ended(machine(**wanted, VM_INPUT_SHA256="0" * 64), 1)
    other = hashlib.sha256(b"others").hexdigest()
    said = ended(machine(**wanted, VM_INPUT_SHA256=other), 1)
    assert f"({right}), not abc of {address}/tunes.zip ({other})" in said
    assert kept.read_bytes() == b"others" and calls().count("train") == 2


def test_a_local_input_is_the_one_of_the_checksum(machine, calls, tmp_path):
    (tmp_path / "tunes").write_bytes(b"tunes")
    assert "is not a file with" in ended(machine(VM_INPUT_SHA256="0" * 64), 1)
    ended(machine(VM_INPUT_SHA256=hashlib.sha256(b"tunes").hexdigest()))
    assert calls().count("convert") == 1


def test_no_message_and_no_file_tells_a_secret_of_an_address(machine, tmp_path, server):
    address, folder = server
    (folder / "tunes.zip").write_bytes(b"tunes")
    signed = address.replace("//", "//user:SECRET@") + "/tunes.zip?signature=SECRET#SECRET"
    said = ended(machine(VM_INPUT=signed), 1)
    said += ended(machine(VM_INPUT=signed, VM_INPUT_SHA256="0" * 64), 1)
    said += ended(machine(VM_INPUT=signed, VM_INPUT_SHA256=hashlib.sha256(b"tunes").hexdigest()))
    assert f"fetching {address}/tunes.zip\n" in said
    written = [path for path in (tmp_path / "disk").rglob("*") if path.is_file()]
    assert tmp_path / "disk" / "input" / "tunes.zip" in written
    said += "".join(f"{path} {path.read_text()}" for path in written)
    assert "SECRET" not in said


def test_a_script_alone_clones_the_project(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    (source / "run.sh").write_text(PROJECT)
    (source / "run.sh").chmod(0o755)
    git = ["git", "-C", str(source), "-c", "user.name=x", "-c", "user.email=x@x"]
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "x"]):
        subprocess.run([*git, *words], check=True)
    script = tmp_path / "alone" / "startup"
    script.parent.mkdir()
    shutil.copy(preempt.SCRIPT, script)
    settings = {
        "VM_WORK": str(tmp_path / "disk"),
        "VM_CORPUS": "abc",
        "VM_INPUT": "tunes",
        "VM_CONFIG": "small",
        "VM_NUM_STEPS": "1",
        "VM_TENSORBOARD_PORT": "0",
        "CALLS": str(tmp_path / "calls"),
    }
    for more, status in (({}, 1), ({"VM_SOURCE": f"file://{source}"}, 0)):
        done = subprocess.run(
            [script], env={**os.environ, **settings, **more}, capture_output=True, text=True
        )
        assert done.returncode == status, done.stderr
    assert (
        tmp_path / "disk" / "run" / "trained.txt"
    ).read_text() == "small to step 1 on abc of tunes\n"


# The bucket


@pytest.fixture
def bucket(tmp_path):
    if shutil.which("rclone") is None:
        pytest.skip("no rclone here")
    return tmp_path / "bucket"


def test_a_run_goes_on_from_the_bucket_where_the_disk_is_lost(machine, calls, tmp_path, bucket):
    settings = {"VM_BUCKET": str(bucket), "VM_NUM_STEPS": "30"}
    process = machine(**settings)
    await_call(calls, "from 0")
    time.sleep(0.5)
    process.send_signal(signal.SIGTERM)
    ended(process, 143)
    at = calls()[-1].split()[-1]
    shutil.rmtree(tmp_path / "disk")
    # An upload that broke off, and one whose bytes are others.
    (bucket / f"00000008-{'0' * 64}.tar").write_bytes(b"")
    (archive,) = bucket.glob("00000001-*.tar")
    half = archive.read_bytes()[:-2000]
    (bucket / archive.name.replace("00000001", "00000009")).write_bytes(half)
    assert "going on with the run" in ended(machine(**settings))
    assert calls()[-1] == f"from {at}"
    # The end is there too, so that a new machine does nothing.
    shutil.rmtree(tmp_path / "disk")
    count = len(calls())
    assert "is trained" in ended(machine(**settings))
    assert len(calls()) == count
    names = sorted(path.name for path in bucket.iterdir())
    assert names[-1].startswith("00000010-") and len(names) <= 2


def test_the_bucket_gets_the_run_while_it_is_trained(machine, calls, tmp_path, bucket):
    process = machine(VM_BUCKET=str(bucket), VM_NUM_STEPS="1000", VM_BUCKET_SECONDS="1")
    await_call(calls, "from 0")
    deadline = time.monotonic() + 30
    while not any(bucket.glob("*.tar")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert kill.left_processes(process.pid) == []


def test_a_bucket_without_a_whole_run_is_not_begun_anew(machine, calls, bucket):
    bucket.mkdir()
    (bucket / f"00000001-{'0' * 64}.tar").write_bytes(b"half")
    assert "nothing in" in ended(machine(VM_BUCKET=str(bucket)), 1)
    assert calls() == []


@pytest.mark.parametrize("seconds", ["1", "60"])
def test_a_machine_that_ends_before_its_first_checkpoint_starts_again(
    machine, calls, bucket, tmp_path, seconds
):
    settings = {"VM_BUCKET": str(bucket), "VM_BUCKET_SECONDS": seconds}
    for number in (signal.SIGTERM, signal.SIGKILL):
        count = calls().count("from 0")
        process = machine(**settings, BUILDING="yes")
        while calls().count("from 0") == count:
            time.sleep(0.02)
        time.sleep(1.5)
        process.send_signal(number)
        process.wait(60)
        assert kill.left_processes(process.pid) == []
        assert not any(bucket.glob("*.tar"))
    assert "trained:" in ended(machine(**settings))


def archive_of(bucket, folder, number):
    """Puts a folder into a bucket, as the script does."""
    bucket.mkdir(exist_ok=True)
    path = bucket / "new"
    with tarfile.open(path, "w") as archive:
        archive.add(folder, ".")
    sum_of = hashlib.sha256(path.read_bytes()).hexdigest()
    path.rename(bucket / f"{number:08}-{sum_of}.tar")


def test_what_has_no_checkpoint_is_in_nobodys_way(machine, calls, bucket, tmp_path):
    """Neither in the bucket, nor on the disk."""
    settings = {"VM_BUCKET": str(bucket)}
    begun = tmp_path / "disk" / "run"
    begun.mkdir(parents=True)
    (begun / "run.json").write_text("{}")
    archive_of(bucket, begun, 1)
    ended(machine(**settings))
    assert calls()[-1] == "from 0"
    shutil.rmtree(begun)
    begun.mkdir()
    (begun / "run.json").write_text("mine")
    archive_of(bucket, begun, 9)
    said = ended(machine(**settings, VM_NUM_STEPS="4"))
    assert "from step 3" in said and calls()[-1] == "from 3"
    assert (tmp_path / "disk" / "run.aside" / "run.json").read_text() == "mine"


def test_the_disk_or_the_bucket_counts_whichever_has_more_steps(machine, calls, bucket, tmp_path):
    disk = tmp_path / "disk"
    ended(machine(VM_BUCKET=str(bucket), VM_NUM_STEPS="3"))
    shutil.copytree(disk, tmp_path / "older")
    ended(machine(VM_BUCKET=str(bucket), VM_NUM_STEPS="6"))
    shutil.rmtree(disk)
    (tmp_path / "older").rename(disk)
    said = ended(machine(VM_BUCKET=str(bucket), VM_NUM_STEPS="7"))
    assert "going on with the run in VM_BUCKET, from step 6" in said and calls()[-1] == "from 6"
    # Trained further without the bucket, the disk is ahead.
    ended(machine(VM_NUM_STEPS="9"))
    (disk / "bucket.txt").unlink()
    said = ended(machine(VM_BUCKET=str(bucket), VM_NUM_STEPS="10"))
    assert "going on" not in said and calls()[-1] == "from 9"


def test_a_run_of_a_bucket_does_not_go_on_with_other_music(machine, calls, bucket, tmp_path):
    ended(machine(VM_BUCKET=str(bucket)))
    shutil.rmtree(tmp_path / "disk")
    said = ended(machine(VM_BUCKET=str(bucket), VM_INPUT="others", VM_NUM_STEPS="5"), 1)
    assert "not abc of others; name another VM_WORK and VM_BUCKET" in said
    assert calls().count("train") == 1


def test_other_names_in_a_bucket_are_left_alone(machine, bucket, tmp_path):
    bucket.mkdir()
    ours = f"00000007-{'0' * 64}.tar"
    others = {
        "others.tar", "1+a[$(touch pwned)]-x.tar", f"x{ours}", f"{ours}.tar", f"9{ours}",
        f"0000000a-{'0' * 64}.tar", f"-{'0' * 64}.tar", f"00000008-{'G' * 64}.tar",
    }  # fmt: skip
    for name in others:
        (bucket / name).write_bytes(b"other")
    for steps in ("1", "2", "3"):
        ended(machine(VM_BUCKET=str(bucket), VM_NUM_STEPS=steps))
    names = {path.name for path in bucket.iterdir()}
    assert others < names
    assert sorted(name[:9] for name in names - others) == ["00000002-", "00000003-"]
    assert not (tmp_path / "pwned").exists()


def test_the_key_of_a_bucket_is_not_told(machine, bucket):
    said = ended(machine(VM_BUCKET=":none,secret_access_key=SECRET:bucket/run"), 1)
    assert "cannot list VM_BUCKET" in said and "SECRET" not in said


def test_an_archive_has_all_but_what_was_being_written(machine, bucket, tmp_path):
    train = tmp_path / "disk" / "run" / "train"
    kept = {"temperature.json", "tempo-1.txt", "room_temp"}
    left = {"ckpt-3_temp/part", "model.ckpt-3.index.tempstate123", "x.lock"}
    for name in kept | left:
        (train / name).parent.mkdir(parents=True, exist_ok=True)
        (train / name).write_text("x")
    ended(machine(VM_BUCKET=str(bucket)))
    (path,) = bucket.glob("*.tar")
    with tarfile.open(path) as archive:
        names = {each.removeprefix("./train/") for each in archive.getnames()}
    assert kept < names and not left & names and "ckpt-3_temp" not in names


def test_two_archives_are_never_on_their_way_at_once(machine, calls, bucket, tmp_path):
    """What puts the run there while it is trained ends before the end is put there."""
    program = tmp_path / "programs" / "rclone"
    program.parent.mkdir()
    program.write_text(f"""#!/bin/bash
    if [ "$1" = copyto ]; then
      echo "begin" >>"$CALLS"
      trap 'sleep 0.5; echo end >>"$CALLS"; exit 1' TERM
      sleep 1
    fi
    {shutil.which("rclone")} "$@"
    status=$?
    [ "$1" != copyto ] || echo "end" >>"$CALLS"
    exit $status
    """)
    program.chmod(0o755)
    settings = {"PATH": f"{program.parent}:{os.environ['PATH']}", "VM_BUCKET": str(bucket)}
    ended(machine(**settings, VM_NUM_STEPS="1"))
    process = machine(**settings, VM_NUM_STEPS="1000", VM_BUCKET_SECONDS="1")
    time.sleep(0.5)
    (tmp_path / "disk" / "run" / "run.json").write_text("[]")
    deadline = time.monotonic() + 30
    while calls().count("begin") < 2:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.terminate()
    ended(process, 143)
    uploads = [call for call in calls() if call in ("begin", "end")]
    assert uploads == ["begin", "end"] * 3


# Linters


@pytest.mark.parametrize("name", ["start.sh", "train.slurm"])
def test_shellcheck_finds_nothing(name):
    if shutil.which("shellcheck") is None:
        pytest.skip("no shellcheck here")
    done = subprocess.run(["shellcheck", VM / name], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


def test_systemd_takes_the_unit(tmp_path):
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd-analyze here")
    unit = (VM / "reelgroove.service").read_text()
    assert unit.count("/opt/reelgroove/experiments/vm/start.sh") == 1
    # It looks whether the program is there.
    path = tmp_path / "reelgroove.service"
    path.write_text(unit.replace("/opt/reelgroove", str(ROOT)))
    done = subprocess.run(["systemd-analyze", "verify", path], capture_output=True, text=True)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    path.write_text(unit.replace("KillMode=mixed", "KillMode=gentle"))
    done = subprocess.run(["systemd-analyze", "verify", path], capture_output=True, text=True)
    assert "kill mode" in done.stderr


# Slurm

SLURM = """
ClusterName=local
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SchedulerParameters=sched_interval=1,sched_min_interval=1
NodeName={host} NodeAddr=127.0.0.1 CPUs=1 State=UNKNOWN
PartitionName=all Nodes={host} Default=YES
"""


@pytest.fixture
def slurm(tmp_path):
    """A function that runs a command on a Slurm cluster of this machine alone, for this test."""
    programs = ("munged", "slurmctld", "slurmd", "sbatch")
    path = os.environ["PATH"] + ":/usr/sbin"
    if os.geteuid() or not all(shutil.which(name, path=path) for name in programs):
        pytest.skip("no Slurm here, or not root")
    folder = tmp_path / "slurm"
    for name in ("state", "spool"):
        (folder / name).mkdir(parents=True)
    (folder / "key").write_bytes(os.urandom(128))
    (folder / "key").chmod(0o600)
    with contextlib.ExitStack() as stack:
        taken = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(2)]
        ports = [each.getsockname()[1] for each in taken]
    host = socket.gethostname().partition(".")[0]
    conf = folder / "slurm.conf"
    conf.write_text(SLURM.format(host=host, folder=folder, ports=ports))
    files = [f"--{name}-file={folder}/{name}" for name in ("key", "pid", "log", "seed")]
    environment = {**os.environ, "PATH": path, "SLURM_CONF": str(conf)}
    commands = (
        ["munged", "--foreground", "--force", f"--socket={folder}/munge.socket", *files],
        ["slurmctld", "-D", "-f", conf],
        ["slurmd", "-D", "-f", conf, "-N", host],
    )
    processes = []
    for command in commands:
        with (folder / f"{command[0]}.out").open("wb") as out:
            processes.append(subprocess.Popen(command, env=environment, stdout=out, stderr=out))
        time.sleep(1)

    def call(*words, **settings):
        done = subprocess.run(
            words, env={**environment, **settings}, cwd=tmp_path / "project",
            capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return (done.stdout + done.stderr).strip()

    yield call
    for process in reversed(processes):
        process.terminate()
        process.wait(30)


@pytest.mark.slow
def test_a_job_of_slurm_goes_on_until_it_is_trained(machine, slurm, calls, tmp_path):
    shutil.copy(VM / "train.slurm", tmp_path / "project" / "experiments" / "vm")
    settings = tmp_path / "settings.env"
    settings.write_text(
        f"VM_WORK={tmp_path}/disk\nVM_CORPUS=abc\nVM_INPUT=x\nVM_CONFIG=small\n"
        "VM_NUM_STEPS=100\nVM_TENSORBOARD_PORT=0\n"
    )
    batch = ("experiments/vm/train.slurm", str(settings))
    # It says what is wrong with the script's own lines.
    assert "to start at" in slurm("sbatch", "--test-only", *batch)
    wrong = tmp_path / "wrong.slurm"
    wrong.write_text((VM / "train.slurm").read_text().replace("B:TERM", "B:GENTLY"))
    with pytest.raises(AssertionError, match="Invalid.*signal"):
        slurm("sbatch", "--test-only", str(wrong))

    told = str(tmp_path / "calls")
    job = slurm("sbatch", "--parsable", *batch, CALLS=told)

    def stopped():
        """The steps that turns were stopped at so far."""
        return [call.split()[-1] for call in calls() if call.startswith("terminated")]

    def state():
        return slurm("squeue", "--noheader", f"--jobs={job}", "--format=%T")

    def goes_on(turns):
        deadline = time.monotonic() + 120
        while len(stopped()) < turns or state() != "PENDING":
            assert time.monotonic() < deadline, (calls(), state())
            time.sleep(0.5)
        # It would wait for two minutes. A turn that began in the second in which the last has ended
        # would be taken for the one that Slurm has just told to end.
        slurm("scontrol", "update", f"JobId={job}", "StartTime=now+2")
        while f"from {stopped()[-1]}" not in calls():
            assert time.monotonic() < deadline, (calls(), state())
            time.sleep(0.5)

    await_call(calls, "from 0")
    time.sleep(1)
    slurm("scontrol", "requeue", job)  # As where it is preempted.
    goes_on(1)
    time.sleep(1)
    slurm("scancel", "--signal=TERM", "--batch", job)  # As before the time limit.
    goes_on(2)
    deadline = time.monotonic() + 60
    while not (tmp_path / "disk" / "run" / "trained.txt").exists():
        assert time.monotonic() < deadline
        time.sleep(0.5)
    assert calls().count("convert") == 1

    settings.write_text(settings.read_text().replace("=100", "=10000"))
    job = slurm("sbatch", "--parsable", *batch, CALLS=told)
    await_call(calls, "from 100")
    time.sleep(1)
    slurm("scancel", job)
    deadline = time.monotonic() + 60
    while slurm("squeue", "--noheader", "--states=PENDING,RUNNING,COMPLETING"):
        assert time.monotonic() < deadline
        time.sleep(0.5)
    assert len(stopped()) == 3


# Real machines


@pytest.mark.slow
def test_a_machine_that_is_preempted_trains_the_same(corpora, tmp_path):
    """Twenty times, in all stages; then what it trained is compared bit by bit."""
    (task,) = [each for each in preempt.tasks(corpora) if each.name == "tune_lm"]
    found = list(preempt.disturb(task, tmp_path, random.Random(0), 20))
    assert [faults for _, faults in found if faults] == []
    assert sum(what != "machine" for what, _ in found) == 20
    assert any(what == "machine" for what, _ in found)
