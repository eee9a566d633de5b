"""Channels that are silent on the samples leave the model.

A channel behind a RELU is silent where it is zero. Networks with more channels than their data need
have many that are silent on all samples: nearly a third of the units of MLPerf Tiny's anomaly
detector, on the sound of one machine. Without them the outputs on these samples stay the same, bit
for bit. They get zero weights here; `converters/passes/remove_constant_channels.py` removes them.

On other samples such a channel may speak. Its margin, how far below zero its pre-activations stay,
in their standard deviations, tells how likely that is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from tflm_sparsesep.compression.budget_search import Budget, Point
from tflm_sparsesep.compression.layers import CompressibleLayer
from tflm_sparsesep.converters.factorize.gram import Vector
from tflm_sparsesep.converters.tflite import editor
from tflm_sparsesep.converters.tflite.editor import Operator, Tensor

# Margins that are tried, the least first.
_MARGINS = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0)
# The rest of the noise is left to the factorizations: half of it is 3 dB.
_SPARED_DB = 3.0

Silent = npt.NDArray[np.bool_]


def silenced(
    data: bytes,
    layers: Sequence[CompressibleLayer],
    budget: Budget,
    measured: Callable[[bytes], Point],
) -> bytes | None:
    """Return the model without the weights of silent channels; None where that does not pay.

    The most channels are taken that keep the quality with 3 dB to spare, on held-out samples. Where
    the budget limits no SQNR, the outputs of these must stay the same.

    Args:
        data: an int8 .tflite file.
        layers: those of the file, with the inputs that they have on the samples.
        budget: of the search.
        measured: measures a model on the held-out samples, converted.
    """
    margins = [margins_of(layer) for layer in layers]
    if not any((found >= _MARGINS[0]).any() for found in margins):
        return None  # as in most models: nothing is measured
    smallest = measured(data).flash_bytes
    tried = 0
    for margin in _MARGINS:
        silent = [found >= margin for found in margins]
        count = sum(int(one.sum()) for one in silent)
        if not count:
            return None
        if count == tried:
            continue
        tried = count
        found = _without(data, layers, silent)
        point = measured(found)
        if point.flash_bytes < smallest and point.sqnr_db >= _least_db(budget):
            return found
    return None


def _least_db(budget: Budget) -> float:
    limit = budget.min_output_sqnr_db
    return np.inf if limit is None else limit + _SPARED_DB


def margins_of(layer: CompressibleLayer) -> Vector:
    """Return the margin of each channel, float64[rows]: -inf where it speaks, or never can."""
    found = np.full(len(layer.real.weights), -np.inf)
    if layer.real.lower == 0:
        values = layer.pre_activations()
        highest, deviation = values.max(axis=0), values.std(axis=0)
        is_silent = (highest <= 0) & (deviation > 0)
        found[is_silent] = -highest[is_silent] / deviation[is_silent]
    return found


def silent_count(layer: CompressibleLayer) -> int:
    """Return how many channels of a layer have no weights."""
    return int(np.sum(~layer.real.weights.any(axis=1)))


def _without(data: bytes, layers: Sequence[CompressibleLayer], silent: Sequence[Silent]) -> bytes:
    model = editor.read(data)
    for layer, channels in zip(layers, silent, strict=True):
        if channels.any():
            _silence(model.subgraphs[0].operators[layer.position], channels, layer)
    return editor.write(model)


def _silence(op: Operator, channels: Silent, layer: CompressibleLayer) -> None:
    """Give channels zero weights and no bias, so that they are zero."""
    rows = -1 if layer.real.is_depthwise else 0
    for at, axis in ((1, rows), (2, 0)):
        old = op.inputs[at] if at < len(op.inputs) else None
        if old is not None and old.array is not None:
            array = np.moveaxis(old.array.copy(), axis, 0)
            array[channels] = 0
            op.inputs[at] = Tensor.constant(
                old.name,
                np.ascontiguousarray(np.moveaxis(array, 0, axis)),
                type=old.type,
                quantization=old.quantization,
            )
