"""Tunebooks: encodings, line ends, what is a tune and what is prose."""

import html
import re
import time

import pytest

from pipelines.music.abc import tunebook
from pipelines.music.abc.lines import is_music
from pipelines.music.abc.tunebook import TuneText, decode, tunes
from pipelines.music.limits import Rejected

TUNE = ["X:1", "T:The First", "M:4/4", "L:1/8", "K:D", "|:d2 fd Adfd|e2 c2 d4:|"]
OTHER = ["X:2", "T:The Second", "M:6/8", "K:G", "GAB dBG|A3 G3|]"]
TEXT = "\n".join([*TUNE, "", *OTHER, ""])


def cut(text: str) -> list[TuneText]:
    return list(tunes(text))


# Encodings and line ends


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "cp1252"])
def test_encodings(encoding):
    text = "X:1\nT:Ma chère Café – «Näcken»\nK:C\nc4|\n"
    assert decode(text.encode(encoding)) == text


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_by_its_mark(encoding):
    assert decode(("\ufeff" + TEXT).encode(encoding)) == TEXT


def test_one_latin_line_leaves_the_others_alone():
    data = "T:Näcken\n".encode("latin-1") + "T:Čeština\n".encode() + "T:Åmål".encode("latin-1")
    assert decode(data) == "T:Näcken\nT:Čeština\nT:Åmål"


def test_a_line_is_latin_as_a_whole():
    # C9 BB alone would be UTF-8.
    assert decode("T:À la «CAFÉ»".encode("latin-1")) == "T:À la «CAFÉ»"


def test_bytes_that_windows_leaves_out():
    assert decode(b"T:\x81\xe9") == "T:\x81é"


@pytest.mark.parametrize("field", ["I:abc-charset iso-8859-2", "%%abc-charset iso-8859-2"])
def test_declared_charset_is_what_is_not_utf_8(field):
    text = f"{field}\nX:1\nT:Žižka ő\n"
    assert decode(text.encode("iso-8859-2")) == text
    assert decode(text.encode("utf-8")) == text


@pytest.mark.parametrize("name", ["no-such-charset", "rot13", "utf-8", "zlib"])
def test_declared_charset_of_no_use(name):
    data = f"I:abc-charset {name}\n".encode() + b"T:caf\xe9"
    assert decode(data).endswith("T:café")


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\r\r\n"])
def test_line_ends(end):
    got = cut(TEXT.replace("\n", end))
    assert [tune.lines for tune in got] == [tuple(TUNE), tuple(OTHER)]
    assert [tune.line for tune in got] == [1, 8]


def test_mixed_line_ends():
    got = cut("\r\n".join(TUNE) + "\n\r\n" + "\r".join(OTHER))
    assert [tune.lines for tune in got] == [tuple(TUNE), tuple(OTHER)]


@pytest.mark.parametrize(
    "data",
    [
        b"MThd\0\0\0\6\0\0\0\1\0\x60MTrk\0\0\0\x0b\0\x90\x3c\x40\x60\x80\x3c\0\0\xff\x2f\0",
        bytes(range(256)) * 40,
        b"\0" * 100 + b"X:1",
    ],
)
def test_binary_files_are_rejected(data):
    with pytest.raises(Rejected) as rejected:
        decode(data)
    assert rejected.value.reason == "not_text"


def test_a_damaged_spot_and_padding_leave_a_tunebook_readable():
    data = TEXT.encode() * 20
    data = data[:500] + b"\0\0" + data[500:] + b"\x1a" + b"\0" * 5000
    assert decode(data).replace("\n", "") == (TEXT * 20).replace("\n", "")
    assert len(cut(decode(data))) == 40


def test_nothing():
    assert decode(b"") == ""
    assert cut("") == cut("\n\n") == []


# Where tunes begin and end


def test_two_tunes():
    assert cut(TEXT) == [
        TuneText(1, tuple(TUNE), "1", (), 0),
        TuneText(8, tuple(OTHER), "2", (), 0),
    ]


def test_next_x_ends_a_tune():
    got = cut("\n".join([*TUNE, *OTHER]))
    assert [tune.lines for tune in got] == [tuple(TUNE), tuple(OTHER)]


@pytest.mark.parametrize(
    ("line", "reference"),
    [("X:17", "17"), ("X: 17 % seventeen", "17"), ("  \tX:3a", "3a"), ("X:", ""), ("\xa0X:4", "4")],
)
def test_reference(line, reference):
    (tune,) = cut("\n".join(["Some prose.", "", line, *TUNE[1:]]))
    assert (tune.reference, tune.line) == (reference, 3)


