"""What terminals get of titles and names that strangers wrote."""

import json
import os
import random
import subprocess
import sys
import unicodedata

import pytest

from pipelines.runtime import terminal
from tests.support.jobs import ROOT, error_of, job

ESCAPED = {"Cc", "Cf", "Cs", "Zl", "Zp", "Cn"}


@pytest.mark.parametrize(
    "text, shown",
    [
        ("The Cliffs of Moher", "The Cliffs of Moher"),
        ("Port Bhéal an Átha — “北京” 🎻", "Port Bhéal an Átha — “北京” 🎻"),
        ("no-break\u00a0space", "no-break\u00a0space"),
        ("\u0645\u06cc\u200c\u0634\u0648\u062f", "\u0645\u06cc\u200c\u0634\u0648\u062f"),
        ("\x1b[2Jgone", r"\x1b[2Jgone"),
        ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
        ("\u009b31m", r"\x9b31m"),
        ("reel\u202egnp.exe", r"reel\u202egnp.exe"),
        ("a\nb\r\tc\x00\x7f", r"a\nb\r\tc\x00\x7f"),
        ("\u2028\u2029\ufeff\u200b", r"\u2028\u2029\ufeff\u200b"),
        ("\U000e0041", r"\U000e0041"),
        (os.fsdecode(b"caf\xe9.mid"), r"caf\xe9.mid"),
        ("\ud800", r"\ud800"),
    ],
)
def test_what_a_terminal_would_obey_is_written_out(text, shown):
    assert terminal.shown(text) == shown


def _random_text(rng: random.Random) -> str:
    ranges = (0x20, 0x80, 0x100, 0x3000, 0x110000)
    return "".join(chr(rng.randrange(rng.choice(ranges))) for _ in range(20))


def test_nothing_is_left_of_any_text_and_nothing_else_is_changed():
    rng = random.Random("terminal")
    for _ in range(2000):
        text = _random_text(rng)
        shown = terminal.shown(text)
        left = {unicodedata.category(letter) for letter in shown if letter not in "\u200c\u200d"}
        assert not left & ESCAPED
        if all(unicodedata.category(letter) not in ESCAPED for letter in text):
            assert shown == text


def test_json_holds_the_same_value_without_such_characters():
    rng = random.Random("json")
    for _ in range(500):
        value = {_random_text(rng): [_random_text(rng), 1.5, None, {"é": "\x9b\u202e"}]}
        shown = terminal.shown_json(value)
        assert json.loads(shown) == value
        assert terminal.shown(shown, keep="\n") == shown
    assert terminal.shown_json({"T": "Átha"}) == '{\n  "T": "Átha"\n}'


PRINTS = "from pipelines.runtime import terminal; import sys; terminal.print_path(sys.argv[1])"


def test_programs_get_the_exact_bytes_of_a_path():
    name = b"/music/caf\xe9\x1b[2J.mid"
    command = [sys.executable, "-c", PRINTS, name]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    assert done.stdout == name + b"\n"


def test_a_terminal_gets_what_it_can_show():
    ours, theirs = os.openpty()
    with open(ours, "rb", buffering=0) as read:
        with open(theirs, "wb", buffering=0) as written:
            command = [sys.executable, "-c", PRINTS, b"caf\xe9\x1b[2J.mid"]
            subprocess.run(command, cwd=ROOT, stdout=written, check=True)
        assert read.read(100) == b"caf\\xe9\\x1b[2J.mid\r\n"


def test_an_error_about_a_file_with_a_hostile_name(tmp_path):
    name = os.path.join(tmp_path, os.fsdecode(b"\x1b]0;owned\x07\xff.abc"))
    done = job("convert", "--corpus=abc", f"--input={name}", f"--output={tmp_path}/records")
    assert r"\x1b]0;owned\x07\xff.abc" in error_of(done)
    assert "\x1b" not in done.stderr
