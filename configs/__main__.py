"""Lists the configs that --config takes, a line each.

Example:
  ./run.sh configs
  ./run.sh configs --config_file=my_configs.py
"""

import functools

from absl import flags

import configs
from pipelines.runtime import app, tensorflow
from pipelines.runtime.flags import path_flag

FLAGS = flags.FLAGS
flags.DEFINE_string("config_file", None, "A Python file with a CONFIG_MAP of your own configs.")


def main() -> None:
    """Prints the name and the summary of each config."""
    tensorflow.start("WARN")
    builders = configs.builders(path_flag("config_file"))
    width = max(map(len, builders))
    for name in builders:
        builder = builders[name]
        if isinstance(builder, functools.partial):
            builder = builder.func
        summary = (builder.__doc__ or "A config of your own.").strip().splitlines()[0]
        print(f"{name:<{width}}  {summary}")


if __name__ == "__main__":
    app.run(main)
