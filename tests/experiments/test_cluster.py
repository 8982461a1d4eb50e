"""A real Flink cluster: the records that it makes, and a TaskManager that dies at work."""

import contextlib
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import tarfile
import time

import psutil
import pytest

from experiments.cluster import cluster, faults, jars, machines
from pipelines.runtime.app import UserError
from tests.support.jobs import job
from tests.support.records import contents

PROCESSES = "--pipeline_options=--direct_running_mode=multi_processing,--direct_num_workers=2"


def require_flink():
    """Skips where the jars or Java are not to be had."""
    if not os.environ.get("REELGROOVE_JARS"):
        pytest.skip("REELGROOVE_JARS is not set: no jars of Flink here")
    if shutil.which("java") is None:
        pytest.skip("no java here, and so no Flink")
    assert jars.wrong(jars.place()) == []


@pytest.fixture(scope="module")
def flink(tmp_path_factory):
    """The folder of a cluster that runs."""
    require_flink()
    folder = tmp_path_factory.mktemp("flink") / "cluster"
    state = cluster.start(folder)
    yield folder
    cluster.stop(folder)
    assert cluster.members(json.loads((folder / "cluster.json").read_text())) == []
    # Nor does anything listen where it did.
    ports = {each.laddr.port for each in psutil.net_connections("tcp") if each.status == "LISTEN"}
    assert not ports & set(state["ports"].values())


@pytest.fixture(scope="module")
def tunes(corpora):
    return ["--corpus=abc", f"--input={corpora / 'abc' / 'oneills1850'}"]


@pytest.fixture(scope="module")
def grooves(corpora):
    return ["--corpus=groove", f"--input={corpora / 'groove-v1.0.0-midionly.zip'}"]


@pytest.fixture(scope="module")
def packed(corpora, tmp_path_factory):
    """The same tunebooks in a compressed tar, in which they have the same names."""
    path = tmp_path_factory.mktemp("packed") / "oneills1850.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        archive.add(corpora / "abc" / "oneills1850", arcname=".")
    return ["--corpus=abc", f"--input={path}"]


def convert(arguments, output, *more):
    """The files that a job without faults leaves."""
    done = job("convert", *arguments, f"--output={output}", *more, timeout=300)
    assert done.returncode == 0, done.stderr
    return contents(output)


@pytest.mark.slow
@pytest.mark.parametrize("corpus", ["packed", "grooves"])
def test_every_runner_makes_the_same_records(flink, tmp_path, request, corpus):
    arguments = request.getfixturevalue(corpus)
    options = f"--pipeline_options={','.join(cluster.options(flink))}"
    here = convert(arguments, tmp_path / "here")
    if corpus == "grooves":
        assert convert(arguments, tmp_path / "processes", PROCESSES) == here
    assert convert(arguments, tmp_path / "flink", options) == here
    manifest = json.loads((tmp_path / "flink" / "manifest.json").read_text())
    kept = sum(split["records"] for split in manifest["splits"].values())
    assert manifest["read"] == kept + manifest["rejected"]
    assert manifest["read"] == {"packed": 2009, "grooves": 1150}[corpus]


@pytest.mark.slow
def test_tunes_are_judged_as_without_a_cluster(flink, tmp_path, corpora):
    book = next(iter(sorted((corpora / "abc" / "oneills1850").glob("*.abc"))))
    options = f"--pipeline_options={','.join(cluster.options(flink))}"
    verdicts = []
    for more in [[], [options]]:
        output = tmp_path / f"{len(verdicts)}"
        done = job("judge", str(book), f"--output={output}", *more, timeout=300)
        assert done.returncode == 0, done.stderr
        verdicts.append((output / "verdicts.jsonl").read_bytes())
    assert verdicts[0] == verdicts[1]
    tunes = re.findall(r"^X:", book.read_text(encoding="latin-1"), re.MULTILINE)
    assert len(verdicts[0].splitlines()) == len(tunes) == 50


@pytest.mark.slow
def test_a_job_whose_taskmanager_is_killed_makes_the_same_records(flink, tmp_path, tunes):
    wanted = faults.outcome(faults.convert(tunes, tmp_path / "here", ""), tmp_path / "here")
    found = faults.trial(tunes, flink, tmp_path / "flink", "taskmanager", wanted.result)
    assert (found["status"], found["wrong"]) == (0, [])


@pytest.mark.slow
def test_a_job_on_machines_that_share_a_disk_survives_the_network_of_one(tmp_path, tunes):
    require_flink()
    if why := machines.why_not():
        pytest.skip(why)
    here = convert(tunes, tmp_path / "here")
    with machines.network(3) as (first, second, third), contextlib.ExitStack() as stack:
        stack.callback(cluster.stop, tmp_path / "cluster")
        cluster.start(tmp_path / "cluster", machines=(first, second, third))
        options = ",".join(cluster.options(tmp_path / "cluster"))
        client = faults.convert(tunes, tmp_path / "flink", options)
        while client.poll() is None and not faults.parts_done(tmp_path / "flink"):
            time.sleep(0.02)
        assert client.poll() is None
        second.unplug()
        found = faults.outcome(client, tmp_path / "flink")
        assert found.status == 0, found.line
        # The JobManager misses a TaskManager that it hears no more of, but not at once: the job may
        # have ended before.
        state = json.loads((tmp_path / "cluster" / "cluster.json").read_text())
        until = time.monotonic() + 120
        while cluster.registered(state) > 1:
            assert time.monotonic() < until
            time.sleep(0.5)
        assert cluster.runs(state, "taskmanager-1") and cluster.registered(state) == 1
    assert contents(tmp_path / "flink") == here
    network = third.address.rpartition(".")[0]
    addresses = [each.address for found in psutil.net_if_addrs().values() for each in found]
    assert not any(address.startswith(network) for address in addresses)


