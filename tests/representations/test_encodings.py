"""Examples to records and back, for every config."""

import functools

import numpy as np
import pytest
import tensorflow as tf
from magenta.models.music_vae import data

import configs
from pipelines import representations
from pipelines.representations.codec import Codec
from pipelines.representations.contract import Encoded, Example
from pipelines.representations.encodings import Bits, Groove, Numbers, Tokens
from pipelines.representations.groove_converter import GrooveConverter
from tests.support.pieces import piece_for


def decode(codec, serialized, **kwargs):
    """Decodes a batch in a graph of its own, as training does."""
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        return session.run(codec.decode(tf.constant(serialized), **kwargs))


@functools.cache
def converted(name):
    """The config, its examples of a piece, and their records."""
    config = configs.get(name)
    config.data_converter.set_mode("eval")
    np.random.seed(0)  # Magenta's note dropout draws in every mode.
    tensors = config.data_converter.to_tensors(piece_for(config))
    representation = representations.of(config.data_converter)
    made = representation.ordered(Encoded(tensors, "").examples)
    codec = Codec(representations.of(config.data_converter))
    return config, made, [codec.encode("id", i, 120.0, one) for i, one in enumerate(made)]


@pytest.mark.parametrize("name", sorted(configs.builders()))
@pytest.mark.parametrize("known", [True, False])
def test_every_config_gets_back_what_its_converter_made(name, known):
    """Bits and dtypes are the same, whether TensorFlow knows the shapes or not."""
    config, made, serialized = converted(name)
    converter = config.data_converter
    assert made
    steps = config.hparams.max_seq_len
    got = decode(Codec(representations.of(converter)), serialized, steps=steps if known else None)
    dtypes = (converter.input_dtype, converter.output_dtype, converter.control_dtype)
    # Controls of depth 0 get the length of the rest, which Magenta's hierarchical ones do not have.
    fields = ("inputs", "outputs", "controls")[: 3 if converter.control_depth else 2]
    assert got[2].shape == (*got[1].shape[:2], converter.control_depth or 0)
    for field, dtype, array in zip(fields, dtypes, got):
        wanted = np.stack([np.asarray(getattr(one, field), dtype) for one in made])
        assert array.dtype == wanted.dtype and array.shape == wanted.shape
        np.testing.assert_array_equal(array, wanted, err_msg=field)
    assert got[3].dtype == np.int32
    np.testing.assert_array_equal(got[3], np.stack([one.length for one in made]))


@pytest.mark.parametrize("name", sorted(configs.builders()))
def test_records_are_compact_and_name_their_source(name):
    _, made, serialized = converted(name)
    for i, (one, record) in enumerate(zip(made, serialized)):
        # The floats that the model takes are many times as large.
        assert len(record) < 4 * (one.inputs.size + one.outputs.size) / 6
        features = tf.train.Example.FromString(record).features.feature
        assert features["source"].bytes_list.value[:] == [b"id"]
        assert features["window"].int64_list.value[:] == [i]
        assert features["qpm"].float_list.value[:] == [120.0]


@pytest.mark.parametrize(
    "name", ["flat-groove_4bar", "cat-mel_2bar_small", "hier-multiperf_vel_1bar_med"]
)
def test_shapes_are_static_where_lengths_are_known(name):
    config = configs.get(name)
    converter = config.data_converter
    steps = config.hparams.max_seq_len
    with tf.Graph().as_default():
        batch = tf.compat.v1.placeholder(tf.string, [3])
        inputs, outputs, controls, lengths = Codec(representations.of(converter)).decode(
            batch, steps=steps
        )
        assert inputs.shape == (3, steps, converter.input_depth)
        assert outputs.shape == (3, steps, converter.output_depth)
        assert controls.shape == (3, steps, 0)
        assert lengths.shape == (3, *converter.length_shape)
        # Where lengths are unknown, depths are still known.
        outputs = Codec(representations.of(converter)).decode(batch)[1]
        assert outputs.shape.as_list() == [3, None, converter.output_depth]


def one_of(encoding, *arrays, steps=None):
    """Arrays through an encoding and back, as one batch."""
    encoded = [encoding.encode(array) for array in arrays]
    steps = steps or max(map(len, arrays))
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        parsed = {name: tf.constant([one[name] for one in encoded]) for name in encoded[0]}
        return session.run(encoding.decode(parsed, steps))


