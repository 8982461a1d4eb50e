"""Measures how the time to read ABC grows with the text: it should grow no faster than the text.

    python -m experiments.tunes.growth --json=experiments/tunes/growth.json

Each of some 240 shapes, a few signs over and over, is made in sizes that double from 1 kB to 64 kB,
and read as `convert` reads a file: bytes, tunes, notes. Of several tries the fastest counts, in the
processor time of the thread, with the garbage collector off. The exponent is the slope of time over
size in double logarithms over the last doublings: 1 is linear, 2 quadratic. Shapes over 1.2, or
over a second at 64 kB, are marked.

The table goes to stdout, the slowest first.
"""

import gc
import math
import re
import time
from collections.abc import Sequence
from typing import NamedTuple

from absl import flags

from pipelines.music.abc import reader, tunebook
from pipelines.music.limits import Rejected
from pipelines.runtime import app, files
from pipelines.runtime.progress import Progress

FLAGS = flags.FLAGS

SIZES = tuple(1024 << doubling for doubling in range(7))
MAX_EXPONENT = 1.2
MAX_SECONDS = 1.0
# The exponent is taken from here on: below, what every tune costs hides the growth.
_FROM = 8 * 1024
# Doubtful exponents are measured again, with so many times the tries.
_AGAIN = 4


