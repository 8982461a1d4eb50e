"""Says what of this installation works, what does not, and what to do: for you and for a report.

Prints a line each for Python, the environment .venv, its packages beside the lock, the machine,
the GPU (and why TensorFlow does not see it), and optional parts. Where something is not as it
should be, a line of advice follows. The exit status is 1 where a job cannot work.

It works where packages are missing or broken. It changes nothing, and uses no network.

Examples:
  ./run.sh doctor
  ./run.sh doctor --json
"""

import argparse
import re
import sys
from collections.abc import Iterator
from typing import Any

from pipelines.health import ERROR, NOTE, ROOT, WARNING, Finding, devices, environment, machine
from pipelines.health import optional as optional_parts
from pipelines.runtime import checkout, closed_pipe
from pipelines.runtime.nearest import did_you_mean
from pipelines.runtime.terminal import shown, shown_json


class _Parser(argparse.ArgumentParser):
    """Ends as the other commands do, which parse their flags by a package that may be missing."""

    def error(self, message: str):
        """Prints a line and ends with status 1."""
        wrong = re.search(r"unrecognized arguments: (\S+)", message)
        hint = did_you_mean(wrong[1], ["--json", "--help"]) if wrong else ""
        print(f"error: {message}{hint} (see --help)", file=sys.stderr)
        sys.exit(1)


def main() -> None:
    """Looks at everything and prints it."""
    parser = _Parser(
        prog="./run.sh doctor",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of lines")
    as_json = parser.parse_args().json
    try:
        with closed_pipe.quietly():
            report = _look_and_print(as_json)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)
    if report["errors"]:
        sys.exit(1)


def _look_and_print(as_json: bool) -> dict[str, Any]:
    """Prints the report, and returns it."""
    if environment.skipped("imports") is None:
        print("looking; importing TensorFlow takes a moment ...", file=sys.stderr, flush=True)
    findings = list(_findings())
    report = _report(findings)
    print(shown_json(report) if as_json else _lines(report))
    return report


def _findings() -> Iterator[Finding]:
    """All findings; what cannot be looked at is one itself."""
    for room in (environment, machine, devices, optional_parts):
        try:
            yield from room.look()
        except Exception as error:  # A report that says less is better than none.
            what = room.__name__.rpartition(".")[2]
            why = " ".join(f"{type(error).__name__}: {error}".split())
            yield Finding(what, ERROR, f"cannot be looked at ({why})", environment.ANEW)


def _report(findings: list[Finding]) -> dict[str, Any]:
    """The findings as JSON values, with their counts."""
    return {
        "version": _version(),
        "commit": checkout.commit(digits=12),
        "errors": sum(each.status == ERROR for each in findings),
        "warnings": sum(each.status == WARNING for each in findings),
        "findings": [each._asdict() for each in findings],
    }


def _lines(report: dict[str, Any]) -> str:
    """The report for people."""
    lines = [f"reelgroove {report['version']}, commit {report['commit'] or 'unknown'}"]
    width = max(len(each["name"]) for each in report["findings"])
    for each in report["findings"]:
        lines.append(f"{each['status']:<7}  {each['name']:<{width}}  {shown(each['found'])}")
        if each["advice"]:
            lines.append(f"{'':<7}  {'':<{width}}  -> {shown(each['advice'])}")
    notes = sum(each["status"] == NOTE for each in report["findings"])
    lines.append(f"errors: {report['errors']}, warnings: {report['warnings']}, notes: {notes}")
    return "\n".join(lines)


def _version() -> str | None:
    """The version in setup.py."""
    try:
        found = re.search(r'version="([^"]+)"', (ROOT / "setup.py").read_text(encoding="utf-8"))
    except OSError:
        return None
    return found[1] if found else None


if __name__ == "__main__":
    main()