def padded(*arrays):
    longest = max(map(len, arrays))
    return np.stack([np.pad(array, [(0, longest - len(array)), (0, 0)]) for array in arrays])


@pytest.mark.parametrize("depth", [1, 7, 8, 90, 255, 256, 512])
def test_random_arrays_of_several_lengths(depth):
    rng = np.random.default_rng(depth)
    lengths = (5, 1, 9)
    # One of the depth + 1 rows is all zeros.
    one_hot = [
        np.eye(depth + 1, depth, dtype=bool)[rng.integers(depth + 1, size=n)] for n in lengths
    ]
    bits = [rng.random((n, depth)) < 0.5 for n in lengths]
    numbers = [rng.standard_normal((n, depth)).astype(np.float32) for n in lengths]
    both = [np.hstack([rows, rows[::-1, :3]]) for rows in one_hot]
    for encoding, arrays in (
        (Tokens("x", [depth], bool), one_hot),
        (Tokens("x", [depth, min(depth, 3)], bool), both),
        (Bits("x", depth, bool), one_hot),
        (Bits("x", depth, bool), bits),
        (Numbers("x", depth, np.float32), numbers),
    ):
        got = one_of(encoding, *arrays)
        assert got.dtype == arrays[0].dtype
        np.testing.assert_array_equal(got, padded(*arrays))


def test_every_velocity_and_any_offset_is_exact():
    """Velocities as both converters make them; offsets of all sizes and signs."""
    rng = np.random.default_rng(0)
    ours = np.float32(np.arange(128) / 127.0)
    magentas = np.array([v / 127.0 for v in range(128)])
    np.testing.assert_array_equal(magentas.astype(np.float32), ours)
    # The exact quotients, rounded once: what dividing in float32 gives too.
    np.testing.assert_array_equal(np.arange(128, dtype=np.float32) / np.float32(127), ours)
    grid = np.zeros((128, 27), np.float32)
    drum = rng.integers(9, size=128)
    at = np.arange(128)
    grid[at, drum] = 1
    grid[at, 9 + drum] = ours
    grid[at, 18 + drum] = rng.uniform(-1, 1, 128) * 10.0 ** rng.integers(-30, 1, 128)
    shorter = grid[:50] * (rng.random((50, 1)) < 0.5)
    got = one_of(Groove("x", 27, np.float32), grid, shorter, np.zeros((3, 27), np.float32))
    np.testing.assert_array_equal(got, padded(grid, shorter, np.zeros((3, 27), np.float32)))


def test_nothing_but_silence():
    np.testing.assert_array_equal(
        one_of(Groove("x", 27, np.float32), np.zeros((4, 27))), np.zeros((1, 4, 27))
    )


def test_records_by_hand():
    rows = np.eye(4, dtype=bool)[[3, 0]]
    assert Tokens("x", [4], bool).encode(np.vstack([rows, np.zeros((1, 4), bool)])) == {
        "x": b"\x04\x01\x00"
    }
    assert Tokens("x", [256], bool).encode(np.eye(256, dtype=bool)[[255]]) == {"x": b"\x00\x01"}
    two = np.hstack([rows, np.eye(2, dtype=bool)])
    assert Tokens("x", [4, 2], bool).encode(two) == {"x": b"\x04\x01\x01\x02"}
    # The bits are 0001 1000, the first of them highest.
    assert Bits("x", 4, bool).encode(rows) == {"x": b"\x18"}
    grid = np.zeros((2, 6))
    grid[1, [1, 3, 5]] = 1, 64 / 127, -0.5
    # Step 0: 00, step 1: 01. -0.5 is BF000000.
    assert Groove("x", 6, np.float32).encode(grid) == {
        "x/hits": b"\x10",
        "x/velocities": b"\x40",
        "x/offsets": b"\x00\x00\x00\xbf",
    }


@pytest.mark.parametrize(
    "encoding, array",
    [
        (Tokens("x", [3], bool), np.ones((2, 3), bool)),
        (Tokens("x", [3], float), np.full((2, 3), 0.5)),
        (Bits("x", 3, float), np.full((2, 3), 0.5)),
        (Groove("x", 3, float), np.array([[1, 0.5, 0]])),  # 63.5 of 127
        (Groove("x", 3, float), np.array([[1, 1.5, 0]])),
        (Groove("x", 3, float), np.array([[0, 1, 0]])),
        (Groove("x", 3, float), np.array([[0, 0, 0.5]])),
        (Groove("x", 3, float), np.array([[0.5, 1, 0]])),
        (Groove("x", 3, float), np.array([[1, np.nan, 0]])),
    ],
)
def test_what_an_encoding_cannot_keep_is_refused(encoding, array):
    with pytest.raises(ValueError, match="x"):
        encoding.encode(array)


