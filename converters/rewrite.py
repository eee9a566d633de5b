"""The whole conversion of a .tflite file on one page.

read -> check -> passes -> drop what is no longer used -> shorten names -> build
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType

import numpy as np

from tflm_sparsesep.converters import op_names
from tflm_sparsesep.converters.cost.choose_layout import Prefer, check_preference
from tflm_sparsesep.converters.decisions import LayerDecision
from tflm_sparsesep.converters.errors import ModelError
from tflm_sparsesep.converters.passes import (
    fuse_separable_pair,
    group_rows,
    line_conv,
    pointwise_conv,
    sparse_fully_connected,
)
from tflm_sparsesep.converters.passes.conversion import Conversion
from tflm_sparsesep.converters.targets import get_target
from tflm_sparsesep.converters.tflite import editor
from tflm_sparsesep.converters.tflite.editor import Model, TensorType

PASSES: tuple[ModuleType, ...] = (
    group_rows,
    sparse_fully_connected,
    fuse_separable_pair,
    line_conv,
    pointwise_conv,
)
# Without the one that takes seconds for large layers; what it saves is on top.
QUICK_PASSES = PASSES[1:]


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
    passes: Sequence[ModuleType] = PASSES,
) -> RewriteResult:
    """Replaces the layers of a .tflite file that get smaller and faster on `target`.

    `input_zeros` is what calibration has seen (`Conversion`); `name` is what errors call the
    model; `prefer` is what layouts are chosen by (`choose_layout`); `passes` are all, or
    `QUICK_PASSES` for estimates. Raises ModelError for bytes that are no usable model and
    ConfigError for an unknown target or preference.
    """
    conversion = Conversion(get_target(target).name, input_zeros or {}, check_preference(prefer))
    model = editor.read(data, name=name)
    try:
        check(model)
        layers = [
            decision
            for subgraph in model.subgraphs
            for one_pass in passes
            for decision in one_pass.run(subgraph, conversion)
        ]
    except ModelError as error:
        raise ModelError(f"{name}: {error}") from None
    model.prune_unused()
    _shorten_names(model)
    return RewriteResult(model.build(), layers)


def check(model: Model) -> None:
    """Raises ModelError for models that no pass may touch."""
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


def _shorten_names(model: Model) -> None:
    """Of "dense/MatMul;dense/Relu;dense/BiasAdd" the first part stays, as in layers' names.

    No runtime looks at them, and they are up to a tenth of a small file.
    """
    for subgraph in model.subgraphs:
        known = {*subgraph.inputs, *subgraph.outputs}  # callers may look for these
        for tensor in subgraph.tensors:
            if tensor not in known:
                tensor.name = tensor.name.split(";")[0]


def _check_finite(name: str, array: np.ndarray | None) -> None:
    if array is not None and not np.all(np.isfinite(array)):
        bad = int(np.count_nonzero(~np.isfinite(array)))
        raise ModelError(f"tensor {name!r} holds {bad} NaN or infinite values")
