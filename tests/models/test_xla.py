"""The training steps of our configs compile whole under XLA, which is all that a TPU runs.

`jit_compile` refuses a function that has any operation XLA cannot compile. The CPU's compiler takes
a TPU's place here; see tests.support.xla_program for what runs.
"""

import json
import math
import os
import subprocess
import sys

import pytest

from tests.support import xla_program
from tests.support.jobs import ROOT

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def outcomes() -> dict:
    """The outcome of each config by its name, up to the first that failed."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.xla_program"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    outcomes = {line["name"]: line for line in map(json.loads, done.stdout.splitlines())}
    return outcomes | {"error": done.stderr[-4000:]}


@pytest.mark.parametrize("name", xla_program.NAMES)
def test_a_training_step_compiles_whole(outcomes, name):
    """It gives a loss, and changes every variable."""
    assert name in outcomes, outcomes["error"]
    assert math.isfinite(outcomes[name]["loss"])
    assert outcomes[name]["unchanged"] == []


@pytest.mark.parametrize("name", xla_program.CERTAIN)
def test_compiled_it_does_what_it_does_uncompiled(outcomes, name):
    assert name in outcomes, outcomes["error"]
    outcome = outcomes[name]
    assert outcome["loss"] == pytest.approx(outcome["uncompiled"], rel=1e-5)
    assert outcome["apart"] < 1e-4
