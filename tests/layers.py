"""What TFLite's reference makes of a layer: the oracle of the kernels."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tflm_sparsesep.synthetic_layers import LayerCase


def reference(case: LayerCase) -> npt.NDArray[np.int8]:
    """Outputs int8[batch, rows] as TFLite's reference kernel defines them, in plain int64.

    Accumulator and left shift wrap to 32 bits, as they do on every target.
    """
    layer, options = case.layer, case.options
    centred = case.inputs.astype(np.int64) - layer.input_zero_point
    acc = (centred @ layer.weights.T.astype(np.int64) + layer.bias).astype(np.int32)
    left = np.maximum(layer.shift, 0).astype(np.int64)
    right = np.maximum(-layer.shift.astype(np.int64), 0)
    shifted = (acc.astype(np.int64) << left).astype(np.int32).astype(np.int64)
    high = (shifted * layer.multiplier + (1 << 30)) >> 31
    mask = (np.int64(1) << right) - 1
    rounded = (high >> right) + ((high & mask) > (mask >> 1) + (high < 0))
    outputs = (rounded + options.output_zero_point).astype(np.int32)
    return np.clip(outputs, options.activation_min, options.activation_max).astype(np.int8)
