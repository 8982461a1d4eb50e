"""Opens a trained run of transfer, whether it changes mels or samples."""

from typing import Any

from pipelines import runs
from pipelines.systems.style.training import trained, waveform
from pipelines.systems.style.transfer.transfers import SampleTransfer, Transfer


def open_run(run_dir: str) -> tuple[Transfer | SampleTransfer, dict[str, Any]]:
    """Loads a model.

    Args:
      run_dir: a run of `style train`.

    Returns:
      What it has learnt, and what its run.json says.

    Raises:
      UserError: where there is no run of transfer, or its checkpoint is damaged.
    """
    of_samples = runs.read_any(run_dir).get("kind") == waveform.KIND
    module = waveform if of_samples else trained
    return module.open_transfer(run_dir), module.read_metadata(run_dir)
