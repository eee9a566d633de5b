"""Fits the cost model of target `host` to times of this machine, dense by XNNPACK.

    python benchmarks/mobile/fit_cost_model.py [SECONDS] [batches]

writes converters/cost/data/host_litert.json. Dense and sparse models of the same layers run by
turns in LiteRT for SECONDS (0.5) each, on one thread; times are the shortest ones. About 10
minutes on an otherwise idle machine. With `batches`, only layers of several vectors are measured,
in about 3 minutes; what single vectors take stays.

A fit minimises the relative error on `FITTED`, on layers of one vector first, then with what these
gave on the others. The largest error on `HELD_OUT`, which it has not seen, is written beside it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from layers import Shape, dense_model, random_weights, sparse_model
from rich.progress import track
from scipy.optimize import nnls
from timing import interpreter, machine, shortest_times

from tflm_sparsesep.converters.blob.format import Layout, ValueType
from tflm_sparsesep.converters.blob.layouts import LAYOUTS
from tflm_sparsesep.converters.blob.size import size_of
from tflm_sparsesep.converters.cost import host as host_cost

OUTPUT = Path(__file__).parents[2] / "converters/cost/data/host_litert.json"
SECONDS = 0.5
THREADS = 1
# Of dense models; the first two are of fully-connected layers.
FULLY_CONNECTED = ("int8", "float32")
DENSE = (*FULLY_CONNECTED, "int8 convolution", "float32 convolution")
# The others are several times slower on a host, and larger than one of these.
NAMES = (
    "1x1_u16_int8",
    "1x1_delta8_int8",
    "1x4_delta8_int8",
    "4x1_delta8_int8",
    "2x4_delta8_int8",
    "4x4_delta8_int8",
    "1x16_delta8_int8",
    "1x1_u16_float32",
    "1x4_delta8_float32",
    "4x1_delta8_float32",
    "4x4_delta8_float32",
    "1x16_delta8_float32",
)


def shape(rows: int, cols: int, *pixels: int) -> Shape:
    """A layer without a name."""
    return Shape("", rows, cols, (pixels[0], pixels[1]) if pixels else None)


def conv(kernel: int, channels: int, units: int, side: int) -> Shape:
    """A convolution of a square image without a name."""
    return Shape("", units, kernel**2 * channels, (side, side), (kernel, kernel))


# With the zeros of their sparse versions, which dense times do not depend on.
FITTED = (
    (shape(32, 64), (0.8,)),
    (shape(10, 128), (0.7,)),
    (shape(128, 256), (0.6, 0.9)),
    (shape(300, 784), (0.8, 0.95)),
    (shape(128, 640), (0.7, 0.9)),
    (shape(1000, 1024), (0.7, 0.9)),
    (shape(512, 2048), (0.8, 0.95)),
    (shape(2048, 512), (0.6, 0.9)),
    (shape(512, 512), (0.9,)),
    (shape(2048, 2048), (0.9,)),
    (shape(3000, 2048), (0.9,)),
    (shape(4096, 4096), (0.8, 0.95)),
    (shape(3000, 4000), (0.9,)),
    (shape(64, 64, 7, 7), (0.7, 0.9)),
    (shape(128, 128, 14, 14), (0.8,)),
    (shape(512, 512, 14, 14), (0.9,)),
    (shape(1280, 320, 7, 7), (0.8, 0.95)),
    (conv(3, 16, 16, 32), (0.7, 0.9)),
    (conv(3, 32, 32, 16), (0.8,)),
    (conv(3, 64, 64, 28), (0.7, 0.9)),
    (conv(3, 128, 128, 14), (0.9,)),
    (conv(3, 256, 256, 7), (0.9,)),
    (conv(5, 20, 50, 12), (0.8,)),
    (conv(5, 32, 64, 24), (0.9,)),
    (conv(7, 4, 64, 40), (0.8,)),
)
HELD_OUT = (
    (shape(100, 300), (0.9,)),
    (shape(256, 512), (0.7,)),
    (shape(1024, 1024), (0.8, 0.95)),
    (shape(1000, 2048), (0.9,)),
    (shape(4000, 3072), (0.85,)),
    (shape(256, 256, 14, 14), (0.8,)),
    (shape(1024, 1024, 7, 7), (0.9,)),
    (conv(3, 64, 64, 8), (0.9,)),
    (conv(3, 24, 48, 28), (0.8,)),
    (conv(3, 96, 96, 20), (0.9,)),
    (conv(5, 16, 32, 28), (0.9,)),
)


@dataclass(frozen=True)
class Measured:
    """A model of `kind`, its terms by name, and its nanoseconds; a batch has several vectors."""

    kind: str
    is_batch: bool
    terms: Mapping[str, float]
    nanoseconds: float


def measure(layer: Shape, zeros: Sequence[float], seconds: float) -> list[Measured]:
    """All models of a layer."""
    made, terms = {}, {}
    for dtype in ("int8", "float32"):
        dense = dense_model(layer, random_weights(layer, dtype, "1x1", zeros[0]), dtype)
        is_conv = layer.kernel != (1, 1)
        kind = f"{dtype} convolution" if is_convolution(layer, dtype) else dtype
        made[kind, 0.0] = interpreter(dense, "xnnpack", THREADS)
        terms[kind, 0.0] = dense_terms(layer, dtype)
        for layout in (one for one in LAYOUTS if str(one) in NAMES and type_of(one) == dtype):
            for share in zeros:
                weights = random_weights(layer, dtype, layout.pattern, share)
                sparse, _ = sparse_model(dense_model(layer, weights, dtype), layout)
                key = (str(layout), share)
                made[key] = interpreter(sparse, "cpu", THREADS)
                size = size_of(weights, layout)
                terms[key] = (
                    host_cost.sparse_conv_terms(layout, size, layer.window, layer.input_shape)
                    if is_conv
                    else host_cost.sparse_terms_of(layout, size, layer.vectors)
                )
    times = shortest_times(made, seconds=seconds)
    return [Measured(key[0], layer.vectors > 1, terms[key], 1e9 * times[key]) for key in made]


def is_convolution(layer: Shape, dtype: str) -> bool:
    """Whether the dense layer follows the model of convolutions.

    That of fully-connected layers has int8 1x1 convolutions, too.
    """
    return layer.kernel != (1, 1) or (dtype == "float32" and layer.pixels is not None)


def dense_terms(layer: Shape, dtype: str) -> dict[str, float]:
    """Of XNNPACK's operator."""
    if not is_convolution(layer, dtype):
        return host_cost.dense_terms(layer.rows, layer.cols, layer.vectors, dtype)
    taps = layer.kernel[0] * layer.kernel[1]
    return host_cost.dense_conv_terms(layer.vectors, layer.rows, taps, layer.window.channels)


