"""The files in runs/, one for each setting, and the table that they make together."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from models import MODELS
from settings import Setting, sweep

from tflm_sparsesep.runtime.files import write_atomically

Row = dict[str, Any]

FOLDER = Path(__file__).parent
RUNS = FOLDER / "runs"

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
"""Of a row of results.json, in this order."""


def load(setting: Setting) -> Row | None:
    """The run of a setting, None if it is not there or was trained by another recipe."""
    path = RUNS / setting.file_name
    if not path.exists():
        return None
    row: Row = json.loads(path.read_text())
    model = MODELS[setting.model]
    current = (row["epochs"], row["batch_size"]) == (model.epochs, model.batch_size)
    return row if current else None


def save(setting: Setting, row: Row) -> None:
    """Writes a run, whole or not at all."""
    RUNS.mkdir(exist_ok=True)
    write_json(RUNS / setting.file_name, row)


def write_json(path: Path, document: Any) -> None:
    """Writes a file, whole or not at all."""
    write_atomically(path, (json.dumps(document, indent=1) + "\n").encode())


def results() -> list[Row]:
    """One row for each setting of the sweep that has run, with `COLUMNS`."""
    runs = [(setting, load(setting)) for setting in sweep()]
    dense = {
        (setting.model, setting.seed): row["float_accuracy"]
        for setting, row in runs
        if row is not None and setting.method == "dense"
    }
    rows = [
        row | {"dense_accuracy": dense.get((setting.model, setting.seed))}
        for setting, row in runs
        if row is not None
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
    """results.json: one row a line, so that changes can be read."""
    return "[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n"