@pytest.mark.slow
def test_a_job_that_is_told_to_end_does_not_go_on_on_the_cluster(flink, tmp_path, tunes):
    found = faults.disturbed(tunes, flink, tmp_path / "records", "client terminated")
    assert (found.status, found.line, found.result) == (143, "terminated", {})
    # Beam's job server does not cancel it there, but it fails, since its folder is gone.
    until = time.monotonic() + 120
    while cluster.jobs(flink)[-1] not in ("CANCELED", "FAILED"):
        assert time.monotonic() < until
        time.sleep(1)
    assert not (tmp_path / "records").exists()


@pytest.mark.slow
def test_a_cluster_that_cannot_start_says_why_and_leaves_no_process(tmp_path, monkeypatch):
    monkeypatch.setenv("REELGROOVE_JARS", str(tmp_path / "none"))
    if shutil.which("java") is None:
        pytest.skip("no java here")
    with pytest.raises(UserError, match=r"/cluster/\w+\.log says why"):
        cluster.start(tmp_path / "cluster")
    state = json.loads((tmp_path / "cluster" / "cluster.json").read_text())
    assert cluster.members(state) == []
    with pytest.raises(UserError, match="is not empty"):
        cluster.start(tmp_path / "cluster")


# What is known of processes


def test_what_a_process_started_is_one_of_its_own_when_it_has_died():
    command = ["bash", "-c", "sleep 100 & echo $!; read"]
    shell = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    )
    sleeper = int(shell.stdout.readline())
    begun = psutil.Process(shell.pid).create_time()
    state = {"processes": {"shell": [shell.pid, begun]}}
    assert {process.pid for process in cluster.members(state, "shell")} == {shell.pid, sleeper}
    assert cluster.runs(state, "shell")
    os.kill(shell.pid, signal.SIGKILL)
    shell.wait()
    shell.stdin.close()
    shell.stdout.close()
    assert [process.pid for process in cluster.members(state, "shell")] == [sleeper]
    assert not cluster.runs(state, "shell")
    # One that is older than the program is not of it, although the session has the same number.
    later = {"processes": {"shell": [shell.pid, begun + 1000]}}
    assert cluster.members(later) == []
    os.kill(sleeper, signal.SIGKILL)


def test_a_folder_without_a_cluster_is_told(tmp_path):
    with pytest.raises(UserError, match="no cluster was started there"):
        cluster.stop(tmp_path)


# Jars


def test_jars_that_are_missing_or_changed_are_named(tmp_path, monkeypatch):
    digest = hashlib.sha256(b"a").hexdigest()
    monkeypatch.setattr(jars, "wanted", lambda: {"a.jar": digest, "b.jar": digest})
    assert jars.wrong(tmp_path) == ["a.jar is missing", "b.jar is missing"]
    (tmp_path / "a.jar").write_bytes(b"a")
    (tmp_path / "b.jar").write_bytes(b"other")
    (tmp_path / "c.jar").write_bytes(b"a")
    assert jars.wrong(tmp_path) == [
        "b.jar has another SHA-256",
        "c.jar is not among the jars that are wanted",
    ]
    with pytest.raises(UserError, match=r"b\.jar has another SHA-256 \(2 in all\)"):
        jars.fetch(tmp_path)
    (tmp_path / "b.jar").write_bytes(b"a")
    (tmp_path / "c.jar").unlink()
    jars.fetch(tmp_path)


def test_the_list_of_jars_is_whole():
    wanted = jars.wanted()
    assert len(wanted) == 162 and all(len(digest) == 64 for digest in wanted.values())
    assert {"beam-runners-flink-1.19-2.62.0.jar", "flink-runtime-1.19.0.jar"} <= wanted.keys()


# Outcomes


@pytest.mark.parametrize(
    "status, line, result, wrong",
    [
        (0, "1 of 1 kept", {"a": "1"}, 0),
        (0, "1 of 1 kept", {"a": "2"}, 1),
        (0, "1 of 1 kept", {}, 1),
        (1, "error: a line", {}, 0),
        (1, "error: a line", {"unfinished: a": ""}, 1),
        (1, "RuntimeError: a traceback", {}, 1),
        (143, "terminated", {}, 0),
        (-9, "1 of 2 sources converted", {}, 0),
        (None, "1 of 2 sources converted", {}, 1),
    ],
)
def test_what_is_wrong_with_what_came_of_a_job(status, line, result, wrong):
    found = faults.Outcome(status, line, result, 1.0)
    assert len(list(faults.faults_of(found, {"a": "1"}))) == wrong
