"""Whether a trained run has met what it is measured on, as far as files can tell."""

from collections.abc import Mapping
from typing import Any

from pipelines.runtime.app import UserError, say
from pipelines.systems.style.sounds import rendering, sound_folders
from pipelines.systems.style.sounds.sound_folders import Pair
from pipelines.systems.style.training import validation


def require_unmet(run_dir: str, about: Mapping[str, Any], measured: list[Pair]) -> None:
    """Checks that a run has not learnt from pairs; warns of what may be, or was chosen on them.

    Args:
      run_dir: the run.
      about: what its run.json says; `source` and `target` are looked for where they were.
      measured: the pairs.

    Raises:
      UserError: where a recording of a pair is, byte by byte, one that the run has learnt from.
    """
    files = [path for pair in measured for path in (pair.source, pair.target)]
    learnt = []
    for folder in (about["source"], about["target"]):
        try:
            learnt += sound_folders.sounds(folder)
        except UserError:
            say(
                f"warning: {run_dir} learnt from {folder}, where no sounds are now, so nobody can "
                "tell whether it has met what it is measured on"
            )
    if met := sound_folders.same_recordings(learnt, files):
        raise UserError(
            f"{run_dir} has learnt from {len(met)} of the {len(files)} recordings that it is to be "
            f"measured on, as from {next(iter(met.values()))}; give --pairs that it has not met"
        )
    ids = rendering.ids(files)
    if same := sorted(ids & rendering.ids(learnt)):
        say(
            f"warning: {run_dir} has learnt from {len(same)} of the {len(ids)} performances that "
            f"it is measured on, as {same[0]}, with other sounds; unless other music has the same "
            "names, it is measured too well"
        )
    try:
        chosen_on = validation.held_out(about["source"], about["target"])
    except UserError as error:
        say(f"warning: nobody can tell whether {run_dir} was chosen on these pairs: {error}")
        return
    chosen = [path for pair in chosen_on for path in (pair.source, pair.target)]
    if ids & rendering.ids(chosen) or sound_folders.same_recordings(chosen, files):
        say(
            f"warning: the checkpoint of {run_dir} was chosen on pairs that it is measured on, so "
            "it is measured too well; --split=test has others"
        )
