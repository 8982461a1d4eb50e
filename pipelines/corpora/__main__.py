"""Lists the corpora that `convert` reads, one a line.

./run.sh corpora
./run.sh corpora --json
"""

from absl import flags

from pipelines.corpora import corpora
from pipelines.runtime import app
from pipelines.runtime.terminal import shown_json

FLAGS = flags.FLAGS
flags.DEFINE_bool("json", False, "Print JSON: name, summary, pieces and has_splits of each corpus.")


def main() -> None:
    """Prints the name and the summary of each corpus."""
    if FLAGS.json:
        keys = ("name", "summary", "pieces", "has_splits")
        listed = [{key: getattr(each, key) for key in keys} for each in corpora().values()]
        print(shown_json({"corpora": listed}))
        return
    print("\n".join(f"{name:12} {corpus.summary}" for name, corpus in corpora().items()))


if __name__ == "__main__":
    app.run(main)
