"""Reports how many examples a config makes of records, and why some records give none."""

import collections
from collections.abc import Iterable, Mapping
from typing import Any

from pipelines.examples import reading
from pipelines.examples.base import Counts
from pipelines.records.manifest import SPLITS, open_folder, split_pattern
from pipelines.runtime.app import UserError


def measure(config, folder: str) -> dict:
    """Converts every record of a folder once, as training does, and counts what comes out.

    Args:
      config: a Magenta Config; its model is not built.
      folder: a finished folder of NoteSequence records.

    Returns:
      JSON values: "corpus", "read" and "rejected" of the folder's manifest, and under "splits" for
      each split and under "all" for their sum
        records   how many there are; the sum of used and of the reasons
        used      how many of them give examples
        examples  how many these give
        reasons   why the others give none, by category, with the particulars under "details"
        noted     what the converter itself counts, such as notes that share a step

    Raises:
      UserError: where there is no such folder, or it is not finished, holds other records, or does
        not hold as many as its manifest says.
    """
    manifest = open_folder(folder)
    splits = {}
    for split, expected in records_of(manifest).items():
        counts = Counts()
        if expected:
            opened = reading.open_note_sequences(split_pattern(folder, split))
            counts = opened.count(config)
        require_all(folder, split, expected, counts.records)
        splits[split] = counts
    return {
        **{name: manifest.get(name) for name in ("corpus", "read", "rejected")},
        "splits": {split: _described(counts) for split, counts in splits.items()},
        "all": _described(_sum(splits.values())),
    }


def records_of(manifest: Mapping[str, Any]) -> dict[str, int]:
    """The number of records that a manifest names, by split."""
    return {split: manifest["splits"].get(split, {"records": 0})["records"] for split in SPLITS}


def require_all(folder: str, split: str, expected: int, found: int) -> None:
    """Raises UserError where a folder does not have as many records as its manifest says."""
    if found != expected:
        raise UserError(
            f"{folder}: its manifest names {expected} records of {split}, and there are {found}; "
            "make the records again"
        )


def _sum(parts: Iterable[Counts]) -> Counts:
    total = Counts()
    for part in parts:
        total.records += part.records
        total.used += part.used
        total.examples += part.examples
        total.unused.update(part.unused)
        total.notes.update(part.notes)
    return total


def _described(counts: Counts) -> dict:
    reasons = collections.Counter()
    for reason, n in counts.unused.items():
        reasons[_category(reason)] += n
    return {
        "records": counts.records,
        "used": counts.used,
        "examples": counts.examples,
        "reasons": dict(reasons.most_common()),
        "details": dict(counts.unused.most_common()),
        "noted": {name: n for name, n in sorted(counts.notes.items()) if n},
    }


def _category(reason: str) -> str:
    """The category that a converter's explanation begins with, before its details."""
    return reason.partition(": ")[0]


def table(report: dict) -> str:
    """Lays out what `measure` returns for the user: one column a split, one line a count."""
    columns = {**report["splits"], "all": report["all"]}
    rows = [("", list(columns))]

    def add(title, *keys):
        cells = []
        for column in columns.values():
            for key in keys:
                column = column.get(key, 0)
            cells.append(column)
        rows.append((title, [str(cell) for cell in cells]))

    add("records", "records")
    add("give examples", "used")
    details = report["all"]["details"]
    for category in report["all"]["reasons"]:
        add(f"  no: {category}", "reasons", category)
        particulars = [reason for reason in details if _category(reason) == category]
        if len(particulars) > 1:
            for reason in particulars:
                text = reason.removeprefix(f"{category}: ").partition("; ")[0]
                add(f"        {text}", "details", reason)
    add("examples", "examples")
    for name in report["all"]["noted"]:
        add(f"  {name.replace('_', ' ')}", "noted", name)

    first = max(len(title) for title, _ in rows)
    widths = [max(map(len, column)) for column in zip(*(cells for _, cells in rows))]
    return "\n".join(
        title.ljust(first) + "".join(f"  {cell:>{w}}" for cell, w in zip(cells, widths))
        for title, cells in rows
    )
