"""Channels that the converter removes between two layers: unread ones, and those of no weights.

A channel leaves the model if the layer that reads it has no weight for it, or if its own weights
are all 0 and what is left of it, its bias, fits the bias of the reader
(`converters/passes/remove_constant_channels.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from tflm_sparsesep.training.device_layer import DeviceLayer
from tflm_sparsesep.training.trained_layer import TrainedLayer

Array = npt.NDArray[Any]

# The converter folds them into the layer before.
_FOLDED = (keras.layers.BatchNormalization, keras.layers.Dropout, keras.layers.ReLU)
_FUSED = ("linear", "relu", "relu6")
_CHANNEL_MULTIPLE = 4


def readers(model: Any, layers: Sequence[TrainedLayer]) -> dict[TrainedLayer, TrainedLayer]:
    """Return the layer that alone reads the outputs of each layer, where there is one.

    Only layers whose channels may be removed are among the keys: nothing but activations that the
    converter fuses and normalization is in between. Models without a graph have none.
    """
    graph = getattr(model, "_functional", None) or model
    followers: dict[int, list[Any]] = {}
    # Keras has no public way to walk a graph.
    nodes = [node for depth in getattr(graph, "_nodes_by_depth", {}).values() for node in depth]
    for node in nodes:
        for parent in node.parent_nodes:
            followers.setdefault(id(parent.operation), []).append(node.operation)
    by_layer = {id(x.layer): x for x in layers}
    uses = [id(node.operation) for node in nodes]
    found = {}
    for layer in layers:
        operation = layer.layer
        while operation is not None and _is_folded(operation, first=operation is layer.layer):
            after = followers.get(id(operation), [])
            operation = after[0] if len(after) == 1 else None
            reader = by_layer.get(id(operation))
            if reader is not None:
                both = (layer, reader)
                if all(uses.count(id(x.layer)) == 1 and x.output_axes == 1 for x in both):
                    found[layer] = reader
                break
    return found


def _is_folded(operation: Any, *, first: bool) -> bool:
    activation = getattr(operation, "activation", None)
    is_fused = activation is None or getattr(activation, "__name__", "") in _FUSED
    kinds = (*_FOLDED, keras.layers.Activation)
    return is_fused and (first or isinstance(operation, kinds))


def without_removed(
    kernels: Mapping[TrainedLayer, Array], readers: Mapping[TrainedLayer, TrainedLayer]
) -> dict[TrainedLayer, tuple[TrainedLayer, Array]]:
    """Return each layer with a kernel as it is without the removed channels, and its kernel.

    Args:
        kernels: float [..., inputs, outputs] of layers in execution order.
        readers: see `readers`.
    """
    left = dict(kernels)
    # From the end: weights that leave a reader may have been the only ones to read a channel.
    for layer in reversed(list(kernels)):
        reader = readers.get(layer)
        if reader in left and left[reader].shape[-2] == left[layer].shape[-1]:
            kept = _kept(left[layer], left[reader], foldable=not _pads(reader))
            left[layer], left[reader] = left[layer][..., kept], left[reader][..., kept, :]
    return {layer: (_resized(layer, kernel), kernel) for layer, kernel in left.items()}


def _kept(kernel: Array, reading: Array, *, foldable: bool) -> Array:
    """Return the channels that stay: a multiple of four, as in the converter."""
    stays = np.abs(reading).sum(axis=(*range(reading.ndim - 2), reading.ndim - 1)) > 0
    if foldable:
        stays &= np.abs(kernel).sum(axis=tuple(range(kernel.ndim - 1))) > 0
    missing = max(-stays.sum() % _CHANNEL_MULTIPLE, _CHANNEL_MULTIPLE - stays.sum())
    stays[np.flatnonzero(~stays)[:missing]] = True
    return np.flatnonzero(stays)


def _pads(layer: TrainedLayer) -> bool:
    return getattr(layer.layer, "padding", "valid") != "valid"


def _resized(layer: TrainedLayer, kernel: Array) -> TrainedLayer:
    channels, rows = kernel.shape[-2:]
    if (channels, rows) == (layer.device.channels, layer.device.shape.rows):
        return layer
    device = DeviceLayer(layer.device.shape.resized(rows, channels), layer.device.has_kernel)
    return replace(layer, device=device)
