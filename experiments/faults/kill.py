"""Sends signals to jobs and their workers at random moments, and looks at what is left.

    python -m experiments.faults.kill --trials=200 --json=experiments/faults/kill.json

Every trial starts a job in a session of its own and sends SIGKILL, SIGTERM or SIGINT to it or to
one of its worker processes, at a moment drawn from the time that the job takes undisturbed. Then:

- the exit status is that of the signal, and stderr ends in one line that says what happened, with
  no traceback (SIGKILL leaves no time for either);
- no process of the session is left, which would keep its ports open;
- nothing half-made looks finished: there is the result of an undisturbed run, or none;
- the same command then succeeds and leaves the bytes of an undisturbed run.

A job is disturbed `--in_a_row` times, each time going on with what the signal before left; then the
same command is left in peace. Training has to end at its last step. Of titles, its index has to be
that of an undisturbed run; whether a MusicVAE gets the same weights, `experiments.vm.preempt`
tells. The first quarter of a job, at most 5 seconds, is spared: until
Python has started, signals do what they do to any program.

A line of JSON for each trial that failed goes to stdout, a table at the end.
"""

import dataclasses
import hashlib
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence

import psutil
from absl import flags

from pipelines.demo import grooves, tunes
from pipelines.runtime import app, files
from pipelines.runtime.progress import Progress

FLAGS = flags.FLAGS
ROOT = pathlib.Path(__file__).resolve().parents[2]
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
# What stderr ends with, and the status, for each signal.
LAST_LINES = {signal.SIGTERM: ("terminated", 143), signal.SIGINT: ("interrupted", 130)}
# A job that has not ended so long after a signal, and three times its time undisturbed, hangs. (A
# worker heeds no SIGINT, and the job then goes on to its end.)
GIVE_UP_SECONDS = 60
# Workers notice within a second that their job has gone.
LEFT_SECONDS = 10
# A job that heeds a signal has ended by then; one that goes on for longer has lost it.
_HEEDED_SECONDS = 3.0
# By then Python has started, even on a busy machine.
_STARTED_SECONDS = 5.0
WORKERS = "--pipeline_options=--direct_running_mode=multi_processing,--direct_num_workers=2"
TINY = "batch_size=8,enc_rnn_size=[8],dec_rnn_size=[8,8],z_size=4,learning_rate=0.01"


@dataclasses.dataclass(frozen=True)
class Job:
    """A job to disturb.

    Attributes:
      name: what the table calls it.
      arguments: those of run.sh; "OUT" stands for the folder that it writes.
      result: the hash of each part of what it left in a folder that looks finished; {} where
        nothing does.
      workers: whether it has worker processes to send signals to.
    """

    name: str
    arguments: Sequence[str]
    result: Callable[[pathlib.Path], Mapping[str, str]]
    workers: bool = False


def records(folder: pathlib.Path) -> dict[str, str]:
    """The files of a folder of records, if it looks finished."""
    paths = [path for path in folder.glob("*") if path.is_file()]
    if not (folder / "manifest.json").exists():
        # Without its manifest no shard may be there to be matched by a pattern.
        return {f"unfinished: {path.name}": "" for path in paths}
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def music(folder: pathlib.Path) -> dict[str, str]:
    """The MIDI files and piano rolls that `generate` wrote."""
    paths = [path for path in folder.glob("*") if path.suffix in (".mid", ".png", ".abc")]
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def last_step(folder: pathlib.Path) -> dict[str, str]:
    """The step of the last checkpoint of a MusicVAE, if it is the end that was asked for."""
    try:
        state = (folder / "train" / "checkpoint").read_text()
    except FileNotFoundError:
        return {}
    step = state.split('"')[1].rpartition("-")[2]
    return {"step": step} if step == str(STEPS) else {}


