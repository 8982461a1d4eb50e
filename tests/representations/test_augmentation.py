"""What the converters draw in TensorFlow: the inputs of drum tasks, and transpositions."""

import numpy as np
import pytest
import scipy.stats
import tensorflow as tf

from pipelines.representations.groove_converter import GrooveConverter
from pipelines.representations.melody_converter import FIRST_PITCH, MelodyConverter
from tests.support.drum_tasks import DROPPED_VELOCITIES, TASKS, check_dropout

REEL = ((4, 4), (2, 2))
DROPOUT = dict(max_note_dropout_probability=0.8)


def run(function, tensor, *seeds, jit=False):
    """Calls a function of a tensor and a seed in a graph, compiled whole by XLA if `jit`.

    Returns:
      What it gives for each of the seeds, pairs of numbers or None.
    """
    compiled = tf.function(function, jit_compile=jit)
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        fixed = tf.constant(tensor)
        if seeds == (None,):
            return [session.run(compiled(fixed, None))]
        seed = tf.compat.v1.placeholder(tf.int32, [2])
        result = compiled(fixed, seed)
        assert result.shape == tensor.shape and result.dtype == fixed.dtype
        return [session.run(result, {seed: pair}) for pair in seeds]


def random_grooves(rng, windows=16, steps=32):
    """Windows of drums; velocities are coarse, so that some hits of a step are equally loud."""
    hits = rng.random((windows, steps, 9)) < 0.3
    velocities = rng.integers(1, 8, hits.shape) / 8
    offsets = rng.uniform(-1, 1, hits.shape)
    return np.concatenate([hits, velocities * hits, offsets * hits], axis=-1).astype(np.float32)


def groove(mode="train", **kwargs):
    made = GrooveConverter(split_bars=2, **kwargs)
    made.set_mode(mode)
    return made


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize("task", TASKS, ids="+".join)
def test_tasks_are_those_of_numpy(task, jit):
    made = groove(**task)
    outputs = random_grooves(np.random.default_rng(0))
    expected = [made._inputs(np, window) for window in outputs]
    for inputs in run(made.draw_inputs, outputs, (0, 1), (2, 3), jit=jit):
        np.testing.assert_array_equal(inputs, expected)


def test_without_a_task_inputs_are_outputs():
    outputs = tf.zeros([2, 32, 27])
    assert groove().draw_inputs(outputs, None) is outputs


def test_without_a_seed_nothing_is_dropped():
    outputs = random_grooves(np.random.default_rng(0))
    [inputs] = run(groove(**DROPOUT).draw_inputs, outputs, None)
    np.testing.assert_array_equal(inputs, outputs)


@pytest.mark.parametrize("jit", [False, True])
def test_notes_are_dropped_as_often_as_they_should_be(jit):
    velocities = np.tile(np.array(DROPPED_VELOCITIES, np.float32) / 127, (500, 16, 1))
    outputs = np.concatenate([np.ones_like(velocities), velocities, velocities - 0.5], axis=-1)
    made = groove(**DROPOUT)
    first, again, second = run(made.draw_inputs, outputs, (1, 2), (1, 2), (1, 3), jit=jit)
    np.testing.assert_array_equal(first, again)
    for inputs in (first, second):
        kept = inputs[..., :9] == 1
        check_dropout(kept, 0.8)
        # What is dropped is gone from all three thirds, what is kept is as it was.
        np.testing.assert_array_equal(inputs, np.tile(kept, 3) * outputs)
    # Another seed gives an independent draw: the shares of lost hits are not correlated.
    lost = [(1 - inputs[..., 5:9]).mean(axis=(1, 2)) for inputs in (first, second)]
    assert abs(np.corrcoef(*lost)[0, 1]) < 4 / np.sqrt(500)


def test_taps_are_drawn_from_what_is_kept():
    outputs = random_grooves(np.random.default_rng(0), windows=200)
    seeds = [(0, i) for i in range(5)]
    kept = run(groove(**DROPOUT).draw_inputs, outputs, *seeds)
    tapped = run(groove(**DROPOUT, tapify=True).draw_inputs, outputs, *seeds)
    plain = groove(tapify=True)
    for kept_hits, taps in zip(kept, tapped):
        np.testing.assert_array_equal(taps, [plain._inputs(np, hits) for hits in kept_hits])


@pytest.mark.parametrize("batch", [7, None])
def test_static_shapes_stay(batch):
    with tf.Graph().as_default():
        seed = tf.constant([0, 1])
        outputs = tf.compat.v1.placeholder(tf.float32, [batch, 32, 27])
        drawn = groove(tapify=True, **DROPOUT).draw_inputs(outputs, seed)
        assert drawn.shape.as_list() == [batch, 32, 27]
        tokens = tf.compat.v1.placeholder(tf.int32, [batch, 16])
        assert melody().transpose_tokens(tokens, seed).shape.as_list() == [batch, 16]


