"""Starts and stops a standalone Flink cluster on this machine, for the jobs' --pipeline_options.

    ./.venv/bin/python -m experiments.cluster.cluster start --folder=DIR
    ./.venv/bin/python -m experiments.cluster.cluster options --folder=DIR
    ./.venv/bin/python -m experiments.cluster.cluster restart --folder=DIR
    ./.venv/bin/python -m experiments.cluster.cluster stop --folder=DIR

`start` starts, each as a process of its own: one JobManager, `--taskmanagers` TaskManagers with
`--slots` slots each, and Beam's job server. It returns once the TaskManagers are registered. Their
ports are free ones, on the loopback interface; but Beam has two of the job server's on all network
interfaces. --folder gets their logs, and cluster.json, which says what runs.
`options` prints the value of --pipeline_options for a job on it. The TaskManagers start Python
workers as processes (worker.py) when a job comes. `restart` starts again what has died. `stop` ends
all, and what they started.

With slots enough in one TaskManager for the whole job, the job goes on where the other one dies.
"""

import json
import os
import pathlib
import shlex
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from typing import Any

import psutil
from absl import flags

from experiments.cluster import jars
from experiments.cluster.machines import Machine
from pipelines.runtime import app, files
from pipelines.runtime.app import UserError

FLAGS = flags.FLAGS
ROOT = pathlib.Path(__file__).resolve().parents[2]
COMMANDS = ("start", "options", "restart", "stop")
_STATE = "cluster.json"
_HERE = Machine("127.0.0.1")
_PORTS = ("rpc", "rest", "job", "artifacts", "expansion")
_START_SECONDS, _END_SECONDS = 120, 20
# Flink reaches into the JDK's own classes to copy and serialize, which Java 17 has to be told.
_OPENS = (
    "io",
    "lang",
    "lang.invoke",
    "math",
    "net",
    "nio",
    "text",
    "time",
    "util",
    "util.concurrent",
)
_FLINK = "org.apache.flink.runtime"
# A Popen that is forgotten while its process runs complains.
_started_here: list[subprocess.Popen] = []
# The jars of the job server whose classes ask for their class loader, and those that build on them.
_CLASS_PATH = ("beam-runners-flink-", "flink-java-", "flink-clients-", "flink-optimizer-",
               "flink-streaming-java-")  # fmt: skip


