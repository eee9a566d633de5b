"""Fits the kernels of depthwise convolutions and blocks to counts on every emulated target.

    python benchmarks/cost_model/fit_depthwise.py [TARGET ...]

writes converters/cost/data/depthwise_kernels.json, with the largest error of shapes that were not
in the fit.
"""

from __future__ import annotations

import functools
import json
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np

from tflm_sparsesep.converters.blob.pack import FullyConnectedWeights
from tflm_sparsesep.converters.blob.pack_depthwise import (
    DepthwiseLayer,
    Pointwise,
    pack_block,
    pack_depthwise,
)
from tflm_sparsesep.converters.blob.pack_sparse_conv import ConvWindow
from tflm_sparsesep.converters.blob.separable_format import Padding
from tflm_sparsesep.converters.blob.size import size_of
from tflm_sparsesep.converters.cost import depthwise_block, fully_connected
from tflm_sparsesep.converters.cost.choose_layout import measured_layouts
from tflm_sparsesep.converters.cost.data import load
from tflm_sparsesep.converters.cost.depthwise_conv import DepthwiseShape
from tflm_sparsesep.converters.cost.depthwise_kernels import (
    DepthwiseRun,
    depthwise_terms,
    variant_name,
)
from tflm_sparsesep.converters.cost.fit import fit
from tflm_sparsesep.converters.op_names import SEPARABLE_CONV_2D
from tflm_sparsesep.converters.targets import TARGETS, get_target
from tflm_sparsesep.device import emulation
from tflm_sparsesep.device.kernel_bench import random_layer
from tflm_sparsesep.device.synthetic_depthwise import random_depthwise

OUTPUT = Path(__file__).parents[2] / "converters/cost/data/depthwise_kernels.json"


def shape(
    image: tuple[int, int],
    channels: int,
    kernel: tuple[int, int] = (3, 3),
    strides: tuple[int, int] = (1, 1),
    **others: int,
) -> DepthwiseShape:
    """Return a shape; `valid`, `multiplier` and `dilation` are 0, 1 and 1 by default."""
    dilation = others.get("dilation", 1)
    return DepthwiseShape(
        image,
        channels,
        kernel,
        strides,
        not others.get("valid"),
        others.get("multiplier", 1),
        dilation=(dilation, dilation),
    )


FITTED = [
    *(shape(image, 64) for image in ((25, 5), (6, 6), (3, 3), (13, 11), (1, 9))),
    *(shape((48, 48), channels) for channels in (4, 7)),
    *(shape((12, 40), channels) for channels in (8, 13)),
    *(shape((24, 24), 16, strides=(2, 2), valid=valid) for valid in (0, 1)),
    *(shape(image, 24, strides=(2, 2)) for image in ((48, 48), (12, 12), (5, 30), (6, 6))),
    shape((23, 10), 6, strides=(2, 1)),
    shape((17, 20), 12, valid=1),
    shape((10, 12), 4, multiplier=3),
    shape((21, 9), 3, strides=(2, 2), multiplier=4),
    shape((12, 12), 256),
    *(shape((25, 5), 32, kernel) for kernel in ((3, 1), (1, 3), (5, 5), (10, 4), (2, 2))),
    *(shape((20, 22), 9, kernel) for kernel in ((5, 5), (7, 7), (4, 4), (5, 3))),
    *(shape((20, 22), 12, kernel, (2, 2)) for kernel in ((5, 5), (4, 4), (2, 2), (3, 1))),
    *(shape((15, 14), 8, (3, 3), dilation=n) for n in (2, 3)),
    shape((30, 1), 40, (3, 1)),
    shape((40, 1), 24, (5, 1)),
    shape((9, 9), 2, (5, 5), multiplier=6),
    *(shape((49, 10), 1, (10, 4), (2, 2), multiplier=n) for n in (16, 64)),
    *(shape((20, 16), 1, (3, 3), (2, 2), multiplier=n) for n in (8, 15)),
    shape((40, 40), 2, (5, 5), (3, 3), valid=1),
    shape((14, 9), 10, (4, 4), multiplier=2),
    shape((8, 13), 5, (2, 2), multiplier=3),
    shape((11, 16), 7, (3, 5), multiplier=2),
    shape((19, 6), 16, (7, 3), (2, 1)),
]
HELD_OUT = [
    *(shape((25, 5), channels) for channels in (48, 32)),
    shape((16, 16), 40),
    shape((32, 32), 12, strides=(2, 2)),
    shape((9, 9), 128),
    shape((14, 18), 24, (5, 5)),
    shape((14, 18), 20, (5, 5), (2, 2)),
    shape((25, 1), 64, (5, 1)),
    shape((12, 12), 6, (4, 4), multiplier=2),
    shape((25, 5), 48, (3, 1)),
    shape((16, 11), 20, (1, 3)),
    shape((30, 8), 1, (10, 4), (2, 2), multiplier=24),
    shape((13, 17), 12, (7, 5)),
]


