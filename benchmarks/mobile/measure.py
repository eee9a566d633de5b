"""The delegate's backends against XNNPACK, on layers of real models; writes results.json.

    python benchmarks/mobile/measure.py [SECONDS] [NAME]

takes SECONDS (180) for each layer, all its models by turns, about 15 minutes in all, and writes the
tables of README.md. With NAME it measures only layers whose names contain that, and keeps the
others. Every sparse model's outputs are held against XNNPACK's first.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from layers import Shape, dense_model, random_weights, sparse_model
from rich.progress import track
from tables import DENSE, write_tables
from timing import interpreter, machine, output, shortest_times

from tflm_sparsesep.converters.blob.format import Layout
from tflm_sparsesep.converters.blob.layouts import LAYOUTS

Key = tuple[int, str | float, str]
"""Threads, "dense" or the share of zeros, and what kind of model."""

RESULTS = Path(__file__).with_name("results.json")
THREADS = (2, 1)
SECONDS = 180.0
SHAPES = (
    Shape("VGG-16 fc7: fully connected, 4096 -> 4096", 4096, 4096),
    Shape("MobileNet v1's classifier: fully connected, 1024 -> 1000", 1000, 1024),
    Shape("MobileNet v1 pw7: 1x1 convolution, 14x14, 512 -> 512", 512, 512, (14, 14)),
    Shape("ResNet: 3x3 convolution, 28x28, 64 -> 64", 64, 576, (28, 28), (3, 3)),
)
ZEROS = (0.5, 0.7, 0.8, 0.9, 0.95, 0.98)
# Of the layouts of a pattern the fastest of the CPU.
INT8 = ("1x1_u16_int8", "1x4_delta8_int8", "4x1_delta8_int8", "4x4_delta8_int8", "1x16_delta8_int8")
FLOAT32 = (
    "1x1_u16_float32",
    "1x4_delta8_float32",
    "4x1_delta8_float32",
    "4x4_delta8_float32",
    "1x16_delta8_float32",
)
# OpenCL has threads of its own: it is measured beside two of the others.
BACKENDS = {2: ("cpu", "opencl"), 1: ("cpu",)}


def layouts(names: tuple[str, ...]) -> list[Layout]:
    """Those of `LAYOUTS` with these names."""
    return [layout for layout in LAYOUTS if str(layout) in names]


def dense_interpreters(shape: Shape) -> dict[Key, Interpreter]:
    """XNNPACK's, whose times do not depend on the weights, by threads and type."""
    made: dict[Key, Interpreter] = {}
    for dtype in DENSE:
        model = dense_model(shape, random_weights(shape, dtype, "1x1", ZEROS[0]), dtype)
        for threads in THREADS:
            made[threads, "dense", dtype] = interpreter(model, "xnnpack", threads)
    return made


def sparse_interpreters(shape: Shape, zeros: float) -> dict[Key, Interpreter]:
    """Of every pattern, type and backend; each has given what XNNPACK gives."""
    made: dict[Key, Interpreter] = {}
    for dtype, names in (("float32", FLOAT32), ("int8", INT8)):
        for layout in layouts(names):
            dense = dense_model(shape, random_weights(shape, dtype, layout.pattern, zeros), dtype)
            sparse, _ = sparse_model(dense, layout)
            expected = output(interpreter(dense, "xnnpack", 1))
            for threads in THREADS:
                for backend in BACKENDS[threads]:
                    name = f"{layout.pattern} {dtype}, {backend}"
                    made[threads, zeros, name] = interpreter(sparse, backend, threads)
                    check(name, output(made[threads, zeros, name]), expected)
    return made


def check(name: str, outputs: Any, expected: Any) -> None:
    """int8 within 1: XNNPACK rounds once, we as TFLM twice. Floats up to the order of sums."""
    difference = np.max(np.abs(outputs.astype(np.float64) - expected))
    # Sums of up to 4096 * 0.5 terms, each rounded: a random walk of eps / 2 of the largest output.
    allowed = 1 if expected.dtype == np.int8 else 1e-5 * np.max(np.abs(expected))
    if difference > allowed:
        raise SystemExit(f"{name}: outputs differ from XNNPACK's by up to {difference}")


def measure(shape: Shape, seconds: float) -> dict[int, dict[str, Any]]:
    """Milliseconds of every model of a layer, by threads."""
    dense = dense_interpreters(shape)
    sparse: dict[Key, Interpreter] = {}
    for zeros in track(ZEROS, shape.name):
        sparse |= sparse_interpreters(shape, zeros)
    seconds_of = shortest_times(sparse, often=dense, seconds=seconds)
    times = {key: round(1e3 * best, 5) for key, best in seconds_of.items()}

    def of(threads: int, kind: str | float) -> dict[str, float]:
        return {name: ms for (t, k, name), ms in times.items() if (t, k) == (threads, kind)}

    return {
        threads: {
            "name": shape.name,
            "dense_ms": of(threads, "dense"),
            "sparse": [{"zeros": zeros, "ms": of(threads, zeros)} for zeros in ZEROS],
        }
        for threads in THREADS
    }


def measure_or_keep(shape: Shape, seconds: float, name: str) -> dict[int, dict[str, Any]]:
    """Of a layer whose name contains `name`; else what results.json says."""
    if name in shape.name:
        return measure(shape, seconds)
    return {
        run["threads"]: layer
        for run in json.loads(RESULTS.read_text())["runs"]
        for layer in run["layers"]
        if layer["name"] == shape.name
    }


def main() -> None:
    """Measures all layers and writes results and page."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else SECONDS
    name = sys.argv[2] if len(sys.argv) > 2 else ""
    layers = [measure_or_keep(shape, seconds, name) for shape in SHAPES]
    results: dict[str, Any] = {
        "command": "python benchmarks/mobile/measure.py",
        "machine": machine(),
        "runs": [
            {"threads": threads, "layers": [layer[threads] for layer in layers]}
            for threads in THREADS
        ],
    }
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    write_tables(results)


if __name__ == "__main__":
    main()
