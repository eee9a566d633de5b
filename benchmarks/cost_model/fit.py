"""Fits the cost model of the sparse kernels to counts measured on every emulated target.

    python benchmarks/cost_model/fit.py

writes converters/cost_data/sparse_kernels.json and prints the largest error on shapes that were
not in the fit. Takes about a minute.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from rich.progress import track

from tflm_sparsesep import emulation
from tflm_sparsesep.converters import cost_model
from tflm_sparsesep.converters.layouts import LAYOUTS
from tflm_sparsesep.converters.op_names import SPARSE_FULLY_CONNECTED
from tflm_sparsesep.converters.pack import pack, read_header
from tflm_sparsesep.converters.packed_format import Layout
from tflm_sparsesep.converters.targets import TARGETS
from tflm_sparsesep.synthetic_layers import random_case

OUTPUT = Path(__file__).parents[2] / "converters/cost_data/sparse_kernels.json"

# (rows, cols, zeros)
FITTED = [(32, 64, 0.8), (128, 256, 0.9), (300, 784, 0.95), (10, 100, 0.7), (128, 640, 0.98)]
HELD_OUT = [(100, 300, 0.9), (64, 128, 0.85), (250, 400, 0.97)]


def measure(target: str, layout: Layout, shape: tuple[int, int, float]) -> tuple[int, int, int]:
    """Stored blocks, groups and executed instructions of one random layer."""
    rows, cols, zeros = shape
    case = random_case(np.random.default_rng(rows * cols), rows, cols, zeros=zeros)
    blob = pack(case.layer, layout)
    run = emulation.run_layer(
        target,
        SPARSE_FULLY_CONNECTED,
        case.options.to_bytes(),
        blob,
        case.inputs[None],
        (1, rows),
    )
    return int(read_header(blob)["blocks"]), -(-rows // layout.block_rows), run.instructions[0]


def fit(target: str, layout: Layout) -> dict[str, float]:
    """Coefficients by least squares of the relative error."""
    points = np.array([measure(target, layout, shape) for shape in FITTED], np.float64)
    blocks, groups, counts = points.T
    terms = np.stack([blocks, groups, np.ones_like(blocks)], axis=1) / counts[:, None]
    solution, *_ = np.linalg.lstsq(terms, np.ones_like(counts), rcond=None)
    keys = ("per_block", "per_group", "per_call")
    return {key: round(float(value), 3) for key, value in zip(keys, solution, strict=True)}


def held_out_error(target: str, layout: Layout) -> float:
    """Largest relative error of the written model on shapes it has not seen."""
    errors: list[float] = []
    for rows, cols, zeros in HELD_OUT:
        blocks, _, count = measure(target, layout, (rows, cols, zeros))
        predicted = cost_model.sparse_fully_connected(target, layout, rows, cols, blocks)
        errors.append(abs(predicted / count - 1))
    return max(errors)


def main() -> None:
    devices = [name for name in TARGETS if name != "host"]
    pairs = [(target, layout) for target in devices for layout in LAYOUTS]
    model: dict[str, dict[str, dict[str, float]]] = {target: {} for target in devices}
    for target, layout in track(pairs, "Measuring"):
        model[target][str(layout)] = fit(target, layout)
    document = {
        "command": "python benchmarks/cost_model/fit.py",
        "flags": emulation.DEFAULT_OPTIMIZATION,
        "targets": model,
    }
    OUTPUT.write_text(json.dumps(document, indent=2) + "\n")
    worst = max((held_out_error(target, layout), target, str(layout)) for target, layout in pairs)
    print(f"largest error on shapes outside the fit: {worst[0]:.2%} ({worst[1]}, {worst[2]})")


if __name__ == "__main__":
    main()
