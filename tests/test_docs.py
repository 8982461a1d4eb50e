"""The Markdown pages: their links lead to something, and the commands and paths in them exist."""

import functools
import os
import pathlib
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator

import pytest
from apache_beam.options import pipeline_options
from markdown_it import MarkdownIt
from markdown_it.token import Token

from pipelines import style

ROOT = pathlib.Path(__file__).resolve().parents[1]
FOLDERS = (
    *("configs", "docs", "experiments", "models", "pipelines", "reelgroove", "tests"),
    "tfrecords",
)
PAGES = sorted(
    str(path.relative_to(ROOT))
    for path in [*ROOT.glob("*.md"), *(p for name in FOLDERS for p in (ROOT / name).rglob("*.md"))]
)
# Flags of other programs: pip, pytest, TensorBoard, Magenta.
OTHERS = {"--bind_all", "--helpfull", "--host", "--no-deps", "--requirement"}


def commands() -> dict[str, str]:
    """What `./run.sh help` lists: each command and the module that it starts."""
    usage = subprocess.run(
        [ROOT / "run.sh", "help"], capture_output=True, text=True, check=True
    ).stdout
    names = re.findall(r"^  (\w+) {2,}\S", usage, re.MULTILINE)
    return {name: "configs" if name == "configs" else f"pipelines.{name}" for name in names}


COMMANDS = commands()


def flags(*command: str) -> list[frozenset[str]]:
    """The flags that `./run.sh COMMAND --help` lists, by each of the programs of a command.

    There are none for commands of other programs.
    """
    if command[0] == "test":
        return [frozenset(["--quick"])]
    if command[0] == "tensorboard":
        return []
    systems = sorted((ROOT / "pipelines" / "systems").glob(f"*/commands/{command[0]}.py"))
    if command[0] in ("train", "evaluate", "generate"):
        return [
            flags_of(f"pipelines.systems.{each.parts[-3]}.commands.{each.stem}") for each in systems
        ]
    return [flags_of(COMMANDS[command[0]], *command[1:])]


