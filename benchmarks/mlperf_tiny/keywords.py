"""MLPerf Tiny's keyword spotter without its training data: compressed, then taught by itself.

    python benchmarks/mlperf_tiny/keywords.py --flash 24500 --epochs 100 --seed 0
    python benchmarks/mlperf_tiny/keywords.py --report-only

compresses `kws_ref_model.tflite` to a size with 300 of the 1,000 samples of the evaluation set,
without labels, fine-tunes it to the outputs of the published file on the same 300, and judges both
on the other 700 in TFLM. Adds a row to keywords.json and to the table of README.md. A setting that
has a row is not run again.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import figures  # finds the modules of benchmarks/compression, too
import numpy as np
import numpy.typing as npt
import real_inputs
from measure import arena_bytes, constant_bytes, percent
from rows import Row, write_rows, write_table

import tflm_sparsesep as ts
from tflm_sparsesep.converters.tflite import editor

RESULTS = Path(__file__).with_name("keywords.json")
MODEL = "kws_ref_model"

_PRUNED = (editor.BuiltinOperator.FULLY_CONNECTED, editor.BuiltinOperator.CONV_2D)
_CORES = {"cortex-m0": "M0", "cortex-m3": "M3", "cortex-m4": "M4", "cortex-m55": "M55"}

Array = npt.NDArray[Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--flash", type=int, help="most bytes of the file")
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--report-only", action="store_true")
    arguments = parser.parse_args()
    rows: list[Row] = json.loads(RESULTS.read_text()) if RESULTS.exists() else []
    if not arguments.report_only:
        command = (
            f"python benchmarks/mlperf_tiny/keywords.py --flash {arguments.flash} "
            f"--epochs {arguments.epochs} --seed {arguments.seed}"
        )
        if all(row["command"] != command for row in rows):
            rows.append(measure(arguments.flash, arguments.epochs, arguments.seed, command))
            rows.sort(key=lambda row: (-row["file_bytes"], row["seed"], row["epochs"]))
            write_rows(RESULTS, rows)
    write_table("keywords", table(rows))


def measure(flash: int, epochs: int, seed: int, command: str) -> Row:
    """Return the row of one setting."""
    dense = (real_inputs.SHARED / f"models/{MODEL}.tflite").read_bytes()
    calibration, judged = real_inputs.keywords()
    _, classes = real_inputs.keywords("y")
    start = time.process_time()
    budget = ts.Budget(flash_bytes=flash)
    small = ts.compress(dense, budget=budget, representative_dataset=calibration, name=MODEL)
    print(small.point, *small.point.forms, sep="\n", flush=True)
    tuned = small.finetune(calibration, epochs=epochs, seed=seed)
    seconds = time.process_time() - start
    files = {core: ts.convert(tuned.dense_tflite, target=core).tflite for core in _CORES}
    chosen = files[figures.MAIN_TARGET]
    row = {
        "model": MODEL,
        "method": "ours_no_training",
        "zeros": round(zeros(tuned.dense_tflite), 4),
        "seed": seed,
        "dense_accuracy": accuracy(dense, judged, classes),
        "compressed_accuracy": accuracy(small.tflite, judged, classes),
        "accuracy": accuracy(chosen, judged, classes),
        "judged": len(judged),
        "sqnr_db": [round(one.point.sqnr_db, 2) for one in (small, tuned)],
        "dense_file_bytes": len(dense),
        "file_bytes": len(chosen),
        "dense_weight_bytes": weight_bytes(dense),
        "weight_bytes": weight_bytes(chosen),
        "arena_bytes": arena_bytes(chosen),
        "dense_instructions": {core: figures.dense_instructions(dense, core) for core in _CORES},
        "instructions": {
            core: figures.instructions(file, core, judged[:1]) for core, file in files.items()
        },
        "forms": list(small.point.forms),
        "epochs": epochs,
        "cpu_seconds": round(seconds),
        "command": command,
    }
    print(json.dumps(row), flush=True)
    return row


def accuracy(tflite: bytes, x: Array, y: Array) -> float:
    """Return the percentage of samples that TFLM classifies rightly."""
    found = figures.outputs(tflite, x)
    return percent(float(np.mean(found.argmax(axis=1) == y)))


def weight_bytes(tflite: bytes) -> int:
    """Return the bytes of weights and biases, packed or not, with their requantization.

    Packed weights hold it. Beside others the file stores a scale and a zero_point of each channel.
    """
    constants = {
        tensor
        for op in editor.read(tflite).operators
        if op.builtin_code in (*_PRUNED, editor.BuiltinOperator.DEPTHWISE_CONV_2D)
        for tensor in op.inputs[1:]
        if tensor is not None and tensor.quantization is not None
    }
    stored = [t.quantization for t in constants if t.quantization is not None]
    beside = sum(np.asarray(x.scales).nbytes + np.asarray(x.zero_points).nbytes for x in stored)
    return constant_bytes(tflite) + beside


def zeros(tflite: bytes) -> float:
    """Return the fraction of zero weights in fully-connected layers and convolutions."""
    weights = [
        np.asarray(op.weights.array)
        for op in editor.read(tflite).operators
        if op.builtin_code in _PRUNED
    ]
    return sum(int((w == 0).sum()) for w in weights) / sum(w.size for w in weights)


def table(rows: list[Row]) -> str:
    """Return one line for each row, with the parts of the dense file that it takes."""
    lines = [
        "| epochs, seed | SQNR | accuracy | file | weights | arena "
        f"| {' | '.join(_CORES.values())} |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        counts = " | ".join(
            f"{row['instructions'][core]:,}, "
            f"{row['instructions'][core] / row['dense_instructions'][core]:.2f}"
            for core in _CORES
        )
        before, after = row["sqnr_db"]
        lines.append(
            f"| {row['epochs']}, {row['seed']} | {before:.1f} -> {after:.1f} dB "
            f"| {row['dense_accuracy']:.2f} -> {row['compressed_accuracy']:.2f} "
            f"-> {row['accuracy']:.2f}, {row['accuracy'] - row['dense_accuracy']:+.2f} "
            f"| {_part(row, 'file_bytes')} | {_part(row, 'weight_bytes')} "
            f"| {row['arena_bytes']:,} | {counts} |"
        )
    return "\n".join(lines) + "\n"


def _part(row: Row, key: str) -> str:
    return f"{row[key]:,}, {row[key] / row[f'dense_{key}']:.2f}"


if __name__ == "__main__":
    main()
