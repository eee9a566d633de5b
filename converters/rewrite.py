"""The whole conversion of a .tflite file on one page.

read -> check -> passes -> drop what is no longer used -> shorten names -> build
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType

import numpy as np

from tflm_sparsesep.converters import op_names
from tflm_sparsesep.converters.cost.choose_layout import Prefer, check_preference
from tflm_sparsesep.converters.decisions import LayerDecision
from tflm_sparsesep.converters.errors import ModelError
from tflm_sparsesep.converters.layers.quantized import layer_name
from tflm_sparsesep.converters.passes import (
    fuse_separable_pair,
    sparse_conv_2d,
    sparse_fully_connected,
)
from tflm_sparsesep.converters.passes.conversion import Conversion
from tflm_sparsesep.converters.targets import get_target
from tflm_sparsesep.converters.tflite import editor
from tflm_sparsesep.converters.tflite.editor import Model, Subgraph, TensorType

# Pairs come first: a convolution along one axis could be sparse, too.
PASSES: tuple[ModuleType, ...] = (fuse_separable_pair, sparse_fully_connected, sparse_conv_2d)


@dataclass(frozen=True)
class RewriteResult:
    """The new file and what was decided about each layer, in execution order."""

    tflite: bytes
    layers: list[LayerDecision]


def rewrite(
    data: bytes,
    *,
    target: str,
    input_zeros: Mapping[str, float] | None = None,
    name: str = "model",
    prefer: Prefer | None = None,
) -> RewriteResult:
    """Replace the layers of a .tflite file that get smaller and faster on `target`.

    Args:
        data: the bytes of the file.
        target: a name of `targets.TARGETS`.
        input_zeros: what calibration has seen (`Conversion`).
        name: what errors call the model.
        prefer: what layouts are chosen by (`choose_layout`).

    Raises:
        ModelError: the bytes are no usable model.
        ConfigError: the target or the preference is unknown.
    """
    conversion = Conversion(get_target(target).name, input_zeros or {}, check_preference(prefer))
    model = editor.read(data, name=name)
    try:
        check(model)
        layers = [d for subgraph in model.subgraphs for d in run_passes(subgraph, conversion)]
    except ModelError as error:
        raise ModelError(f"{name}: {error}") from None
    tidy(model)
    return RewriteResult(editor.write(model), layers)


def run_passes(subgraph: Subgraph, conversion: Conversion) -> list[LayerDecision]:
    """Rewrite `subgraph`; return one decision for each layer, in execution order."""
    order = {layer_name(op): at for at, op in enumerate(subgraph.operators)}
    decisions = [d for one_pass in PASSES for d in one_pass.run(subgraph, conversion)]
    return sorted(decisions, key=lambda decision: order[decision.name])


def check(model: Model) -> None:
    """Raise ModelError for models that no pass may touch."""
    for subgraph in model.subgraphs:
        for op in subgraph.operators:
            if op.custom_code in op_names.ALL:
                raise ModelError(
                    f"already rewritten: it holds {op.custom_code}; convert the original file"
                )
        for tensor in subgraph.tensors:
            if tensor.type == TensorType.FLOAT16 and tensor.is_constant:
                raise ModelError(
                    f"tensor {tensor.name!r} holds float16 weights, accepted: int8 or float32"
                )
            if tensor.type == TensorType.FLOAT32 and tensor.is_constant:
                _check_finite(tensor.name, tensor.array)
        for tensor in subgraph.inputs:
            if -1 in tensor.shape_signature[1:]:
                raise ModelError(
                    f"input {tensor.name!r} has the dynamic shape {list(tensor.shape_signature)}, "
                    "accepted: fixed shapes (only the batch, the first dimension, may be -1)"
                )


def tidy(model: Model) -> None:
    """Drop what no runtime reads: unused tensors and buffers, and long names."""
    editor.prune_unused(model)
    _shorten_names(model)


def _shorten_names(model: Model) -> None:
    """Keep the first part of "dense/MatMul;dense/Relu;dense/BiasAdd", as in layers' names.

    No runtime reads them, and they are up to a tenth of a small file.
    """
    for subgraph in model.subgraphs:
        known = {*subgraph.inputs, *subgraph.outputs}  # callers may look these up
        for tensor in subgraph.tensors:
            if tensor not in known:
                tensor.name = tensor.name.split(";")[0]


def _check_finite(name: str, array: np.ndarray | None) -> None:
    if array is not None and not np.all(np.isfinite(array)):
        bad = int(np.count_nonzero(~np.isfinite(array)))
        raise ModelError(f"tensor {name!r} holds {bad} NaN or infinite values")
