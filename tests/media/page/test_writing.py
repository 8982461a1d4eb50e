"""The page as a file: what is in it, and that nothing that strangers wrote can run in it."""

import base64
import errno
import hashlib
import json
import os
import re
from html.parser import HTMLParser

import pytest

from pipelines.media import description
from pipelines.media.page import cards, folder, writing
from pipelines.music import midi_writer
from pipelines.runtime.app import UserError
from tests.support.jobs import error_of, job
from tests.support.pieces import drums, tune

EVIL = "</script><script>alert(1)</script><!--\"'\n&amp;\u2028 Ó Cadhla 曲"
WRITTEN_OUT = EVIL.replace("\n", "\\n").replace("\u2028", "\\u2028")
TUNE = "X:1\nT:{}\nM:4/4\nL:1/8\nK:D\nABcd efga|\n"


class Elements(HTMLParser):
    """The elements of a page: name, attributes and the text in each script."""

    def __init__(self, page: bytes):
        super().__init__()
        self.scripts, self.names, self.metas, self.title, self.open = [], [], {}, "", ""
        self.feed(page.decode("utf-8"))

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.names.append(tag)
        self.open = tag
        if tag == "script":
            self.scripts.append([attributes, ""])
        if tag == "meta":
            self.metas[attributes.get("http-equiv") or attributes.get("name")] = attributes.get(
                "content"
            )

    def handle_data(self, data):
        if self.open == "script":
            self.scripts[-1][1] += data
        if self.open == "title":
            self.title += data

    def handle_endtag(self, tag):
        self.open = ""


def write_midi(path, sequence=None):
    path.write_bytes(midi_writer.note_sequence_to_midi(sequence or drums([(0, 36, 100)])))


def shown(directory, **kwargs):
    """What the script of a folder's page draws."""
    [data] = [
        text
        for attributes, text in Elements(writing.page(str(directory), **kwargs)).scripts
        if attributes.get("id") == "data"
    ]
    return json.loads(data)


def players(directory, **kwargs):
    """All pieces of a folder's page."""
    return [
        piece
        for card in shown(directory, **kwargs)["cards"]
        for track in card["tracks"]
        for piece in track["pieces"]
    ]


def test_titles_and_names_cannot_end_the_script_or_begin_another(tmp_path):
    place = tmp_path / '<img src=x onerror=alert(1)> & "co"'
    place.mkdir()
    name = "</scr<b>'\"&#<script>alert(1) ñ.mid".replace("/", "∕")
    write_midi(place / name)
    (place / "book.abc").write_text(TUNE.format("A"))
    page = writing.page(str(place))
    parsed = Elements(page)
    assert [attributes for attributes, _ in parsed.scripts] == [
        {"type": "application/json", "id": "data"},
        {},
        {},
    ]
    assert "img" not in parsed.names and "b" not in parsed.names
    assert parsed.title == place.name
    assert b"<script>alert" not in page and b"onerror=alert(1)>" not in page
    assert [card["title"] for card in shown(place)["cards"]] == [name.removesuffix(".mid"), "A"]


def test_what_a_card_says_is_text(tmp_path):
    card = cards.Card(EVIL, [(EVIL, EVIL)], [cards.Track(EVIL, [folder.Piece(EVIL, problem=EVIL)])])
    parsed = Elements(writing.assemble(EVIL, writing.contents(EVIL, [card])))
    assert [attributes for attributes, _ in parsed.scripts] == [
        {"type": "application/json", "id": "data"},
        {},
    ]
    assert parsed.title == WRITTEN_OUT
    [shown_card] = json.loads(parsed.scripts[0][1])["cards"]
    [track] = shown_card["tracks"]
    assert shown_card["title"] == track["label"] == WRITTEN_OUT
    assert shown_card["facts"] == [[WRITTEN_OUT, WRITTEN_OUT]]
    [piece] = track["pieces"]
    assert piece["name"] == piece["problem"] == WRITTEN_OUT


def test_marks_that_turn_a_name_around_are_written_out(tmp_path):
    place = tmp_path / "exe\u202egnos"
    place.mkdir()
    (place / "a.abc").write_text(TUNE.format("\x1b[2J\u202eleeR\u2066"))
    assert Elements(writing.page(str(place))).title == "exe\\u202egnos"
    [card] = shown(place)["cards"]
    assert card["title"] == "\\x1b[2J\\u202eleeR\\u2066"
    [piece] = players(place)
    assert [name for _, _, name in piece["downloads"]] == [
        "\\x1b[2J\\u202eleeR\\u2066.mid",
        "\\x1b[2J\\u202eleeR\\u2066.abc",
    ]


def test_json_in_a_script_has_nothing_that_html_reads():
    written = writing.script_json({"title": EVIL, "lone": "\udcff"})
    assert not set("<>&\u2028") & set(written)
    assert json.loads(written) == {"title": EVIL, "lone": "\udcff"}