def titles_index(folder: pathlib.Path) -> dict[str, str]:
    """The index of a run of titles, which holds a vector of every title and tune."""
    try:
        if not json.loads((folder / "run.json").read_text())["finished"]:
            return {}
    except FileNotFoundError:
        return {}
    paths = sorted((folder / "index").glob("*/vectors.npy"))
    return {path.parent.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def nothing(folder: pathlib.Path) -> dict[str, str]:
    """The result of a job that only prints."""
    return {}


STEPS = 60


def record_jobs(work: pathlib.Path) -> list[Job]:
    """The jobs that make records of corpora, which are made in a folder, if they are not there."""
    books, drums = work / "books", work / "drums"
    if not books.exists():
        tunes.write_corpus(str(books))
    if not drums.exists():
        grooves.write_corpus(str(drums), num_beats=90, num_fills=30)
    convert = ["convert", "--corpus=abc", f"--input={books}", "--output=OUT"]
    drum_flags = ["--corpus=groove", f"--input={drums}", "--output=OUT", WORKERS]
    return [
        Job("convert", convert, records),
        Job("convert with workers", ["convert", *drum_flags], records, True),
    ]


def jobs(work: pathlib.Path) -> list[Job]:
    """All jobs, with what they read made in a folder, if it is not there."""
    of_corpora = record_jobs(work)
    shared = work / "shared"
    tune_records, groove_records = shared / "tunes", shared / "grooves"
    run, titles = shared / "run", shared / "titles"
    pattern = f"--examples_path={groove_records}/train.tfrecord*"
    held_out = f"--examples_path={groove_records}/validation.tfrecord*"
    titled = f"--examples_path={tune_records}/train.tfrecord*"
    convert_tunes = ["convert", "--corpus=abc", f"--input={work}/books"]
    convert_drums = ["convert", "--corpus=groove", f"--input={work}/drums"]
    train = ["train", "--config=flat-groove_4bar", pattern, f"--num_steps={STEPS}",
             f"--hparams={TINY}", "--seed=1"]  # fmt: skip
    train_titles = ["titles", "train", titled, "--text_encoder=builtin", "--num_epochs=3",
                    "--batch_size=16"]  # fmt: skip
    for made, arguments in (
        (tune_records, [*convert_tunes, f"--output={tune_records}"]),
        (groove_records, [*convert_drums, f"--output={groove_records}"]),
        (run, [*train, f"--run_dir={run}"]),
        (titles, [*train_titles, f"--run_dir={titles}"]),
    ):
        if not made.exists():
            done = undisturbed(arguments)
            if done.returncode:
                raise app.UserError(f"{arguments[0]} failed undisturbed: {done.stderr[-500:]}")
    tensors = ["tensors", "--config=flat-groove_4bar", f"--input={groove_records}"]
    return [
        *of_corpora,
        Job("tensors", [*tensors, "--output=OUT"], records),
        Job("tensors with workers", [*tensors, "--output=OUT", WORKERS], records, True),
        Job("train", [*train, "--run_dir=OUT", "--save_checkpoint_secs=1"], last_step),
        Job("evaluate", ["evaluate", f"--run_dir={run}", held_out, "--seed=1"], nothing),
        Job(
            "generate",
            ["generate", f"--run_dir={run}", "--mode=sample", "--num_outputs=4", "--seed=1",
             "--output_dir=OUT", "--overwrite"],
            music,
        ),
        Job("titles train", [*train_titles, "--run_dir=OUT"], titles_index),
        Job("titles search", ["titles", "search", "a reel", f"--run_dir={titles}"], nothing),
    ]  # fmt: skip


def command(arguments: Sequence[str]) -> list[str]:
    """The command line of a job, as run.sh makes it."""
    return [sys.executable, "-m", f"pipelines.{arguments[0]}", *arguments[1:]]


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONSAFEPATH": "1"}


def undisturbed(arguments: Sequence[str]) -> subprocess.CompletedProcess:
    """Runs a job to its end."""
    return subprocess.run(
        command(arguments), env=_environment(), capture_output=True, text=True, check=False
    )


def _heed_interruptions() -> None:
    # A process that was started in the background ignores SIGINT, and so would its jobs.
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Disturber:
    """Disturbs one job again and again.

    Args:
      job: the job.
      work: a folder for what it writes.
      in_a_row: how many signals hit what those before left, until the job may end.
    """

    def __init__(self, job: Job, work: pathlib.Path, in_a_row: int = 1):
        self._job = job
        self._work = work
        self._in_a_row = in_a_row
        self._hits = 0  # In this row.
        out = self._fresh()
        begun = time.monotonic()
        done = self._again(out)
        self._seconds = time.monotonic() - begun
        if done.returncode:
            raise app.UserError(f"{job.name} failed undisturbed: {done.stderr[-500:]}")
        self._expected = dict(job.result(out))
        self._printed = done.stdout.replace(str(out), "OUT")

    def trial(self, rng: random.Random, number: signal.Signals) -> tuple[str, list[str]]:
        """One trial with a signal; returns what it was and to whom, and what did not hold."""
        out = self._work / "out" if self._hits else self._fresh()
        at_worker = self._job.workers and rng.random() < 0.5
        name = f"{number.name} to {'a worker' if at_worker else 'the job'}"
        # While Python itself starts, signals do what they do to any program.
        earliest = max(0.3, min(0.25 * self._seconds, _STARTED_SECONDS))
        moment = rng.uniform(earliest, 1.05 * self._seconds)
        log = self._work / "stderr"
        with open(log, "wb") as stderr:
            process = subprocess.Popen(
                command(self._arguments(out)),
                env=_environment(),
                stdout=subprocess.PIPE,
                stderr=stderr,
                start_new_session=True,
                preexec_fn=_heed_interruptions,  # noqa: PLW1509  no threads here
            )
            hit = self._send(process, number, moment, at_worker)
            # A signal to a job that has done its work has nothing to stop.
            late = self._is_done(out)
            sent = time.monotonic()
            patience = GIVE_UP_SECONDS + 3 * self._seconds
            try:
                process.communicate(timeout=patience)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()
                return name, [f"still running {patience:.0f} s after the signal"]
        seconds = time.monotonic() - sent
        lines = log.read_text(errors="replace").splitlines()
        status = process.returncode
        if self._is_done(out) and status == -number != -signal.SIGKILL:
            status = 0  # The work was done, and Python was about to end.
        faults = list(faults_of_end(status, lines, number if hit else None, at_worker))
        if hit and status == 0 and not (at_worker or late) and seconds > _HEEDED_SECONDS:
            faults.append(f"it went on for {seconds:.1f} s after the signal, to its end")
        faults += left_processes(process.pid)
        faults += self._faults_of_result(out, finished=status == 0)
        if faults:
            faults.append(f"sent after {moment:.1f} s, ended {seconds:.1f} s later: {lines[-3:]}")
        return name, faults

    def _is_done(self, out: pathlib.Path) -> bool:
        return bool(self._expected) and dict(self._job.result(out)) == self._expected

    def _send(
        self, process: subprocess.Popen, number: signal.Signals, moment: float, at_worker: bool
    ) -> bool:
        """Sends the signal in its moment; whether there still was something to send it to."""
        deadline = time.monotonic() + moment
        while time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.01)
        while at_worker and process.poll() is None:
            workers = [each for each in session(process.pid) if each.pid != process.pid]
            if workers:
                try:
                    random.Random(moment).choice(workers).send_signal(number)
                    return True
                except psutil.NoSuchProcess:
                    continue
            time.sleep(0.01)
        if process.poll() is not None:
            return False
        process.send_signal(number)
        return True

    def _faults_of_result(self, out: pathlib.Path, finished: bool) -> Iterator[str]:
        left = dict(self._job.result(out))
        if finished and left != self._expected:
            yield "it ended with 0, and its result is another"
        if any(self._expected.get(name) != content for name, content in left.items()):
            yield f"what is left looks finished and is not: {sorted(left)[:3]}"
        self._hits += 1
        # What is complete is not made again.
        if left and left == self._expected:
            self._hits = 0
            return
        if self._hits < self._in_a_row:
            return
        self._hits = 0
        done = self._again(out)
        if done.returncode:
            yield f"the same command then failed: {done.stderr.splitlines()[-1:]}"
        elif dict(self._job.result(out)) != self._expected:
            yield "the same command then left another result"
        elif self._job.result is nothing and done.stdout != self._printed:
            yield "the same command then printed another result"

    def _arguments(self, out: pathlib.Path) -> list[str]:
        return [word.replace("OUT", str(out)) for word in self._job.arguments]

    def _again(self, out: pathlib.Path) -> subprocess.CompletedProcess:
        return undisturbed(self._arguments(out))

    def _fresh(self) -> pathlib.Path:
        out = self._work / "out"
        shutil.rmtree(out, ignore_errors=True)
        return out


