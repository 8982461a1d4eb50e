"""Takes the values of variables out of one session, and puts them into another."""

from collections.abc import Iterable, Mapping

import numpy as np
import tensorflow.compat.v1 as tf


def assign(
    session: tf.Session, variables: Mapping[str, tf.Variable], values: Mapping[str, np.ndarray]
) -> None:
    """Gives variables their values, without adding to the graph.

    Args:
      session: a session of their graph.
      variables: by name.
      values: by the same names; others are passed over.
    """
    feed = {variable.initializer.inputs[1]: values[name] for name, variable in variables.items()}
    session.run([variable.initializer for variable in variables.values()], feed)


def values_of(session, names: Iterable[str]) -> dict[str, np.ndarray]:
    """The values of variables of a session's graph, by name."""
    found = variables_of(session.graph)
    return session.run({name: found[name] for name in names})


def variables_of(graph: tf.Graph) -> dict[str, tf.Variable]:
    """All variables of a graph, by name."""
    return {v.op.name: v for v in graph.get_collection(tf.GraphKeys.GLOBAL_VARIABLES)}
