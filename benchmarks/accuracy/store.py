"""The runs in runs.jsonl, one line each, and the table that they make together."""

from __future__ import annotations

import fcntl
import json
from pathlib import Path
from typing import Any

from environment import BUILD
from models import MODELS
from settings import Setting, sweep

from tflm_sparsesep.runtime.files import write_atomically

Row = dict[str, Any]

FOLDER = Path(__file__).parent
RUNS = FOLDER / "runs.jsonl"
LOCK = BUILD / "runs.lock"

COLUMNS = (
    "model",
    "method",
    "pattern",
    "zeros_goal",
    "zeros",
    "seed",
    "epochs",
    "search_epochs",
    "dense_accuracy",
    "float_accuracy",
    "int8_tflm_accuracy",
    "packed_bytes",
    "seconds",
)
"""Columns of results.json, in this order."""


def kept() -> dict[Setting, Row]:
    """Return the runs of the sweep, without those that another recipe trained."""
    runs = _read()
    found = {setting: runs[setting.name] for setting in sweep() if setting.name in runs}
    return {setting: row for setting, row in found.items() if _is_current(setting, row)}


def load(setting: Setting) -> Row | None:
    """Return the run of a setting, None if there is none or another recipe trained it."""
    return kept().get(setting)


def save(setting: Setting, row: Row) -> None:
    """Add or replace a run. Processes may save at the same time: each waits for the others."""
    LOCK.parent.mkdir(parents=True, exist_ok=True)
    with LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        runs = _read() | {setting.name: row}
        lines = (json.dumps({"run": name, **runs[name]}) for name in sorted(runs))
        write_atomically(RUNS, ("\n".join(lines) + "\n").encode())


def _read() -> dict[str, Row]:
    """Return all runs by name, those of former method versions included."""
    if not RUNS.exists():
        return {}
    rows: list[Row] = [json.loads(line) for line in RUNS.read_text().splitlines()]
    return {row.pop("run"): row for row in rows}


def _is_current(setting: Setting, row: Row) -> bool:
    model = MODELS[setting.model]
    return (row["epochs"], row["batch_size"]) == (model.epochs, model.batch_size)


def write_json(path: Path, document: Any) -> None:
    """Write a file, whole or not at all."""
    write_atomically(path, (json.dumps(document, indent=1) + "\n").encode())


def read_rows(path: Path) -> list[Row]:
    """Return the rows of a file that `write_rows` wrote; none where there is no file."""
    rows: list[Row] = json.loads(path.read_text()) if path.exists() else []
    return rows


def write_rows(path: Path, rows: list[Row]) -> None:
    """Write rows as results.json has them."""
    write_atomically(path, results_text(rows).encode())


def write_table(name: str, text: str) -> None:
    """Write a table between the marks of that name in README.md."""
    page = FOLDER / "README.md"
    begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
    before, rest = page.read_text().split(begin)
    after = rest[rest.index(end) :]
    write_atomically(page, (before + begin + text + after).encode())


def results() -> list[Row]:
    """Return one row with `COLUMNS` for each setting of the sweep that has run."""
    runs = kept()
    dense = {
        (setting.model, setting.seed): row["float_accuracy"]
        for setting, row in runs.items()
        if setting.method == "dense"
    }
    rows = [
        row | {"dense_accuracy": dense.get((setting.model, setting.seed))}
        for setting, row in runs.items()
    ]
    rows.sort(key=_order)
    return [{column: row[column] for column in COLUMNS} for row in rows]


def _order(row: Row) -> tuple[Any, ...]:
    models = list(MODELS)
    return (
        models.index(row["model"]),
        row["method"],
        row["pattern"],
        row["zeros_goal"] or 0,
        row["seed"],
    )


def results_text(rows: list[Row]) -> str:
    """Return the text of results.json: one row a line, so that a diff is readable."""
    return "[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n"
