"""Which options Beam gets: by the size of the job, and from the user."""

import os
import signal
import socket

import pytest

from pipelines.runtime import beam_runner
from pipelines.runtime.app import UserError
from pipelines.runtime.interruptions import Terminated


def test_large_corpora_get_processes(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2})
    assert beam_runner.default_arguments(1150) == []
    assert beam_runner.default_arguments(4000)[1] == "--direct_num_workers=2"
    assert beam_runner.default_arguments(11500) == [
        "--direct_running_mode=multi_processing",
        "--direct_num_workers=3",
    ]
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})
    assert beam_runner.default_arguments(11500) == []


@pytest.mark.parametrize(
    "argument, message",
    [
        ("--direct_num_worker=2", "no option '--direct_num_worker'; did you mean --direct_num_w"),
        ("nonsense", "no option 'nonsense'"),
        ("--direct_running_mode=other", "invalid choice: 'other'"),
    ],
)
def test_options_are_checked_before_the_pipeline_is_built(argument, message):
    with pytest.raises(UserError, match=message):
        beam_runner.run_pipeline(None, [argument])


@pytest.mark.parametrize("runner", ["DaskRunner", "apache_beam.runners.dask.DaskRunner", "dask"])
def test_a_runner_that_loses_records_is_refused(runner):
    with pytest.raises(UserError, match="loses elements .* reports success"):
        beam_runner.run_pipeline(None, [f"--runner={runner}"])


def test_a_job_server_that_is_not_there_is_told_at_once():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    arguments = ["--runner=FlinkRunner", f"--job_endpoint=127.0.0.1:{port}"]
    with pytest.raises(UserError, match=f"no job server answers at 127.0.0.1:{port} .*refused"):
        beam_runner.run_pipeline(None, arguments)


@pytest.mark.parametrize(
    "arguments, workers, processes",
    [
        ([], 1, 0),
        (["--direct_num_workers=3"], 3, 0),
        (["--direct_running_mode=multi_threading", "--direct_num_workers=3"], 3, 0),
        (["--direct_running_mode=multi_processing", "--direct_num_workers=3"], 1, 3),
        (["--direct_running_mode=multi_processing"], 1, 1),
        (["--direct_running_mode=multi_processing", "--direct_num_workers=0"], 1, 5),
        (["--runner=DirectRunner", "--direct_running_mode=multi_threading"], 1, 0),
        (["--runner=FnApiRunner", "--direct_running_mode=multi_processing"], 1, 1),
    ],
)
def test_local_runners_work_in_memory(monkeypatch, arguments, workers, processes):
    """Beam's `multi_threading` and `multi_processing` listen on all network interfaces."""
    from apache_beam.options.pipeline_options import DirectOptions
    from apache_beam.runners.portability.fn_api_runner import FnApiRunner

    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(5)))
    runner, options, own = beam_runner._runner(arguments)
    direct = options.view_as(DirectOptions)
    assert type(runner) is FnApiRunner
    assert (direct.direct_running_mode, direct.direct_num_workers) == ("in_memory", workers)
    assert own == processes


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_signal_that_python_drops_ends_the_run_all_the_same():
    """What a signal raises while an object is freed goes nowhere."""

    class Freed:
        def __del__(self):
            os.kill(os.getpid(), signal.SIGTERM)

    def build(pipeline, processes):
        import apache_beam as beam

        _ = pipeline | beam.Create([1])
        thing = Freed()
        del thing

    with pytest.raises(Terminated):
        beam_runner.run_pipeline(build, [])


TRACEBACK = "Traceback (most recent call last):\n  File ...\n"


@pytest.mark.parametrize(
    "text, message",
    [
        ("OSError: [Errno 28] No space left on device: '/a/b' [while running 'x']", "^/a/b: No sp"),
        (
            f"Pipeline job-1 failed in state FAILED: java: {TRACEBACK}OSError: [Errno 28] No space",
            "^writing: No space; check",
        ),
        (
            "Pipeline job-1 failed in state FAILED: java.io.IOException: gone\n\tat a.b",
            "^the cluster ended the job as FAILED: java.io.IOException: gone; its logs",
        ),
        (
            "Pipeline job-1 failed in state FAILED: a.b.Status: CANCELLED: client cancelled",
            "as FAILED: its workers died again and again, perhaps because memory ran out; its logs",
        ),
        ("Pipeline job-1 failed in state CANCELLED: ", "as CANCELLED: it does not say why;"),
    ],
)
def test_what_a_job_on_a_cluster_failed_of_is_one_line(text, message):
    def build(pipeline, processes):
        raise RuntimeError(text)

    with pytest.raises(UserError, match=message) as caught:
        beam_runner.run_pipeline(build, [])
    assert "\n" not in str(caught.value)


def test_an_error_of_the_projects_code_on_a_cluster_keeps_its_traceback():
    text = f"Pipeline job-1 failed in state FAILED: java: {TRACEBACK}KeyError: 'a'"

    def build(pipeline, processes):
        raise RuntimeError(text)

    with pytest.raises(RuntimeError, match="KeyError"):
        beam_runner.run_pipeline(build, [])


def test_a_job_server_that_dies_is_one_line():
    """An error of gRPC, made by a call to a port where nothing listens."""
    import grpc

    def build(pipeline, processes):
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            channel.unary_unary("/service/method")(b"")

    with pytest.raises(UserError, match=r"^the job server answers no more \(UNAVAILABLE\); start"):
        beam_runner.run_pipeline(build, [])
