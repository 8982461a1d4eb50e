"""Shows on a terminal what strangers wrote: titles of tunes, names of files, fields of records.

A terminal obeys escape sequences, which can clear it, rename its window or type into it, and
right-to-left marks, which make a name read as another one. Here such characters are shown as
Python writes them in a string, e.g. `\\x1b` and `\\u202e`, and everything else as it is.
"""

import json
import os
import re
import sys
import unicodedata
from typing import Any

# Controls, formatting (right-to-left marks, zero-width spaces), halves of pairs (bytes of a name
# that are no UTF-8), line and paragraph separators, and what Unicode has not assigned.
_ESCAPED = frozenset(("Cc", "Cf", "Cs", "Zl", "Zp", "Cn"))
# Persian, Indic scripts and emoji are written with these two.
_JOINERS = "\u200c\u200d"
# What may have to be written out in JSON, where only line ends between its values are controls.
_NOT_PLAIN = re.compile(r"[^\x20-\x7e\n]")


def shown(text: str, keep: str = "") -> str:
    """The text with every character that a terminal would obey rather than show written out.

    Args:
      text: any text; bytes of a file's name that are no UTF-8 may be in it as Python keeps them.
      keep: characters to leave as they are, such as the tabs of a table.
    """
    if text.isprintable():
        return text
    return "".join(
        _written_out(letter) if _is_obeyed(letter) and letter not in keep else letter
        for letter in text
    )


def _is_obeyed(letter: str) -> bool:
    return unicodedata.category(letter) in _ESCAPED and letter not in _JOINERS


def _written_out(letter: str) -> str:
    code = ord(letter)
    if 0xDC80 <= code <= 0xDCFF:  # os.fsdecode's way to keep a byte that is no UTF-8
        code -= 0xDC00
    if code < 0x100:
        return {"\n": "\\n", "\r": "\\r", "\t": "\\t"}.get(letter, f"\\x{code:02x}")
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def shown_json(value: Any) -> str:
    """The value as indented JSON for stdout, with such characters as JSON's own escapes.

    Programs read back exactly the value, whatever the characters.
    """
    return json_escaped(json.dumps(value, indent=2, ensure_ascii=False))


def json_escaped(text: str) -> str:
    """JSON with such characters as JSON's own escapes, which changes nothing in what it says."""
    return _NOT_PLAIN.sub(
        lambda letter: json.dumps(letter[0])[1:-1] if _is_obeyed(letter[0]) else letter[0], text
    )


def print_run(run_dir: str, as_json: bool) -> None:
    """Prints the folder of a run that was trained: the result of a training.

    Args:
      run_dir: the folder.
      as_json: whether --json was given.
    """
    if as_json:
        print(shown_json({"run_dir": run_dir}))
    else:
        print_path(run_dir)


def print_path(path: str) -> None:
    """Prints the path of a file that a job has written.

    Programs that read stdout get its exact bytes; a terminal gets what can be shown.
    """
    if sys.stdout.isatty():
        print(shown(path))
        return
    sys.stdout.flush()
    sys.stdout.buffer.write(os.fsencode(path) + b"\n")
    sys.stdout.flush()
