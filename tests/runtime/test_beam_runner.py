"""Which options Beam gets: by the size of the job, and from the user."""

import os

import pytest

from pipelines.runtime import beam_runner
from pipelines.runtime.app import UserError


def test_large_corpora_get_processes(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2})
    assert beam_runner.default_arguments(1150) == []
    assert beam_runner.default_arguments(4000)[1] == "--direct_num_workers=2"
    assert beam_runner.default_arguments(11500) == [
        "--direct_running_mode=multi_processing",
        "--direct_num_workers=3",
    ]
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})
    assert beam_runner.default_arguments(11500) == []


@pytest.mark.parametrize(
    "argument, message",
    [
        ("--direct_num_worker=2", "no option '--direct_num_worker=2'; nearest: --direct_num_w"),
        ("nonsense", "no option 'nonsense'"),
        ("--direct_running_mode=other", "invalid choice: 'other'"),
    ],
)
def test_options_are_checked_before_the_pipeline_is_built(argument, message):
    with pytest.raises(UserError, match=message):
        beam_runner.run_pipeline(None, [argument])
