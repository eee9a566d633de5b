"""Models of others, int8, compressed to an output SQNR with random data for calibration.

    python benchmarks/compression/third_party.py MODEL.tflite:DB ...
    python benchmarks/compression/third_party.py ad01_int8.tflite:25 kws_ref_model.tflite:20

are MLPerf Tiny's anomaly detector and keyword spotter (github.com/mlcommons/tiny), which are not
part of the project. Samples are uniform over what the int8 inputs can hold. The SQNR is that
against the original's outputs, both in TFLM, on samples that the search has not seen. Writes
third_party.json, where other models stay, and the table of README.md and docs/compression.md.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import tables
from measure import constant_bytes

import tflm_sparsesep as ts
from tflm_sparsesep.compression.budget_search import Budget
from tflm_sparsesep.compression.layer_compressor import sqnr_db
from tflm_sparsesep.converters import model_cost
from tflm_sparsesep.converters.tflite import editor
from tflm_sparsesep.runtime.samples import dequantize
from tflm_sparsesep.runtime.tflm_interpreter import TflmInterpreter

RESULTS = Path(__file__).with_name("third_party.json")
TARGET = "cortex-m4"
CALIBRATION_SAMPLES, TEST_SAMPLES = 1000, 1000

Row = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="+", metavar="MODEL.tflite:DB")
    document: Row = json.loads(RESULTS.read_text()) if RESULTS.exists() else {"rows": []}
    for argument in parser.parse_args().models:
        path, _, db = argument.rpartition(":")
        row = measure(Path(path), float(db))
        print(row, flush=True)
        rows = [r for r in document["rows"] if r["model"] != row["model"]] + [row]
        command = "python benchmarks/compression/third_party.py MODEL.tflite:DB ..."
        document = {"command": command, "rows": sorted(rows, key=lambda r: str(r["model"]))}
        RESULTS.write_text(json.dumps(document, indent=1) + "\n")
    tables.write_third_party(document["rows"])


def measure(path: Path, db: float) -> Row:
    """One model: sizes, instructions and quality, before and after."""
    data = path.read_bytes()
    shape = editor.read(data).subgraphs[0].inputs[0].shape
    rng = np.random.default_rng(0)
    count = CALIBRATION_SAMPLES + TEST_SAMPLES
    x = rng.integers(-128, 128, (count, *shape[1:])).astype(np.int8)
    start = time.process_time()
    result = ts.compress(
        data,
        budget=Budget(min_output_sqnr_db=db),
        representative_dataset=x[:CALIBRATION_SAMPLES],
        target=TARGET,
        name=path.name,
        workers=1,
        cache_dir=None,
    )
    seconds = time.process_time() - start
    unseen = x[CALIBRATION_SAMPLES:]
    return {
        "model": path.name,
        "asked_db": db,
        "sqnr_db": round(sqnr_db(outputs(data, unseen), outputs(result.tflite, unseen)), 2),
        "held_out_db": round(result.point.sqnr_db, 2),
        "forms": list(result.point.forms),
        "before": figures(data, x),
        "after": figures(result.tflite, x),
        "search_cpu_seconds": round(seconds),
    }


def outputs(tflite: bytes, x: Any) -> list[Any]:
    """Real numbers, as TFLM computes them."""
    tensors = editor.read(tflite).subgraphs[0].outputs
    found = ts.run(tflite, x, runtime="tflm", progress=False)
    pairs = zip(found, tensors, strict=True)
    return [dequantize(values, tensor).astype(np.float64) for values, tensor in pairs]


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
