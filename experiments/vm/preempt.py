"""Preempts the start-up script of a VM at random moments, until it has trained a run to its end.

    python -m experiments.vm.preempt --corpora=DATA --kills=40 --json=experiments/vm/preempt.json

DATA has groove-v1.0.0-midionly.zip and the folder abc/litten-ms. A machine is a session of
processes that begins with `start.sh`. It is preempted in one of four ways: SIGTERM to the script
alone (as systemd does) or to all (as a shutdown does), SIGKILL to all (the power is cut) or to
the script alone (memory is short). The machines of the task `bucket` lose their disk each time, and
have the run in a folder that rclone takes for a bucket. For each signal a stage is drawn, and the
moment after the stage's first sign. Then:

- all processes of the machine end, within 30 seconds of processor time: so long have Google's
  machines after the notice;
- after SIGTERM the status is 143, and once a step was taken, there is a checkpoint;
- the script, started again, goes on.

In the end the records, the last step, all variables of the last and the best checkpoint, and what
was measured in validations have to be those of a machine that nobody disturbed. A machine that
has finished is compared, and another begins, until `--kills` signals have come.
"""

import contextlib
import dataclasses
import hashlib
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import psutil
from absl import flags

from experiments.faults import kill
from pipelines.runtime import app, files
from pipelines.runtime.progress import Progress

FLAGS = flags.FLAGS
SCRIPT = pathlib.Path(__file__).with_name("start.sh")
# Google's machines are off so many seconds after the notice.
NOTICE_SECONDS = 30.0
# An undisturbed machine that has not finished by then hangs.
_FINISH_SECONDS = 900.0


@dataclasses.dataclass(frozen=True)
class Way:
    """A way to be preempted: a signal, to the script alone or to all processes of the machine."""

    number: signal.Signals
    to_all: bool

    def __str__(self) -> str:
        return f"{self.number.name} to {'all' if self.to_all else 'the script'}"


WAYS = [Way(number, to) for number in (signal.SIGTERM, signal.SIGKILL) for to in (False, True)]


@dataclasses.dataclass(frozen=True)
class Stage:
    """A stage of a machine's work.

    Attributes:
      name: its name.
      sign: what the log says when it begins; a pattern of files in the run's folder if it has a
        slash.
      seconds: how long after the sign a signal comes at the latest.
    """

    name: str
    sign: str
    seconds: float


# In the order in which a machine goes through them; the last two come again and again.
STAGES = (
    Stage("install", "start.sh: installing", 1.0),
    Stage("convert", "start.sh: converting", 5.0),
    Stage("start of training", "start.sh: training", 12.0),
    Stage("steps", "STEPS", 4.0),
    Stage("checkpoint", "train/*temp*", 0.02),
    Stage("validation", "best/*temp*", 0.02),
)


@dataclasses.dataclass(frozen=True)
class Task:
    """What a machine is to train.

    Attributes:
      name: the name of the system.
      settings: those of `start.sh`; "WORK" in them stands for the machine's folder.
      first_step: what the log says once a step was taken.
      loses_disk: whether the disk goes with the machine, and the run is kept in a bucket.
    """

    name: str
    settings: Mapping[str, str]
    first_step: str
    loses_disk: bool = False


def tasks(corpora: pathlib.Path, steps: int = 0) -> list[Task]:
    """A small MusicVAE on drums and a small language model on tunes, kept in two ways.

    Args:
      corpora: the folder of the corpora.
      steps: how long each is trained; 0 for as long as suits it.
    """
    tunes = corpora / "abc" / "litten-ms"
    made = [
        Task(
            "musicvae",
            {
                "VM_CORPUS": "groove",
                "VM_INPUT": str(corpora / "groove-v1.0.0-midionly.zip"),
                "VM_CONFIG": "flat-groove_4bar",
                "VM_NUM_STEPS": str(steps or 400),
                "VM_TRAIN_FLAGS": f"--hparams={kill.TINY},dropout_keep_prob=0.8 "
                "--save_checkpoint_secs=1 --validation_every=50 --validation_examples=64 "
                "--validation_path=WORK/records/validation.tfrecord* --media_every=0",
            },
            "first step done",
        ),
        Task(
            "tune_lm",
            {
                "VM_CORPUS": "abc",
                "VM_INPUT": str(tunes),
                "VM_CONFIG": "tune_lm-lstm",
                "VM_NUM_STEPS": str(steps or 60),
                "VM_TRAIN_FLAGS": f"--tunebooks={tunes} --save_checkpoint_secs=1 "
                "--validation_path=WORK/records/validation.tfrecord* "
                "--hparams=units=16,depth=1,embedding=8,batch_tokens=1024,dropout=0.2",
            },
            f" of {steps or 60} steps",
        ),
    ]
    return [*made, dataclasses.replace(made[1], name="bucket", loses_disk=True)]


