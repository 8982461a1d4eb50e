"""Draws how far held-out pieces move for an amount, from the numbers of `measure`.

./.venv/bin/python -m experiments.attributes.figure experiments/attributes/groove_4bar.json \
    --kind=probe --output=experiments/attributes/groove_4bar.svg
"""

import argparse
import json
import pathlib

import numpy as np

_COLUMNS = 4


def draw(result: dict, kind: str, path: str) -> None:
    """Draws a panel for each attribute: its change with a 95% interval, and the hit F1 kept."""
    import matplotlib

    matplotlib.use("Agg")
    # The same numbers give the same file.
    matplotlib.rcParams.update({"svg.hashsalt": "reelgroove", "font.size": 8})
    from matplotlib import pyplot

    attributes, amounts = result["attributes"], result["amounts"]
    rows = -(-len(attributes) // _COLUMNS)
    figure, panels = pyplot.subplots(
        rows, _COLUMNS, figsize=(10, 2.4 * rows), sharex=True, sharey=True, squeeze=False
    )
    for panel in panels.flat[len(attributes) :]:
        panel.set_visible(False)
    for panel, (name, kinds) in zip(panels.flat, attributes.items()):
        change, f1 = (np.array(kinds[kind][what]) for what in ("change", "hit_f1"))
        panel.fill_between(amounts, change[:, 1], change[:, 2], color="C0", alpha=0.25, lw=0)
        panel.plot(amounts, change[:, 0], color="C0", label="change of the attribute, sd")
        panel.plot(amounts, amounts, color="0.7", lw=0.8, ls=":", label="as asked")
        panel.plot(amounts, f1[:, 0], color="C3", ls="--", label="hit F1 with the input")
        correlation = kinds[kind]["rank_correlation"][0]
        panel.set_title(f"{name}: rank correlation {correlation:.2f}")
        panel.set_ylim(-3, 3)
        panel.grid(alpha=0.3)
    for panel in panels[-1]:
        panel.set_xlabel("amount")
    panels.flat[0].legend(fontsize=6, loc="lower right")
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None} if path.endswith(".svg") else None)


def main() -> None:
    """Draws from the command line's arguments."""
    assert __doc__
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("numbers")
    parser.add_argument("--kind", default="probe")
    parser.add_argument("--output", required=True)
    arguments = parser.parse_args()
    result = json.loads(pathlib.Path(arguments.numbers).read_text(encoding="utf-8"))
    draw(result, arguments.kind, arguments.output)


if __name__ == "__main__":
    main()
