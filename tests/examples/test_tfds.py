"""Datasets of TensorFlow Datasets as examples."""

import pytest
import tensorflow_datasets as tfds

from pipelines.examples import reading
from pipelines.runtime.app import UserError


@pytest.mark.parametrize("name", ["groov/full-midionly", "groov:2.0.1", "groov"])
def test_a_dataset_that_does_not_exist_is_answered_with_the_nearest(name, monkeypatch):
    monkeypatch.setattr(tfds, "list_builders", lambda: ["groove", "mnist"])

    def load(name, **kwargs):
        raise tfds.core.registered.DatasetNotFoundError(name)

    monkeypatch.setattr(tfds, "load", load)
    with pytest.raises(UserError) as error:
        list(reading.open_tfds(name).pieces())
    assert str(error.value) == (
        f"--tfds_name={name}: TensorFlow Datasets has no such dataset; did you mean groove?"
    )
