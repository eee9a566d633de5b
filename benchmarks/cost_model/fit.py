"""Fits the cost model of the sparse kernels to counts measured on every emulated target.

    python benchmarks/cost_model/fit.py [TARGET ...]

writes converters/cost/data/sparse_kernels.json, with each set of coefficients the largest error
on layers that were not in the fit. Takes about a minute for each target; those that are not named
keep what the file says.

The counts are exact and the terms are what the kernels execute, so the coefficients come out as
the numbers of instructions that one reads in the kernels' sources. Terms that explain nothing are
left out.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.progress import track
from scipy.optimize import nnls

from tflm_sparsesep.converters.blob.format import Layout, Major
from tflm_sparsesep.converters.blob.layouts import layouts_for
from tflm_sparsesep.converters.blob.pack import pack
from tflm_sparsesep.converters.blob.size import PackedSize, size_of
from tflm_sparsesep.converters.cost.terms import sparse_terms
from tflm_sparsesep.converters.op_names import SPARSE_FULLY_CONNECTED
from tflm_sparsesep.converters.targets import TARGETS, get_target
from tflm_sparsesep.device import emulation
from tflm_sparsesep.device.kernel_bench import random_layer
from tflm_sparsesep.device.synthetic_layers import LayerCase

OUTPUT = Path(__file__).parents[2] / "converters/cost/data/sparse_kernels.json"

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Point:
    """One layer to measure.

    Attributes:
        empty: share of rows without a weight: dead channels.
        input_zeros: matters to column-major kernels only.
    """

    rows: int
    cols: int
    zeros: float
    batch: int = 1
    empty: float = 0.0
    input_zeros: float = 0.0


# Shapes of real layers, and what is left of 4 and 16 in rows and columns.
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
    Point(10, 128, 0.5),
    Point(101, 301, 0.9),
    Point(47, 203, 0.8),
    Point(67, 1100, 0.9),
    Point(40, 1600, 0.95),
    Point(23, 45, 0.85),
    Point(64, 64, 0.9, batch=36),
    Point(96, 32, 0.7, batch=16),
    Point(32, 128, 0.85, batch=8),
    Point(33, 90, 0.9, batch=3),
    Point(30, 55, 0.8, batch=5),
    Point(64, 72, 0.9, batch=9),
    Point(21, 100, 0.75, batch=2),
    Point(10, 150, 0.9, batch=12),
    Point(110, 24, 0.8, batch=4),
    Point(129, 200, 0.95, batch=4),
    Point(50, 61, 0.5, batch=7),
    Point(128, 128, 0.8, batch=36, empty=0.8),
    Point(96, 200, 0.9, batch=9, empty=0.5),
    Point(44, 300, 0.7, empty=0.6),
    Point(256, 160, 0.9, batch=4, empty=0.9),
    Point(64, 144, 0.9, batch=12),
    Point(40, 96, 0.85, batch=28),
    Point(120, 64, 0.8, batch=24, empty=0.5),
    Point(16, 200, 0.95, batch=14),
]
HELD_OUT = [
    Point(100, 300, 0.9),
    Point(64, 128, 0.85),
    Point(250, 400, 0.97),
    Point(70, 149, 0.8),
    Point(150, 1000, 0.92),
    Point(48, 96, 0.8, batch=24),
    Point(27, 77, 0.85, batch=6),
    Point(64, 64, 0.9, batch=49),
    Point(80, 111, 0.9, batch=4),
    Point(128, 256, 0.8, batch=12, empty=0.85),
]
# By turns, so that fitted and held-out points of all shapes see each.
INPUT_ZEROS = (0.0, 0.3, 0.6, 0.9)
# Of the largest block: whole blocks are empty.
BLOCK_ROWS = 4
# Which inputs are zero is a matter of chance: the model predicts the mean.
COLUMN_VECTORS = 32

VECTORS_PER_PASS = (1, 2, 4, 8, 12, 16)
# A term stays if leaving it out makes the root mean square error worse than both.
TOLERATED_ERROR = 0.001
TOLERATED_GROWTH = 1.2
# What is left of the error where a kernel does take several vectors at a time.
WORTHWHILE = 0.3


@dataclass(frozen=True)
class Measured:
    """A layer of `layout` as measured: instructions per inference, mean over its inputs."""

    layout: Layout
    size: PackedSize
    batch: int
    input_zeros: float
    instructions: float

    def terms(self, vectors_per_pass: int) -> dict[str, float]:
        """Terms of the model for this layer."""
        return sparse_terms(
            self.layout,
            self.size,
            batch=self.batch,
            input_zeros=self.input_zeros,
            vectors_per_pass=vectors_per_pass,
        )


def points_for(layout: Layout, points: list[Point]) -> list[Point]:
    """`points`, for column-major kernels with several shares of zero inputs."""
    if layout.major is Major.ROW:
        return points
    return [
        dataclasses.replace(point, input_zeros=INPUT_ZEROS[i % len(INPUT_ZEROS)])
        for i, point in enumerate(points)
    ]


def measure(target: str, layout: Layout, point: Point) -> Measured:
    """Executed instructions of one random layer."""
    inferences = -(-COLUMN_VECTORS // point.batch) if layout.major is Major.COLUMN else 1
    case = random_layer(
        layout,
        point.rows,
        point.cols,
        zeros=point.zeros,
        batch=point.batch * inferences,
        input_zeros=point.input_zeros,
    )
    case.layer.weights[: round(point.empty * point.rows) // BLOCK_ROWS * BLOCK_ROWS] = 0
    blob = pack(case.layer, layout)
    run = emulation.run_layer(
        target,
        SPARSE_FULLY_CONNECTED,
        case.options.to_bytes(),
        blob,
        case.inputs.reshape(inferences, point.batch, point.cols),
        (point.batch, point.rows),
    )
    return Measured(
        layout,
        size_of(case.layer.weights, layout),
        point.batch,
        share_of_zeros(case),
        float(np.mean(run.instructions)),
    )


def share_of_zeros(case: LayerCase[Any]) -> float:
    """Share of inputs that stand for 0, those that do by chance included."""
    return float(np.mean(case.inputs == case.options.input_zero_point))


def matrix(measured: list[Measured], names: list[str], vectors_per_pass: int) -> Array:
    """Terms [layers, names], each layer divided by its count: a model's product with it is 1."""
    rows = []
    for layer in measured:
        terms = layer.terms(vectors_per_pass)
        rows.append([terms[name] / layer.instructions for name in names])
    return np.array(rows, np.float64)