def test_the_policy_allows_the_pages_own_scripts_and_no_network(tmp_path):
    (tmp_path / "a.abc").write_text(TUNE.format("A"))
    parsed = Elements(writing.page(str(tmp_path)))
    policy = parsed.metas["Content-Security-Policy"]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    hashes = {
        f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
        for attributes, text in parsed.scripts
        if not attributes
    }
    assert set(rules["script-src"].split()) == hashes and len(hashes) == 2
    assert "connect-src" not in rules
    assert not re.search(r"https?:", policy)


def test_the_engraver_is_there_for_tunes_alone(tmp_path):
    write_midi(tmp_path / "a.mid")
    assert b"abcjs_basic v" not in writing.page(str(tmp_path))
    (tmp_path / "b.abc").write_text(TUNE.format("B"))
    page = writing.page(str(tmp_path))
    assert b"abcjs_basic v6.7.2 Copyright" in page


def test_the_engraver_is_the_one_of_its_readme():
    place = writing._HERE / "abcjs"
    digest = hashlib.sha256((place / "abcjs-basic-min.js").read_bytes()).hexdigest()
    assert digest in (place / "README.md").read_text()
    script = (place / "abcjs-basic-min.js").read_text(encoding="utf-8")
    # Nothing in it would end the script element that it is put in, or change on the way there.
    assert "</script" not in script and "<!--" not in script and "\r" not in script


def test_files_beside_a_piece_are_its_sound_and_notation(tmp_path):
    write_midi(tmp_path / "a b#1.mid", tune([(60, 0, 4)]))
    (tmp_path / "a b#1.abc").write_text(TUNE.format("Titled"))
    (tmp_path / "a b#1.mp3").touch()
    [piece] = players(tmp_path)
    assert piece["sound"] == "./a%20b%231.mp3"
    assert piece["downloads"] == [
        ["MIDI", "./a%20b%231.mid", "a b#1.mid"],
        ["ABC", "", "a b#1.abc"],
        ["audio", "./a%20b%231.mp3", "a b#1.mp3"],
    ]
    assert piece["abc"] == TUNE.format("Titled")


def test_a_name_is_no_scheme_and_keeps_its_bytes(tmp_path):
    write_midi(tmp_path / "javascript:alert(1).mid")
    name = os.fsdecode(b"x\xff.mid")
    write_midi(tmp_path / name)
    urls = [piece["downloads"][0][1] for piece in players(tmp_path)]
    assert urls == ["./javascript%3Aalert%281%29.mid", "./x%FF.mid"]


def test_each_tune_of_a_book_is_a_piece_with_its_own_midi(tmp_path):
    (tmp_path / "book.abc").write_text(TUNE.format("One") + "\n" + TUNE.format("Two"))
    found = shown(tmp_path)["cards"]
    assert [card["title"] for card in found] == ["One", "Two"]
    [piece] = found[1]["tracks"][0]["pieces"]
    assert [kind for kind, _, _ in piece["downloads"]] == ["MIDI", "ABC"]
    assert piece["downloads"][1] == ["ABC", "", "Two.abc"]
    assert piece["abc"] == TUNE.format("Two")
    data = base64.b64decode(piece["downloads"][0][1].removeprefix("data:audio/midi;base64,"))
    assert data.startswith(b"MThd")
    assert piece["downloads"][0][2] == "Two.mid"


def test_what_cannot_be_read_is_on_the_page_with_the_reason(tmp_path):
    write_midi(tmp_path / "empty.mid", drums([]))
    (tmp_path / "damaged.mid").write_bytes(b"MThd but no more")
    (tmp_path / "nothing.abc").write_text("")
    write_midi(tmp_path / "sound.mid")
    problems = {piece["name"]: piece["problem"] for piece in players(tmp_path)}
    assert set(problems) == {"empty.mid", "damaged.mid", "nothing.abc", "sound.mid"}
    assert problems.pop("sound.mid") == ""
    assert all(problem.startswith("It ") for problem in problems.values())


def test_a_pipe_or_a_device_does_not_hang_the_page(tmp_path):
    write_midi(tmp_path / "a.mid")
    for name in ("a.abc", "b.mid", "pieces.json"):
        os.mkfifo(tmp_path / name)
    (tmp_path / "c.abc").symlink_to("/dev/zero")
    first, second, third = players(tmp_path)
    assert first["roll"] and not first["abc"]
    for piece in (second, third):
        assert piece["problem"] == "It cannot be read: not a regular file."
    os.mkfifo(tmp_path / "index.html")
    with pytest.raises(UserError, match="index.html is not a file; move it away"):
        writing.write(str(tmp_path))


