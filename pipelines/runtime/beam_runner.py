"""Runs Beam pipelines: chooses the runner, checks its options, and hides its log lines.

By default, `apache_beam.Pipeline()` looks for a runner binary on the internet. Jobs use the
in-process runner instead; `--pipeline_options=--runner=FlinkRunner,...` chooses another.

Where Beam's own local runners have several workers, they open ports on all network interfaces,
without a password, and unpickle what comes in. So no local job takes Beam's workers: its threads
are workers in memory, and its processes are `worker_processes`, which the pipeline itself starts.
"""

import contextlib
import io
import logging
import re
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Sequence, Set
from typing import Any

from pipelines.runtime import cores
from pipelines.runtime.app import UserError, about_file
from pipelines.runtime.interruptions import Interrupted, Terminated
from pipelines.runtime.nearest import did_you_mean

# With about this many sources, a worker process saves the seconds that its imports take.
_SOURCES_PER_PROCESS = 2000
# A job server that listens takes a connection within this time.
_ANSWER_SECONDS = 10
# Runners whose result cannot be vouched for, and why.
_REFUSED = {
    "dask": "loses elements between the steps of a pipeline and reports success all the same, so "
    "records would be missing; leave --runner out, or use FlinkRunner (docs/cluster.md)",
}


def default_arguments(sources: int) -> list[str]:
    """The Beam options that suit a number of sources on this machine."""
    workers = min(cores.count(), sources // _SOURCES_PER_PROCESS)
    if workers < 2:
        return []
    return ["--direct_running_mode=multi_processing", f"--direct_num_workers={workers}"]


def run_pipeline(build: Callable, arguments: Sequence[str]) -> None:
    """Builds a Beam pipeline with `build(pipeline, processes)` and runs it to its end.

    Args:
      build: adds the transforms to the pipeline that it is given. `processes` is how many worker
        processes these should start themselves; with 0, Beam does the work where it likes.
      arguments: Beam's options, as on a command line: ["--direct_num_workers=2"].

    Raises:
      UserError: if an option is unknown, or if a worker had an OSError, such as a full disk.
    """
    with quiet_import():
        import apache_beam as beam
    with _log_level_above(logging.ERROR):
        runner, options, processes = _runner(list(arguments))
        with _interruptions() as came:
            try:
                with _cancelling(beam.Pipeline(runner=runner, options=options)) as pipeline:
                    build(pipeline, processes)
            except UserError:
                raise
            except Exception as error:
                # Beam wraps what a signal handler raised, too.
                if came:
                    raise came[0] from None
                # Beam wraps what a worker raised; from another machine it comes as text.
                message = _of_disk(str(error)) or _of_cluster(str(error)) or _of_connection(error)
                if message is None:
                    raise
                raise UserError(message) from error
            if came:
                # Python drops an exception that a signal raises while it frees an object.
                raise came[0]


def _of_disk(text: str) -> str | None:
    """What to tell of an OSError of a worker, such as a full disk; None for another error."""
    failure = re.search(
        r"\[Errno \d+\] (.*?)(?:: '(.*?)')?(?: \[while running.*)?$", text, re.MULTILINE
    )
    return failure and about_file(failure[2], failure[1])


def _of_cluster(text: str) -> str | None:
    """What to tell of a job that a cluster gave up; None where Python code is at fault."""
    failure = re.match(r"Pipeline \S+ failed in state (\w+): *(.*)", text)
    if failure is None or "Traceback (most recent call last)" in text:
        return None
    why = failure[2] or "it does not say why"
    if "CANCELLED: client cancelled" in why:
        why = "its workers died again and again, perhaps because memory ran out"
    return (
        f"the cluster ended the job as {failure[1]}: {why}; its logs say more, and what died has "
        "to be started again (docs/cluster.md)"
    )


def _of_connection(error: Exception) -> str | None:
    """What to tell where a job server dies while the job waits for it; None for another error."""
    import grpc  # Beam has imported it.

    if not isinstance(error, grpc.RpcError):
        return None
    status = error.code().name if isinstance(error, grpc.Call) else type(error).__name__
    return (
        f"the job server answers no more ({status}); start it again, then give the same command "
        "again (docs/cluster.md)"
    )


@contextlib.contextmanager
def _cancelling(pipeline) -> Iterator[Any]:
    """Runs a pipeline; cancels what of it runs elsewhere where this process is told to end."""
    try:
        with pipeline:
            yield pipeline
    except BaseException:
        # What has ended by itself, as a local runner has, cannot be cancelled, and need not be.
        if (result := getattr(pipeline, "result", None)) is not None:
            with contextlib.suppress(Exception):
                result.cancel()
        raise


def _runner(arguments: list[str]):
    """Beam's runner and options for these arguments, and the number of worker processes."""
    from apache_beam.options.pipeline_options import DirectOptions
    from apache_beam.runners import create_runner
    from apache_beam.runners.direct.direct_runner import SwitchingDirectRunner
    from apache_beam.runners.portability.fn_api_runner import FnApiRunner

    options, given = parsed_options(arguments)
    if "runner" in given:
        if why := _REFUSED.get(given["runner"].rpartition(".")[2].lower().removesuffix("runner")):
            raise UserError(f"--pipeline_options: {given['runner']} {why}")
        try:
            runner = create_runner(given["runner"])
        except (ImportError, ValueError) as error:
            raise UserError(f"--pipeline_options: {str(error).splitlines()[0]}") from error
        _require_answer(given.get("job_endpoint"))
        # Beam's local runners are replaced by the one below, for the ports that they open.
        if not isinstance(runner, SwitchingDirectRunner | FnApiRunner):
            return runner, options, 0
    direct = options.view_as(DirectOptions)
    if direct.direct_num_workers < 0:
        raise UserError("--pipeline_options: direct_num_workers must not be negative")
    workers, processes = direct.direct_num_workers or cores.count(), 0
    if direct.direct_running_mode == "multi_processing":
        workers, processes = 1, workers
    direct.direct_running_mode, direct.direct_num_workers = "in_memory", workers
    return FnApiRunner(), options, processes


def parsed_options(arguments: Sequence[str]) -> tuple[Any, dict[str, Any]]:
    """Beam's options for these arguments, and those among them that are given.

    Raises:
      UserError: for an option that Beam does not have, or a value that it does not take.
    """
    from apache_beam.options.pipeline_options import PipelineOptions

    arguments = list(arguments)
    _require_known(arguments, PipelineOptions([]).get_all_options().keys())
    options = PipelineOptions(arguments)
    # argparse would answer a bad value with a page on stderr and end the process.
    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint):
            return options, options.get_all_options(drop_default=True)
    except SystemExit:
        message = complaint.getvalue().splitlines()[-1].partition("error: ")[2]
        raise UserError(f"--pipeline_options: {message}") from None


