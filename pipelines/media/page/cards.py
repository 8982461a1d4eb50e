"""Arranges the pieces of a folder in cards: what the page shows together.

Pieces of a series (`media.description`) are one card with one player and a slider for each
direction; of a reconstruction or an edit the original comes first. Every other piece is a card of
its own.
"""

import dataclasses
import os
from collections.abc import Sequence
from typing import Any

from pipelines.media.description import Description
from pipelines.media.page.folder import Piece

_SLIDERS = ("interpolate", "edit", "grid")
# Of these modes the page shows the first input as well.
WITH_ORIGINAL = ("reconstruct", "edit")


@dataclasses.dataclass
class Axis:
    """A slider.

    Attributes:
      label: what it changes.
      stops: what each of its positions is called.
    """

    label: str
    stops: list[str]


@dataclasses.dataclass
class Track:
    """A player.

    Attributes:
      label: what it plays, "" where the card has only one.
      pieces: those that the sliders choose from, in the order of rows and columns; or one.
    """

    label: str
    pieces: list[Piece]


@dataclasses.dataclass
class Card:
    """What the page shows together.

    Attributes:
      title: its heading.
      facts: names and values, in their order.
      tracks, axes: its players and sliders.
      compared: whether its first two tracks are an original and its copy.
    """

    title: str
    facts: list[tuple[str, str]]
    tracks: list[Track]
    axes: list[Axis] = dataclasses.field(default_factory=list)
    compared: bool = False


def arrange(
    pieces: Sequence[Piece],
    known: dict[str, Description],
    inputs: dict[str, Piece],
) -> list[Card]:
    """Puts pieces into cards, in the order of the pieces.

    Args:
      pieces: those of the folder.
      known: what `generate` said of them, by file.
      inputs: what it kept of what it was given, by path from the folder.
    """
    series: dict[str, list[tuple[Description, Piece]]] = {}
    order: list[tuple[str, Piece]] = []
    for piece in pieces:
        said = known.get(piece.file)
        name = said.series if said and said.mode in _SLIDERS else ""
        if said and name:
            if name not in series:
                order.append((name, piece))
            series.setdefault(name, []).append((said, piece))
        else:
            order.append(("", piece))
    cards = []
    for name, piece in order:
        if name:
            cards.append(_series(series[name], inputs))
        elif piece.file in known:
            cards.append(_single(known[piece.file], piece, inputs))
        else:
            facts = [("file", piece.file)] if piece.title else []
            if piece.number:
                facts = [("file", piece.file), ("tune", str(piece.number))]
            cards.append(Card(piece.title or stem(piece.file), facts, [Track("", [piece])]))
    return cards


def stem(file: str) -> str:
    """The name of a file without its folder and ending."""
    return os.path.splitext(os.path.basename(file))[0]


def _series(members: list[tuple[Description, Piece]], inputs: dict[str, Piece]) -> Card:
    """A card with sliders."""
    members = sorted(members, key=lambda each: each[0].position)
    first = members[0][0]
    card = Card(_title(first), _facts(first), [Track("", [piece for _, piece in members])])
    if first.mode == "grid":
        rows = sorted({said.position[:1] for said, _ in members})
        columns = len(members) // len(rows)
        if len(rows) * columns == len(members):
            corners = (*first.sources, "", "", "", "")
            card.axes = [
                _between("down", len(rows), corners[0], corners[2]),
                _between("right", columns, corners[0], corners[1]),
            ]
    elif first.mode == "edit":
        card.axes = [Axis("amount", [_amounts(said.amounts) for said, _ in members])]
    if not card.axes:
        ends = (*first.sources, "", "")[:2]
        card.axes = [_between("position", len(members), *ends)]
    return _with_original(card, first, inputs)


def _between(label: str, number: int, begin: str, end: str) -> Axis:
    """A slider from one piece to another."""
    stops = [f"{100 * at / max(number - 1, 1):.0f}%" for at in range(number)]
    stops[0] += f" {begin}".rstrip()
    if number > 1:
        stops[-1] += f" {end}".rstrip()
    return Axis(label, stops)


def _single(said: Description, piece: Piece, inputs: dict[str, Piece]) -> Card:
    """A card of one piece that was generated."""
    title = _title(said)
    if said.position and said.mode == "sample":
        title += f" {said.position[0] + 1}"
    card = Card(piece.title or title, [*_facts(said), ("file", piece.file)], [Track("", [piece])])
    return _with_original(card, said, inputs)


def _with_original(card: Card, said: Description, inputs: dict[str, Piece]) -> Card:
    """The card with the piece that it was made from before it, where that was kept."""
    original = inputs.get(said.inputs[0]) if said.inputs else None
    if said.mode in WITH_ORIGINAL and original:
        card.tracks[0].label = "copy" if said.mode == "reconstruct" else "edited"
        card.tracks.insert(0, Track("original", [original]))
        card.compared = True
    return card


def _title(said: Description) -> str:
    sources = ", ".join(said.sources)
    if said.mode == "interpolate" and len(said.sources) == 2:
        return f"From {said.sources[0]} to {said.sources[1]}"
    return {
        "sample": "Sample",
        "reconstruct": f"Reconstruction of {sources}",
        "interpolate": f"Between {sources}",
        "edit": f"{sources}, edited: {', '.join(said.amounts)}",
        "average": f"Average of {sources}",
        "grid": f"Grid between {sources}",
    }.get(said.mode, said.mode or stem(said.file))


def _facts(said: Description) -> list[tuple[str, str]]:
    facts = [("mode", said.mode)] if said.mode else []
    settings = {name: value for name, value in said.settings.items() if value != ""}
    facts += [(name.replace("_", " "), _shown(value)) for name, value in settings.items()]
    if said.sources:
        facts.append(("made from", ", ".join(said.sources)))
    return facts


def _shown(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _amounts(amounts: dict[str, float]) -> str:
    return ", ".join(f"{name} {amount:+.2f}".replace("-", "−") for name, amount in amounts.items())
