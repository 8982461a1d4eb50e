"""What validation while training has found so far: every loss, the best one, and when to stop.

It is kept in RUN_DIR/validation/history.json, so that a run that was killed goes on as if nothing
had happened.
"""

import dataclasses
import json
import math
import os
import pathlib
from typing import NamedTuple

from pipelines.runtime import files
from pipelines.runtime.app import UserError, say

HISTORY = "history.json"
_MAX_BYTES = 1 << 28


class Measured(NamedTuple):
    """A training step, and the loss on the held-out records after it."""

    step: int
    loss: float


@dataclasses.dataclass
class Record:
    """The losses on held-out records, in the order of their steps.

    Attributes:
      path: the file that keeps them.
      windows: the SHA-256 of what is measured; losses of other windows cannot be compared.
      history: what was measured.
      best: the lowest loss; of equal ones the first. Its step may be beyond the history, where the
        run was killed before the checkpoint that would have kept the steps up to it.
    """

    path: pathlib.Path
    windows: str
    history: list[Measured] = dataclasses.field(default_factory=list)
    best: Measured | None = None

    def add(self, step: int, loss: float) -> bool:
        """Adds a loss; returns whether it is the best one."""
        self.history.append(Measured(step, loss))
        if self.best is not None and loss >= self.best.loss:
            return False
        self.best = self.history[-1]
        return True

    @property
    def without_improvement(self) -> int:
        """How many times the loss has been measured since the best one."""
        if self.best is None:
            return 0
        return sum(measured.step > self.best.step for measured in self.history)

    def has(self, step: int) -> bool:
        """Whether the loss after a step is known."""
        return any(measured.step == step for measured in self.history)

    def exhausted(self, patience: int | None) -> bool:
        """Whether training is to stop, since `patience` losses in a row were no better."""
        return patience is not None and self.without_improvement >= patience

    def save(self) -> None:
        """Writes the file."""
        content = {"windows": self.windows, "history": self.history, "best": self.best}
        files.write_json(self.path, content)


def read(folder: str | os.PathLike, windows: str, step: int | None) -> Record:
    """Reads what was found up to a training step; an empty record where nothing was.

    A run that was killed goes on from its last checkpoint, and what was measured after that is
    forgotten with the steps themselves. The best checkpoint was saved, and stays the best.

    Args:
      folder: the run's folder of validations.
      windows: the SHA-256 of the windows to measure. Where others were measured before, the record
        begins anew, and says so.
      step: the step that the run goes on from; None for a new run, whose record is empty.

    Raises:
      UserError: where the file is damaged.
    """
    record = Record(pathlib.Path(folder, HISTORY), windows)
    if step is None:
        return record
    try:
        content = json.loads(files.read_regular(record.path, _MAX_BYTES))
        history = [_measured(each) for each in content["history"]]
        best = _measured(content["best"]) if content["best"] else None
        before = content["windows"]
    except FileNotFoundError:
        return record
    except (ValueError, TypeError, LookupError, ArithmeticError, RecursionError) as error:
        raise UserError(
            f"{record.path}: damaged ({type(error).__name__}); remove it to begin validation anew"
        ) from error
    if before != windows:
        say(
            f"{record.path} is of other held-out windows; their losses cannot be compared, so the "
            "best checkpoint is found anew"
        )
        return record
    record.best = best
    record.history = [measured for measured in history if measured.step <= step]
    return record


def _measured(values) -> Measured:
    step, loss = values
    if not math.isfinite(loss):
        raise ValueError(f"a loss of {loss}")
    return Measured(int(step), float(loss))
