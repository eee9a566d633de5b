"""Fits what SPARSE_CONV_2D does besides multiplying to counts measured on every emulated target.

    python benchmarks/cost_model/fit_sparse_conv.py [TARGET ...]

writes converters/cost/data/sparse_conv_gather.json, with the largest error of whole layers that
were not in the fit. What the kernels take of a layer is measured, too: an error of their model in
small layers is none of what is fitted here.
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

from tflm_sparsesep.converters.blob.format import Layout
from tflm_sparsesep.converters.blob.pack import pack
from tflm_sparsesep.converters.blob.pack_sparse_conv import ConvWindow, pack_conv
from tflm_sparsesep.converters.blob.separable_format import Padding
from tflm_sparsesep.converters.blob.size import size_of
from tflm_sparsesep.converters.cost import sparse_conv
from tflm_sparsesep.converters.cost.choose_layout import measured_layouts
from tflm_sparsesep.converters.cost.conv_strip import Strip
from tflm_sparsesep.converters.cost.fit import fit
from tflm_sparsesep.converters.op_names import SPARSE_CONV_2D, SPARSE_FULLY_CONNECTED
from tflm_sparsesep.converters.targets import TARGETS, get_target
from tflm_sparsesep.device import emulation
from tflm_sparsesep.device.kernel_bench import random_layer
from tflm_sparsesep.device.synthetic_layers import LayerCase

OUTPUT = Path(__file__).parents[2] / "converters/cost/data/sparse_conv_gather.json"
VALID = Padding.VALID


@dataclass(frozen=True)
class Point:
    """A convolution to measure."""

    window: ConvWindow
    units: int
    image: tuple[int, int]
    zeros: float = 0.9

    @property
    def inputs(self) -> tuple[int, int, int, int]:
        """Batch, height, width, channels."""
        return (1, *self.image, self.window.channels)


# Few units: most of the work is what is fitted.
FITTED = [
    Point(ConvWindow((3, 3), 64), 4, (8, 8)),
    Point(ConvWindow((3, 3), 16), 4, (16, 16)),
    Point(ConvWindow((3, 3), 4), 4, (20, 20)),
    Point(ConvWindow((5, 5), 20, padding=VALID), 4, (12, 12)),
    Point(ConvWindow((3, 3), 3, (2, 2)), 8, (32, 32)),
    Point(ConvWindow((3, 3), 1), 4, (24, 24)),
    Point(ConvWindow((5, 3), 10, (1, 2)), 4, (14, 17)),
    Point(ConvWindow((3, 3), 12, dilations=(2, 2)), 4, (10, 11)),
    Point(ConvWindow((2, 2), 32, (2, 2)), 8, (16, 16)),
    Point(ConvWindow((1, 1), 16, (2, 2)), 8, (32, 32)),
    Point(ConvWindow((1, 5), 24, padding=VALID), 4, (6, 21)),
    Point(ConvWindow((3, 3), 40, (2, 2)), 4, (14, 14)),
    Point(ConvWindow((7, 7), 3, (2, 2)), 8, (28, 28)),
    Point(ConvWindow((3, 3), 6, dilations=(3, 3)), 6, (12, 12)),
    Point(ConvWindow((1, 1), 7, (3, 3)), 4, (25, 25)),
    Point(ConvWindow((4, 4), 8, padding=VALID), 4, (13, 33)),
    Point(ConvWindow((8, 5), 1, (2, 2)), 8, (40, 11)),
    Point(ConvWindow((3, 3), 2), 8, (9, 9)),
    Point(ConvWindow((3, 5), 48), 4, (9, 11)),
]
HELD_OUT = [
    Point(ConvWindow((3, 3), 32), 32, (10, 10)),
    Point(ConvWindow((3, 3), 24, (2, 2)), 20, (18, 18)),
    Point(ConvWindow((5, 5), 6, padding=VALID), 16, (14, 14)),
    Point(ConvWindow((1, 1), 32, (2, 2)), 64, (16, 16)),
    Point(ConvWindow((3, 3), 8, dilations=(2, 2)), 12, (12, 12)),
    Point(ConvWindow((10, 4), 1, (2, 2)), 64, (49, 10)),
]


@dataclass(frozen=True)
class Measured:
    """A random layer of `layout`.

    Attributes:
        instructions: of the whole layer.
        case: the layer.
    """

    target: str
    layout: Layout
    point: Point
    case: LayerCase[Any]
    instructions: float

    def terms(self) -> dict[str, float]:
        """What is fitted, by the coefficient's name."""
        return sparse_conv.gather_terms(self.strip(), self.point.window)

    def strip(self) -> Strip:
        """How the kernel gets its windows."""
        return sparse_conv.strip_of(self.target, self.layout, self.point.window, self.point.inputs)

    def predicted_kernel(self) -> int:
        """What the kernel takes, by its model."""
        size = size_of(self.case.layer.weights, self.layout)
        return sparse_conv.kernel_instructions(
            self.target, self.layout, size, self.point.window, self.point.inputs
        )

    def measured_kernel(self) -> float:
        """What the kernel takes on windows that are there."""
        window = self.point.window
        strip = self.strip()
        step = strip.step * window.kernel[0] * window.channels
        options = dataclasses.replace(self.case.options, input_step=step)
        blob = pack(self.case.layer, self.layout)
        count = 0.0
        for pixels, times in strip.batches():
            run = emulation.run_layer(
                self.target,
                SPARSE_FULLY_CONNECTED,
                options.to_bytes(),
                blob,
                random_int8(1, (pixels - 1) * step + window.cols),
                (pixels, self.point.units),
            )
            count += times * run.instructions[0]
        return strip.rows * count


