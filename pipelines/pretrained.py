"""Lists the trained models that come with the project, or makes such a model of a run, to share.

A model is a folder with weights.safetensors, run.json and CARD.md. `--pretrained` of the other
commands takes its name or its path.

Examples:
  ./run.sh pretrained
  ./run.sh pretrained export --run_dir=/data/runs/first --output=/data/models/first
"""

import importlib.util
import pathlib
import shlex
import sys
from collections.abc import Callable, Sequence

from absl import flags

import configs
from pipelines import runs
from pipelines.exported import folders
from pipelines.runtime import app, tensorflow
from pipelines.runtime.app import UserError, say
from pipelines.runtime.flags import path_flag, required_path_flag
from pipelines.runtime.terminal import print_path, shown_json
from pipelines.systems import programs

FLAGS = flags.FLAGS
flags.DEFINE_string("run_dir", None, "Of export: the run's folder; its newest checkpoint is taken.")
flags.DEFINE_string(
    "checkpoint_file",
    None,
    "Of export: another checkpoint: its prefix, one of its files, or Magenta's .tar; or best, that "
    "of the run with the lowest loss on held-out records (see train --validation_path).",
)
flags.DEFINE_string("config", None, "Of export: the config, where no run.json tells it.")
flags.DEFINE_string(
    "config_file", None, "Of export: the Python file with the run's config, if it has one."
)
flags.DEFINE_string("hparams", "", "Of export: changed hparams, where no run.json tells them.")
flags.DEFINE_string("output", None, "Of export: the folder for the model; it must be new.")
flags.DEFINE_bool("json", False, "Print JSON: name, config, step, bytes and folder of each model.")


def main(arguments: Sequence[str]) -> None:
    """Runs the job from its flags."""
    if not arguments:
        _list()
    elif list(arguments) == ["export"]:
        _export()
    else:
        raise UserError(
            f"pretrained has no command {' '.join(arguments)!r}; it has export (see --help)"
        )


def _list() -> None:
    """Prints the name, config, step and size of each model of the project."""
    rows, lines = [], []
    for name in folders.names():
        folder = folders.find(name)
        found = folders.read(folder)
        size = (folder / folders.WEIGHTS).stat().st_size
        facts = {"name": name, "config": found.config, "step": found.step}
        rows.append({**facts, "bytes": size, "folder": str(folder)})
        lines.append(f"{name:16} {found.config}, step {found.step:,}, {size / 1e6:.1f} MB")
    if FLAGS.json:
        print(shown_json({"pretrained": rows}))
    for line in [] if FLAGS.json else lines:
        print(line)
    if not rows:
        say("no trained model comes with this checkout; pretrained export makes one of a run")


def _export() -> None:
    """Makes a model of a run."""
    if not FLAGS.output:
        raise UserError("missing --output (see --help)")
    configs.require_known(FLAGS.config, path_flag("config_file"))
    source = path_flag("run_dir"), path_flag("checkpoint_file")
    runs.require_checkpoint(*source)
    system = programs.system(sys.argv[1:])
    tensorflow.start("WARN", with_magenta=system == programs.DEFAULT)
    folder = _exporter(system)(*source, required_path_flag("output"))
    print_path(str(folder))
    flag = f"--pretrained={shlex.quote(str(folder))}"
    say(f"complete its CARD.md; ./run.sh generate {flag} --output_dir=music plays it")


def _exporter(system: str) -> Callable[..., pathlib.Path]:
    """What exports a run of a system: a function of run, checkpoint and folder."""
    if system != programs.DEFAULT:
        module = f"pipelines.systems.{system}.exporting"
        if importlib.util.find_spec(module) is None:
            raise UserError(f"runs of {system} cannot be exported")
        return importlib.import_module(module).export_run
    from pipelines.systems.musicvae import exporting
    from pipelines.systems.musicvae.run import open_from_flags

    return lambda run_dir, checkpoint_file, folder: exporting.export(open_from_flags(FLAGS), folder)


if __name__ == "__main__":
    app.run(main, with_arguments=True)
