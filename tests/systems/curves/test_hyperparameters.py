"""`--hparams` of melody curves."""

import pytest

from pipelines.runtime.app import UserError
from pipelines.systems.curves import hyperparameters


def test_values_are_replaced():
    merged = hyperparameters.merge("curves", "units=8, learning_rate=0.1,num_epochs=2")
    assert (merged.units, merged.learning_rate, merged.num_epochs) == (8, 0.1, 2)
    assert merged.ahead == 1


@pytest.mark.parametrize(
    "changes, message",
    [
        ("unit=8", "did you mean units"),
        ("units=x", "units must be a whole number"),
        ("units=0", "units must be from 1"),
        ("batch_size=-1", "batch_size must be from 1"),
        ("dropout=1", "dropout must be at least 0 and below 1"),
        ("learning_rate=nan", "finite"),
        ("learning_rate=-1", "must not be negative"),
        ("ahead=8", "ahead is fixed in curves; take another config"),
        ("cosine=false", "cosine is fixed"),
    ],
)
def test_what_cannot_be(changes, message):
    with pytest.raises(UserError, match=message):
        hyperparameters.merge("curves", changes)