def faults_of_end(
    status: int, lines: Sequence[str], sent: signal.Signals | None, at_worker: bool
) -> Iterator[str]:
    """What is wrong with how a job ended.

    Args:
      status: its exit status.
      lines: what it wrote to stderr.
      sent: the signal; None where the job had ended before.
      at_worker: whether a worker got the signal.
    """
    if any("Traceback" in line for line in lines):
        yield f"a traceback: {lines[-1]}"
    last = lines[-1] if lines else ""
    if sent is None or status == 0:
        # It may end by itself before it notices, and a worker may have done its work. No process
        # survives SIGKILL, but one that has begun to exit keeps its own status.
        expected, word = 0, None
    elif at_worker:
        expected, word = 1, "error: a worker process was killed"
        if sent == signal.SIGINT:
            # Ctrl-C in a terminal reaches all processes; what it means is up to the job.
            expected, word = 0, None
    elif sent == signal.SIGKILL:
        expected, word = -sent, None
    else:
        word, expected = LAST_LINES[sent]
        if status == -signal.SIGINT and last == word:
            # Python ends so, and a shell shows it as 130, where exec() or eval() was interrupted.
            return
        # Until Python has started, signals do what they do to any process.
        if status == -sent and not lines:
            return
    if status != expected:
        yield f"exit status {status} and not {expected}: {last}"
    if word and not last.startswith(word):
        yield f"the last line is not {word!r}: {last}"


