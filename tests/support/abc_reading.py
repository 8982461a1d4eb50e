"""What tests of the ABC reader share: tunes as short texts, and what is heard of them."""

from pipelines.music.abc.reader import read
from pipelines.music.abc.tunebook import tunes

HEADER = "X:1\nT:Test\nM:4/4\nL:1/8\nK:C\n"
C, D, E, F, G, A, B, c = 60, 62, 64, 65, 67, 69, 71, 72


def tune_of(text: str):
    (tune,) = tunes(text)
    return tune


def heard(text: str, header: str = HEADER) -> list[tuple[int, float, float]]:
    """Pitch, start and length of the notes of a tune at 120 quarters a minute, in eighths."""
    sequence = read(tune_of(header + text))
    # An eighth lasts a quarter of a second.
    return [(n.pitch, n.start_time * 4, (n.end_time - n.start_time) * 4) for n in sequence.notes]


def pitches(text: str, header: str = HEADER) -> list[int]:
    return [pitch for pitch, _, _ in heard(text, header)]


def lengths(text: str, header: str = HEADER) -> list[float]:
    return [length for _, _, length in heard(text, header)]


def starts(text: str, header: str = HEADER) -> list[float]:
    return [start for _, start, _ in heard(text, header)]


def warnings(text: str, header: str = HEADER) -> list[str]:
    texts = (a.text for a in read(tune_of(header + text)).text_annotations)
    return [text.removeprefix("warning:") for text in texts if text.startswith("warning:")]
