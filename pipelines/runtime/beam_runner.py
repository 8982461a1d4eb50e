"""Runs Beam pipelines: chooses the runner, checks its options, and hides its log lines.

By default, `apache_beam.Pipeline()` looks for a runner binary on the internet. Jobs use the
in-process runner instead; `--pipeline_options=--runner=FlinkRunner,...` chooses another.
"""

import contextlib
import difflib
import io
import logging
import os
import pathlib
import re
import shlex
import signal
import sys
import threading
from collections.abc import Callable, Collection, Iterator, Sequence

import psutil

from pipelines.runtime import cores
from pipelines.runtime.app import UserError

_WORKER = "pipelines.runtime.beam_worker"
_CHECKOUT = pathlib.Path(__file__).resolve().parents[2]
# With about this many sources, a worker process saves the seconds that its imports take.
_SOURCES_PER_PROCESS = 2000


def default_arguments(sources: int) -> list[str]:
    """The Beam options that suit a number of sources on this machine."""
    workers = min(cores.count(), sources // _SOURCES_PER_PROCESS)
    if workers < 2:
        return []
    return ["--direct_running_mode=multi_processing", f"--direct_num_workers={workers}"]


def run_pipeline(build: Callable, arguments: Sequence[str]) -> None:
    """Builds a Beam pipeline with `build(pipeline)` and runs it to its end.

    Args:
      build: adds the transforms to the pipeline that it is given.
      arguments: Beam's options, as on a command line: ["--direct_num_workers=2"].

    Raises:
      UserError: if an option is unknown, or if a worker had an OSError, such as a full disk.
    """
    # Importing Beam takes seconds and warns of packages that are not needed here.
    with _log_level_above(logging.WARNING):
        import apache_beam as beam
    with _log_level_above(logging.ERROR):
        runner, options = _runner(list(arguments))
        try:
            with _workers_end_with_the_run() as signals:
                with beam.Pipeline(runner=runner, options=options) as pipeline:
                    build(pipeline)
        except UserError:
            raise
        except Exception as error:
            # Beam wraps what a signal handler raised, too.
            if signal.SIGINT in signals:
                raise KeyboardInterrupt from None
            # Beam wraps what a worker raised; from another process it comes as text.
            failure = re.search(
                r"\[Errno \d+\] (.*?)(?: \[while running.*)?$", str(error), re.MULTILINE
            )
            if failure is None:
                raise
            raise UserError(f"a worker failed: {failure[1]}") from error


def _runner(arguments: list[str]):
    """Beam's runner and options for these arguments."""
    from apache_beam.options.pipeline_options import DirectOptions, PipelineOptions
    from apache_beam.runners import create_runner
    from apache_beam.runners.portability.fn_api_runner import FnApiRunner
    from apache_beam.transforms.environments import SubprocessSDKEnvironment

    _require_known(arguments, PipelineOptions([]).get_all_options())
    options = PipelineOptions(arguments)
    # argparse would answer a bad value with a page on stderr and end the process.
    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint):
            given = options.get_all_options(drop_default=True)
    except SystemExit:
        message = complaint.getvalue().splitlines()[-1].partition("error: ")[2]
        raise UserError(f"--pipeline_options: {message}") from None
    if "runner" in given:
        try:
            return create_runner(given["runner"]), options
        except (ImportError, ValueError) as error:
            raise UserError(f"--pipeline_options: {str(error).splitlines()[0]}") from error
    direct = options.view_as(DirectOptions)
    if direct.direct_num_workers < 0:
        raise UserError("--pipeline_options: direct_num_workers must not be negative")
    if direct.direct_running_mode != "multi_processing":
        return FnApiRunner(), options
    # The runner's own mode of this name starts workers that log every step.
    direct.direct_running_mode = "in_memory"
    environment = SubprocessSDKEnvironment.from_command_string(_worker_command())
    return FnApiRunner(default_environment=environment), options


def _require_known(arguments: Sequence[str], known: Collection[str]) -> None:
    """Raises UserError for an argument that is none of Beam's options, with the nearest ones."""
    for argument in arguments:
        name = re.fullmatch(r"--(?:no_)?([a-z0-9_]+)(?:=.*)?", argument, re.DOTALL)
        if name is None or name[1] not in known:
            bare = argument.lstrip("-").split("=")[0]
            nearest = difflib.get_close_matches(bare, known, n=3, cutoff=0.5)
            hint = f"; nearest: {', '.join(f'--{other}' for other in nearest)}" if nearest else ""
            raise UserError(f"--pipeline_options: Beam has no option {argument!r}{hint}")


def _worker_command() -> str:
    """The command that starts a worker process of this job."""
    # Workers import the DoFns by name, wherever the job was started.
    paths = [str(_CHECKOUT), os.environ.get("PYTHONPATH")]
    command = [
        "env",
        f"PYTHONPATH={os.pathsep.join(filter(None, paths))}",
        sys.executable,
        "-m",
        _WORKER,
        str(os.getpid()),
    ]
    # Beam runs it in a shell. `exec` makes the worker the job's own child, which the job watches.
    return f"exec {shlex.join(command)}"


@contextlib.contextmanager
def _workers_end_with_the_run() -> Iterator[list[int]]:
    """Ends worker processes when one of them dies, or at Ctrl-C.

    When a worker dies, Beam raises an exception in the thread that started it, where nobody sees
    it, and waits for the worker's answer forever. Nor does a run end before all its workers do. So
    a signal interrupts the waiting main thread, and its handler kills the other workers first.

    Yields:
      A list of the signals that came so far, in order.
    """
    came: list[int] = []
    main_thread = threading.main_thread().ident
    if main_thread is None or threading.current_thread() is not threading.main_thread():
        yield came
        return

    def notice(args):
        # Once the run is ending, each of its threads ends with an exception, which says nothing.
        if came:
            return
        if "Worker subprocess exited" in str(args.exc_value):
            signal.pthread_kill(main_thread, signal.SIGUSR1)
        else:
            others(args)

    def stop(number, frame):
        # The workers that die after Ctrl-C must not count as a second failure.
        if came and number == signal.SIGUSR1:
            return
        came.append(number)
        for child in psutil.Process().children():
            if _WORKER in child.cmdline():
                child.kill()
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        raise UserError(
            "a worker process was killed, perhaps because memory ran out; use fewer workers, as in "
            "--pipeline_options=--direct_num_workers=1"
        )

    others = threading.excepthook
    threading.excepthook = notice
    before = {number: signal.signal(number, stop) for number in (signal.SIGUSR1, signal.SIGINT)}
    try:
        yield came
    finally:
        threading.excepthook = others
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _log_level_above(level: int) -> Iterator[None]:
    before = logging.root.manager.disable
    logging.disable(max(level, before))
    try:
        yield
    finally:
        logging.disable(before)
