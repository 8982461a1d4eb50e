"""Lists the corpora that `convert` knows, a line each.

./run.sh corpora
"""

from pipelines.corpora import corpora
from pipelines.runtime import app


def main() -> None:
    """Prints name and summary of each corpus."""
    for name, corpus in corpora().items():
        print(f"{name:12} {corpus.summary}")


if __name__ == "__main__":
    app.run(main)
