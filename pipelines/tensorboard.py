"""Shows the runs in a folder with TensorBoard, to this machine alone.

Examples:
  ./run.sh tensorboard runs
  ./run.sh tensorboard runs --port=6007

The folder is by default the one where you stand. The other flags are TensorBoard's
(./run.sh tensorboard --helpfull); --bind_all shows the runs to everybody who reaches this machine.
"""

import argparse
import importlib
import os
import re
import sys
from collections.abc import Sequence
from typing import NoReturn

from pipelines.runtime import app, tensorflow
from pipelines.runtime.app import UserError

# Flags with which TensorBoard needs no folder, or names it otherwise.
_OTHERWISE = ("--helpfull", "--version", "--version_tb", "--logdir_spec", "--db")


def arguments(given: Sequence[str]) -> list[str]:
    """TensorBoard's arguments for those that a user gives.

    Raises:
      UserError: where the folder is not there; TensorBoard would wait for it without a word.
    """
    words = list(given)
    if words and not words[0].startswith("-"):
        words[0] = f"--logdir={words[0]}"
    names = [word.partition("=")[0] for word in words]
    if "--logdir" in names:
        at = names.index("--logdir")
        _, equals, folder = words.pop(at).partition("=")
        if not equals and at < len(words):
            folder = words.pop(at)
    elif set(names) & set(_OTHERWISE):
        return words
    else:
        folder = os.curdir
    folder = os.path.expanduser(folder)
    if "://" not in folder and not os.path.isdir(folder):
        raise UserError(
            f"{folder or '--logdir='}: no such folder; name a run's folder, or one of several runs"
        )
    if not {"--host", "--bind_all"} & set(names):
        # TensorBoard's default; given by name, it goes without saying.
        words.append("--host=localhost")
    return ["--logdir", folder, *words]


def _refuse(parser: argparse.ArgumentParser, message: str) -> NoReturn:
    """Says in one line what is wrong with a flag; argparse would print all flags besides."""
    hint = ""
    if unknown := re.match(r"unrecognized arguments: (--\w+)", message):
        names = re.findall(r"--\w+", parser.format_usage())
        hint = app.did_you_mean(unknown[1], names)
    # TensorBoard reads numbers by functions without a name.
    message = message.replace("invalid <lambda> value", "invalid value")
    raise UserError(f"{message}{hint} (./run.sh tensorboard --helpfull)")


def main() -> None:
    """Starts TensorBoard, which runs until it is interrupted."""
    with app.ending():
        if {"-h", "--help"} & set(sys.argv[1:]):
            print(__doc__)
            return
        sys.argv[1:] = arguments(sys.argv[1:])
        # Summaries are drawn without a GPU, and its memory is left to the jobs that train.
        os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
        tensorflow.start("WARN", with_magenta=False)
        from tensorboard import main as tensorboard

        # `tensorboard.program` itself; the package has a stand-in of this name.
        program = importlib.import_module("tensorboard.program")
        # A notice that its reader of summaries, the default for years, is experimental.
        vars(program)["_DATA_SERVER_ADVISORY_MESSAGE"] = ""
        program.argparse_flags.ArgumentParser.error = _refuse
        tensorboard.run_main()


if __name__ == "__main__":
    main()
