"""Lists the corpora that `convert` reads, one a line.

./run.sh corpora
"""

from pipelines.corpora import corpora
from pipelines.runtime import app


def main() -> None:
    """Prints the name and the summary of each corpus."""
    for name, corpus in corpora().items():
        print(f"{name:12} {corpus.summary}")


if __name__ == "__main__":
    app.run(main)