@pytest.mark.parametrize("line", ["X :1", "x:1", "AX:1", "% X:1", "T:X:1"])
def test_no_reference(line):
    assert len(cut(line + "\nK:C")) == 0


def test_empty_tunes_and_duplicates_stay_their_own():
    got = cut("X:1\nX:1\nT:a\nK:C\nc4|\nX:1\n")
    assert [tune.lines for tune in got] == [("X:1",), ("X:1", "T:a", "K:C", "c4|"), ("X:1",)]


def test_blank_and_comment_lines_in_the_header():
    lines = ["X:1", "", "T:a", "% note", "", "", "M:3/4", "L:1/8", "K:G", "", "%%MIDI program 1"]
    lines += ["", "GAB d2 B|", "dBG A2 G|"]
    (tune,) = cut("\n".join([*lines, "", "Some words about it."]))
    assert tune.lines == tuple(lines)


def test_header_without_music_does_not_take_prose():
    got = cut("X:1\nT:Lost\nK:D\n\nThe music of this one is lost, alas.\n\n" + "\n".join(OTHER))
    assert [tune.lines for tune in got] == [("X:1", "T:Lost", "K:D"), tuple(OTHER)]


def test_prose_right_under_a_tune_stays_with_it():
    (tune,) = cut("\n".join([*TUNE, "Learned from my uncle.", "", "He was old."]))
    assert tune.lines == (*TUNE, "Learned from my uncle.")
    assert [is_music(line) for line in tune.lines] == [False] * 5 + [True, False]
    assert tune.left_over == 0


def test_music_after_a_blank_line_is_left_over_and_told():
    text = "\n".join([*TUNE, "", "words", "A2 F2 D4|", "A2 F2 E4|", "", *OTHER])
    first, second = cut(text)
    assert (first.lines, first.left_over) == (tuple(TUNE), 9)
    assert (second.lines, second.left_over) == (tuple(OTHER), 0)


def test_a_part_after_a_blank_line_is_left_over():
    (tune,) = cut("\n".join([*TUNE, "", "P:B", "A2 F2 D4|"]))
    assert (tune.lines, tune.left_over) == (tuple(TUNE), 9)


def test_tune_without_reference():
    lines = ["T:No number", "R:reel", "M:4/4", "K:A", "a2 e2 c2 e2|a4 a4|"]
    text = "\n".join(["Our tunes:", "", *lines, "", *lines[:1], "", *TUNE])
    got = cut(text)
    assert [tune.lines for tune in got] == [tuple(lines), tuple(TUNE)]
    assert [(tune.reference, tune.line, tune.left_over) for tune in got] == [
        ("", 3, 0),
        ("1", 11, 0),
    ]


def test_tune_without_reference_after_a_tune():
    lines = ["T:No number", "K:A", "a2 e2 c2 e2|a4 a4|"]
    got = cut("\n".join([*TUNE, "", *lines, "", "T:Only a title", "Nothing more."]))
    assert [tune.lines for tune in got] == [tuple(TUNE), tuple(lines)]
    assert [tune.left_over for tune in got] == [0, 0]


@pytest.mark.parametrize(
    "text",
    [
        "T: 08-123 45\nM: 070-12 34\nK: Anna\nWe meet on Mondays.",
        "Q: What is ABC?\nA: A notation.\nT: thanks",
        "T:a\nK:C",
        "T:a\nc2 d2|e4|",
        "A bad egg.",
        "c2 d2|e4|",
    ],
)
def test_no_tune(text):
    assert cut(text) == []


def test_title_above_the_reference_belongs_to_the_tune():
    (tune,) = cut("Prose.\nT:The First\nR:reel\nX:1\nK:D\nd4|")
    assert tune == TuneText(2, ("T:The First", "R:reel", "X:1", "K:D", "d4|"), "1", (), 0)


def test_file_header():
    header = ["%abc-2.1", "%%MIDI program 73", "", "M:6/8", "O:Ireland", "% remark", "L:1/8"]
    got = cut("\n".join([*header, "", *TUNE, "", *OTHER]))
    assert [tune.file_header for tune in got] == [
        ("%%MIDI program 73", "M:6/8", "O:Ireland", "L:1/8")
    ] * 2
    assert [tune.line for tune in got] == [9, 16]


def test_file_header_right_above_the_first_tune():
    (tune,) = cut("\n".join(["M:6/8", *TUNE]))
    assert tune == TuneText(2, tuple(TUNE), "1", ("M:6/8",), 0)


def test_fields_after_prose_are_no_file_header():
    got = cut("\n".join(["Tunes of our club", "", "M:6/8", "", *TUNE]))
    assert got == [TuneText(5, tuple(TUNE), "1", (), 0)]


