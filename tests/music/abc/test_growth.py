"""Reading takes time linear in the text; `experiments.tunes.growth` measures all shapes."""

import time

import pytest

from experiments.tunes import growth


def test_every_shape_has_the_size_that_is_asked_for():
    for name, shape in growth.SHAPES.items():
        text = growth.text_of(name, 4096)
        unit = len(shape.unit) + len(shape.closing)
        # Numbers in place of {} have another length.
        assert abs(len(text) - 4096) <= unit + 1 or "{}" in shape.unit, name
        assert text.count("\n") > shape.header.count("\n")


def test_every_shape_is_read_or_rejected():
    for name in growth.SHAPES:
        growth.read(growth.text_of(name, 512).encode())


@pytest.mark.parametrize("power", [1.0, 2.0])
def test_the_exponent_is_the_power_of_the_size(power):
    times = [1e-6 * size**power for size in growth.SIZES]
    assert growth.exponent(growth.SIZES, times) == pytest.approx(power)
    assert growth._growth("notes", growth.SIZES, times).holds() == (power == 1)


def test_a_quadratic_reader_is_found(monkeypatch):
    """A hundredth of a second at 64 kB is quick, but here it grows with the square of the size."""
    monkeypatch.setattr(growth, "seconds", lambda data, tries: 1e-2 * (len(data) / 65536) ** 2)
    assert growth.measure("notes", 1).exponent == pytest.approx(2, abs=0.1)
    monkeypatch.setattr(growth, "seconds", lambda data, tries: 2.0 * len(data) / 65536)
    assert not growth.measure("notes", 1).holds()


# Shapes that took time quadratic in their size, here or in a draft, with a size at which that was
# at least half a minute. Now each takes at most 2 seconds, so the limit is generous.
@pytest.mark.slow
@pytest.mark.parametrize(
    "name, size",
    [
        ("bar lines", 65536),
        ("one chord in unison, tied", 65536),
        ("spaces in a meter", 131072),
        ("tempos by turns", 262144),
        ("ever more voices with parts", 262144),
        ("ever more denominators in one bar", 262144),
        ("ever more denominators in bars", 262144),
    ],
)
def test_what_took_quadratic_time_does_no_more(name, size):
    text = growth.text_of(name, size).encode()
    begin = time.thread_time()
    growth.read(text)
    assert time.thread_time() - begin < 20