def start(
    folder: str | os.PathLike,
    taskmanagers: int = 2,
    slots: int = 2,
    heap: str = "512m",
    machines: Sequence[Machine] = (),
) -> dict[str, Any]:
    """Starts a cluster and waits until it takes jobs.

    Args:
      folder: a new or empty folder, for logs and what the cluster keeps on disk.
      taskmanagers: how many TaskManagers.
      slots: how many parallel parts of a job each takes.
      heap: the heap of each Java process.
      machines: for the JobManager and Beam's job server, and then for each TaskManager; by default
        this one.

    Returns:
      The address, the ports by their names, and the pid and time of start of each process by its
      name.

    Raises:
      UserError: if the folder is in use, or a process does not start; then none is left.
    """
    folder = pathlib.Path(folder).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise UserError(
            f"{folder} is not empty; stop the cluster in it and remove it, or name another"
        )
    folder_of_jars = jars.place().absolute()
    first, *others = machines or [_HERE] * (1 + taskmanagers)
    ports = dict(zip(_PORTS, _free_ports(len(_PORTS))))
    _write_configuration(folder, first, ports, slots)
    _write_worker(folder)
    java = [_java(), f"-Xmx{heap}", f"-Djava.io.tmpdir={folder / 'tmp'}"]
    java += [f"--add-opens=java.base/java.{name}=ALL-UNNAMED" for name in _OPENS]
    flink = [*java, "-cp", str(folder_of_jars / "*")]
    # The job server sends what is on its class path along with every job. The cluster has it all,
    # and 152 MB cost a job ten seconds and more; so the class path has only what needs to be there.
    found = sorted(map(str, folder_of_jars.glob("*.jar")))
    needed = [path for path in found if os.path.basename(path).startswith(_CLASS_PATH)]
    left = [path for path in found if path not in needed]
    beam = [*java, f"-Xbootclasspath/a:{os.pathsep.join(left)}", "-cp", os.pathsep.join(needed)]
    configuration = ["--configDir", str(folder / "conf")]
    commands = {
        "jobmanager": [*first.inside, *flink,
                       f"{_FLINK}.entrypoint.StandaloneSessionClusterEntrypoint", *configuration],
        **{
            f"taskmanager-{number}": [*machine.inside, *flink,
                                      f"{_FLINK}.taskexecutor.TaskManagerRunner",
                                      *configuration, f"-Dtaskmanager.resource-id={number}",
                                      f"-Dtaskmanager.host={machine.address}",
                                      f"-Dtaskmanager.bind-host={machine.bind}"]
            for number, machine in enumerate(others, start=1)
        },
        "jobserver": [*first.inside, *beam, "org.apache.beam.runners.flink.FlinkJobServerDriver",
                      f"--job-host={first.address}", f"--job-port={ports['job']}",
                      f"--artifact-port={ports['artifacts']}",
                      f"--expansion-port={ports['expansion']}",
                      f"--artifacts-dir={folder / 'artifacts'}",
                      f"--flink-master={first.address}:{ports['rest']}"],
    }  # fmt: skip
    state = {
        "address": first.address,
        "ports": ports,
        "slots": slots * len(others),
        "commands": commands,
        "processes": {},
    }
    _start(folder, state)
    return state


def restart(folder: str | os.PathLike) -> None:
    """Starts again what has died of the cluster in a folder, and waits until it takes jobs."""
    folder = pathlib.Path(folder).absolute()
    _start(folder, _state(folder))


def _start(folder: pathlib.Path, state: dict[str, Any]) -> None:
    """Starts what does not run of a cluster; ends all of it where that fails."""
    try:
        for name, command in state["commands"].items():
            if name in state["processes"]:
                if runs(state, name):
                    continue
                # The workers of a TaskManager that died may still be at work.
                _end(state, name)
            process = _started(folder, command, folder / f"{name}.log")
            state["processes"][name] = [process.pid, process.create_time()]
            # After each, so that `stop` ends it whatever comes next.
            files.write_json(folder / _STATE, state)
        _wait(folder, state)
    except BaseException:
        _end(state)
        raise


def options(folder: str | os.PathLike, parallelism: int | None = None) -> list[str]:
    """Beam's options for a job on the cluster in a folder.

    Args:
      folder: as in `start`.
      parallelism: how many parallel parts the job has; half of the slots by default, so that it
        goes on where one of two TaskManagers dies.
    """
    folder = pathlib.Path(folder).absolute()
    state = _state(folder)
    address, ports = state["address"], state["ports"]
    return [
        "--runner=FlinkRunner",
        f"--job_endpoint={address}:{ports['job']}",
        f"--artifact_endpoint={address}:{ports['artifacts']}",
        "--environment_type=PROCESS",
        f"--environment_options=process_command={folder / 'worker'}",
        f"--parallelism={parallelism or max(1, state['slots'] // 2)}",
    ]


def stop(folder: str | os.PathLike) -> int:
    """Ends every process of the cluster in a folder; returns how many there were."""
    return _end(_state(pathlib.Path(folder)))


def members(state: dict[str, Any], name: str | None = None) -> list[psutil.Process]:
    """The processes of a cluster that live, and all that they started.

    Args:
      state: what `start` returned.
      name: of the process that began them; by default those of all.
    """
    begun = [state["processes"][name]] if name else list(state["processes"].values())
    times = {pid: started for pid, started in begun}
    return [process for process, session in _sessions() if _is_of(process, times.get(session))]


