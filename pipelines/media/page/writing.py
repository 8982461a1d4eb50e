"""Writes the page to listen: `index.html` in a folder of music.

The page is one file: its style and scripts are in it, the sound is in the files beside it. So it
opens from disk, without a server or a network. All that strangers wrote (titles, names, notation)
is in one block of JSON, which the script puts on the page as text and never as HTML; the
Content-Security-Policy allows this page's own scripts, by their hashes, and no others, and nothing
from a network.

Python puts the parts together without a template library: there are seven places to fill, all with
text of this project, but for the title, which is escaped.
"""

import base64
import dataclasses
import hashlib
import html
import json
import os
import pathlib
import string
import urllib.parse
from collections.abc import Mapping, Sequence
from typing import Any

from pipelines.media import description, judgement
from pipelines.media.page import cards, compare, folder, marks, roll
from pipelines.runtime import files
from pipelines.runtime.app import UserError, say
from pipelines.runtime.progress import Progress
from pipelines.runtime.terminal import shown

FILE = "index.html"
_HERE = pathlib.Path(__file__).parent
_ABCJS = "abcjs/abcjs-basic-min.js"
# How a page of this project is told from a page of the user's own.
_MARK = b'<meta name="generator" content="reelgroove">'
_LOOKED_AT = 2_000


def try_to_write(directory: str, overwrite: bool = False) -> str | None:
    """Writes the page of a folder as `write` does; says why where it cannot.

    Returns:
      The path of the page, or None.
    """
    try:
        path = write(directory, overwrite=overwrite)
    except UserError as error:
        say(f"warning: no page: {error}")
        return None
    say(f"to listen: {path}")
    return path


def write(
    directory: str,
    deep: bool = False,
    overwrite: bool = False,
    pieces: Sequence[folder.Piece] | None = None,
) -> str:
    """Writes the page of a folder, in place of an older one.

    Args:
      directory: the folder with the music.
      deep: whether music in the folders in it is shown too.
      overwrite: whether an `index.html` of the user's own is replaced.
      pieces: what `folder.read` gives for the folder, where it was read already.

    Returns:
      The path of the page.

    Raises:
      UserError: where the folder has no music, or an `index.html` that this project did not make.
    """
    path = pathlib.Path(directory, FILE)
    require_replaceable(path, overwrite)
    content = page(directory, deep, pieces)
    with files.replacing(path) as file:
        file.write(content)
    return os.fspath(path)


def require_replaceable(path: pathlib.Path, overwrite: bool) -> None:
    """Raises UserError where a page would take the place of one that is not from here."""
    if not path.exists():
        return
    if not path.is_file():
        raise UserError(f"{path} is not a file; move it away, and give the same command again")
    if overwrite:
        return
    with open(path, "rb") as file:
        if _MARK not in file.read(_LOOKED_AT):
            raise UserError(
                f"{path} is a page that reelgroove did not make; move it away, or give --overwrite"
            )


def page(directory: str, deep: bool = False, pieces: Sequence[folder.Piece] | None = None) -> bytes:
    """The page of a folder, as HTML in UTF-8; arguments and errors are those of `write`."""
    if pieces is None:
        pieces = folder.read(directory, deep)
    known = _descriptions(directory, pieces)
    # Cards show the first of what a piece was made from, and no other.
    shown_inputs = [each.inputs for each in known.values() if each.mode in cards.WITH_ORIGINAL]
    names = {name for inputs in shown_inputs for name in inputs[:1]}
    kept = {name: folder.read_input(directory, name) for name in sorted(names)}
    inputs = {name: piece for name, piece in kept.items() if piece}
    title = os.path.basename(os.path.abspath(directory)) or "music"
    judged = _judgements(directory, pieces)
    return assemble(title, contents(title, cards.arrange(pieces, known, inputs), judged))


def _judgements(directory: str, pieces: Sequence[folder.Piece]) -> dict[int, dict[str, Any]]:
    """What the page shows of judgements, by the id of the piece."""
    found = {}
    by_folder: dict[str, list[folder.Piece]] = {}
    for piece in pieces:
        by_folder.setdefault(os.path.dirname(piece.file), []).append(piece)
    for inside, some in by_folder.items():
        known = judgement.read(os.path.join(directory, inside))
        for piece in some if known else ():
            if said := known.get(marks.key(piece)):
                found[id(piece)] = marks.shown_on_page(piece, said)
    return found


def _descriptions(
    directory: str, pieces: Sequence[folder.Piece]
) -> dict[str, description.Description]:
    """What is known of the pieces, by file, from the descriptions in each of their folders."""
    known = {}
    present = {piece.file for piece in pieces}
    for inside in sorted({os.path.dirname(file) for file in present}):
        for said in description.read(os.path.join(directory, inside)).values():
            file = os.path.join(inside, said.file)
            if file not in present:
                continue
            known[file] = dataclasses.replace(
                said,
                file=file,
                inputs=tuple(os.path.join(inside, each) for each in said.inputs),
                series=said.series and os.path.join(inside, said.series),
            )
    return known


