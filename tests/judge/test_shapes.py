import numpy as np
import pytest

from pipelines.judge import shapes

ARRAYS = {
    "rows": np.zeros((3, 2)),
    "names": np.array(["a", "b"]),
    "counts": np.zeros(3, np.uint8),
    "one": np.float32(1),
    "endless": np.array([1.0, np.inf]),
}


def test_a_name_stands_for_one_length():
    shapes.require(ARRAYS, {"rows": ("n", 2), "one": ()})
    shapes.require(ARRAYS, {"rows": ("n", "m"), "counts": ("n",)}, shapes.FLOATS + shapes.NUMBERS)
    shapes.require(ARRAYS, {"names": (2,)}, shapes.WORDS)


@pytest.mark.parametrize(
    ("wanted", "kinds", "error"),
    [
        ({"rows": ("n", "n")}, shapes.FLOATS, "shape"),
        ({"rows": ("n",)}, shapes.FLOATS, "shape"),
        ({"rows": (2, 3)}, shapes.FLOATS, "shape"),
        ({"one": (1,)}, shapes.FLOATS, "shape"),
        ({"names": (2,)}, shapes.NUMBERS, "type"),
        ({"counts": (3,)}, shapes.FLOATS, "type"),
        ({"endless": (2,)}, shapes.FLOATS, "no finite numbers"),
        ({"none": (2,)}, shapes.FLOATS, "none"),
    ],
)
def test_other_shapes_and_types_are_found(wanted, kinds, error):
    with pytest.raises((ValueError, KeyError), match=error):
        shapes.require(ARRAYS, wanted, kinds)