def _require_answer(endpoint: str | None) -> None:
    """Raises UserError where nothing listens at a job server's address: Beam would wait for it."""
    host, _, port = (endpoint or "").rpartition(":")
    if not (host and port.isdecimal()):
        return
    try:
        socket.create_connection((host, int(port)), _ANSWER_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise UserError(
            f"--pipeline_options: no job server answers at {endpoint} ({error}); start it, or "
            "correct --job_endpoint (docs/cluster.md)"
        ) from None


def _require_known(arguments: Sequence[str], known: Set[str]) -> None:
    """Raises UserError for an argument that is none of Beam's options, with the nearest ones."""
    for argument in arguments:
        name = re.fullmatch(r"--((?:no_)?([a-z0-9_]+))(?:=.*)?", argument, re.DOTALL)
        if name is None or known.isdisjoint(name.groups()):
            bare = argument.lstrip("-").split("=")[0]
            hint = did_you_mean(bare, known, "--")
            # Without its value, which may be a secret.
            given = argument.partition("=")[0]
            raise UserError(f"--pipeline_options: Beam has no option {given!r}{hint}")


@contextlib.contextmanager
def _interruptions() -> Iterator[list[KeyboardInterrupt]]:
    """Yields a list into which Ctrl-C and SIGTERM put the exception that they raise."""
    came: list[KeyboardInterrupt] = []
    if threading.current_thread() is not threading.main_thread():
        yield came
        return

    def note(number, frame):
        came.append(Terminated() if number == signal.SIGTERM else Interrupted())
        raise came[-1]

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def quiet_import() -> contextlib.AbstractContextManager[None]:
    """For what imports Beam, which takes seconds and warns of packages that are not needed here."""
    return _log_level_above(logging.WARNING)


@contextlib.contextmanager
def _log_level_above(level: int) -> Iterator[None]:
    before = logging.root.manager.disable
    logging.disable(max(level, before))
    try:
        yield
    finally:
        logging.disable(before)