def _sessions() -> Iterator[tuple[psutil.Process, int]]:
    """All processes and the sessions that they are in. Each of the cluster began one of its own."""
    for process in psutil.process_iter():
        try:
            yield process, os.getsid(process.pid)
        except OSError:
            continue  # it has ended


def _is_of(process: psutil.Process, started: float | None) -> bool:
    """Whether a process of a session is one of the program that began it at that time.

    An older one is of another session, whose first process had the same pid.
    """
    try:
        return (
            started is not None
            and process.create_time() >= started - 0.1
            and process.status() != psutil.STATUS_ZOMBIE
        )
    except psutil.NoSuchProcess:
        return False


def runs(state: dict[str, Any], name: str) -> bool:
    """Whether the process of this name lives, whatever may be left of what it started."""
    return any(process.pid == state["processes"][name][0] for process in members(state, name))


def _end(state: dict[str, Any], name: str | None = None) -> int:
    """Ends the processes of a cluster, or of one of its programs; returns how many there were."""
    living = members(state, name)
    for process in living:
        _signal(process, process.terminate)
    psutil.wait_procs(living, _END_SECONDS)
    # What a worker started in the meantime counts as well.
    for process in members(state, name):
        _signal(process, process.kill)
    psutil.wait_procs(living, _END_SECONDS)
    for process in _started_here:
        process.poll()
    return len(living)


def _signal(process: psutil.Process, send) -> None:
    try:
        send()
    except psutil.NoSuchProcess:
        pass


def _started(folder: pathlib.Path, command: Sequence[str], log: pathlib.Path) -> psutil.Process:
    """Starts a process in a session of its own."""
    paths = [str(ROOT), os.environ.get("PYTHONPATH")]
    with open(log, "ab") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
        )
    _started_here.append(process)
    return psutil.Process(process.pid)


def _wait(folder: pathlib.Path, state: dict[str, Any]) -> None:
    """Waits until the cluster takes jobs."""
    taskmanagers = sum(name.startswith("taskmanager") for name in state["commands"])
    until = time.monotonic() + _START_SECONDS
    while True:
        ended = [name for name in state["processes"] if not runs(state, name)]
        if ended or time.monotonic() > until:
            name = (ended or ["jobmanager"])[0]
            raise UserError(f"the cluster does not start; {folder / name}.log says why")
        if _listens(state["address"], state["ports"]["job"]) and registered(state) == taskmanagers:
            return
        time.sleep(0.2)


def registered(state: dict[str, Any]) -> int:
    """How many TaskManagers the JobManager knows; 0 where it does not answer."""
    try:
        return _asked(state, "overview")["taskmanagers"]
    except (OSError, ValueError, KeyError):
        return 0


def jobs(folder: str | os.PathLike) -> list[str]:
    """What has become of the jobs that a cluster was given, in their order: FINISHED, FAILED."""
    found = _asked(_state(pathlib.Path(folder)), "jobs/overview")["jobs"]
    return [job["state"] for job in sorted(found, key=lambda job: job["start-time"])]


def _asked(state: dict[str, Any], what: str) -> Any:
    """What the JobManager answers."""
    url = f"http://{state['address']}:{state['ports']['rest']}/{what}"
    with urllib.request.urlopen(url, timeout=5) as answer:
        return json.load(answer)


def _listens(address: str, port: int) -> bool:
    try:
        with socket.create_connection((address, port), timeout=5):
            return True
    except OSError:
        return False


