"""Round the weights of a layer to a palette of 16 values, which the packer stores in 4 bits."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy import linalg

from tflm_sparsesep.converters.factorize.gram import Gram, Vector
from tflm_sparsesep.converters.layers import real
from tflm_sparsesep.converters.tflite.editor import Operator
from tflm_sparsesep.training.palette import LARGEST, fit_palette, nearest_in


def round_to_palette(op: Operator, gram: Gram) -> None:
    """Fit a palette to an int8 layer and round each weight to one of its values or 0.

    Weights are rounded one by one, the largest of an output first; the output's remaining weights
    compensate for each rounding error (E. Frantar et al., GPTQ, ICLR 2023, section 3). Zeros stay.
    The bias corrects the mean of the outputs.

    Args:
        op: FULLY_CONNECTED or CONV_2D; its constants are replaced.
        gram: moments of its inputs, damped.
    """
    layer = real.read(op)
    quantized = op.weights
    assert quantized.array is not None  # `real.read` checks it
    assert quantized.quantization is not None
    steps = quantized.array.reshape(len(quantized.array), -1).astype(np.float64)
    scales = np.broadcast_to(np.asarray(quantized.quantization.scales, np.float64), len(steps))
    magnitudes = np.abs(steps).astype(np.int64)
    importance = np.broadcast_to(np.square(scales)[:, None], steps.shape)
    nearest = nearest_in(fit_palette(magnitudes, importance)).astype(np.float64).tolist()
    rounded = np.array([_rounded(row, gram.matrix, nearest) for row in steps]) * scales[:, None]
    real.write(op, rounded, layer.bias + gram.bias_shift(layer.weights, rounded))


def _rounded(row: Vector, gram: npt.NDArray[np.float64], nearest: list[float]) -> Vector:
    """Return the rounded weights [cols] of one output, in steps of its scale."""
    kept = np.flatnonzero(row)
    kept = kept[np.argsort(-np.abs(row[kept]), kind="stable")]
    found = np.zeros_like(row)
    if not len(kept):
        return found
    # With G = L L^T, the last weight first, the error is |L^T (row - found)|^2: each component
    # vanishes in turn but for the rounding of one weight, whatever the weights before became.
    reverse = kept[::-1]
    factor, info = linalg.lapack.dpotrf(gram[np.ix_(reverse, reverse)], lower=True)
    assert info == 0, "not positive definite"  # callers damp the matrix
    wanted, errors = row[reverse].tolist(), np.zeros(len(reverse))
    for i in reversed(range(len(reverse))):
        value = wanted[i] + float(factor[i + 1 :, i] @ errors[i + 1 :]) / float(factor[i, i])
        magnitude = min(round(abs(value)), LARGEST)
        rounded = math.copysign(nearest[magnitude], value)
        found[reverse[i]] = rounded
        errors[i] = wanted[i] - rounded
    return found
