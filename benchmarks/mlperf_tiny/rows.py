"""The rows of results.json and the table of README.md."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tflm_sparsesep.runtime.files import write_atomically

HERE = Path(__file__).parent
RESULTS, PAGE = HERE / "results.json", HERE / "README.md"

Row = dict[str, Any]


def load() -> list[Row]:
    """Return all rows."""
    found: list[Row] = json.loads(RESULTS.read_text()) if RESULTS.exists() else []
    return found


def find(command: str) -> Row | None:
    """Return the row that a command made; None if there is none yet."""
    return next((row for row in load() if row["command"] == command), None)


def add(row: Row) -> None:
    """Add a row, or replace that of the same command, and write the page again."""
    others = [other for other in load() if other["command"] != row["command"]]
    rows = sorted([*others, row], key=lambda r: (r["model"], r["epochs"], r["seed"], r["command"]))
    write_rows(RESULTS, rows)
    report()


def report() -> None:
    """Write the table of the networks that were trained."""
    write_table("trained", table(load()))


def write_rows(path: Path, rows: list[Row]) -> None:
    """Write one row a line, so that a diff is readable."""
    text = "[\n" + ",\n".join(map(json.dumps, rows)) + "\n]\n"
    write_atomically(path, text.encode())


def write_table(name: str, text: str) -> None:
    """Write a table between the marks of that name in README.md."""
    begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
    before, rest = PAGE.read_text().split(begin)
    after = rest[rest.index(end) :]
    write_atomically(PAGE, (before + begin + text + after).encode())


def table(rows: list[Row]) -> str:
    """Return one line for each row, with the parts of the dense network that it takes."""
    cores = ("cortex-m0", "cortex-m3", "cortex-m4", "cortex-m55")
    lines = [
        "| network, seed | method | zeros | epochs x samples | accuracy (judged) | file | weights "
        "| arena | M0 | M3 | M4 | M55 |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        counts = " | ".join(
            f"{row['instructions'][core]:,}, {_times(row, core)}x" for core in cores
        )
        change = row["accuracy"] - row["dense_accuracy"]
        lines.append(
            f"| {row['model']}, {row['seed']} "
            f"| {row['method']}{row['detail']} | {row['zeros']:.1%} "
            f"| {row['epochs']} x {row['samples']:,} "
            f"| {row['accuracy']:.2f}, {change:+.2f} ({row['judged']:,}) "
            f"| {row['file_bytes']:,} | {row['weight_bytes']:,} | {row['arena_bytes']:,} "
            f"| {counts} |"
        )
    return "\n".join(lines) + "\n"


def _times(row: Row, core: str) -> str:
    return f"{row['dense_instructions'][core] / row['instructions'][core]:.1f}"
