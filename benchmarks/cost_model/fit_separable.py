"""Fits the cost model of SEPARABLE_CONV_2D to counts measured on every emulated target.

    python benchmarks/cost_model/fit_separable.py [TARGET ...]

writes converters/cost/data/separable_kernels.json, with each set of coefficients the largest error
on shapes that were not in the fit. Takes about twenty seconds for each target; those that are not
named keep what the file says.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import track
from scipy.optimize import nnls

from tflm_sparsesep.converters.blob.pack_separable import order_for, pack
from tflm_sparsesep.converters.blob.separable_format import Order, Padding
from tflm_sparsesep.converters.cost import separable_conv
from tflm_sparsesep.converters.op_names import SEPARABLE_CONV_2D
from tflm_sparsesep.converters.targets import TARGETS, get_target
from tflm_sparsesep.device import emulation
from tflm_sparsesep.device.synthetic_separable import (
    SeparableShape,
    random_images,
    random_separable,
)

OUTPUT = Path(__file__).parents[2] / "converters/cost/data/separable_kernels.json"

VALID = (Padding.VALID, Padding.VALID)
FITTED = [
    SeparableShape(12, 12, (20, 10, 50), (5, 5), padding=VALID),
    SeparableShape(8, 8, (64, 32, 64), (3, 3)),
    SeparableShape(16, 16, (16, 8, 16), (3, 3)),
    SeparableShape(16, 16, (3, 6, 16), (3, 3)),
    SeparableShape(20, 20, (1, 4, 20), (5, 5), padding=VALID),
    SeparableShape(10, 9, (32, 15, 40), (5, 5), stride=(2, 2)),
    SeparableShape(14, 13, (24, 12, 28), (3, 3), padding=VALID),
    SeparableShape(6, 6, (48, 24, 96), (3, 3)),
    SeparableShape(9, 9, (15, 7, 33), (7, 7)),
    SeparableShape(4, 4, (128, 64, 128), (3, 3)),
    SeparableShape(24, 3, (8, 4, 8), (9, 3), stride=(2, 1)),
    SeparableShape(5, 30, (6, 2, 6), (3, 9), stride=(1, 3)),
    SeparableShape(7, 7, (40, 40, 10), (3, 5)),
    SeparableShape(11, 11, (10, 3, 90), (3, 3)),
    SeparableShape(8, 8, (4, 4, 4), (3, 3)),
    SeparableShape(2, 2, (8, 8, 8), (2, 2)),
]
HELD_OUT = [
    SeparableShape(10, 10, (30, 18, 36), (3, 3)),
    SeparableShape(14, 14, (6, 5, 16), (5, 5), padding=VALID),
    SeparableShape(6, 7, (64, 24, 48), (3, 3), stride=(2, 2)),
    SeparableShape(12, 8, (16, 12, 24), (5, 3)),
]


def measure(target: str, order: Order, shape: SeparableShape) -> tuple[list[float], int]:
    """Terms of the model and executed instructions of a random layer."""
    rng = np.random.default_rng(0)
    conv, images = random_separable(rng, shape), random_images(rng, shape)
    run = emulation.run_layer(
        target,
        SEPARABLE_CONV_2D,
        b"",
        pack(conv, order),
        images[None],
        conv.output_shape(images.shape),
    )
    terms = separable_conv.separable_terms(target, conv, order, images.shape)
    return list(terms.values()), run.instructions[0]


def fit(target: str, order: Order) -> dict[str, float]:
    """Coefficients, none negative, by least squares of the relative error."""
    shapes = track([*FITTED, *HELD_OUT], f"{target} {order.name.lower()}")
    measured = [measure(target, order, shape) for shape in shapes]
    terms = np.array([terms for terms, _ in measured])
    counts = np.array([count for _, count in measured], np.float64)
    relative = terms / counts[:, None]
    fitted = relative[: len(FITTED)]
    # Columns of like size: nnls stops early on badly scaled ones.
    scale = fitted.max(axis=0)
    scale[scale == 0] = 1
    solution, _ = nnls(fitted / scale, np.ones(len(FITTED)))
    example = random_separable(np.random.default_rng(0), FITTED[0])
    names = separable_conv.separable_terms(target, example, order, FITTED[0].input_shape)
    values = np.round(solution / scale, 4)
    error = float(np.max(np.abs(relative[len(FITTED) :] @ values - 1)))
    print(f"{target} {order.name.lower()}: at most {error:.2%} off on shapes outside the fit")
    found = dict(zip(names, values.tolist(), strict=True))
    return found | {"held_out_error": round(error, 4)}


def fit_target(target: str) -> dict[str, dict[str, float]]:
    """Coefficients by order: the target's own, and the one for weights that this cannot hold."""
    example = random_separable(np.random.default_rng(0), FITTED[0])
    orders = dict.fromkeys([order_for(example, target), Order.NATURAL])
    return {order.name.lower(): fit(target, order) for order in orders}


def main() -> None:
    devices = [name for name in TARGETS if TARGETS[name].qemu_machine]
    document: dict[str, Any] = {"targets": {}}
    if OUTPUT.is_file():
        document = json.loads(OUTPUT.read_text())
    document["command"] = "python benchmarks/cost_model/fit_separable.py"
    for target in sys.argv[1:] or devices:
        document["targets"][target] = fit_target(get_target(target).name)
        OUTPUT.write_text(json.dumps(document, indent=2) + "\n")


if __name__ == "__main__":
    main()
