"""The notebook runs from its first cell to its last, and is kept without its outputs."""

import json
import os

import pytest

from tests.support.jobs import ROOT

NOTEBOOK = ROOT / "docs" / "first-steps.ipynb"


def test_the_notebook_is_kept_without_outputs():
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert len(code) > 5
    assert all(not cell["outputs"] and cell["execution_count"] is None for cell in code)


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # Those of Jupyter's own packages are not ours.
def test_the_notebook_runs(tmp_path, monkeypatch):
    nbclient = pytest.importorskip("nbclient", reason="nbclient is in requirements-dev.txt")
    pytest.importorskip("ipykernel", reason="ipykernel is in requirements-dev.txt")
    import nbformat

    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))
    # Kernels write there whom they talk to.
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "runtime"))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    resources = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(notebook, timeout=600, resources=resources).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    texts = [output["data"]["text/plain"] for output in outputs if "data" in output]
    assert any(text.startswith("<Model flat-groove_4bar, step 60, ") for text in texts)
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 3
    printed = "".join(
        output.get("text", "") for output in outputs if output.get("name") == "stdout"
    )
    assert "no corpus is named 'grooves'" in printed and "groove" in printed
    assert (tmp_path / "first-steps" / "sample.mid").read_bytes().startswith(b"MThd")