def random_int8(*shape: int) -> npt.NDArray[np.int8]:
    return np.random.default_rng(1).integers(-128, 128, shape).astype(np.int8)


def measure(target: str, layout: Layout, point: Point) -> Measured:
    """Return the count of a random layer."""
    case = random_layer(
        layout, point.units, point.window.cols, zeros=point.zeros, batch=1, input_zeros=0.0
    )
    run = emulation.run_layer(
        target,
        SPARSE_CONV_2D,
        b"",
        pack_conv(point.window, case.options, case.layer, layout),
        random_int8(1, *point.inputs),
        point.window.output_shape(point.inputs, point.units),
    )
    return Measured(target, layout, point, case, run.instructions[0])


def fit_terms(fitted: list[Measured]) -> dict[str, float]:
    """Return the coefficients."""
    names = list(fitted[0].terms())
    rest = [max(layer.instructions - layer.measured_kernel(), 1.0) for layer in fitted]
    found = fit([[layer.terms()[name] for name in names] for layer in fitted], rest)
    return {name: float(value) for name, value in zip(names, found, strict=True)}


def fit_target(target: str) -> dict[str, object]:
    """Return the coefficients of a target, and how well they predict other layers."""
    layouts = [x for x in measured_layouts(target) if x.value_type.name == "INT8"]
    with ThreadPoolExecutor(max_workers=2) as pool:
        fitted = list(pool.map(lambda p: measure(target, layouts[0], p), FITTED))
        pairs = [(layout, point) for layout in layouts for point in HELD_OUT]
        held_out = list(pool.map(lambda pair: measure(target, *pair), pairs))
    found = fit_terms(fitted)
    predicted = [
        layer.predicted_kernel() + sum(layer.terms()[n] * v for n, v in found.items())
        for layer in held_out
    ]
    errors = [p / x.instructions - 1 for p, x in zip(predicted, held_out, strict=True)]
    worst = float(np.max(np.abs(errors)))
    print(f"{target}: at most {worst:.2%} off on layers outside the fit")
    return {
        "held_out_error": round(worst, 4),
        "instructions": {name: round(value, 4) for name, value in found.items() if value > 0},
    }


def main() -> None:
    devices = [name for name in TARGETS if TARGETS[name].qemu_machine]
    document = {"command": "python benchmarks/cost_model/fit_sparse_conv.py", "flags": "-O2"}
    document = json.loads(OUTPUT.read_text()) if OUTPUT.exists() else document | {"targets": {}}
    for target in sys.argv[1:] or devices:
        document["targets"][target] = fit_target(get_target(target).name)
        OUTPUT.write_text(json.dumps(document, indent=2) + "\n")


if __name__ == "__main__":
    main()
