"""A pytest plugin: the tests of Magenta's Keras 2 and those of Keras 3 run in separate processes.

Magenta's models are TensorFlow 1 graphs of Keras 2. A process that builds one turns TensorFlow 2's
behaviour off for good, and Keras 3 needs it. Test modules that use Keras 3 are marked:

    pytestmark = pytest.mark.keras3

`python -m tests` starts one pytest process for each of the two, with the options of this plugin.
"""

import json
import os
from typing import Any

import pytest

# Names a file to which a process writes what `python -m tests` has to know of it.
REPORT = "REELGROOVE_TEST_REPORT"

_LEFT_OUT = pytest.StashKey[int]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("reelgroove")
    group.addoption("--quick", action="store_true", help="leave out the tests marked slow")
    group.addoption(
        "--keras",
        choices=("2", "3", "any"),
        help="run only the tests of this Keras; any: of Keras 2 first, of 3 if there are no others "
        "(./run.sh test runs both, each in a process of its own)",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_LEFT_OUT] = 0


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselects the tests of the other Keras, or refuses to run both in one process."""
    if config.option.quick:
        _keep(config, items, lambda item: not item.get_closest_marker("slow"))
    if len({_keras(item) for item in items}) < 2 and config.option.keras in (None, "any"):
        return
    if config.option.keras is None:
        raise pytest.UsageError(
            "tests of Keras 2 and of Keras 3 cannot share a process: use ./run.sh test, "
            "which takes the same arguments, or choose with --keras=2 or --keras=3"
        )
    wanted = "3" if config.option.keras == "3" else "2"
    config.stash[_LEFT_OUT] = _keep(config, items, lambda item: _keras(item) == wanted)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Takes over what a worker of pytest-xdist has left out, since only workers collect tests."""
    node.config.stash[_LEFT_OUT] = getattr(node, "workeroutput", {}).get("left_out", 0)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Writes the report: outcomes by name, tests left to the other process, whether to go on."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["left_out"] = session.config.stash[_LEFT_OUT]
    path = os.environ.get(REPORT)
    terminal = session.config.pluginmanager.get_plugin("terminalreporter")
    if not path or not terminal:
        return
    outcomes = {name: len(found) for name, found in terminal.stats.items() if name}
    if session.config.option.collectonly:
        outcomes["collected"] = session.testscollected
    report = {
        "keras": session.config.option.keras,
        "outcomes": outcomes,
        "left_out": session.config.stash[_LEFT_OUT],
        "stopped": bool(session.shouldstop or session.shouldfail),
    }
    with open(path, "w", encoding="utf-8") as file:
        json.dump(report, file)


def _keras(item: pytest.Item) -> str:
    return "3" if item.get_closest_marker("keras3") else "2"


def _keep(config: pytest.Config, items: list[pytest.Item], wanted) -> int:
    """Deselects the items that are not wanted; returns how many those are."""
    deselected = [item for item in items if not wanted(item)]
    if deselected:
        items[:] = [item for item in items if wanted(item)]
        config.hook.pytest_deselected(items=deselected)
    return len(deselected)
