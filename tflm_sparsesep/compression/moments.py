"""A layer as its forms are fitted to it: weights, and moments of what enters."""

from __future__ import annotations

from tflm_sparsesep.compression.depthwise_form import DepthwiseLayer, windows_of
from tflm_sparsesep.compression.layer_forms import Layer
from tflm_sparsesep.compression.layers import Unit
from tflm_sparsesep.converters.factorize.depthwise import ChannelMoments
from tflm_sparsesep.converters.factorize.gram import GramAccumulator, Matrix, Vector

# Of each Gram matrix, relative to the mean of its diagonal.
_DAMPING = 1e-2


def layer_of(
    unit: Unit, inputs: Matrix, wanted: Matrix | None = None
) -> tuple[Layer | DepthwiseLayer, Vector]:
    """The layer on some inputs, and its bias.

    Args:
        inputs: float64[n, cols], such as `unit.inputs`.
        wanted: float64[n, rows], outputs that weights and bias are to come closest to; None for
            those that the unit has.
    """
    if unit.is_depthwise:
        return _depthwise_layer(unit, inputs, wanted)
    accumulator = GramAccumulator()
    accumulator.add(inputs, wanted)
    gram, weights, bias = accumulator.finish(), unit.layer.weights, unit.layer.bias
    if wanted is not None:
        weights, bias = gram.target_weights(weights, damping=_DAMPING)
    return Layer(weights, gram.damped(_DAMPING), unit.importance, unit.kernel), bias


def _depthwise_layer(
    unit: Unit, inputs: Matrix, wanted: Matrix | None
) -> tuple[DepthwiseLayer, Vector]:
    weights, bias = unit.layer.weights, unit.layer.bias
    moments = ChannelMoments.of(windows_of(inputs, len(weights)), wanted)
    if wanted is not None:
        weights, bias = moments.target_weights(weights, damping=_DAMPING)
    taps = (unit.kernel[0], unit.kernel[1])
    return DepthwiseLayer(weights, moments.damped(_DAMPING), unit.importance, taps), bias
