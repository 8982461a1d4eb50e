"""What the tests share."""

import os
import pathlib
import sys

import pytest

from pipelines.runtime import magenta_compat  # noqa: F401  before any test imports TensorFlow
from tests.support import trained


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Titles first: Keras 3 needs TensorFlow 2's behaviour, which other tests turn off for good."""
    items.sort(key=lambda item: not item.path.name.startswith("test_titles_"))


@pytest.fixture(scope="module", autouse=True)
def fresh_graph():
    """Lookup tables of a text encoder leave an initializer, None, in TensorFlow 1's default graph.

    No job has both; here the tests of one would meet what those of the other left.
    """
    yield
    if "tensorflow" in sys.modules:
        import tensorflow.compat.v1 as tf

        tf.get_default_graph().clear_collection(tf.GraphKeys.TABLE_INITIALIZERS)


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
    return trained.make_records(tmp_path_factory.mktemp("groove"))


@pytest.fixture(scope="session")
def tiny_run(groove_records, tmp_path_factory) -> pathlib.Path:
    """The run folder of a flat-groove_4bar with a few units, after three steps."""
    run_dir = tmp_path_factory.mktemp("tiny") / "run"
    assert trained.train_run(groove_records, run_dir) == 3
    return run_dir
