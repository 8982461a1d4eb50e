"""A pytest plugin that applies `magenta_compat` to a run of Magenta's own tests.

It also gives one test module what NumPy has dropped since: `data_test` itself, not the library,
uses `ndarray.tostring` (gone from NumPy 2.3), `numpy.int` (gone from 1.24) and
`numpy.stack` of a generator (now refused). Only that module sees them, so that a use in the
library still fails.
"""

import builtins
import types

import numpy as np

from pipelines.runtime import magenta_compat


class _OldArray(np.ndarray):
    tostring = np.ndarray.tobytes


class _OldNumpy(types.ModuleType):
    int = int

    @staticmethod
    def stack(arrays):
        return np.stack(list(arrays))

    def __getattr__(self, name):
        return getattr(np, name)


def _sorted(arrays, key):
    return builtins.sorted(arrays, key=lambda array: key(array.view(_OldArray)))


def pytest_configure():
    """Applies everything before the tests are collected."""
    magenta_compat.apply()
    from magenta.models.music_vae import data_test

    data_test.np = _OldNumpy("numpy")
    data_test.sorted = _sorted  # data_test sorts arrays, and nothing else, by tostring()