def session(leader: int) -> list[psutil.Process]:
    """The processes of a session that have not ended."""
    found = []
    for process in psutil.process_iter():
        try:
            if os.getsid(process.pid) == leader and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (ProcessLookupError, psutil.NoSuchProcess):
            continue
    return found


def left_processes(leader: int, seconds: float = LEFT_SECONDS) -> list[str]:
    """The processes of a session that do not end within some seconds; kills them."""
    deadline = time.monotonic() + seconds
    while left := session(leader):
        if time.monotonic() > deadline:
            told = [" ".join(each.cmdline())[:80] for each in left]
            for each in left:
                each.kill()
            return [f"a process is left: {line}" for line in told]
        time.sleep(0.05)
    return []


def main() -> None:
    """Runs the experiment from its flags."""
    rng = random.Random(FLAGS.seed)
    counts: dict[str, Counter[str]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        work = pathlib.Path(FLAGS.work or scratch)
        chosen = [job for job in jobs(work) if not FLAGS.jobs or job.name in FLAGS.jobs]
        disturbers = {}
        for number, job in enumerate(chosen):
            (work / f"job-{number}").mkdir(exist_ok=True)
            disturbers[job.name] = Disturber(job, work / f"job-{number}", FLAGS.in_a_row)
        turns = FLAGS.jobs or list(disturbers)
        progress = Progress("trials", FLAGS.trials)
        for number in range(FLAGS.trials):
            name = turns[number % len(turns)]
            sent, faults = disturbers[name].trial(rng, rng.choice(SIGNALS))
            count = counts.setdefault(f"{name}: {sent}", Counter())
            count["tried"] += 1
            count["held"] += not faults
            if faults:
                print(json.dumps({"job": name, "signal": sent, "faults": faults}), flush=True)
            if FLAGS.json:
                # After each, so that nothing is lost of what took hours.
                table = {name: dict(count) for name, count in sorted(counts.items())}
                files.write_json(FLAGS.json, {"seed": FLAGS.seed, "trials": table})
            progress.update(number + 1)
        progress.close()
    for name, count in sorted(counts.items()):
        print(f"{name:45} {count['tried']:4} tried {count['held']:4} held")
    if any(count["held"] < count["tried"] for count in counts.values()):
        raise app.UserError("not everything held; the lines above say what")


if __name__ == "__main__":
    flags.DEFINE_integer("trials", 200, "How many trials, in turn for each job.", lower_bound=1)
    flags.DEFINE_list("jobs", [], "Only these jobs, in this order; one may stand twice.")
    flags.DEFINE_integer("in_a_row", 4, "How many signals hit one result.", lower_bound=1)
    flags.DEFINE_integer("seed", 0, "Seeds the moments.")
    flags.DEFINE_string("work", None, "A folder to keep what the jobs read; by default none.")
    flags.DEFINE_string("json", None, "A file for the counts.")
    app.run(main)