def _free_ports(count: int) -> list[int]:
    """Ports that nothing listens on."""
    taken = [socket.create_server((_HERE.address, 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in taken]
    for each in taken:
        each.close()
    return ports


def _java() -> str:
    """The Java to run: that of JAVA_HOME, else that on the PATH."""
    home = os.environ.get("JAVA_HOME")
    return os.path.join(home, "bin", "java") if home else "java"


def _write_configuration(
    folder: pathlib.Path, machine: Machine, ports: dict[str, int], slots: int
) -> None:
    """Writes Flink's configuration, and the folders that it names."""
    for name in ("conf", "tmp", "artifacts"):
        (folder / name).mkdir()
    settings = {
        "jobmanager.rpc.address": machine.address,
        "jobmanager.rpc.port": ports["rpc"],
        "jobmanager.bind-host": machine.bind,
        "rest.address": machine.address,
        "rest.bind-address": machine.bind,
        "rest.port": ports["rest"],
        "taskmanager.numberOfTaskSlots": slots,
        # The parts of a job go to all TaskManagers instead of filling the first.
        "taskmanager.load-balance.mode": "SLOTS",
        "io.tmp.dirs": folder / "tmp",
        # Both sides have all jars, so those that the job server sends along are not loaded again.
        "classloader.resolve-order": "parent-first",
        # A job whose worker or TaskManager dies begins anew, on what is left.
        "restart-strategy.type": "fixed-delay",
        "restart-strategy.fixed-delay.attempts": 3,
        "restart-strategy.fixed-delay.delay": "2 s",
        # A TaskManager that is gone is missed after so long; Flink's own values are 10 s and 50 s.
        "heartbeat.interval": 2000,
        "heartbeat.timeout": 20000,
        # Memory that Flink plans with; Flink's scripts would work it out from one number.
        "taskmanager.cpu.cores": slots,
        "taskmanager.memory.task.heap.size": "256m",
        "taskmanager.memory.task.off-heap.size": "0m",
        "taskmanager.memory.network.min": "64m",
        "taskmanager.memory.network.max": "64m",
        "taskmanager.memory.managed.size": "128m",
        "taskmanager.memory.framework.heap.size": "128m",
        "taskmanager.memory.framework.off-heap.size": "128m",
        "taskmanager.memory.jvm-metaspace.size": "256m",
        "taskmanager.memory.jvm-overhead.min": "192m",
        "taskmanager.memory.jvm-overhead.max": "192m",
    }
    lines = [f"{name}: {value}\n" for name, value in settings.items()]
    (folder / "conf" / "flink-conf.yaml").write_text("".join(lines), encoding="utf-8")


def _write_worker(folder: pathlib.Path) -> None:
    """Writes the program that TaskManagers start as a worker."""
    path = folder / "worker"
    line = shlex.join([sys.executable, "-m", "experiments.cluster.worker"])
    path.write_text(f'#!/bin/sh\nexec {line} "$@"\n', encoding="utf-8")
    path.chmod(0o755)


def _state(folder: pathlib.Path) -> dict[str, Any]:
    """What `start` wrote of the cluster in a folder."""
    try:
        return json.loads((folder / _STATE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{folder} has no {_STATE}: no cluster was started there") from None


def main(arguments: list[str]) -> None:
    """Does what the command line says."""
    if len(arguments) != 1 or arguments[0] not in COMMANDS:
        raise UserError(f"say one of {', '.join(COMMANDS)} (see --help)")
    if arguments[0] == "start":
        jars.fetch(jars.place())
        start(FLAGS.folder, FLAGS.taskmanagers, FLAGS.slots)
    if arguments[0] == "restart":
        restart(FLAGS.folder)
    if arguments[0] == "stop":
        print(f"ended {stop(FLAGS.folder)} processes")
    else:
        print(",".join(options(FLAGS.folder, FLAGS.parallelism)))


if __name__ == "__main__":
    flags.DEFINE_string("folder", None, "Folder of the cluster, on the machine's own disk.")
    flags.DEFINE_integer("taskmanagers", 2, "How many TaskManagers.", lower_bound=1)
    flags.DEFINE_integer("slots", 2, "Parts of a job that each takes at once.", lower_bound=1)
    flags.DEFINE_integer(
        "parallelism", None, "Parts of the job; by default half of all slots.", lower_bound=1
    )
    app.run(main, required=("folder",), with_arguments=True)
