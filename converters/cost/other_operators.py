"""Instructions of TFLM's int8 operators without weights on a target.

Each is a sum of terms of its sizes. The nonnegative coefficients are fitted here, by least squares
of the relative error, to measured counts (`data/other_operators.json`, which also holds the error
on sizes outside the fit). Additions, products, pools, paddings and the softmax run on CMSIS-NN, the
others on TFLM's reference kernels. Copies, the softmax and the sigmoid depend a little on addresses
and data: counts are those of random inputs. On `host` no cost is known.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from tflm_sparsesep.converters.cost.data import load
from tflm_sparsesep.converters.cost.depthwise_conv import DepthwiseShape
from tflm_sparsesep.converters.cost.fit import Vector, fit

_FILE = "other_operators.json"
_WORD, _VECTOR, _BLOCK = 4, 16, 64

Terms = list[float]


@dataclass(frozen=True)
class OtherOperator:
    """An operator without weights.

    Attributes:
        kind: its name in the schema.
        sizes: what its part of the data file names under "fields"; none if no cost is known.
    """

    kind: str
    sizes: tuple[int, ...] = ()


def total(target: str, operators: Iterable[OtherOperator]) -> tuple[int, list[str]]:
    """Return the instructions of all operators together, and the kinds of unknown cost."""
    counts = [(x.kind, instructions(target, x)) for x in operators]
    unknown = dict.fromkeys(kind for kind, count in counts if count is None)
    return sum(count or 0 for _, count in counts), list(unknown)


def instructions(target: str, operator: OtherOperator) -> int | None:
    """Return the instructions of one inference; None if the cost is not known."""
    if not operator.sizes or target == "host":
        return None
    terms = _TERMS[operator.kind](*operator.sizes)
    return round(float(np.dot(_coefficients(target, operator.kind), terms)))


@functools.cache
def _coefficients(target: str, kind: str) -> Vector:
    data = load(_FILE)["operators"][kind]
    return fit([_TERMS[kind](*sizes) for sizes in data["shapes"]], data["targets"][target])


def _elements(count: int) -> Terms:
    words = [count // _WORD, count % _WORD, count % _WORD > 0]
    return [*words, *divmod(count, _VECTOR), 1.0]


def _softmax(rows: int, depth: int) -> Terms:
    return [rows * depth, rows, 1.0]


def _mean(rows: int, columns: int, channels: int) -> Terms:
    return [rows * columns * channels, rows * columns, rows, channels, 1.0]


def _pool(rows: int, columns: int, channels: int, *window: int) -> Terms:
    """Return the terms of a window of height, width and strides; 1 at last for no padding."""
    height, width, down, right, valid = window
    image, kernel, strides = (rows, columns), (height, width), (down, right)
    shape = DepthwiseShape(image, channels, kernel, strides, not valid)
    pixels, seen = math.prod(shape.output), math.prod(shape.seen)
    parts = [1, channels // _WORD, channels % _WORD, -(-channels // _VECTOR)]
    loops = [height, height * channels, height * width * channels]
    return [
        *(n * part for n in (pixels, seen) for part in parts),
        *(pixels * n for n in loops),
        shape.output[0],
        1.0,
    ]


def _copies(*sizes_and_times: tuple[int, int]) -> Terms:
    """Return the terms of copies of so many bytes, so many times: memcpy's loops."""
    terms = np.zeros(9)
    for size, times in sizes_and_times:
        words = size % _VECTOR // _WORD
        loops = [size // _BLOCK, size % _BLOCK // _VECTOR, words, words > 0, size % _WORD, 1, 0, 0]
        few = [0] * 6 + [size, size % _WORD]
        terms += times * np.array([*(few if size < _VECTOR else loops), 1.0])
    return list(terms)


def _concatenation(pieces: int, *sizes: int) -> Terms:
    return [*_copies(*((size, pieces) for size in sizes)), len(sizes), 1.0]


def _pad(rows: int, columns: int, channels: int, *paddings: int) -> Terms:
    """Return the terms of rows above and below, and of columns to the left and to the right."""
    above, below, left, right = paddings
    left, line, right = (n * channels for n in (left, columns, right))
    row = left + line + right
    fills = np.zeros(5)
    for size, times in ((left, rows), (right, rows), ((above + below) * row, 1)):
        parts = [size // _VECTOR, size % _VECTOR // _WORD, size % _WORD, size < _VECTOR, size > 0]
        fills += times * np.array(parts)
    # Where rows begin repeats after four of them.
    starts = [(i * line % _WORD, ((above + i) * row + left) % _WORD) for i in range(_WORD)]
    shifted = sum(-(-(rows - i) // _WORD) for i, start in enumerate(starts) if any(start))
    return [*_copies((line, rows - shifted)), shifted * line, shifted, *fills, 1.0]


_TERMS: dict[str, Callable[..., Terms]] = {
    **dict.fromkeys(("ADD", "MUL", "QUANTIZE", "RELU", "RELU6", "LOGISTIC"), _elements),
    **dict.fromkeys(("AVERAGE_POOL_2D", "MAX_POOL_2D"), _pool),
    "SOFTMAX": _softmax,
    "MEAN": _mean,
    "RESHAPE": lambda size: _copies((size, 1)),
    "CONCATENATION": _concatenation,
    "PAD": _pad,
}
