"""Checks which room imports which, and counts the imports between rooms.

The order of the rooms is in pyproject.toml, `[tool.importlinter]`. import-linter says what is
wrong and where; this adds the counts, and what import-linter does not look at: a room that has no
layer, and a circle between a folder's `__init__.py` and a module in the folder.

Example:
  ./.venv/bin/python -m tests.support.layers [FOLDER OF A CHECKOUT]

The exit status is 0 only where every import is allowed.
"""

import os
import re
import sys
from collections.abc import Set

import grimp
from importlinter import api, cli

MOST_ROOMS = 32  # directly in pipelines/, commands included

Arrows = Set[tuple[str, str]]  # (importer, imported)


def room(module: str) -> str:
    """The room of a module: the second part of its name in pipelines, otherwise the first."""
    parts = module.split(".")
    return ".".join(parts[:2] if parts[0] == "pipelines" else parts[:1])


def read_layers(config: str) -> list[set[str]]:
    """The rooms of each layer in a pyproject.toml, highest layer first."""
    contracts = api.read_configuration(config)["contracts_options"]
    (layers,) = [contract["layers"] for contract in contracts if contract["type"] == "layers"]
    return [set(re.findall(r"[\w.]+", layer)) for layer in layers]


def arrows_in_circles(arrows: Arrows) -> Arrows:
    """Those arrows that can be followed back to where they begin."""
    imported: dict[str, set[str]] = {}
    for start, end in arrows:
        imported.setdefault(start, set()).add(end)

    def reaches(start: str, goal: str) -> bool:
        seen, left = {start}, [start]
        while left:
            new = imported.get(left.pop(), set()) - seen
            seen |= new
            left.extend(new)
        return goal in seen

    return {(start, end) for start, end in arrows if reaches(end, start)}


def check(root: str) -> bool:
    """Prints the report on the checkout at `root`; returns whether every import is allowed."""
    os.chdir(root)
    sys.path.insert(0, os.getcwd())
    kept = cli.lint_imports(no_cache=True, no_logo=True) == cli.EXIT_STATUS_SUCCESS

    graph = grimp.build_graph("configs", "models", "pipelines", "reelgroove", cache_dir=None)
    modules = graph.modules - {"pipelines"}
    imports = {
        (module, imported)
        for module in modules
        for imported in graph.find_modules_directly_imported_by(module)
    }
    rooms = {room(module) for module in modules}
    arrows = {(room(start), room(end)) for start, end in imports if room(start) != room(end)}
    layers = read_layers("pyproject.toml")
    height = {name: -number for number, layer in enumerate(layers) for name in layer}
    no_layer = sorted(rooms - height.keys())
    upward = {
        (start, end)
        for start, end in arrows
        if start in height and end in height and height[start] < height[end]
    }
    room_circles = arrows_in_circles(arrows)
    module_circles = arrows_in_circles(imports)
    top = sum(name.startswith("pipelines.") for name in rooms)

    print(f"arrows between rooms: {len(arrows)}; upward: {len(upward)}; ", end="")
    print(f"in circles: {len(room_circles)}")
    for start, end in sorted(upward | room_circles):
        print(f"  {start} -> {end}")
    print(f"imports between modules: {len(imports)}; in circles: {len(module_circles)}")
    for start, end in sorted(module_circles):
        print(f"  {start} -> {end}")
    print(f"rooms at the top of pipelines/: {top} (at most {MOST_ROOMS})")
    print(f"rooms without a layer in pyproject.toml: {', '.join(no_layer) or 'none'}")
    return kept and top <= MOST_ROOMS and not (upward or room_circles or module_circles or no_layer)


if __name__ == "__main__":
    sys.exit(not check(*sys.argv[1:2] or ["."]))
