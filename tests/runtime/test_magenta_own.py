"""Magenta's own tests, as installed, on this project's packages."""

import collections
import os
import pathlib
import subprocess
import sys
import xml.etree.ElementTree as ET

import pytest

MODULES = (
    "magenta.models.music_vae.data_test",
    "magenta.models.music_vae.data_hierarchical_test",
    "magenta.models.music_vae.lstm_utils_test",
    "magenta.contrib.rnn_test",
    "magenta.contrib.seq2seq_test",
    "magenta.common.beam_search_test",
    "magenta.common.concurrency_test",
    "magenta.common.nade_test",
    "magenta.common.state_util_test",
)
# Measured with the same command on Magenta 2.1.4 with its authors' pins (TensorFlow 2.9.1,
# NumPy 1.21.6, Python 3.8). All skipped ones are `test_session`: it is no test, but a method that
# every class inherits from tf.test.TestCase.
STOCK = {"passed": 118, "skipped": 19}


@pytest.mark.slow
def test_magentas_own_tests_pass_as_on_stock(tmp_path):
    report = tmp_path / "report.xml"
    (tmp_path / "pytest.ini").write_text("[pytest]\n")  # so that this project's are not used
    command = [sys.executable, "-m", "pytest", "-q", "--tb=short", "-c", "pytest.ini",
               "-p", "tests.support.magenta_own_plugin", "-p", "no:cacheprovider",
               f"--junitxml={report}", "--pyargs", *MODULES]  # fmt: skip
    here = str(pathlib.Path(__file__).resolve().parents[2])
    done = subprocess.run(command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": here},
                          capture_output=True, text=True, timeout=600)  # fmt: skip
    assert report.exists(), done.stdout[-3000:] + done.stderr[-3000:]

    outcomes = collections.Counter()
    skipped = set()
    for case in ET.parse(report).iter("testcase"):
        kinds = {child.tag for child in case} & {"failure", "error", "skipped"}
        outcomes[kinds.pop() if kinds else "passed"] += 1
        if case.find("skipped") is not None:
            skipped.add(case.get("name"))
    assert outcomes == STOCK, done.stdout[-5000:]
    assert skipped == {"test_session"}
    assert done.returncode == 0