class Shape(NamedTuple):
    """A text of any size.

    Attributes:
      unit: what is repeated.
      before, after: what stands around all of it.
      closing: what is repeated as often after the units.
      header: the fields before it; "" for a file of its own making.
    """

    unit: str
    before: str = ""
    after: str = ""
    closing: str = ""
    header: str = "X:1\nT:Shape\nM:4/4\nL:1/8\nK:C\n"

    def text(self, size: int) -> str:
        """The text with about this many characters."""
        left = size - len(self.header) - len(self.before) - len(self.after)
        count = max(1, left // (len(self.unit) + len(self.closing)))
        repeated = self.unit * count
        return f"{self.header}{self.before}{repeated}{self.closing * count}{self.after}\n"


_MACROS = "X:1\nm:c=cd\nm:d=e\nU:t=!trill!\nL:1/8\nK:C\n"
_PARTS = "X:1\nL:1/8\nP:A2(B3C)2\nK:C\n"
_FIELDS = "X:1\nT:Shape\n"

SHAPES: dict[str, Shape] = {
    # Music as it is
    "notes": Shape("cdef gabc'|"),
    "notes in lines": Shape("cdef gabc'|\n"),
    "one long line of notes": Shape("c"),
    "repeats and endings": Shape("|:cdef gabc|1 c8:|2 d8|]\n"),
    "two-note tunes": Shape("X:1\nK:C\ncd|\n\n", header=""),
    # Bar lines
    "bar lines": Shape("|"),
    "bar lines in lines": Shape("|\n"),
    "colons": Shape(":"),
    "double colons": Shape("c::"),
    "opening repeats": Shape("|:c"),
    "closing repeats": Shape("c:|"),
    "both repeats": Shape("|:c:|"),
    "repeats in a row": Shape("|:|:"),
    "closing in a row": Shape("c:|:|", after="c"),
    "thick bar lines": Shape("c|]"),
    "bracket bars": Shape("[|"),
    "bracket bars closed": Shape("[|]"),
    "bars of all kinds": Shape("c|[|]:|::||:|]"),
    "dotted bar lines": Shape(".|"),
    "bar lines then a note": Shape("|]", after="c"),
    "brackets and colons": Shape("]:"),
    # Endings
    "first endings": Shape("c|1 "),
    "second endings": Shape("c|2 "),
    "endings of digits": Shape("c[12 "),
    "an ending of many digits": Shape("1", before="c|", after=" c|"),
    "an ending of many passes": Shape("1,", before="c|", after=" c|"),
    "an ending of many ranges": Shape("1-", before="c|", after=" c|"),
    "many endings of one repeat": Shape("[3 c|", before="|:c|[1 c:|"),
    "endings by text": Shape('["1" c|'),
    "endings by text, open": Shape('["1"c'),
    "numbers apart": Shape("| 1 c"),
    "meters in bars": Shape("c|2/4 "),
    "fractions of many digits": Shape("1", before="c|", after="/4 c|"),
    # Quotes
    "quotes": Shape('"'),
    "chord symbols": Shape('"Am"c'),
    "empty quotes": Shape('""'),
    "quotes and notes": Shape('"c'),
    "a long quote": Shape("a", before='c"', after='"c'),
    "an open quote": Shape("a ", before='c"'),
    "brackets and quotes": Shape('["'),
    "chord symbols of many signs": Shape("maj", before='"C', after='"c|'),
    "chord symbols of digits": Shape('"C(7(9(11(13b"'),
    # Lengths, pitches, rhythms
    "broken rhythm": Shape("c>"),
    "a chain of >": Shape(">", before="c", after="c"),
    "a chain of > and notes": Shape("c>>>d"),
    "a chain of <": Shape("c<<"),
    "both broken": Shape("c><"),
    "broken rhythms apart": Shape("> ", before="c"),
    "broken rhythms and decorations": Shape(">~", before="c"),
    "broken rhythms and spacers": Shape(">y", before="c"),
    "broken rhythms and bars of rests": Shape(">Z", before="c"),
    "bars of rests, broken, and brackets": Shape("X`}>]"),
    "a chain of < and >": Shape("<>", before="c", after="c"),
    "digits": Shape("1", before="c"),
    "digits alone": Shape("1"),
    "slashes": Shape("/", before="c"),
    "slashes and digits": Shape("/2", before="c"),
    "lengths": Shape("c99/99"),
    "octave marks": Shape("'", before="c"),
    "octave marks down": Shape(",", before="C"),
    "accidentals": Shape("^"),
    "accidentals and notes": Shape("^^c__d=e"),
    "ties": Shape("c-"),
    "tie signs": Shape("-"),
    "ties in unison": Shape("[cc]-"),
    "ties that end nowhere": Shape("c-|d-|"),
    "dotted ties": Shape(".-"),
    "quarter tones": Shape("^1/2"),
    "rests": Shape("z"),
    "bars of rests": Shape("Z"),
    "many bars of rests": Shape("Z99|"),
    # Tuplets, slurs, groups
    "triplets": Shape("(3cde"),
    "quintuplets": Shape("(5cdefg|"),
    "nested triplets": Shape("(3"),
    "nested triplets with notes": Shape("(3c(3"),
    "nested counted tuplets": Shape("(3:2:99c"),
    "tuplets of many notes": Shape("(9:8:999c"),
    "tuplet colons": Shape("(3:::"),
    "doubtful tuplets in one bar": Shape("A(5"),
    "doubtful tuplets over bar lines": Shape("[|]A(5"),
    "doubtful tuplets in bars": Shape("A(5A|"),
    "tuplets of more notes than follow": Shape("(5:4:9A"),
    "nested slurs": Shape("(", closing=")"),
    "slurs around notes": Shape("(c", closing=")"),
    "open slurs": Shape("("),
    "closing slurs": Shape("c)"),
    "nested braces": Shape("{", closing="}"),
    "grace notes": Shape("{gab}c"),
    "one long grace": Shape("g", before="c{", after="}c"),
    "open braces": Shape("{c"),
    "closing braces": Shape("}"),
    "braces in music": Shape("c{^g"),
    "nested brackets": Shape("[", closing="]"),
    "chords": Shape("[ceg]"),
    "one large chord": Shape("c", before="[", after="]"),
    "open brackets": Shape("[c"),
    "closing brackets": Shape("]"),
    "chords of quotes": Shape('["1"c"2"e]'),
    "old chords": Shape("+ceg+"),
    "plus signs": Shape("+"),
    "plus signs and notes": Shape("+c", before="["),
    "plus signs in chords": Shape("[+a+c]"),
    "one chord of plus signs": Shape("+ab+", before="[", after="c]"),
    # Decorations
    "named decorations": Shape("!trill!c"),
    "exclamation marks": Shape("!"),
    "open decorations": Shape("!a"),
    "decoration letters": Shape("~"),
    "letters of decorations": Shape("HTuv"),
    "dots": Shape("."),
    "jumps": Shape("!D.C.!c"),
    "long named decorations": Shape("!aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!c"),
    # Voices, overlays, parts
    "overlays": Shape("c&"),
    "overlay signs": Shape("&"),
    "long overlays": Shape("(&c|d&e|f&)"),
    "open long overlays": Shape("(&c|"),
    "layers of one long overlay": Shape("c|&", before="(&", after="&)"),
    "bars of one long overlay": Shape("c|", before="(&", after="&c|&)"),
    "voices by turns": Shape("[V:1]c|[V:2]d|"),
    "ever more voices": Shape("V:{}\nc|\n"),
    "voices in lines": Shape("V:1\nc|\nV:2\nd|\n"),
    "labels of parts": Shape("P:A\nc|\n"),
    "labels in a repeat": Shape("P:A\nc|\n", before="|:c|\n", after="c:|\n"),
    "labels in music": Shape("[P:A]c|"),
    "an order of parts": Shape("A", before="P:", after="\nK:C\nP:A\nc|\n", header=_FIELDS),
    "a nested order of parts": Shape(
        "(", before="P:", closing="A)2", after="\nK:C\nP:A\nc|\n", header=_FIELDS
    ),
    "parts that are played": Shape("P:A\nc|\nP:B\nd|\nP:C\ne|\n", header=_PARTS),
    # Fields
    "inline keys": Shape("[K:D]c"),
    "inline meters": Shape("[M:3/4]c"),
    "inline tempos": Shape("[Q:1/4=120]c"),
    "inline fields, open": Shape("[K:"),
    "inline notes": Shape("[N:a]"),
    "a long key": Shape(" ^c", before="K:C exp", after="\nc|\n", header=_FIELDS),
    "a long meter": Shape("1+", before="M:", after="1/4\nK:C\nc|\n", header=_FIELDS),
    "a long tempo": Shape("1/4 ", before="Q:", after="=60\nK:C\nc|\n", header=_FIELDS),
    "a long voice name": Shape(" a", before='V:1 name="', after='"\nK:C\nc|\n', header=_FIELDS),
    "quotes in a tempo": Shape('"a', before="Q:", after="\nK:C\nc|\n", header=_FIELDS),
    "title lines": Shape("T:Shape\n", after="K:C\nc|\n"),
    "one long title": Shape("a b ", before="T:", after="\nK:C\nc|\n", header=_FIELDS),
    "notes that go on": Shape("+:more\n", before="N:a\n", after="K:C\nc|\n", header=_FIELDS),
    "a history that goes on": Shape("more of it\n", before="H:a\n", after="K:C\nc|\n"),
    "text in front of the key": Shape("cdef|\n", after="K:C\nc|\n", header=_FIELDS),
    "macros": Shape("cdc|", header=_MACROS),
    "definitions of macros": Shape("m:c=d\n", after="K:C\nc|\n", header=_FIELDS),
    "definitions of signs": Shape("U:t=!trill!\n", after="K:C\ntc|\n", header=_FIELDS),
    "defined signs": Shape("tc", header=_MACROS),
    "lyrics": Shape("c|\nw:la la la\n"),
    "one long lyric": Shape("la- ", before="c|\nw:"),
    "words at the end": Shape("W:la la la\n", before="c|\n"),
    "directives": Shape("%%MIDI program 1\nc|\n"),
    "blocks of text": Shape("%%begintext\na\n%%endtext\n", before="c|\n"),
    "open blocks of text": Shape("%%begintext\nc|\n", before="c|\n"),
    "spaces in a directive": Shape(" ", before="c|\n%%MIDI", after="x\nc|"),
    # Lines, prose, markup
    "blank lines": Shape("\n", before="c|\n", after="c|"),
    "blank lines in a header": Shape("\n", after="K:C\nc|\n", header=_FIELDS),
    "spaces": Shape(" ", before="c|"),
    "spaces before a note": Shape(" ", after="c|"),
    "tabs": Shape("\t \t", before="c|"),
    "carriage returns": Shape("\r", before="c|"),
    "carriage returns and notes": Shape("c|\r"),
    "double carriage returns": Shape("c|\r\r\n"),
    "backslashes": Shape("\\"),
    "lines that go on": Shape("c|\\\n"),
    "comments": Shape("% a comment\n", before="c|\n"),
    "comment signs": Shape("%"),
    "escaped comment signs": Shape("\\%", before="c|"),
    "comments behind music": Shape("c|% cde\n"),
    "entities": Shape("&eacute;"),
    "entities in entities": Shape("&amp;", before="c|"),
    "amp before an entity": Shape("amp;", before="c|&", after="eacute;"),
    "open tags": Shape("<p", before="c|"),
    "tags": Shape("<p>c|</p>"),
    "open tags with spaces": Shape("<br "),
    "links": Shape("<a href=", before="c|"),
    "signs of tags": Shape("<", before="c|", after="c"),
    "wiki braces": Shape("{{{", before="c|"),
    "liquid": Shape("{% a ", before="c|"),
    "forum tags": Shape("[code=", before="c|"),
    "wiki colons": Shape("(:a ", before="c|"),
    "fences": Shape("```\n", before="c|\n"),
    "one long fence": Shape("`", before="c|\n"),
    "rules": Shape("-----\n", before="c|\n"),
    "one long rule": Shape("-8<", before="c|\n---", after="x"),
    "tex": Shape("\\begin{", before="c|"),
    "prose": Shape("This is a fine tune of Denis.\n", before="c|\n"),
    "prose in one line": Shape("This is a fine tune. ", before="c|\n"),
    "words of notes": Shape("a bad egg ", before="c|\n"),
    "names": Shape("Bob Dave ", before="c|\n"),
    "words of i and o": Shape("io", before="c|\n"),
    "letters and spaces": Shape("i c ", before="c|\n"),
    "words behind music": Shape("c|fine "),
    "fields behind music": Shape("c| B:"),
    "capitals": Shape("D. C", before="c|\n"),
    "one long word": Shape("c", before="c|\nio", after="!"),
    "mail quotes": Shape("> ", before="c|\n", after="c|"),
    "mail ends": Shape("c|=20\n"),
    "mail equals": Shape("=", before="c|"),
    "control signs": Shape("\x1b[0m", before="c|"),
    "null bytes": Shape("c|\n" * 40 + "\0"),
    "accents": Shape("\xe9", before="c|\n"),
    "X lines": Shape("X:1\n", header=""),
    "X in X lines": Shape("X:", header=""),
    "fields without X": Shape("T:a\nK:C\n", header=""),
    "fields without music": Shape("T:a\n", header=""),
    "block tags": Shape("<div>c|"),
    "block tags around lines": Shape("<div>\nc|\n</div>\n"),
    # What is together only a few at a time
    "tempos by turns": Shape("[Q:1/4=120]c[Q:1/4=121]d"),
    "keys by turns": Shape("[K:D]c[K:C]d"),
    "meters by turns": Shape("[M:3/4]c6|[M:2/4]c4|"),
    "ever more voices with parts": Shape("V:{}\nc|\nP:A\n"),
    "ever more voices with overlays": Shape("V:{}\nc&d|\n"),
    "one chord in unison, tied": Shape("c", before="[", after="]-[cccc]"),
    "large chords in unison, tied": Shape("[" + "c" * 400 + "]-|"),
    "endings for a pass that was before": Shape("[12 c|", before="|:c|[1-11 c|"),
    "spaces in a meter": Shape(" ", before="M:1", after="x\nK:C\nc|", header=_FIELDS),
    "spaces in a key": Shape(" ", before="K:C", after="x\nc|", header=_FIELDS),
    "spaces in a unit": Shape(" ", before="L:1", after="/8\nK:C\nc|", header=_FIELDS),
    "spaces in a tempo": Shape(" ", before="Q:1/4", after="=60\nK:C\nc|", header=_FIELDS),
    "spaces in a voice": Shape(" ", before="V:1", after="x\nK:C\nc|", header=_FIELDS),
    "spaces in a transposition": Shape(" ", before="K:C t=", after="x\nc|", header=_FIELDS),
    "names of a voice": Shape(' name="', before="V:1", after="\nK:C\nc|", header=_FIELDS),
    "accidentals of a key": Shape("^", before="K:C ", after="\nc|", header=_FIELDS),
    "a title of brackets": Shape("(", before="T:", after="\nK:C\ncdefgabc|", header=_FIELDS),
    "a title of commas": Shape(",", before="T:", after=" The\nK:C\ncdefgabc|", header=_FIELDS),
    "a title of articles": Shape("The ", before="T:", after="\nK:C\ncdefgabc|", header=_FIELDS),
    "a title of spaces": Shape(" ", before="T:a", after="b\nK:C\ncdefgabc|", header=_FIELDS),
    "a title of digits": Shape("1", before="T:", after="\nK:C\ncdefgabc|", header=_FIELDS),
    "a title of signs": Shape("'-/\"", before="T:", after="\nK:C\ncdefgabc|", header=_FIELDS),
    "titles with aliases": Shape("a, or b; aka ", before="T:", after="\nK:C\nc|", header=_FIELDS),
    "an alias in brackets": Shape("(a", closing=")", before="T:", after="\nK:C\nc|"),
    # Lengths that divide a whole note by ever more numbers
    "ever more denominators in one bar": Shape("c/{} "),
    "ever more denominators in bars": Shape("c/{}|"),
    "ever more denominators in repeats": Shape("|:c/{}:|"),
    "ever more denominators in chords": Shape("[c/{}e]"),
    "ever more denominators of rests": Shape("z/{} ", after="c"),
    "ever more denominators in broken rhythm": Shape("c/{}>"),
    "ever more denominators in doubtful tuplets": Shape("(5c/{}"),
    "ever more denominators in tuplets": Shape("({}:2:1c"),
    "ever more denominators with tempos": Shape("[Q:1/{}={}7]c/{}|"),
    # Mixtures
    "mixture of signs": Shape('(3[|"{!+&>/:-]'),
    "mixture of opening signs": Shape('([{"!+'),
    "mixture of closing signs": Shape(')]}"!+'),
    "mixture of bars and quotes": Shape('|:"[1'),
    "mixture of chords and slurs": Shape("([c-(3"),
    "mixture of fields and endings": Shape("[K:D][1 c:|"),
    "mixture of lines": Shape("c|\nV:2\nd&e|\nP:A\nw:la\n% a\n|:c>d:|\n"),
}


def text_of(name: str, size: int) -> str:
    """The text of a shape; those with {} count there."""
    text = SHAPES[name].text(size)
    if "{}" in SHAPES[name].unit:
        numbers = iter(range(size))
        text = re.sub(r"\{\}", lambda _: str(next(numbers)), text)
    return text


def read(data: bytes) -> None:
    """Reads a tunebook as `convert` does; tunes that are rejected too."""
    for tune in tunebook.tunes(tunebook.decode(data)):
        try:
            reader.read(tune)
        except Rejected:
            continue


def seconds(data: bytes, tries: int) -> float:
    """The least time that reading took, in processor time of this thread."""
    least = math.inf
    for _ in range(tries):
        begin = time.thread_time()
        read(data)
        least = min(least, time.thread_time() - begin)
    return least


class Growth(NamedTuple):
    """How a shape grows.

    Attributes:
      name: the shape.
      times: seconds at each of `SIZES`.
      exponent: how time grows with size.
    """

    name: str
    times: tuple[float, ...]
    exponent: float

    def holds(self) -> bool:
        """Whether it is as fast as it has to be."""
        return self.exponent <= MAX_EXPONENT and self.times[-1] < MAX_SECONDS


def exponent(sizes: Sequence[int], times: Sequence[float]) -> float:
    """The slope of the logarithms of times over those of sizes, by least squares."""
    points = [(math.log(size), math.log(max(time, 1e-9))) for size, time in zip(sizes, times)]
    middle_x = sum(x for x, _ in points) / len(points)
    middle_y = sum(y for _, y in points) / len(points)
    above = sum((x - middle_x) * (y - middle_y) for x, y in points)
    return above / sum((x - middle_x) ** 2 for x, _ in points)


def measure(name: str, tries: int, sizes: Sequence[int] = SIZES) -> Growth:
    """Measures a shape, and again where it would fail: other work on the machine disturbs."""
    texts = [text_of(name, size).encode() for size in sizes]
    gc.disable()
    try:
        times: list[float] = []
        for text in texts:
            # What is far too slow is not waited for.
            if times and times[-1] > 4 * MAX_SECONDS:
                break
            times.append(seconds(text, tries if not times or times[-1] < 1 else 1))
        growth = _growth(name, sizes, times)
        if not growth.holds() and times[-1] < 2 * MAX_SECONDS:
            again = [seconds(text, _AGAIN * tries) for text in texts[: len(times)]]
            growth = _growth(name, sizes, list(map(min, times, again)))
    finally:
        gc.enable()
        gc.collect()
    return growth


def _growth(name: str, sizes: Sequence[int], times: Sequence[float]) -> Growth:
    measured = [(size, time) for size, time in zip(sizes, times) if size >= _FROM]
    if len(measured) < 2:
        measured = list(zip(sizes, times))
    return Growth(name, tuple(times), exponent(*zip(*measured, strict=True)))


def table(grown: Sequence[Growth]) -> str:
    """The measurements as Markdown, the steepest first."""
    lines = ["| shape | 1 kB, ms | 8 kB | 64 kB | exponent | |", "|---|---:|---:|---:|---:|---|"]
    for each in sorted(grown, key=lambda growth: -growth.exponent):
        cells = [f"{1000 * each.times[at]:.1f}" if at < len(each.times) else "" for at in (0, 3, 6)]
        mark = "" if each.holds() else "too slow"
        lines.append(f"| {each.name} | {' | '.join(cells)} | {each.exponent:.2f} | {mark} |")
    return "\n".join(lines)


def _define_flags() -> None:
    flags.DEFINE_integer("tries", 3, "How often each text is read; the fastest counts.", 1)
    flags.DEFINE_string("only", "", "Only shapes whose names have this in them.")
    flags.DEFINE_string("json", None, "File for the numbers.")


def main() -> None:
    """Measures all shapes."""
    names = [name for name in SHAPES if FLAGS.only in name]
    progress = Progress("shapes", len(names))
    grown = []
    for name in names:
        grown.append(measure(name, FLAGS.tries))
        progress.update(len(grown), f"({name})")
    progress.close()
    failed = [growth for growth in grown if not growth.holds()]
    if FLAGS.json:
        numbers = {
            growth.name: {
                "exponent": round(growth.exponent, 2),
                "milliseconds": round(1000 * growth.times[-1], 2),
            }
            for growth in grown
        }
        files.write_json(FLAGS.json, {"largest size": SIZES[-1], "shapes": numbers})
    print(table(grown))
    slowest = max(growth.times[-1] for growth in grown)
    print(f"\n{len(grown)} shapes, {len(failed)} too slow; the slowest took {slowest:.2f} s")


if __name__ == "__main__":
    _define_flags()
    app.run(main)
