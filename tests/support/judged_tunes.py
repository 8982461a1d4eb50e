"""Tunes for tests of the judge: one that people play, the same spoilt, and what is no tune."""

import json
import random

import numpy as np

from pipelines.judge.finding import CannotBeJudged, Judge
from tests.support.written_tunes import random_tune

KESH = """\
X:1
T:The Kesh Jig
R:jig
M:6/8
L:1/8
K:G
|:G3 GAB|A3 ABd|edd gdd|edB dBA|G3 GAB|A3 ABd|edd gdB|AGF G3:|
|:B2B d2d|ege dBA|B2B dBG|ABA AGA|B2B d2d|ege dBd|g3 aga|bgg g3:|
"""
# The second bar lacks a beat, and in the seventh A is flat.
SPOILT = (
    KESH.replace("X:1", "X:2")
    .replace("|A3 ABd|", "|A3|", 1)
    .replace("edd gdB|AGF", "ed_A gdB|AGF", 1)
)
# What cannot be judged, and why not.
OTHERS = {
    "X:3\nT:Silence\nM:4/4\nL:1/8\nK:D\nz8|z8|\n": "it has no notes",
    "X:4\nT:Two\nM:4/4\nL:1/8\nK:D\nV:1\nd8|\nV:2\nD8|\n": "it has 2 voices, and a tune has one",
    "X:5\nT:Long\nM:4/4\nL:1/8\nK:D\n" + "d8|e8|\n" * 5000: (
        "it has 10000 bars, and a tune at most 2000"
    ),
}
BOOK = "\n".join([KESH, SPOILT, *OTHERS])


def measured_at_random(judge: Judge, number: int) -> int:
    """Judges random tunes: each gets a finite measure or a reason; returns how many a measure."""
    rng = random.Random(12)
    measured = 0
    for _ in range(number):
        tune = random_tune(rng)
        try:
            finding = judge(tune)
        except CannotBeJudged as why:
            assert "\n" not in str(why)
            continue
        measured += 1
        assert np.isfinite(finding.measure)
        json.dumps(finding.evidence, allow_nan=False)
        assert all(0 <= mark.bar < len(tune.bars) for mark in finding.marks)
    return measured
