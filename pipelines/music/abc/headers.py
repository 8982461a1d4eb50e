"""The header fields of a tune: those that say what it is, such as its titles and its composer.

`notation` collects them while it reads a tune. `title` needs no other part of the tune, so it also
names tunes that cannot be read.
"""

from pipelines.music.abc import lines
from pipelines.music.abc.tunebook import TuneText

# The most characters of a header field that are kept.
MAX_CHARACTERS = 10_000
# Fields that say what notes sound like or are words to them, not what the tune is.
_NO_HEADERS = frozenset("wWsmUV+r")
# Fields that say how the next notes sound; in the body of a tune they are not headers.
_STATE_FIELDS = frozenset("KMLQPVI")


class Headers:
    """Collects the header fields of a tune, line by line.

    Attributes:
      fields: letters and values, in the order of the tune.
    """

    def __init__(self) -> None:
        self.fields: list[tuple[str, str]] = []
        self._goes_on = False  # Whether a `+:` line would continue the last of them.

    def add(self, letter: str, value: str, in_header: bool) -> None:
        """Adds a field that has a line of its own, if it is a header field.

        Args:
          letter: its letter; "+" continues the field before it (3.1.21).
          value: its value, without spaces around it.
          in_header: whether it stands before the end of the tune's header.
        """
        if letter == "+":
            if self._goes_on:
                self.continue_last(value)
            return
        self._goes_on = (
            letter not in _NO_HEADERS
            and (in_header or letter not in _STATE_FIELDS)
            and letter.isupper()
        )
        if self._goes_on:
            self.fields.append((letter, value.replace("\\%", "%")))

    def continue_last(self, text: str) -> None:
        """Adds text to the last field; older standards let a history run over several lines."""
        if self.fields:
            letter, value = self.fields[-1]
            self.fields[-1] = letter, f"{value} {text.strip()}"


def title(tune: TuneText) -> str:
    """The first title of a tune that is not blank, as the reader has it; "" where there is none."""
    headers = Headers()
    in_header = True
    first_music = lines.first_music(tune.lines)
    for number, line in enumerate(tune.lines):
        in_header = in_header and number != first_music
        text = lines.without_comment(line)
        if lines.is_blank(text):
            continue
        if field := lines.field(text):
            letter, value = field
            headers.add(letter, value.strip(), in_header)
            in_header = in_header and letter != "K"
        elif in_header:
            headers.continue_last(text)
    titles = (value for letter, value in headers.fields if letter == "T" and value)
    return next(titles, "")[:MAX_CHARACTERS]