@functools.cache
def flags_of(module: str, *command: str) -> frozenset[str]:
    """The flags that the help of a program lists."""
    helped = subprocess.run(
        [sys.executable, "-m", module, *command, "--help"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    found = re.findall(r"^ +(?:-h,)?--(\[no\])?(\w+)(?:[ :,]|$)", helped, re.MULTILINE)
    return frozenset(f"--{no}{name}" for opt, name in found for no in ("", opt and "no"))


@functools.cache
def all_flags() -> frozenset[str]:
    """The flags of all commands."""
    parts = {"titles": ("train", "evaluate", "match", "search"), "judge": ("", "learn")}
    parts["style"] = style.COMMANDS
    parts["bench"] = ("convert", "input", "media", "sample", "titles", "train", "tunes")
    each = [(name, part) for name in COMMANDS for part in parts.get(name, ("",))]
    return frozenset().union(
        *(found for command in each for found in flags(*filter(None, command)))
    )


@functools.cache
def tokens(page: str) -> list[Token]:
    """The tokens of a page, those inside of others too."""
    text = (ROOT / page).read_text(encoding="utf-8")
    outer = MarkdownIt("commonmark").enable("table").parse(text)
    return [token for block in outer for token in (block, *(block.children or ()))]


@functools.cache
def anchors(page: str) -> set[str]:
    """The anchors that GitHub gives to the headings of a page."""
    found: set[str] = set()
    parts = tokens(page)
    for heading, inline in zip(parts, parts[1:]):
        if heading.type == "heading_open":
            text = "".join(child.content for child in inline.children or ())
            slug = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
            number = next(n for n in range(99) if (f"{slug}-{n}" if n else slug) not in found)
            found.add(f"{slug}-{number}" if number else slug)
    return found


def links(page: str) -> Iterator[str]:
    """The targets of a page's links and pictures."""
    for token in tokens(page):
        if token.type in ("link_open", "image"):
            yield str(token.attrs.get("href") or token.attrs.get("src"))


def code(page: str) -> Iterator[str]:
    """The code of a page, with lines joined that end in a backslash."""
    for token in tokens(page):
        if token.type in ("code_block", "fence", "code_inline"):
            yield re.sub(r"\\\n\s*", "", token.content)


def command_lines(page: str) -> Iterator[list[str]]:
    """The words after `./run.sh` of each command line on a page."""
    for text in code(page):
        for line in re.findall(r"(?:^|\s)\./run\.sh(?: +([^|`\n]*))?", text):
            words = shlex.split(line, comments=True)
            # ./run.sh COMMAND stands for any.
            if words and words[0].islower():
                yield words


def broken(page: str, link: str) -> bool:
    """Whether a relative link of a page leads nowhere."""
    if re.match(r"[a-z]+:", link):
        return False
    path, _, anchor = link.partition("#")
    target = (ROOT / page).parent.joinpath(path).resolve() if path else ROOT / page
    if not (target.exists() and target.is_relative_to(ROOT)):
        return True
    return bool(anchor) and anchor not in anchors(str(target.relative_to(ROOT)))


def test_broken_links_are_recognised():
    assert not broken("README.md", "docs/commands.md")
    assert not broken("README.md", "docs/commands.md#train")
    assert not broken("README.md", "#licence")
    assert not broken("docs/commands.md", "../models/accelerated/")
    assert not broken("README.md", "https://example.org/nothing")
    assert broken("README.md", "docs/command.md")
    assert broken("README.md", "docs/commands.md#trains")
    assert broken("README.md", "../elsewhere")


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_to_something(page):
    assert [link for link in links(page) if broken(page, link)] == []


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_commands_and_their_flags_exist(page):
    wrong = []
    for words in command_lines(page):
        has_parts = words[0] in ("titles", "style", "bench") or words[:2] == ["judge", "learn"]
        command = words[:2] if has_parts else words[:1]
        command = [word for word in command if re.fullmatch(r"[a-z_]+", word)]
        given = {word.partition("=")[0] for word in words if re.match(r"--\w", word)}
        if words[0] not in COMMANDS:
            wrong.append(words)
        elif words[0] not in ("test", "tensorboard"):
            # A system's program takes the flags of its own alone.
            if all(given - found - {"--help"} for found in flags(*command)):
                wrong.append(words)
    assert wrong == []


@pytest.mark.parametrize("page", PAGES)
def test_comparisons_in_flags_are_quoted(page):
    """Elsewhere the shell takes >= for the name of a file to write to."""
    bare = [re.sub(r"'[^'\n]*'|\"[^\"\n]*\"", "", text) for text in code(page)]
    assert [text for text in bare if re.search(r"--\w+=[^\s|]*[<>]=?\d", text)] == []


@pytest.mark.parametrize("page", PAGES)
def test_doctor_is_not_said_to_make_the_environment(page):
    """It changes nothing, so what follows it in .venv needs another command before."""
    wrong = r"\A\s*\./run\.sh doctor\b[^\n]*\n\s*\./\.venv/bin/"
    assert [text for text in code(page) if re.search(wrong, text)] == []


@functools.cache
def beams():
    """What --pipeline_options takes."""
    return {f"--{name}" for name in pipeline_options.PipelineOptions([]).get_all_options()}


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_flags_in_sentences_exist(page):
    named = {
        match[1]
        for token in tokens(page)
        if token.type == "code_inline" and (match := re.match(r"(--\w[\w-]*)", token.content))
    }
    beside = "".join(path.read_text() for path in (ROOT / page).parent.glob("*.py"))
    defined = re.findall(r'(?:DEFINE_\w+\(\s*"|add_argument\(\s*"--)(\w+)"', beside)
    own = {f"--{name}" for name in defined}
    assert named - all_flags() - beams() - own - OTHERS - {"--help"} == set()


@pytest.mark.parametrize("page", PAGES)
def test_paths_in_sentences_exist(page):
    """A path with a word in capitals, such as NAME, stands for any."""
    named = {
        token.content
        for token in tokens(page)
        if token.type == "code_inline"
        and re.fullmatch(rf"(?:{'|'.join(FOLDERS)})/[\w./-]*", token.content)
        and not re.search(r"(?<![a-z])[A-Z]+(?![a-z])", token.content.removesuffix("README.md"))
    }
    examples = {"pipelines/corpora/village.py", "pipelines/corpora/loops.py"}
    records = {name for name in named if name.startswith("tfrecords/") and "README" not in name}
    assert {name for name in named - examples - records if not (ROOT / name).exists()} == set()


def test_every_command_has_a_section_and_a_line_in_the_readme():
    assert set(COMMANDS) <= anchors("docs/commands.md")
    listed = {token.content for token in tokens("README.md") if token.type == "code_inline"}
    assert set(COMMANDS) <= listed


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) < 200