# Blocks of text


def test_blocks_of_text_are_no_music_and_do_not_end_a_tune():
    text = ["%%begintext", "Dance: A2|B2|c2", "", "T:no title", "%%endtext"]
    (tune,) = cut("\n".join([*TUNE[:4], *text, *TUNE[4:], *text, "a4 a4|]"]))
    blank = ["%%begintext", "", "", "", "%%endtext"]
    assert tune.lines == (*TUNE[:4], *blank, *TUNE[4:], *blank, "a4 a4|]")


def test_block_without_an_end():
    got = cut("\n".join([*TUNE, "%%begintext", "a4|", "", "b4 c4|", "prose", *OTHER]))
    assert [tune.lines for tune in got] == [(*TUNE, "%%begintext", "a4|"), tuple(OTHER)]
    assert [tune.left_over for tune in got] == [10, 0]


# Markup


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("<abc>\n", "\n</abc>"),
        ("<abc>", "</abc>"),
        ('<score lang="ABC" sound="1">\n', "\n</score> and text"),
        ('<html><body class="a"><pre>', "</pre>\n</body></html>"),
        ("<nowiki><pre>\n", "\n</pre></nowiki>"),
        ("(:music:)\n", "\n(:musicend:)"),
        ("(:music:)", "(:musicend:)\n[[Links]]"),
        ("```abc\n", "\n```"),
        ("[abc]\n", "\n[/abc]"),
        ("[abc=x]", "[/abc]"),
        ("\\begin{abc}[name=x]\n", "\n\\end{abc}"),
        ("#+begin_src abc\n", "\n#+end_src"),
        ('<textarea name="t">', "</textarea>"),
        ("{%abc%}\n", "\n{%endabc%}"),
        ("{{< abc >}}\n", "\n{{< /abc >}}"),
        ("{{{\n", "\n}}}"),
        ("{{abc\n", "\n}}"),
        ("~~~abc\n", "\n~~~"),
        (":::abc\n", "\n:::"),
        ("[code]\n", "\n[/code]"),
        ("<file abc x.abc>\n", "\n</file>"),
        ("<![CDATA[\n", "\n]]>"),
        ("<!--\n", "\n-->"),
    ],
)
def test_markup_around_a_tune(before, after):
    got = cut(f"Words | and | more.\n{before}{TEXT.strip()}{after}\nThis is <b>text</b>, <i>a</i>.")
    assert [tune.lines for tune in got] == [tuple(TUNE), tuple(OTHER)]
    assert [tune.left_over for tune in got] == [0, 0]
    first = 2 + before.count("\n")
    assert [tune.line for tune in got] == [first, first + len(TUNE) + 1]


def test_tags_at_the_ends_of_lines():
    got = cut("<p>" + "<br>\n".join(TUNE) + "<br/></p>\n<p>" + "</p>\n<p>".join(OTHER) + "</p>")
    assert [tune.lines for tune in got] == [tuple(TUNE), tuple(OTHER)]


def test_entities_in_a_dump_of_a_wiki():
    tune = ["X:1", 'T:Jack & "Jill"', "K:G", '"G"G>A B<c & z4|"D7"d4:|']
    page = "Text.\n<score>\n" + "\n".join(tune) + "\n</score>\nMore."
    dump = f"<mediawiki><page><text>{html.escape(page)}</text></page></mediawiki>"
    (got,) = cut(dump)
    assert got.lines == tuple(tune)
    assert got.line == 3


def test_entities_inside_entities():
    (tune,) = cut("X:1\nT:D&amp;eacute;j&amp;#224; &amp;amp;lt;b&amp;gt;&amp;#10;\nK:D\nd4|\ne4|")
    assert tune.lines == ("X:1", "T:D\xe9j\xe0 &lt;b> ", "K:D", "d4|", "e4|")


def test_entities_never_make_lines():
    (tune,) = cut("X:1\nT:a&#10;K:C&#13;&#0;\nK:D\nd4|")
    assert tune.lines == ("X:1", "T:a K:C \ufffd", "K:D", "d4|")


def test_broken_rhythm_is_no_tag():
    lines = ["X:1", "K:C", "A<b>c e<dd>c|A<B c>d|e<A | {F}G>A|a</b>c d/2<c/2 &deg|(3a<c>d"]
    (tune,) = cut("\n".join(lines))
    assert tune.lines[:2] == tuple(lines[:2])
    # </b> is a tag: no music has it.
    assert tune.lines[2] == lines[2].replace("</b>", "")


