"""Lists the configs that --config takes, a line each.

Example:
  ./run.sh configs
  ./run.sh configs --config_file=my_configs.py --json
"""

import functools
from collections.abc import Callable

from absl import flags

import configs
from pipelines.runtime import app, tensorflow
from pipelines.runtime.flags import path_flag
from pipelines.runtime.terminal import shown_json

FLAGS = flags.FLAGS
flags.DEFINE_string("config_file", None, "A Python file with a CONFIG_MAP of your own configs.")
flags.DEFINE_bool("json", False, "Print JSON: name and summary of each config.")


def main() -> None:
    """Prints the name and the summary of each config."""
    config_file = path_flag("config_file")
    configs.require_file(config_file)
    tensorflow.start("WARN")
    builders = configs.builders(config_file)
    summaries = {name: _summary(builder) for name, builder in builders.items()}
    summaries |= {name: values.summary for name, values in configs.hyperparameters().items()}
    summaries = dict(sorted(summaries.items()))
    if FLAGS.json:
        listed = [{"name": name, "summary": summary} for name, summary in summaries.items()]
        print(shown_json({"configs": listed}))
        return
    width = max(map(len, summaries))
    print("\n".join(f"{name:<{width}}  {summary}" for name, summary in summaries.items()))


def _summary(builder: Callable) -> str:
    """The first line of a builder's docstring."""
    if isinstance(builder, functools.partial):
        builder = builder.func
    return (builder.__doc__ or "A config of your own.").strip().splitlines()[0]


if __name__ == "__main__":
    app.run(main)
