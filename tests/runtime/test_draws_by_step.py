"""Draws follow from the seed, the operation, the step and the iteration, and from nothing else."""

import hashlib

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from pipelines.runtime.draws_by_step import DrawsByStep

STATEFUL = {"RandomUniform", "RandomUniformInt", "RandomStandardNormal", "Multinomial"}


def build(seed=1, worker=0):
    """A graph that draws outside of loops, in a loop and in a loop within it, and its step."""
    with tf.Graph().as_default() as graph, DrawsByStep(seed, worker) as draws:
        step = tf.train.get_or_create_global_step()
        draws.begin()
        tf.get_variable("variable", [4])
        once = [tf.random.uniform([3]), tf.random.uniform([3]), tf.random.normal([3])]
        once.append(tf.cast(tf.random.uniform([3], maxval=1 << 30, dtype=tf.int32), tf.float32))

        def outer(i, drawn):
            def inner(j, inside):
                return j + 1, inside.write(i * 3 + j, tf.random.uniform([]))

            _, drawn = tf.while_loop(lambda j, _: j < 3, inner, (0, drawn))
            return i + 1, drawn

        array = tf.TensorArray(tf.float32, 6, element_shape=[])
        _, nested = tf.while_loop(lambda i, _: i < 2, outer, (0, array))
        moved = tf.assign_add(step, 1)
    return graph, [*once, nested.stack()], moved


def run(steps, seed=1, start=0, worker=0):
    """What each of some steps draws, in a session of its own."""
    graph, drawn, moved = build(seed, worker)
    with tf.Session(graph=graph) as session:
        session.run(tf.variables_initializer(graph.get_collection(tf.GraphKeys.GLOBAL_VARIABLES)))
        found = []
        for number in range(start + steps):
            values = session.run(drawn) if number >= start else None
            found.append(values and np.concatenate(values))
            session.run(moved)
    return np.array(found[start:])


@pytest.fixture(autouse=True)
def _graphs():
    with tf.Graph().as_default():
        yield


def test_another_session_that_begins_later_draws_the_same():
    whole = run(4)
    np.testing.assert_array_equal(whole[2:], run(2, start=2))
    assert not np.array_equal(whole, run(4, seed=2))


def test_workers_of_one_step_draw_apart():
    found = np.concatenate([run(2, worker=worker) for worker in range(3)])
    uniform = np.concatenate([found[:, :6], found[:, 12:]], axis=1)
    assert uniform.size == len(np.unique(uniform))


def test_the_draws_of_a_seed_stay_what_they_are():
    """Computed once by TensorFlow's stateless operation from the seed's SHA-256, by hand."""
    first = int.from_bytes(hashlib.sha256(b"1 0").digest()[:4], "big", signed=True)
    with tf.Graph().as_default(), tf.Session() as session:
        expected = session.run(tf.random.stateless_uniform([3], seed=[first, 0]))
    np.testing.assert_array_equal(run(1)[0, :3], expected)


def test_no_draw_comes_twice():
    """Of all operations, steps and iterations, of which uniform draws are 24 bits wide."""
    found = run(4)
    uniform = np.concatenate([found[:, :6], found[:, 12:]], axis=1)
    assert uniform.size == len(np.unique(uniform)) == 4 * 12
    assert ((uniform >= 0) & (uniform < 1)).all()


def test_normal_draws_are_normal():
    with tf.Graph().as_default() as graph, DrawsByStep(3) as draws:
        step = tf.train.get_or_create_global_step()
        draws.begin()
        drawn = tf.random.normal([100_000])
    with tf.Session(graph=graph) as session:
        session.run(step.initializer)
        values = session.run(drawn)
    # Five standard errors of the mean and of the standard deviation.
    assert abs(values.mean()) < 5 / np.sqrt(1e5) and abs(values.std() - 1) < 5 / np.sqrt(2e5)


def test_variables_and_other_graphs_draw_as_before():
    graph, _, _ = build()
    stateful = [each.name for each in graph.get_operations() if each.type in STATEFUL]
    assert all(name.startswith("variable/Initializer/") for name in stateful) and stateful
    with DrawsByStep(1) as draws:
        with tf.Graph().as_default():
            tf.train.get_or_create_global_step()
            draws.begin()
        with tf.Graph().as_default():
            assert tf.random.uniform([1]).op.inputs[0].op.type != "Pack"
            types = {each.type for each in tf.get_default_graph().get_operations()}
    assert "RandomUniform" in types and "StatelessRandomUniform" not in types


def test_afterwards_all_is_as_before():
    uniform, loop = tf.random.uniform, tf.while_loop
    with DrawsByStep(1):
        assert tf.while_loop is not loop
    assert tf.while_loop is loop and tf.random.uniform is uniform
    with tf.Graph().as_default() as graph:
        tf.random.uniform([1])
        assert "RandomUniform" in {each.type for each in graph.get_operations()}


def test_a_loop_of_one_variable_gives_it_alone_and_of_several_a_list():
    with tf.Graph().as_default() as graph, DrawsByStep(1) as draws:
        tf.train.get_or_create_global_step()
        draws.begin()
        one = tf.while_loop(lambda i: i < 5, lambda i: i + 2, [tf.constant(0)])
        two = tf.while_loop(lambda i, _: i < 5, lambda i, x: (i + 2, x), (0, 1.0))
        shaped = tf.while_loop(
            lambda x: tf.size(x) < 5,
            lambda x: tf.concat([x, x], 0),
            [tf.constant([1])],
            shape_invariants=[tf.TensorShape([None])],
            maximum_iterations=9,
        )
    with tf.Session(graph=graph) as session:
        assert session.run(one) == 6
        assert session.run(two) == [6, 1.0]
        assert session.run(shaped).tolist() == [1] * 8