class Machine:
    """A machine with a disk, which outlives it.

    Args:
      task: what it trains.
      disk: the folder.
      seed: of the training.
    """

    def __init__(self, task: Task, disk: pathlib.Path, seed: int = 1):
        self.task = task
        self.disk = disk
        self.run_dir = disk / "run"
        self.log = disk / "log"
        disk.mkdir(parents=True, exist_ok=True)
        settings = {
            "VM_WORK": str(disk),
            "VM_SEED": str(seed),
            "VM_TENSORBOARD_PORT": "0",
            **task.settings,
        }
        self._bucket = disk.with_name(f"{disk.name}-bucket") if task.loses_disk else None
        if self._bucket:
            settings |= {"VM_BUCKET": str(self._bucket), "VM_BUCKET_SECONDS": "1"}
        self._settings = {
            name: value.replace("WORK", str(disk)) for name, value in settings.items()
        }

    def boot(self) -> subprocess.Popen:
        """Starts the script; its log begins anew."""
        with self.log.open("wb") as log:
            return subprocess.Popen(
                [SCRIPT],
                env={**os.environ, **self._settings},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def finish(self) -> None:
        """Lets the script come to its end.

        Raises:
          UserError: where it fails.
        """
        process = self.boot()
        try:
            status = process.wait(_FINISH_SECONDS)
        finally:
            kill.left_processes(process.pid, 0)
        if status:
            raise app.UserError(f"{self.task.name}: status {status}: {self._tail()}")

    def preempt(self, rng: random.Random, stage: Stage, way: Way) -> tuple[str, list[str]]:
        """Starts the script and sends a signal after a stage has begun, or a later one.

        Returns:
          The stage that the signal came in, "" where the script had ended by then; and what did
          not hold.
        """
        process = self.boot()
        begun = self._await(process, stage)
        deadline = time.monotonic() + rng.uniform(0, begun.seconds)
        while time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.005)
        if process.poll() is not None:
            left = kill.left_processes(process.pid)
            return "", left + self._faults_of_status(process.returncode, 0)
        hit = self._reached() if begun.sign.count("/") == 0 else begun
        had_stepped = self._has_stepped()
        if way.to_all:
            os.killpg(process.pid, way.number)
        else:
            process.send_signal(way.number)
        used = _seconds_until_gone(process)
        if used is None:
            kill.left_processes(process.pid, 0)
            return hit.name, [f"still running after {_FINISH_SECONDS:.0f} s"]
        faults = []
        if used > NOTICE_SECONDS:
            faults.append(f"it took {used:.0f} s of processor time to end")
        if way.number == signal.SIGTERM:
            # It may have been about to end.
            if process.returncode:
                faults += self._faults_of_status(process.returncode, 128 + signal.SIGTERM)
            if had_stepped and not any(self._checkpoints()):
                faults.append("it saved no checkpoint")
        if self.task.loses_disk:
            shutil.rmtree(self.disk)
            self.disk.mkdir()
        return hit.name, faults

    def outcome(self) -> dict[str, str]:
        """What has to be the same whatever happened: hashes of all parts, by name."""
        import tensorflow as tf

        found = {}
        for path in sorted((self.disk / "records").iterdir()):
            found[f"records: {path.name}"] = hashlib.sha256(path.read_bytes()).hexdigest()
        for folder in ("train", "best"):
            prefix = tf.train.latest_checkpoint(str(self.run_dir / folder))
            reader = tf.train.load_checkpoint(prefix)
            found[f"{folder}: checkpoint"] = pathlib.Path(prefix).name.rpartition("-")[2]
            for name in sorted(reader.get_variable_to_shape_map()):
                # The one names objects, the other counts how often was saved.
                if "OBJECT_GRAPH" not in name and "save_counter" not in name:
                    value = reader.get_tensor(name)
                    found[f"{folder}: {name}"] = hashlib.sha256(value.tobytes()).hexdigest()
        history = self.run_dir / "validation" / "history.json"
        if history.exists():
            found["validations"] = hashlib.sha256(history.read_bytes()).hexdigest()
        return found

    def _await(self, process: subprocess.Popen, stage: Stage) -> Stage:
        """Waits for the sign of a stage; returns the stage that has come, or a later one."""
        which = STAGES.index(stage)
        while process.poll() is None:
            if "/" in stage.sign:
                if any(self.run_dir.glob(stage.sign)):
                    return stage
                time.sleep(0.001)
                continue
            reached = self._reached()
            if STAGES.index(reached) >= which:
                return reached
            time.sleep(0.01)
        return stage

    def _reached(self) -> Stage:
        """The last stage that the log tells of."""
        said = self.log.read_text(errors="replace")
        signs = [each.sign.replace("STEPS", self.task.first_step) for each in STAGES]
        return [STAGES[0], *(s for s, sign in zip(STAGES, signs) if sign in said)][-1]

    def _checkpoints(self) -> Iterator[pathlib.Path]:
        if self._bucket:
            return self._bucket.glob("*.tar")
        return self.run_dir.glob("train/*.index")

    def _has_stepped(self) -> bool:
        return self.task.first_step in self.log.read_text(errors="replace")

    def _faults_of_status(self, status: int, expected: int) -> list[str]:
        if status == expected:
            return []
        return [f"status {status} and not {expected}: {self._tail()}"]

    def _tail(self) -> str:
        return " / ".join(self.log.read_text(errors="replace").splitlines()[-3:])


