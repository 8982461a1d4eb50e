"""Macros: signs that a tune makes up for longer ones.

The ABC standard 2.1, https://abcnotation.com/wiki/abc:standard:v2.1, section 9.
"""

_MAX_MACROS = 20
_MAX_REPLACEMENT = 200
# How many characters macros may add to a tune: one may hold another many times.
_ROOM = 100_000


class Macros:
    """The macros of a tune."""

    def __init__(self):
        self._macros: list[tuple[str, str]] = []
        self._room = _ROOM

    def define(self, value: str) -> None:
        """Takes a static macro (9.1); transposing ones would need the note that they stand at.

        Args:
          value: of an `m:` field.

        Raises:
          ValueError: with the reason why it is not taken.
        """
        name, equals, replacement = value.partition("=")
        name, replacement = name.strip(), replacement.strip()
        if (
            not equals
            or not name
            or len(replacement) > _MAX_REPLACEMENT
            or len(self._macros) >= _MAX_MACROS
        ):
            raise ValueError("a macro cannot be read")
        if "n" in name:
            raise ValueError("transposing macros are not played")
        self._macros.append((name, replacement))

    def expand(self, text: str) -> tuple[str, list[str]]:
        """A line with macros written out, and warnings; all macros go where it gets too long."""
        for name, replacement in self._macros:
            longer = text.replace(name, replacement)
            self._room -= max(len(longer) - len(text), 0)
            if self._room < 0:
                self._macros = []
                return text, ["the macros make the tune too long; from here on they are left out"]
            text = longer
        return text, []