@pytest.mark.parametrize("name", ["a\0b", "\ud800", "words.txt", "/etc/passwd", "..", "gone.mid"])
def test_an_original_that_is_no_music_here_is_left_out(tmp_path, name):
    write_midi(tmp_path / "a.mid")
    (tmp_path / "words.txt").write_text("words")
    entry = {"file": "a.mid", "mode": "reconstruct", "inputs": [name]}
    (tmp_path / description.FILE).write_text(json.dumps({"pieces": [entry]}))
    [card] = shown(tmp_path)["cards"]
    assert [[piece["name"] for piece in track["pieces"]] for track in card["tracks"]] == [["a.mid"]]


def test_a_piece_of_three_hours_is_shown(tmp_path):
    write_midi(tmp_path / "long.mid", drums([(at, 36, 100) for at in range(0, 10_800, 4)]))
    [piece] = players(tmp_path)
    assert "15 of 180 minutes" in piece["roll"]["cut"]


def test_folders_in_the_folder_are_read_where_asked(tmp_path):
    (tmp_path / "a").mkdir()
    write_midi(tmp_path / "a" / "x.mid")
    write_midi(tmp_path / "y.mid")
    (tmp_path / "a" / "x.wav").touch()
    assert [piece["name"] for piece in players(tmp_path)] == ["y.mid"]
    below = players(tmp_path, deep=True)
    assert [(piece["name"], piece["sound"]) for piece in below] == [
        ("y.mid", ""),
        ("a/x.mid", "./a/x.wav"),
    ]


def test_descriptions_in_folders_of_the_folder_hold_there(tmp_path):
    for name in ("one", "two"):
        place = tmp_path / name
        (place / "inputs").mkdir(parents=True)
        write_midi(place / "inputs" / "beat.mid")
        write_midi(place / "copy.mid")
        (place / "inputs" / "beat.mp3").touch()
        said = description.Description("copy.mid", "reconstruct", {}, ("x",), ("inputs/beat.mid",))
        description.add(place, [said])
    found = shown(tmp_path, deep=True)["cards"]
    sounds = [[track["pieces"][0]["sound"] for track in card["tracks"]] for card in found]
    assert sounds == [["./one/inputs/beat.mp3", ""], ["./two/inputs/beat.mp3", ""]]


@pytest.mark.slow
def test_a_thousand_pieces_are_a_small_page(tmp_path):
    write_midi(tmp_path / "0.mid", drums([(at / 4, 42, 100) for at in range(64)]))
    data = (tmp_path / "0.mid").read_bytes()
    for number in range(1, 1000):
        (tmp_path / f"{number}.mid").write_bytes(data)
    page = writing.page(str(tmp_path))
    assert len(page) < 5e6
    # No piece is an element before it is scrolled to.
    assert len(Elements(page).names) < 60


def test_more_pieces_than_a_page_holds_are_left_out_with_a_word(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(folder, "MAX_PIECES", 2)
    for number in range(3):
        write_midi(tmp_path / f"{number}.mid")
    assert len(players(tmp_path)) == 2
    assert "the page has the first 2 pieces" in capsys.readouterr().err


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda place: None, "does not exist; name a folder"),
        (lambda place: place.write_text(""), "is not a folder; name a folder"),
        (lambda place: place.mkdir(), "has no MIDI, ABC or MusicXML file in it"),
    ],
)
def test_without_music_there_is_no_page(tmp_path, make, message):
    place = tmp_path / "music"
    make(place)
    with pytest.raises(UserError, match=message):
        writing.write(str(place))


def test_a_page_of_the_users_own_stays(tmp_path):
    write_midi(tmp_path / "a.mid")
    (tmp_path / "index.html").write_text("<h1>My band</h1>")
    with pytest.raises(UserError, match="a page that reelgroove did not make"):
        writing.write(str(tmp_path))
    assert (tmp_path / "index.html").read_text() == "<h1>My band</h1>"
    path = writing.write(str(tmp_path), overwrite=True)
    first = (tmp_path / "index.html").read_bytes()
    # Its own page is replaced, by the same bytes.
    assert writing.write(str(tmp_path)) == path
    assert (tmp_path / "index.html").read_bytes() == first


def test_a_full_disk_leaves_the_older_page(tmp_path, monkeypatch):
    write_midi(tmp_path / "a.mid")
    writing.write(str(tmp_path))
    before = (tmp_path / "index.html").read_bytes()

    def full(source, target):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError) as raised:
        writing.write(str(tmp_path))
    assert raised.value.filename == str(tmp_path / "index.html")
    assert sorted(os.listdir(tmp_path)) == ["a.mid", "index.html"]
    assert (tmp_path / "index.html").read_bytes() == before


@pytest.mark.slow
def test_the_command_prints_the_path_and_one_line_of_bad_input(tmp_path):
    write_midi(tmp_path / "a.mid")
    done = job("page", tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{tmp_path}/index.html\n"
    assert "name one folder with music" in error_of(job("page"))
    assert "does not exist" in error_of(job("page", tmp_path / "none"))
