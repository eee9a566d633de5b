"""Models of others, int8, compressed to an output SQNR with real inputs for calibration.

    python benchmarks/compression/third_party.py MODEL:DB[:PREFER] ...
    python benchmarks/compression/third_party.py ad01_int8:20 ad01_int8:20:speed \
        kws_ref_model:20 str_ww_ref_model:20

are MLPerf Tiny's anomaly detector, keyword spotter and wake word detector
(github.com/mlcommons/tiny). Neither they nor the inputs (`real_inputs.py`) are part of the project.
The SQNR is that against the original's outputs, both in TFLM, on inputs that the search has not
seen. Writes third_party.json, where other models stay, and the table of README.md and
docs/compression.md.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from pathlib import Path
from typing import Any

import real_inputs
import tables
from measure import constant_bytes

import tflm_sparsesep as ts
from tflm_sparsesep.compression.budget_search import Budget
from tflm_sparsesep.converters import model_cost
from tflm_sparsesep.converters.cost.choose_layout import Prefer
from tflm_sparsesep.converters.tflite import editor
from tflm_sparsesep.runtime.tflm_interpreter import TflmInterpreter

RESULTS = Path(__file__).with_name("third_party.json")
TARGET = "cortex-m4"

Row = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="+", metavar="MODEL:DB[:PREFER]")
    document: Row = json.loads(RESULTS.read_text()) if RESULTS.exists() else {"rows": []}
    for argument in parser.parse_args().models:
        name, db, *prefer = argument.split(":")
        row = measure(name, float(db), *prefer)
        print(row, flush=True)
        rows = [r for r in document["rows"] if _key(r) != _key(row)] + [row]
        command = "python benchmarks/compression/third_party.py MODEL:DB[:PREFER] ..."
        document = {
            "command": command,
            "rows": sorted(rows, key=_key),
        }
        RESULTS.write_text(json.dumps(document, indent=1) + "\n")
    tables.write_third_party(document["rows"])


def _key(row: Row) -> tuple[str, float, str]:
    return row["model"], -row["asked_db"], row.get("prefer") or ""


def measure(name: str, db: float, prefer: Prefer | None = None) -> Row:
    """One model: sizes, instructions and quality, before and after."""
    path = real_inputs.SHARED / f"models/{name}.tflite"
    data = path.read_bytes()
    calibration, unseen = real_inputs.split(name)
    start, began = time.process_time(), time.monotonic()
    result = ts.compress(
        data,
        budget=Budget(min_output_sqnr_db=db),
        representative_dataset=calibration,
        target=TARGET,
        prefer=prefer,
        name=path.name,
        workers=1,
        cache_dir=None,
    )
    seconds = time.process_time() - start
    wall = time.monotonic() - began
    (quality,) = ts.validate(data, result.tflite, unseen).outputs
    return {
        "model": path.name,
        "asked_db": db,
        "prefer": prefer,
        "is_unchanged": result.is_unchanged,
        "sqnr_db": _decibels(quality.sqnr_db),
        "plain_sqnr_db": _decibels(quality.plain_sqnr_db),
        "held_out_db": _decibels(result.point.sqnr_db),
        "forms": list(result.point.forms),
        "warnings": list(result.warnings),
        "calibration_samples": len(calibration),
        "judged_samples": len(unseen),
        "before": figures(data, unseen),
        "converted": figures(ts.convert(data).tflite, unseen),
        "after": figures(result.tflite, unseen),
        "search_cpu_seconds": round(seconds),
        "search_seconds": round(wall),
    }


def _decibels(value: float) -> float | None:
    """Two decimals; None where outputs did not change."""
    return round(value, 2) if math.isfinite(value) else None


def figures(tflite: bytes, x: Any) -> Row:
    """Bytes; instructions on M4, ours counted in QEMU, dense layers as CMSIS-NN's (cost model)."""
    model = editor.read(tflite)
    layers = ts.benchmark(tflite, target=TARGET, inputs=x[:2])
    if not all(layer.bit_exact for layer in layers):
        raise RuntimeError(f"on {TARGET} outputs differ from TFLM's")
    operators = model.subgraphs[0].operators
    dense = sum(model_cost.dense_instructions(op, TARGET) for op in operators)
    return {
        "file": len(tflite),
        "weights": constant_bytes(tflite),
        "arena": TflmInterpreter(tflite, model).arena_bytes,
        "instructions": dense + sum(layer.sparse_instructions for layer in layers),
    }


if __name__ == "__main__":
    main()
