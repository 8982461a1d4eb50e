"""A folder from a stranger: the page shows what is sound in it, and says what is wrong."""

import json
import os
import socket

import pytest

from pipelines.media import description
from pipelines.media.page import folder, writing
from pipelines.music import midi_writer
from pipelines.runtime.app import UserError
from tests.support.pieces import drums

TUNE = "X:1\nT:A\nM:4/4\nL:1/8\nK:D\nABcd efga|\n"


@pytest.fixture
def music(tmp_path):
    """A folder with one sound piece, a.mid."""
    place = tmp_path / "music"
    place.mkdir()
    (place / "a.mid").write_bytes(midi_writer.note_sequence_to_midi(drums([(0, 36, 100)])))
    return place


def describe(place, **fields):
    entry = {"file": "a.mid", **fields}
    (place / description.FILE).write_text(json.dumps({"pieces": [entry]}))


def problems(place):
    writing.write(str(place), deep=True)
    return {piece.file: piece.problem for piece in folder.read(str(place), deep=True)}


def pipe(path):
    os.mkfifo(path)


def device(path):
    path.symlink_to("/dev/zero")


def listener(path):
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(os.path.relpath(path))


def circle(path):
    path.symlink_to(path.name)


def sparse(path):
    with open(path, "wb") as file:
        file.truncate(10 << 30)


def directory(path):
    path.mkdir()


HOSTILE = [pipe, device, listener, circle, sparse]


@pytest.mark.parametrize("name", ["b.mid", "b.abc", "b.musicxml"])
@pytest.mark.parametrize("make", HOSTILE)
def test_what_is_no_file_is_on_the_page_with_the_reason(music, make, name):
    make(music / name)
    found = problems(music)
    assert found.pop("a.mid") == ""
    assert set(found) == {name} and found[name].startswith("It cannot be read: ")


@pytest.mark.parametrize("make", HOSTILE)
def test_notation_that_is_no_file_is_left_out(music, make):
    make(music / "a.abc")
    [piece] = folder.read(str(music), deep=True)
    assert piece.abc == piece.problem == "" and piece.sequence is not None


def test_music_has_the_title_of_the_notation_beside_it(music):
    (music / "a.abc").write_text(TUNE + "\nX:2\nT:B\nK:D\nd4|\n")
    [piece] = folder.read(str(music), deep=True)
    assert (piece.title, piece.notation, piece.abc) == ("A", "a.abc", TUNE)
    # Music without a title is called by the name of its file, which says nothing.
    (music / "a.abc").write_text(TUNE.replace("T:A", "T:a"))
    assert folder.read(str(music), deep=True)[0].title == ""


@pytest.mark.parametrize("make", [*HOSTILE, directory])
def test_a_description_that_is_no_file_is_passed_over_with_a_word(music, make, capsys):
    make(music / description.FILE)
    assert problems(music) == {"a.mid": ""}
    first = capsys.readouterr().err.splitlines()[0]
    assert first.startswith(f"warning: {music}/pieces.json is passed over: ")


@pytest.mark.parametrize("make", [pipe, directory, device])
@pytest.mark.parametrize("overwrite", [False, True])
def test_the_page_takes_the_place_of_files_alone(music, make, overwrite):
    make(music / writing.FILE)
    with pytest.raises(UserError, match=r"index\.html is not a file; move it away"):
        writing.write(str(music), overwrite=overwrite)


@pytest.mark.parametrize(
    "name",
    ["a\0b.mid", "\ud800", "", ".", "/etc/passwd", "../outside.mid", "x" * 100_000, "words.txt"],
    ids=["NUL", "half of a pair", "none", "itself", "absolute", "outside", "long", "no music"],
)
def test_an_input_that_is_no_music_of_the_folder_is_not_shown(music, name):
    (music / "words.txt").write_text("hello")
    (music.parent / "outside.mid").write_bytes((music / "a.mid").read_bytes())
    describe(music, mode="reconstruct", inputs=[name])
    assert folder.read_input(str(music), name) is None
    assert problems(music)["a.mid"] == ""


def test_of_many_inputs_those_that_are_shown_are_read(music, monkeypatch):
    read = []
    monkeypatch.setattr(folder, "read_input", lambda place, name: read.append(name))
    describe(music, mode="reconstruct", inputs=[f"inputs/{number}.mid" for number in range(9)])
    writing.write(str(music))
    describe(music, mode="interpolate", inputs=["inputs/a.mid"])
    writing.write(str(music))
    assert read == ["inputs/0.mid"]


@pytest.mark.parametrize(
    "text",
    [
        '{"pieces": [{"file": "a.mid", "mode": "sample", "position": [%s]}]}' % ("9" * 4300),
        '{"pieces": [{"file": "a.mid", "settings": {"x": %s}}]}' % ("[" * 980 + "]" * 980),
        '{"pieces": [{"file": "a\\u0000.mid"}, {"file": "\\ud800"}]}',
        '{"pieces": [{"file":"a.mid","mode":"edit","series": "\\u0000", "amounts": {"": NaN}}]}',
    ],
    ids=["position", "nested", "names", "NaN"],
)
def test_hostile_descriptions_leave_the_piece_on_the_page(music, text):
    (music / description.FILE).write_text(text)
    assert problems(music) == {"a.mid": ""}


def test_what_a_browser_would_obey_is_written_out(music):
    (music / "b\u202egpj\x1b[2J\n\udcff.mid").write_bytes((music / "a.mid").read_bytes())
    (music / "t.abc").write_text(TUNE.replace("T:A", "T:x\u202ey"))
    describe(music, mode="m\u202e", settings={"s\u202e": "v\x9b"}, sources=["\u200f"])
    page = writing.page(str(music)).decode()
    cards = json.loads(page.split('id="data">')[1].split("</script>")[0])["cards"]
    assert {card["title"] for card in cards} == {
        r"m\u202e",
        r"b\u202egpj\x1b[2J\n\xff",
        r"x\u202ey",
    }
    assert [r"s\u202e", r"v\x9b"] in cards[0]["facts"]
    pieces = [piece for card in cards for track in card["tracks"] for piece in track["pieces"]]
    texts = [text for card in cards for fact in card["facts"] for text in fact]
    texts += [piece["name"] for piece in pieces]
    texts += [text for piece in pieces for _, _, text in piece["downloads"]]
    assert all(text.isprintable() for text in texts)


def test_music_in_links_is_shown(music):
    (music.parent / "elsewhere.mid").write_bytes((music / "a.mid").read_bytes())
    (music / "b.mid").symlink_to(music.parent / "elsewhere.mid")
    (music / "loop").symlink_to(music)
    assert problems(music) == {"a.mid": "", "b.mid": ""}
