"""Lines of tunes: which are music and which are prose."""

import pytest

from pipelines.music.abc.lines import is_music
from pipelines.music.abc.tunebook import decode, tunes


@pytest.mark.parametrize(
    "line",
    [
        "GABc dedB|dedB dedB|c2ec B2dB|c2A2 A2BA|",
        '"Am"A2 "G7"B2|',
        "d",
        "DE \\",
        "::",
        '"A"\\',
        "gfed cdef gaga bagf",
        "!trill!c4 +fermata+d4|",
        "[K:D] [CEG]4 [1 c4:|[2 d4|]",
        "{gef}e2 ~g3 T(3abc .d|",
        "z8|Z4|x4|",
        "_B^c=d __e ^^f|",
        "vkG2 z ukA2 z |kB2 z kc2 z|",
        "nc2 d2 e2 c2|nc4 c4|",
        " d2 [A2f2] [F2d2] H:|",
        "c:|",
        "& d4 e4|",
        "A2 B2 % and a long remark that is no music",
        "|: g2 bg aged | edef gdB2 |1 gfga bagf :|2 edef g2g2 || D.C.",
        # Dotted ties and slurs.
        '"A"A.-A "B".(ce/)d/!fermata!|\\',
    ],
)
def test_music(line):
    assert is_music(line)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "   ",
        "T:A B C D",
        "w: a-bad egg|",
        "% A2 B2|",
        "A bad egg.",
        "The dance begins with the left foot.",
        "| name | what it is |",
        "|---|---|",
        "----------",
        "page 12",
        "1850",
        "12:30",
        "D.C. al Fine",
        "Feb. 3",
        '"Keep it", he said.',
        "Zuerst geht man drei Schritte nach rechts, dann dreht man sich.",
        "Die Melodie stammt aus dem 18. Jahrhundert (Abb. 3).",
        "Dansen börjar med vänster fot | låten spelas två gånger",
        "Polska efter Byss-Kalle, upptecknad av Nils L, 2007-12-14",
        "THE DUBLIN REEL | THE OLD WALTZ",
        "http://example.org/abc/c2d2.html",
        "See [1] and [2].",
        "= Heading =",
        "* [[Polska]]",
        "def add(a, b): return a",
    ],
)
def test_prose(line):
    assert not is_music(line)


def test_prose_beside_the_shared_tunebooks(corpora):
    files = [*(corpora / "abc").rglob("*.txt"), *corpora.rglob("*.md")]
    lines = [line for path in files for line in decode(path.read_bytes()).split("\n")]
    assert len(lines) > 500
    assert [line for line in lines if is_music(line)] == []
    assert list(tunes("\n".join(lines))) == []