def layer_of(wanted: DepthwiseShape, *, narrow: bool, bounded: bool) -> DepthwiseLayer:
    """Return a random layer with such limits and accumulators."""
    window = ConvWindow(
        wanted.kernel,
        wanted.channels,
        wanted.strides,
        wanted.dilation,
        Padding.SAME if wanted.same else Padding.VALID,
    )
    layer = random_depthwise(np.random.default_rng(1), window, multiplier=wanted.multiplier)
    numbers = layer.weights if bounded else replace(layer.weights, shift=-layer.weights.shift)
    low, high = (-100, 100) if narrow else (-128, 127)
    options = replace(layer.options, activation_min=low, activation_max=high)
    return DepthwiseLayer(window, numbers, options)


def count(target: str, run: DepthwiseRun) -> int:
    """Return the instructions of a random layer."""
    layer = layer_of(run.shape, narrow=run.narrow, bounded=run.bounded)
    image = (1, *run.shape.image, run.shape.channels)
    pixels = np.random.default_rng(2).integers(-128, 128, image).astype(np.int8)
    blob, outputs = pack_depthwise(layer), layer.output_shape(image)
    found = emulation.run_layer(target, SEPARABLE_CONV_2D, b"", blob, pixels[None], outputs)
    assert found.kernel == variant_name(target, run)
    return found.instructions[0]


def fit_kernel(target: str, fitted: list[DepthwiseRun], held_out: list[DepthwiseRun]) -> object:
    """Return the coefficients of a kernel, and how well they predict other layers."""
    with ThreadPoolExecutor(max_workers=2) as pool:
        counts = list(pool.map(lambda run: count(target, run), fitted + held_out))
    terms = [list(depthwise_terms(target, run).values()) for run in fitted + held_out]
    names = list(depthwise_terms(target, fitted[0]))
    n = len(fitted)
    found = fit(terms[:n], counts[:n])
    errors = np.array(terms) @ found / counts - 1
    name = variant_name(target, fitted[0])
    inside, worst = (float(np.max(np.abs(part), initial=0)) for part in (errors[:n], errors[n:]))
    print(f"{target} {name}: at most {inside:.2%} off, {worst:.2%} outside the fit", flush=True)
    return {
        "held_out_error": round(worst, 4),
        "instructions": {
            key: round(float(v), 4) for key, v in zip(names, found, strict=True) if v > 0
        },
    }


# Output channels of the pointwise convolution, and the depthwise one.
FITTED_BLOCKS = [
    (16, shape((25, 5), 32)),
    (4, shape((12, 3), 8)),
    (40, shape((30, 2), 4)),
    (8, shape((16, 16), 8, strides=(2, 2))),
    (6, shape((9, 9), 16)),
    (33, shape((14, 4), 6)),
    (3, shape((4, 40), 5)),
]
HELD_OUT_BLOCKS = [
    (64, shape((25, 5), 64)),
    (32, shape((24, 24), 16, strides=(2, 2))),
    (24, shape((6, 6), 48)),
]