def type_of(layout: Layout) -> str:
    """The type of a layout's activations."""
    return "float32" if layout.value_type is ValueType.FLOAT32 else "int8"


def fit(
    fitted: Sequence[Measured], held_out: Sequence[Measured], known: Mapping[str, float]
) -> dict[str, Any]:
    """Coefficients of one kind, `known` ones and others, and how far off outside the fit.

    None is negative.
    """
    names = [n for n in dict.fromkeys(n for m in fitted for n in m.terms) if n not in known]
    matrix = np.array([[m.terms.get(name, 0.0) / m.nanoseconds for name in names] for m in fitted])
    scale = np.maximum(matrix.max(axis=0), np.finfo(float).tiny)
    rest = [1.0 - cost(known, m) / m.nanoseconds for m in fitted]
    solution, _ = nnls(matrix / scale, np.array(rest))
    found = {name: float(f"{c:.4g}") for name, c in zip(names, solution / scale, strict=True)}
    coefficients = {**known, **found}
    errors = [cost(coefficients, m) / m.nanoseconds - 1 for m in held_out]
    return {
        "held_out_error": round(float(np.max(np.abs(errors))), 3),
        "nanoseconds": {name: value for name, value in coefficients.items() if value > 0},
    }


def cost(coefficients: Mapping[str, float], measured: Measured) -> float:
    """Nanoseconds of a model by its terms."""
    return sum(c * measured.terms.get(name, 0.0) for name, c in coefficients.items())


def fit_kind(
    kind: str, measured: Mapping[bool, Sequence[Measured]], before: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Of fitted (True) and held-out models, and what single vectors took before."""

    def of(group: bool, *batches: bool) -> list[Measured]:
        return [m for m in measured[group] if m.kind == kind and m.is_batch in batches]

    if kind in DENSE:
        return fit(of(True, False, True), of(False, False, True), {})
    single = before
    if single is None:
        single = fit(of(True, False), of(False, False), {})
    alone = {k: v for k, v in single["nanoseconds"].items() if k in host_cost.SINGLE_TERMS}
    # A term that single vectors do not need stays unneeded.
    whole = fit(of(True, True), of(False, True), dict.fromkeys(host_cost.SINGLE_TERMS, 0.0) | alone)
    return whole | {"held_out_error": max(single["held_out_error"], whole["held_out_error"])}


def main() -> None:
    """Measures, fits and writes."""
    arguments = sys.argv[1:]
    only_batches = "batches" in arguments
    seconds = next((float(a) for a in arguments if a != "batches"), SECONDS)
    before = json.loads(OUTPUT.read_text()) if only_batches else None
    points = [(True, *point) for point in FITTED] + [(False, *point) for point in HELD_OUT]
    points = [p for p in points if p[1].vectors > 1 or not only_batches]
    measured: dict[bool, list[Measured]] = {True: [], False: []}
    for is_fitted, layer, zeros in track(points, "layers"):
        measured[is_fitted] += measure(layer, zeros, seconds * (1 + len(NAMES) * len(zeros)))
    groups: dict[str, dict[str, Any]] = {}
    for group, kinds in (("dense", DENSE), ("sparse", NAMES)):
        old = {} if before is None else before[group]
        groups[group] = {
            kind: old[kind]
            if kind in FULLY_CONNECTED and old
            else fit_kind(kind, measured, old.get(kind))
            for kind in kinds
        }
    document = {
        "command": "python benchmarks/mobile/fit_cost_model.py",
        **machine(),
        "threads": THREADS,
        **groups,
    }
    OUTPUT.write_text(json.dumps(document, indent=2) + "\n")
    for kind, one in (groups["dense"] | groups["sparse"]).items():
        print(f"{kind}: at most {one['held_out_error']:.0%} off on layers outside the fit")


if __name__ == "__main__":
    main()