@pytest.mark.parametrize("prefix", [" ", "\t", "> ", ">> ", "> > ", ">"])
def test_indented_and_quoted(prefix):
    text = "\n".join((prefix + line).rstrip() for line in TEXT.split("\n"))
    got = cut("On Monday she wrote:\n" + text)
    assert [tune.lines for tune in got] == [tuple(TUNE), tuple(OTHER)]
    assert [tune.line for tune in got] == [2, 9]


def test_text_between_tunes_on_one_line_with_tags():
    got = cut("<abc>\nX:1\nK:C\nc4|</abc> and then a|b|: <abc>X:2\nK:D\nd4|\n</abc>")
    assert [(tune.line, tune.lines) for tune in got] == [
        (2, ("X:1", "K:C", "c4|")),
        (4, ("X:2", "K:D", "d4|")),
    ]


# Hostile files


def seconds(text: str, count: int) -> float:
    started = time.process_time()
    assert sum(1 for _ in tunes(text)) == count
    return time.process_time() - started


@pytest.mark.slow
@pytest.mark.parametrize(
    ("piece", "count"),
    [
        ("X:\n", 1.0),
        ("X:1\nK:C\n\n", 1.0),
        ("%%begintext\n", 0),
        ("T:a\n\n", 0),
        ("T:a\nX:1\n", 1.0),
        ("<abc>", 0),
        ("&lt;", 0),
        ("<a b=", 0),
        ("(:a", 0),
        ("[abc=", 0),
        ("\\begin{", 0),
        ("\r", 0),
        ("> ", 0),
        ('"', 0),
        ("[K:", 0),
        ("{c", 0),
        ("abcd", 0),
        (" ", 0),
    ],
)
def test_time_is_linear(piece, count):
    small, large = 5_000, 80_000
    seconds(piece * small, small * count)
    first = max(seconds(piece * small, small * count), 0.002)
    # Sixteen times as much; quadratic would be 256 times.
    assert seconds(piece * large, large * count) < 80 * first


@pytest.mark.parametrize("piece", ["a|", '"', "{c", "[K:", "|", "c'", "(", "uvk", "\\"])
def test_long_lines(piece):
    text = "X:1\nK:C\n" + piece * (1_000_000 // len(piece))
    started = time.process_time()
    (tune,) = cut(text)
    assert len(tune.lines[2]) > 900_000
    assert time.process_time() - started < 1


@pytest.mark.parametrize("begin", ["```", "(:a", "<p ", "\\begin{", "%%", "X:", "[abc=", "&"])
@pytest.mark.parametrize("filling", [" ", "a", "\t>"])
def test_long_lines_of_markup(begin, filling):
    text = begin + filling * (500_000 // len(filling)) + "!"
    started = time.process_time()
    assert len(cut(text)) == (begin == "X:")
    assert time.process_time() - started < 2


@pytest.mark.parametrize("piece", [b"a\xe9", b"\xe9\n", b"\r", b"a", b"I:abc-charset x\n"])
def test_decoding_takes_linear_time(piece):
    data = piece * (1_000_000 // len(piece)) + b"\xe9"
    started = time.process_time()
    decode(data)
    assert time.process_time() - started < 5


# Real tunebooks


def shared_files(corpora):
    files = sorted((corpora / "abc").rglob("*.abc"))
    assert len(files) > 1000
    return files


def test_shared_tunebooks(corpora):
    """Every `X:` is a tune, every line of it is its file's, every line of music is one."""
    counts = {}
    for path in shared_files(corpora):
        text = decode(path.read_bytes())
        file = re.split(r"\r\n|\r|\n", text)
        got = cut(text)
        folder = path.parent.name
        counts[folder] = counts.get(folder, 0) + len(got)
        assert len(got) == sum(line.startswith("X:") for line in file)
        for tune in got:
            assert tune.left_over == 0
            in_file = file[tune.line - 1 : tune.line - 1 + len(tune.lines)]
            assert [line.strip() for line in tune.lines] == [line.strip() for line in in_file]
            key = next(i for i, line in enumerate(tune.lines) if line.startswith("K:"))
            for line in tune.lines[key:]:
                if line.strip() and not re.match(r"[A-Za-z]:(?![|:])|%", line):
                    assert is_music(line), (path, line)
    assert counts == {
        "nottingham": 1034,
        "oneills1850": 2009,
        "ryansMammoth": 1059,
        "airdsAirs": 1180,
        "litten-ms": 115,
    }


@pytest.mark.slow
def test_speed(corpora):
    """Far below what reading a tune costs, so that it does not matter."""
    texts = [decode(path.read_bytes()) for path in shared_files(corpora)]
    best = min(sum(seconds(text, len(cut(text))) for text in texts) for _ in range(3))
    assert best / 5397 < 0.0002
    assert tunebook.tunes is tunes