def count_block(target: str, units: int, wanted: DepthwiseShape) -> tuple[int, int]:
    """Return the instructions of a random block, and what its two kernels take of them."""
    run, layout = DepthwiseRun(wanted), measured_layouts(target)[0]
    layer = layer_of(wanted, narrow=False, bounded=True)
    case = random_layer(layout, units, layer.units, zeros=0.9, batch=1, input_zeros=0.0)
    zero_point = layer.options.output_zero_point
    assert isinstance(case.layer, FullyConnectedWeights)  # the first layout is of int8
    weights = replace(case.layer, input_zero_point=zero_point)
    options = replace(case.options, input_zero_point=zero_point)
    blob = pack_block(layer, Pointwise(weights, options, layout))
    image = (1, *wanted.image, wanted.channels)
    pixels = np.random.default_rng(2).integers(-128, 128, image).astype(np.int8)
    outputs = (1, *wanted.output, units)
    found = emulation.run_layer(target, SEPARABLE_CONV_2D, b"", blob, pixels[None], outputs)
    size = size_of(weights.weights, layout)
    pointwise = functools.partial(fully_connected.sparse_instructions, target, layout, size)
    return found.instructions[0], depthwise_block.kernel_instructions(target, run, pointwise)


def fit_blocks(target: str) -> dict[str, object]:
    """Return what is around the kernels of a block. What they take comes from the files."""
    points = FITTED_BLOCKS + HELD_OUT_BLOCKS
    counts = [count_block(target, *point) for point in points]
    terms = [depthwise_block.block_terms(DepthwiseRun(wanted), units) for units, wanted in points]
    names, n = list(terms[0]), len(FITTED_BLOCKS)
    rest = [max(count - kernels, 1.0) for count, kernels in counts]
    values = [[row[name] for name in names] for row in terms]
    found = fit(values[:n], rest[:n])
    predicted = [float(np.dot(found, row)) for row in values]
    errors = [(k + p) / c - 1 for (c, k), p in zip(counts, predicted, strict=True)]
    worst = float(np.max(np.abs(errors[n:])))
    print(f"{target} blocks: at most {worst:.2%} off outside the fit", flush=True)
    return {
        "held_out_error": round(worst, 4),
        "instructions": {k: round(float(v), 4) for k, v in zip(names, found, strict=True)},
    }


def fit_target(target: str) -> dict[str, object]:
    """Return what each kernel of a target takes."""
    kernels: dict[str, tuple[list[DepthwiseRun], list[DepthwiseRun]]] = {}
    for part, shapes in enumerate((FITTED, HELD_OUT)):
        for number, wanted in enumerate(shapes):
            run = DepthwiseRun(wanted, narrow=number % 3 == 1)
            lists = kernels.setdefault(variant_name(target, run), ([], []))
            lists[part].append(run)
            unbounded = replace(run, bounded=False)
            if number % 2 == 0 and variant_name(target, unbounded) != variant_name(target, run):
                lists = kernels.setdefault(variant_name(target, unbounded), ([], []))
                lists[part].append(unbounded)
    return {name: fit_kernel(target, *lists) for name, lists in kernels.items()}


def main() -> None:
    devices = [name for name in TARGETS if name != "host"]
    document = {"command": "python benchmarks/cost_model/fit_depthwise.py", "flags": "-O2"}
    document = json.loads(OUTPUT.read_text()) if OUTPUT.exists() else document | {"targets": {}}
    for target in sys.argv[1:] or devices:
        name = get_target(target).name
        document["targets"][name] = fit_target(name)
        OUTPUT.write_text(json.dumps(document, indent=2) + "\n")
        load.cache_clear()
        document["targets"][name]["block"] = fit_blocks(name)
        OUTPUT.write_text(json.dumps(document, indent=2) + "\n")


if __name__ == "__main__":
    main()
