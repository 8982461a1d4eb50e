"""What the tests share."""

import os
import pathlib
import signal

import pytest

from pipelines.runtime import magenta_compat  # noqa: F401  before any test imports TensorFlow

pytest_plugins = ["tests.support.buckets", "tests.support.keras_processes"]


def pytest_configure() -> None:
    """Lets programs that tests start be interrupted.

    A shell has what it starts in the background ignore interruptions, and all programs that this
    starts in turn.
    """
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def homeless(tmp_path_factory):
    """Nothing that a test decides or downloads is kept in the home of who runs the tests."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("XDG_CONFIG_HOME", "XDG_CACHE_HOME"):
            patch.setenv(name, str(tmp_path_factory.mktemp(name.lower())))
        yield


@pytest.fixture(scope="session")
def corpora() -> pathlib.Path:
    """The folder of real corpora, named by REELGROOVE_CORPORA; skips where there is none."""
    place = os.environ.get("REELGROOVE_CORPORA")
    if not place:
        pytest.skip("REELGROOVE_CORPORA is not set: no real corpora here")
    return pathlib.Path(place)


@pytest.fixture(scope="session")
def groove_records(tmp_path_factory) -> pathlib.Path:
    """Records of the built-in corpus."""
    from tests.support import trained  # Imports Magenta, which few tests need.

    return trained.make_records(tmp_path_factory.mktemp("groove"))


@pytest.fixture(scope="session")
def tiny_run(groove_records, tmp_path_factory) -> pathlib.Path:
    """The run folder of a flat-groove_4bar with a few units, after three steps."""
    from tests.support import trained

    run_dir = tmp_path_factory.mktemp("tiny") / "run"
    assert trained.train_run(groove_records, run_dir) == 3
    return run_dir
