"""The demo, from end to end, with few steps."""

import json

import pytest

from tests.trained import job


@pytest.mark.slow
def test_the_whole_chain(tmp_path):
    output = tmp_path / "de mo"
    for _ in range(2):  # The second time finds the first one's work.
        done = job("demo", f"--output={output}", "--num_steps=2", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        for verb in ("convert", "train", "evaluate", "generate"):
            assert f"$ ./run.sh {verb} " in done.stdout
    assert "nothing left to do" in done.stderr
    manifest = json.loads((output / "records" / "manifest.json").read_text())
    assert manifest["read"] == sum(s["records"] for s in manifest["splits"].values())
    measured = json.loads((output / "run" / "eval" / "validation-step-2.json").read_text())
    assert f"{measured['sampled']['f1']:.3f} decoded from z, sampled" in done.stdout
    # Four samples, a reconstruction, five steps from one groove to another.
    assert len(list((output / "music").glob("*.mid"))) == 10
    assert len(list((output / "music").glob("*.png"))) == 10
