"""Fits what a residual adds to SPARSE_CONV_2D to counts measured on every emulated target.

    python benchmarks/cost_model/fit_residual.py [TARGET ...]

writes converters/cost/data/residual.json, with the largest error on sizes that were not in the fit.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tflm_sparsesep.converters.blob.pack_sparse_conv import (
    ConvWindow,
    Residual,
    pack_conv,
    with_residual,
)
from tflm_sparsesep.converters.cost import residual
from tflm_sparsesep.converters.cost.choose_layout import measured_layouts
from tflm_sparsesep.converters.cost.fit import fit
from tflm_sparsesep.converters.op_names import SPARSE_CONV_2D
from tflm_sparsesep.converters.targets import TARGETS, get_target
from tflm_sparsesep.device import emulation
from tflm_sparsesep.device.kernel_bench import random_layer
from tflm_sparsesep.device.layer_job import LayerJob

OUTPUT = Path(__file__).parents[2] / "converters/cost/data" / residual.FILE
CHANNELS = 4
# Height and width of the output.
FITTED = [(1, 1), (2, 3), (8, 8), (24, 24)]
HELD_OUT = [(3, 5), (16, 16)]
# Both operands of all values, a sum that is clamped to int8 alone.
RESIDUAL = Residual("other", -3, 5, -128, 127, 1500000000, 1, 1300000000, 18)


def measure(target: str, sizes: Sequence[tuple[int, int]]) -> list[tuple[int, float]]:
    """Return elements and instructions of the addition alone, for each size."""
    layout = measured_layouts(target)[0]
    window = ConvWindow((3, 3), CHANNELS)
    case = random_layer(layout, CHANNELS, window.cols, zeros=0.9, batch=1, input_zeros=0.0)
    blob = pack_conv(window, case.options, case.layer, layout)
    rng = np.random.default_rng(1)
    jobs = []
    for height, width in sizes:
        shape = (1, height, width, CHANNELS)
        images = rng.integers(-128, 128, (2, 1, *shape)).astype(np.int8)
        jobs.append(LayerJob(SPARSE_CONV_2D, b"", blob, images[0], shape))
        added = with_residual(blob, RESIDUAL)
        jobs.append(LayerJob(SPARSE_CONV_2D, b"", added, images[0], shape, residuals=images[1]))
    counts = [run.instructions[0] for run in emulation.run_layers(target, jobs)]
    elements = [height * width * CHANNELS for height, width in sizes]
    return [(n, counts[2 * i + 1] - counts[2 * i]) for i, n in enumerate(elements)]


def fit_target(target: str) -> dict[str, object]:
    """Return the coefficients of a target, and how well they predict other sizes."""
    measured = measure(target, FITTED + HELD_OUT)
    fitted, held_out = measured[: len(FITTED)], measured[len(FITTED) :]
    found = fit([[n, 1.0] for n, _ in fitted], [count for _, count in fitted])
    errors = [float(np.dot(found, [n, 1.0])) / count - 1 for n, count in held_out]
    worst = float(np.max(np.abs(errors)))
    print(f"{target}: at most {worst:.2%} off on sizes outside the fit")
    names = ("per_element", "per_call")
    return {
        "held_out_error": round(worst, 4),
        "instructions": {
            name: round(float(value), 4) for name, value in zip(names, found, strict=True)
        },
    }


def main() -> None:
    devices = [name for name in TARGETS if TARGETS[name].qemu_machine]
    document = {"command": "python benchmarks/cost_model/fit_residual.py", "flags": "-O2"}
    document = json.loads(OUTPUT.read_text()) if OUTPUT.exists() else document | {"targets": {}}
    for target in sys.argv[1:] or devices:
        document["targets"][target] = fit_target(get_target(target).name)
        OUTPUT.write_text(json.dumps(document, indent=2) + "\n")


if __name__ == "__main__":
    main()
