"""The arena that a model gets on a device: what TFLM used here, and a margin."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tflm_sparsesep.converters.inspect_model import inspect_model
from tflm_sparsesep.converters.targets import get_target
from tflm_sparsesep.converters.tflite.editor import BuiltinOperator, Model, Operator

_ALIGNMENT = 16
# Differences between versions of TFLM.
_VERSION_BYTES = 1024
# CMSIS-NN widens two input windows to int16, four with Helium (arm_convolve_s8).
_WINDOW_BYTES = 4
_WINDOW_PADDING = 16
# arm_depthwise_conv_s8_opt with Helium: four windows of this many channels.
_HELIUM_CHANNELS = 124


@dataclass(frozen=True)
class Arena:
    """An arena size and where it comes from, in bytes.

    Attributes:
        measured: used by TFLM's interpreter on this 64-bit machine, with its reference kernels.
        margin: added to it: the largest scratch of one operator on the device, and 1,024.
        total: their sum, rounded up to a multiple of 16.
    """

    measured: int
    margin: int

    @property
    def total(self) -> int:
        """The size to allocate."""
        return -(-(self.measured + self.margin) // _ALIGNMENT) * _ALIGNMENT


def arena_of(data: bytes, model: Model, measured: int, *, target: str) -> Arena:
    """Return the arena of a model on a target; `measured` is what TFLM used here."""
    has_mve = get_target(target).has_mve
    ours = [layer.scratch_bytes or 0 for layer in inspect_model(data, target=target)]
    dense = [_scratch_bytes(op, has_mve) for graph in model.subgraphs for op in graph.operators]
    return Arena(measured, max([0, *ours, *dense]) + _VERSION_BYTES)


def _scratch_bytes(op: Operator, has_mve: bool) -> int:
    """Return an upper limit of what CMSIS-NN asks for a dense int8 operator."""
    if op.builtin_code == BuiltinOperator.AVERAGE_POOL_2D:
        return 4 * op.input(0).shape[-1]
    if op.builtin_code == BuiltinOperator.FULLY_CONNECTED:
        return 4 * op.weights.shape[0] if has_mve else 0
    if op.builtin_code == BuiltinOperator.CONV_2D:
        return _WINDOW_BYTES * (math.prod(op.weights.shape[1:]) + _WINDOW_PADDING)
    if op.builtin_code == BuiltinOperator.DEPTHWISE_CONV_2D:
        taps, channels = math.prod(op.weights.shape[1:3]), op.weights.shape[3]
        widened = _HELIUM_CHANNELS * taps if has_mve else 0
        return _WINDOW_BYTES * (max(channels * taps, widened) + _WINDOW_PADDING)
    return 0