def contents(
    title: str,
    arranged: list[cards.Card],
    judged: Mapping[int, dict[str, Any]] | None = None,
) -> dict[str, Any]:
    """What the script of the page draws, as JSON values.

    What a browser would obey in a text rather than show, such as right-to-left marks, is written
    out. Notation is left as it is, since it is also what is downloaded.

    Args:
      title: that of the page.
      arranged: the cards.
      judged: what is shown of judgements, by the id of the piece: from `marks.shown_on_page`.

    Returns:
      `title`; `cards`: each with `title`, `facts` (pairs of texts), `axes` (each with `label` and
      `stops`), `compared` and `tracks`: each with `label` and `pieces`, those of `_piece`.
    """
    drawn = []
    with Progress("pieces drawn", len(arranged)) as progress:
        for number, card in enumerate(arranged, start=1):
            drawn.append(_card(card, judged or {}))
            progress.update(number)
    return {"title": shown(title), "cards": drawn}


def _card(card: cards.Card, judged: Mapping[int, dict[str, Any]]) -> dict[str, Any]:
    marked: dict[int, set[int]] = {}
    tracks = []
    if card.compared:
        original = card.tracks[0].pieces[0]
        copies = card.tracks[1].pieces
        # Only one copy can be marked in the original.
        for copy in copies:
            if original.sequence is not None and copy.sequence is not None:
                missing, new = compare.differences(original.sequence, copy.sequence)
                marked[id(copy)] = new
                if len(copies) == 1:
                    marked[id(original)] = missing
    for track in card.tracks:
        pieces = [
            _piece(piece, marked.get(id(piece), set())) | {"judged": judged.get(id(piece))}
            for piece in track.pieces
        ]
        tracks.append({"label": shown(track.label), "pieces": pieces})
    return {
        "title": shown(card.title),
        "facts": [list(map(shown, fact)) for fact in card.facts],
        "axes": [
            {"label": shown(axis.label), "stops": list(map(shown, axis.stops))}
            for axis in card.axes
        ],
        "compared": card.compared,
        "tracks": tracks,
    }


def _piece(piece: folder.Piece, marked: set[int]) -> dict[str, Any]:
    """A piece: `name`, `problem`, `sound` (a URL or ""), `downloads`, `abc` and `roll`."""
    drawn = piece.sequence is not None and bool(piece.sequence.notes)
    return {
        "name": shown(piece.file),
        "problem": shown(piece.problem),
        "sound": _url(piece.sound),
        "downloads": [[kind, url, shown(name)] for kind, url, name in _downloads(piece)],
        "abc": piece.abc,
        "roll": roll.layout(piece.sequence, marked) if drawn else None,
    }


def _downloads(piece: folder.Piece) -> list[list[str]]:
    """What can be downloaded: kind, URL and the name of the file.

    Notation has no URL: it is on the page, a single tune also where it comes from a tunebook.
    """
    found = []
    if piece.is_midi:
        found.append(["MIDI", _url(piece.file), os.path.basename(piece.file)])
    elif piece.sequence is not None and piece.sequence.notes:
        # Imported here because note-seq, which it imports, takes three seconds.
        from pipelines.music import midi_writer

        try:
            data = base64.b64encode(midi_writer.note_sequence_to_midi(piece.sequence))
            name = f"{piece.title or cards.stem(piece.file)}.mid"
            found.append(["MIDI", f"data:audio/midi;base64,{data.decode()}", name])
        except ValueError:
            pass  # MIDI cannot say it; the page then has its notation alone.
        if not piece.notation:
            found.append(["MusicXML", _url(piece.file), os.path.basename(piece.file)])
    if piece.abc and piece.is_midi:
        found.append(["ABC", "", os.path.basename(piece.notation)])
    elif piece.abc:
        found.append(["ABC", "", f"{piece.title or cards.stem(piece.file)}.abc"])
    if piece.sound:
        name = os.path.basename(piece.sound)
        if piece.number:
            name = (piece.title or f"tune {piece.number}") + os.path.splitext(name)[1]
        found.append(["audio", _url(piece.sound), name])
    return found


def _url(path: str) -> str:
    """The URL of a file from its folder, of its exact bytes.

    "./" keeps what looks like a scheme, as in "javascript:...mid", from being one.
    """
    return path and "./" + urllib.parse.quote(os.fsencode(path.replace(os.sep, "/")))


def script_json(value: Any) -> str:
    """JSON that may stand in a script element: nothing in it ends the element or begins another."""
    text = json.dumps(value, ensure_ascii=True, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def assemble(title: str, content: dict[str, Any]) -> bytes:
    """Puts the page together; the engraver of scores is in it only where there are tunes."""
    has_scores = any(
        piece["abc"]
        for card in content["cards"]
        for track in card["tracks"]
        for piece in track["pieces"]
    )
    script, style = _asset("page.js"), _asset("page.css")
    engraver = _asset(_ABCJS) if has_scores else ""
    values = {
        "title": html.escape(shown(title)),
        "script": script,
        "style": style,
        "engraver": f"<script>{engraver}</script>" if has_scores else "",
        "scripts": " ".join(_hash(each) for each in (script, engraver) if each),
        "data": script_json(content),
    }
    return string.Template(_asset("page.html")).substitute(values).encode("utf-8")


def _asset(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """The hash by which a Content-Security-Policy knows a script."""
    digest = base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode()
    return f"'sha256-{digest}'"
