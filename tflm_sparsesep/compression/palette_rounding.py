"""Weights of a layer rounded to a palette of 16 values: the packer stores 4 bits of each."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import linalg

from tflm_sparsesep.converters.factorize.gram import Gram, Vector
from tflm_sparsesep.converters.layers import real as real_layer
from tflm_sparsesep.converters.tflite.editor import Operator
from tflm_sparsesep.training.palette import LARGEST, fit_palette, nearest_in


def round_to_palette(op: Operator, gram: Gram) -> None:
    """Gives an int8 layer the palette that suits it, and each weight one of its values or 0.

    Weight by weight, the largest of an output first; what rounding one adds to the output's squared
    error, the output's weights not yet rounded make up for as far as they can (E. Frantar et al.,
    GPTQ, ICLR 2023, section 3). Zeros stay. The bias takes up what changes on average.

    Args:
        op: FULLY_CONNECTED or CONV_2D; its constants are replaced.
        gram: of its inputs, damped.
    """
    layer = real_layer.read(op)
    quantized = op.weights
    assert quantized.array is not None  # real_layer has read it
    assert quantized.quantization is not None
    steps = quantized.array.reshape(len(quantized.array), -1).astype(np.float64)
    scales = np.broadcast_to(np.asarray(quantized.quantization.scales, np.float64), len(steps))
    magnitudes = np.abs(steps).astype(np.int64)
    importance = np.broadcast_to(np.square(scales)[:, None], steps.shape)
    nearest = nearest_in(fit_palette(magnitudes, importance)).astype(np.float64)
    rounded = np.array([_rounded(row, gram.matrix, nearest) for row in steps]) * scales[:, None]
    real_layer.write(op, rounded, layer.bias + gram.bias_shift(layer.weights, rounded))


def _rounded(row: Vector, gram: npt.NDArray[np.float64], nearest: Vector) -> Vector:
    """One output's weights [cols] in steps of their scale."""
    kept = np.flatnonzero(row)
    kept = kept[np.argsort(-np.abs(row[kept]), kind="stable")]
    found = np.zeros_like(row)
    if not len(kept):
        return found
    left = row[kept]
    inverse = linalg.inv(gram[np.ix_(kept, kept)])
    makes_up = linalg.cholesky((inverse + inverse.T) / 2)
    for i, column in enumerate(kept):
        magnitude = min(int(np.rint(abs(left[i]))), LARGEST)
        found[column] = np.sign(left[i]) * nearest[magnitude]
        error = (left[i] - found[column]) / makes_up[i, i]
        left[i + 1 :] -= error * makes_up[i, i + 1 :]
    return found