def _seconds_until_gone(process: subprocess.Popen) -> float | None:
    """The processor time until all processes of a session have ended; None where they do not.

    The notice is given to a machine that does nothing else, so waiting for a core does not count.
    """
    deadline = time.monotonic() + _FINISH_SECONDS
    before: dict[int, float] = {}
    after: dict[int, float] = {}
    while time.monotonic() < deadline:
        process.poll()
        members = kill.session(process.pid)
        if not members and process.poll() is not None:
            return sum(after[pid] - before[pid] for pid in after)
        for member in members:
            with contextlib.suppress(psutil.NoSuchProcess):
                times = member.cpu_times()
                after[member.pid] = times.user + times.system
                before.setdefault(member.pid, after[member.pid])
        time.sleep(0.1)
    return None


def disturb(
    task: Task,
    work: pathlib.Path,
    rng: random.Random,
    kills: int,
    stages: Sequence[Stage] = STAGES,
) -> Iterator[tuple[str, list[str]]]:
    """Preempts machines of one task, and compares those that come to their end.

    Yields:
      For each signal, and each machine that finished, what it was and what did not hold.
    """
    undisturbed = Machine(task, work / "undisturbed")
    undisturbed.finish()
    expected = undisturbed.outcome()
    number, disturbed = 0, Machine(task, work / "disturbed-0")
    left = kills
    while left:
        hit, faults = disturbed.preempt(rng, rng.choice(stages), way := rng.choice(WAYS))
        if hit:
            left -= 1
            yield f"{hit}: {way}", faults
        if left and hit:
            continue
        disturbed.finish()
        found = disturbed.outcome()
        differs = [name for name in expected.keys() | found.keys()
                   if expected.get(name) != found.get(name)]  # fmt: skip
        yield "machine", faults * (not hit) + [f"other: {name}" for name in sorted(differs)]
        number += 1
        disturbed = Machine(task, work / f"disturbed-{number}")


def main() -> None:
    """Runs the experiment from its flags."""
    counts: dict[str, dict[str, Counter[str]]] = {}
    failed = False
    with tempfile.TemporaryDirectory() as scratch:
        progress = Progress("signals", FLAGS.kills * len(FLAGS.tasks))
        done = 0
        for task in tasks(pathlib.Path(FLAGS.corpora).absolute()):
            if task.name not in FLAGS.tasks:
                continue
            rng = random.Random(f"{FLAGS.seed} {task.name}")
            work = pathlib.Path(FLAGS.work or scratch, task.name)
            table = counts.setdefault(task.name, {})
            for what, faults in disturb(task, work, rng, FLAGS.kills):
                count = table.setdefault(what, Counter())
                count["tried"] += 1
                count["held"] += not faults
                failed |= bool(faults)
                if faults:
                    print(json.dumps({"task": task.name, what: faults}), flush=True)
                if FLAGS.json:
                    told = {name: dict(of) for name, of in sorted(table.items())}
                    counts_of = {**counts, task.name: told}
                    files.write_json(FLAGS.json, {"seed": FLAGS.seed, "tasks": counts_of})
                done += what != "machine"
                progress.update(done)
        progress.close()
    for name, table in counts.items():
        for what, count in sorted(table.items()):
            print(f"{name:9} {what:45} {count['tried']:4} tried {count['held']:4} held")
    if failed:
        raise app.UserError("not everything held; the lines above say what")


if __name__ == "__main__":
    flags.DEFINE_string("corpora", None, "The folder of the corpora.")
    flags.DEFINE_integer("kills", 40, "Signals for each task.", lower_bound=1)
    flags.DEFINE_list("tasks", ["musicvae", "tune_lm", "bucket"], "Which tasks.")
    flags.DEFINE_integer("seed", 0, "Seeds the moments.")
    flags.DEFINE_string("work", None, "A folder to keep what the machines made; by default none.")
    flags.DEFINE_string("json", None, "A file for the counts.")
    app.run(main, required=("corpora",))