def test_inputs_that_should_be_the_outputs_are_checked():
    config, made, _ = converted("flat-mel_16bar")
    other = made[0]._replace(inputs=~made[0].outputs)
    with pytest.raises(ValueError, match="differ from the outputs"):
        Codec(representations.of(config.data_converter)).encode("id", 0, 120.0, other)


class Unknown(data.BaseNoteSequenceConverter):
    """A user's converter: other inputs than outputs, several lengths, two dtypes."""

    def __init__(self, control_dtype):
        super().__init__(3, np.float32, 5, np.bool_, control_depth=2, control_dtype=control_dtype)


@pytest.mark.parametrize("control_dtype, kind", [(np.bool_, "bits"), (np.float32, "numbers")])
def test_a_users_converter_is_stored_whole(control_dtype, kind):
    rng = np.random.default_rng(0)

    def controls(n):
        return rng.random((n, 2)) < 0.5 if kind == "bits" else np.full((n, 2), 0.5, "f4")

    made = [
        Example(rng.random((n, 3)).astype("f4"), rng.random((n, 5)) < 0.5, controls(n), n)
        for n in (4, 2)
    ]
    codec = Codec(representations.of(Unknown(control_dtype)))
    assert {name: one["kind"] for name, one in codec.describe().items()} == {
        "outputs": "bits",
        "inputs": "numbers",
        "controls": kind,
    }
    got = decode(codec, [codec.encode("id", 0, 120.0, one) for one in made])
    assert got[2].dtype == control_dtype
    for field, array in zip(Example._fields[:3], got):
        np.testing.assert_array_equal(array, padded(*(getattr(one, field) for one in made)))
    assert got[3].tolist() == [4, 2]


def test_what_is_drawn_is_drawn_from_the_seed():
    """Batches of melodies are transposed, drum inputs are made; no seed, no draws."""
    config, made, serialized = converted("flat-reel_2bar")
    codec = Codec(representations.of(config.data_converter))
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        batch = tf.constant(serialized)
        first, again, other = (
            session.run(codec.decode(batch, tf.constant([1, i], tf.int64), 32))[:2]
            for i in (0, 0, 1)
        )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    np.testing.assert_array_equal(first[0], first[1])
    before = np.stack([one.outputs for one in made]).argmax(-1)
    moved = first[1].argmax(-1) - before
    for tokens, shift in zip(before, moved):
        [by] = {*shift[tokens >= 2]}
        assert -5 <= by <= 6 and not shift[tokens < 2].any()
    assert len({tuple(set(shift)) for shift in moved}) > 1


class Halving(GrooveConverter):
    """Draws as inputs those windows whose number a seed picks."""

    def draw_inputs(self, outputs, seed):
        return outputs * tf.cast(tf.cast(seed[1], tf.int32) % 2, tf.float32)


def test_inputs_are_drawn_from_the_outputs_where_the_converter_can():
    _, made, serialized = converted("flat-groove_4bar")
    codec = Codec(representations.of(Halving(4)))
    assert list(codec.describe()) == ["outputs"]
    outputs = np.stack([one.outputs for one in made])
    for number in (0, 1):
        with tf.Graph().as_default(), tf.compat.v1.Session() as session:
            seed = tf.constant([5, number], tf.int64)
            got = session.run(codec.decode(tf.constant(serialized), seed, 64))
        np.testing.assert_array_equal(got[0], outputs * number)
        np.testing.assert_array_equal(got[1], outputs)


def test_windows_that_go_through_sets_come_in_an_order_of_their_own():
    """Magenta dedupes windows with chords through a set of strings: another order each time."""
    config, made, _ = converted("cat-mel_2bar_med_chords")
    tensors = data.ConverterTensors(*zip(*reversed(made)))
    representation = representations.of(config.data_converter)
    again = representation.ordered(Encoded(tensors, "").examples)
    for one, other in zip(made, again, strict=True):
        np.testing.assert_array_equal(one.outputs, other.outputs)
        np.testing.assert_array_equal(one.controls, other.controls)