def melody(**kwargs):
    return MelodyConverter(REEL, 1, **{"transpose": (-5, 6), **kwargs})


@pytest.mark.slow
@pytest.mark.parametrize("jit", [False, True])
def test_transpositions_are_uniform_among_those_in_range(jit):
    # 48 events: 2 is the lowest pitch, 47 the highest.
    cases = [
        ((20, 30), range(-5, 7)),
        ((2, 30), range(0, 7)),
        ((4, 45), range(-2, 3)),
        ((20, 47), range(-5, 1)),
        ((2, 46), range(0, 2)),
        ((2, 47), range(0, 1)),
    ]
    # No event, a note, its end, another note, and so on.
    row = [0, 1, 0, 1, *[0] * 12]
    tokens = np.array([[low, high, *row[:14]] for (low, high), _ in cases], np.int32)
    seeds = [(5, i) for i in range(2000)]
    drawn = np.array(run(melody().transpose_tokens, tokens, *seeds, jit=jit))
    # Only notes move, and those of a row move together.
    np.testing.assert_array_equal(drawn[:, :, 2:], np.tile(tokens[:, 2:], (2000, 1, 1)))
    shifts = drawn[:, :, :2] - tokens[:, :2]
    np.testing.assert_array_equal(shifts[..., 0], shifts[..., 1])
    for shift, (_, legal) in zip(shifts[..., 0].T, cases):
        values, counts = np.unique(shift, return_counts=True)
        assert values.tolist() == list(legal)
        assert len(legal) == 1 or scipy.stats.chisquare(counts).pvalue > 1e-3
    # Rows draw independently: the joint counts of two are uniform too.
    joint = np.histogram2d(shifts[:, 0, 0], shifts[:, 3, 0], [12, 6])[0]
    assert scipy.stats.chi2_contingency(joint).pvalue > 1e-3


def test_rows_of_a_batch_differ():
    tokens = np.full([1000, 16], 20, np.int32)
    first, second = run(melody().transpose_tokens, tokens, (0, 0), (0, 1))
    for drawn in (first, second):
        assert (drawn == drawn[:, :1]).all()
        _, counts = np.unique(drawn[:, 0], return_counts=True)
        assert len(counts) == 12 and scipy.stats.chisquare(counts).pvalue > 1e-3
    # By chance one row of twelve is as before.
    assert (first[:, 0] == second[:, 0]).mean() == pytest.approx(1 / 12, abs=0.04)


@pytest.mark.parametrize("transpose", [(0, 0), (-5, 6), (-48, 48), (0, 3)])
@pytest.mark.parametrize("low, high", [(55, 100), (0, 127), (60, 60)])
def test_transposed_rows_are_legal_whatever_the_range(low, high, transpose):
    made = melody(min_pitch=low, max_pitch=high, transpose=transpose)
    rng = np.random.default_rng(0)
    tokens = rng.integers(0, made.output_depth, (500, 16)).astype(np.int32)
    tokens[rng.random(tokens.shape) < 0.7] = 0
    tokens[0] = 0
    tokens[1] = 1
    begins = tokens >= FIRST_PITCH
    for drawn in run(made.transpose_tokens, tokens, (0, 0), (0, 1)):
        np.testing.assert_array_equal(drawn >= FIRST_PITCH, begins)
        np.testing.assert_array_equal(drawn[~begins], tokens[~begins])
        assert drawn.max() < made.output_depth
        for before, after, notes in zip(tokens, drawn, begins):
            shifts = set((after - before)[notes].tolist())
            assert len(shifts) == notes.any()
            assert all(transpose[0] <= shift <= transpose[1] for shift in shifts)


def test_they_map_a_dataset_afresh_each_epoch():
    """As the reader of tensors uses them: a seed for each batch, a graph for all."""
    drums, tokens = random_grooves(np.random.default_rng(0)), np.full([4, 16], 20, np.int32)
    converters = groove(**DROPOUT), melody()
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        dataset = tf.data.Dataset.from_tensors((drums, tokens)).repeat(2)
        seeds = tf.data.Dataset.random(seed=1).batch(2, drop_remainder=True)

        def augment(tensors, seed):
            seed = tf.cast(seed % 2**31, tf.int32)
            return (
                converters[0].draw_inputs(tensors[0], seed),
                converters[1].transpose_tokens(tensors[1], seed),
            )

        dataset = tf.data.Dataset.zip((dataset, seeds)).map(augment)
        iterator = tf.compat.v1.data.make_one_shot_iterator(dataset)
        following = iterator.get_next()
        first, second = session.run(following), session.run(following)
    for before, after in zip(first, second):
        assert before.shape == after.shape and not np.array_equal(before, after)
