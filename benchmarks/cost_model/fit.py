"""Fits the cost model of the sparse kernels to counts measured on every emulated target.

    python benchmarks/cost_model/fit.py [TARGET ...]

writes converters/cost_data/sparse_kernels.json, with each set of coefficients the largest error
on shapes that were not in the fit. Takes half a minute for each target; those that are not named
keep what the file says.
"""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import track
from scipy.optimize import nnls

from tflm_sparsesep import emulation
from tflm_sparsesep.converters import cost_model
from tflm_sparsesep.converters.layouts import layouts_for
from tflm_sparsesep.converters.op_names import SPARSE_FULLY_CONNECTED
from tflm_sparsesep.converters.pack import pack
from tflm_sparsesep.converters.packed_format import Layout, Major
from tflm_sparsesep.converters.targets import TARGETS, get_target
from tflm_sparsesep.kernel_bench import random_layer

OUTPUT = Path(__file__).parents[2] / "converters/cost_data/sparse_kernels.json"


@dataclass(frozen=True)
class Point:
    """One layer to measure; `input_zeros` matters to column-major kernels only."""

    rows: int
    cols: int
    zeros: float
    batch: int = 1
    input_zeros: float = 0.0


FITTED = [
    Point(32, 64, 0.8),
    Point(128, 256, 0.9),
    Point(128, 256, 0.6),
    Point(300, 784, 0.95),
    Point(300, 784, 0.8),
    Point(12, 400, 0.8),
    Point(200, 40, 0.9),
    Point(128, 640, 0.98),
    Point(60, 500, 0.85),
    Point(180, 120, 0.7),
    Point(90, 200, 0.95),
    Point(240, 320, 0.9),
    Point(64, 64, 0.9, batch=36),
    Point(96, 32, 0.7, batch=16),
    Point(32, 128, 0.85, batch=8),
]
HELD_OUT = [
    Point(100, 300, 0.9),
    Point(64, 128, 0.85),
    Point(250, 400, 0.97),
    Point(48, 96, 0.8, batch=24),
]
INPUT_ZEROS = (0.0, 0.3, 0.6, 0.9)


def points_for(layout: Layout, points: list[Point]) -> list[Point]:
    """`points`, for column-major kernels with several shares of zero inputs."""
    if layout.major is Major.ROW:
        return points
    return [
        Point(p.rows, p.cols, p.zeros, p.batch, INPUT_ZEROS[i % len(INPUT_ZEROS)])
        for i, p in enumerate(points)
    ]


def measure(target: str, layout: Layout, point: Point) -> tuple[list[float], int]:
    """Terms of the model and executed instructions of one random layer."""
    case = random_layer(
        layout,
        point.rows,
        point.cols,
        zeros=point.zeros,
        batch=point.batch,
        input_zeros=point.input_zeros,
    )
    blob = pack(case.layer, layout)
    run = emulation.run_layer(
        target,
        SPARSE_FULLY_CONNECTED,
        case.options.to_bytes(),
        blob,
        case.inputs[None],
        (point.batch, point.rows),
    )
    terms = cost_model.sparse_terms(
        layout,
        cost_model.PackedSize.of(blob),
        batch=point.batch,
        input_zeros=point.input_zeros,
    )
    return list(terms.values()), run.instructions[0]


def measure_all(
    target: str, layout: Layout, points: list[Point]
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Terms [points, terms] and counts [points]."""
    measured = [measure(target, layout, point) for point in points_for(layout, points)]
    terms, counts = zip(*measured, strict=True)
    return np.array(terms, np.float64), np.array(counts, np.float64)


def fit(target: str, layout: Layout) -> dict[str, float]:
    """Coefficients, none negative, by least squares of the relative error."""
    terms, counts = measure_all(target, layout, FITTED)
    # Columns of like size: nnls stops early on badly scaled ones.
    scale = np.max(terms / counts[:, None], axis=0)
    solution, _ = nnls(terms / counts[:, None] / scale, np.ones_like(counts))
    names = cost_model.sparse_terms(layout, cost_model.PackedSize(1, 1, 1, 1, 1, 1, 1))
    coefficients = {
        name: round(float(value), 4) for name, value in zip(names, solution / scale, strict=True)
    }
    terms, counts = measure_all(target, layout, HELD_OUT)
    predicted = terms @ np.array(list(coefficients.values()))
    error = float(np.max(np.abs(predicted / counts - 1)))
    return coefficients | {"held_out_error": round(error, 4)}


def fit_target(target: str) -> dict[str, dict[str, float]]:
    """Coefficients of every layout that the target runs; prints those that predict badly."""
    layouts = layouts_for(target)
    with ThreadPoolExecutor(max_workers=2) as pool:
        fits = pool.map(lambda layout: fit(target, layout), layouts)
        fitted = dict(zip(map(str, layouts), track(fits, target, total=len(layouts)), strict=True))
    for layout, coefficients in fitted.items():
        error = coefficients["held_out_error"]
        if error > 0.05:
            print(f"{target} {layout}: {error:.1%} off on shapes outside the fit")
    worst = max(coefficients["held_out_error"] for coefficients in fitted.values())
    print(f"{target}: at most {worst:.2%} off on shapes outside the fit")
    return fitted


def main() -> None:
    devices = [name for name in TARGETS if name != "host"]
    document = json.loads(OUTPUT.read_text())
    for target in sys.argv[1:] or devices:
        document["targets"][target] = fit_target(get_target(target).name)
        OUTPUT.write_text(json.dumps(document, indent=2) + "\n")


if __name__ == "__main__":
    main()