def solve(terms: Array) -> tuple[Array, float]:
    """Coefficients, none negative, by least squares of the relative error, and that error."""
    # Columns of like size: nnls stops early on badly scaled ones.
    scale = np.max(terms, axis=0)
    solution, _ = nnls(terms / scale, np.ones(len(terms)), maxiter=100 * terms.shape[1])
    coefficients = solution / scale
    return coefficients, float(np.sqrt(np.mean((terms @ coefficients - 1.0) ** 2)))


def fit_terms(measured: list[Measured], vectors_per_pass: int) -> tuple[dict[str, float], float]:
    """The fewest terms that explain the counts, with their coefficients; and the error left."""
    names = list(measured[0].terms(vectors_per_pass))
    terms = matrix(measured, names, vectors_per_pass)
    kept = [i for i in range(len(names)) if terms[:, i].any()]
    coefficients, error = solve(terms[:, kept])
    kept = [i for i, value in zip(kept, coefficients, strict=True) if value > 0]
    limit = max(TOLERATED_ERROR, TOLERATED_GROWTH * error)
    while len(kept) > 1:
        without = [[i for i in kept if i != left_out] for left_out in kept]
        errors = [solve(terms[:, fewer])[1] for fewer in without]
        if min(errors) > limit:
            break
        kept = without[int(np.argmin(errors))]
    coefficients, error = solve(terms[:, kept])
    rounded = (round(float(value), 4) for value in coefficients)
    return dict(zip((names[i] for i in kept), rounded, strict=True)), error


def fit_passes(measured: list[Measured]) -> tuple[dict[str, float], int]:
    """The fit and the number of vectors for which the kernel decodes its blob once.

    One, unless another number explains the counts far better.
    """
    fits = {vectors: fit_terms(measured, vectors) for vectors in VECTORS_PER_PASS}
    best = min(fits, key=lambda vectors: fits[vectors][1])
    vectors = best if fits[best][1] < WORTHWHILE * fits[1][1] else 1
    return fits[vectors][0], vectors


def fit(target: str, layout: Layout) -> dict[str, Any]:
    """What `sparse_kernels.json` says of one kernel."""
    measured = [measure(target, layout, point) for point in points_for(layout, FITTED)]
    coefficients, vectors = fit_passes(measured)
    held_out = [measure(target, layout, point) for point in points_for(layout, HELD_OUT)]
    predicted = matrix(held_out, list(coefficients), vectors) @ np.array([*coefficients.values()])
    return {
        "held_out_error": round(float(np.max(np.abs(predicted - 1.0))), 4),
        "vectors_per_pass": vectors,
        "instructions": coefficients,
    }


def fit_target(target: str) -> dict[str, dict[str, Any]]:
    """The fit of every layout that the target runs; prints those that predict badly."""
    layouts = layouts_for(target)
    with ThreadPoolExecutor(max_workers=2) as pool:
        fits = pool.map(lambda layout: fit(target, layout), layouts)
        fitted = dict(zip(map(str, layouts), track(fits, target, total=len(layouts)), strict=True))
    for layout, kernel in fitted.items():
        if kernel["held_out_error"] > 0.05:
            print(f"{target} {layout}: {kernel['held_out_error']:.1%} off outside the fit")
    worst = max(kernel["held_out_error"] for kernel in fitted.values())
    print(f"{target}: at most {worst:.2%} off on layers outside the fit")
    return fitted


def main() -> None:
    devices = [name for name in TARGETS if TARGETS[name].qemu_machine]
    document = json.loads(OUTPUT.read_text())
    for target in sys.argv[1:] or devices:
        document["targets"][target] = fit_target(get_target(target).name)
        OUTPUT.write_text(json.dumps(document, indent=2) + "\n")


if __name__ == "__main__":
    main()
