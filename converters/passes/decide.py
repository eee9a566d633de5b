"""Parts of passes that replace one operator by one with a blob: the decision, and the operator."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from tflm_sparsesep.converters.cost.choose_layout import reason_to_stay_dense
from tflm_sparsesep.converters.cost.cost import Cost, PackedCost
from tflm_sparsesep.converters.decisions import LayerDecision
from tflm_sparsesep.converters.layers.quantized import layer_name
from tflm_sparsesep.converters.passes.conversion import Conversion
from tflm_sparsesep.converters.tflite.editor import Buffer, Operator, Tensor, TensorType


def keep_dense(op: Operator, reason: str) -> LayerDecision:
    """Return the decision for a layer that no kernel computes."""
    return LayerDecision(layer_name(op), op.op_name, rewritten=False, reason=reason)


def decide_sparse(
    op: Operator,
    weights: npt.NDArray[Any],
    vectors: int,
    best: PackedCost,
    dense: Cost,
    conversion: Conversion,
) -> LayerDecision:
    """Return the decision for a layer with weights [rows, cols] whose best layout is known."""
    zeros, target = _zeros(weights), conversion.target
    stay = reason_to_stay_dense(best, dense, zeros=zeros, target=target, prefer=conversion.prefer)
    return decide(
        op,
        weights,
        vectors,
        best,
        dense,
        rewritten=stay is None,
        reason=stay or f"{zeros:.1%} zeros: packed wins on {target}",
        pattern=best.layout.pattern,
        index=best.layout.index,
    )


def decide(
    op: Operator,
    weights: npt.NDArray[Any],
    vectors: int,
    packed: Cost,
    dense: Cost,
    *,
    rewritten: bool,
    reason: str,
    pattern: str,
    index: str,
) -> LayerDecision:
    """Return the decision for a layer that a kernel computes; see `LayerDecision`."""
    rows, cols = weights.shape
    return LayerDecision(
        name=layer_name(op),
        op=op.op_name,
        rewritten=rewritten,
        reason=reason,
        rows=rows,
        cols=cols,
        batch=vectors,
        zeros=_zeros(weights),
        pattern=pattern,
        index=index,
        dense_bytes=dense.bytes,
        packed_bytes=packed.bytes,
        dense_instructions=dense.instructions,
        sparse_instructions=packed.instructions,
    )


def _zeros(weights: npt.NDArray[Any]) -> float:
    """Return the fraction of weights that are zero."""
    return float(1.0 - np.count_nonzero(weights) / weights.size)


def packed_operator(
    code: str, op: Operator, blob: Buffer, *, source: Tensor | None = None, options: bytes = b""
) -> Operator:
    """Return the custom operator in the place of `op`, or of all operators from `source` to it."""
    packed = Tensor(f"{op.weights.name}/packed", blob.data.shape, TensorType.UINT8, buffer=blob)
    inputs = [source or op.input(0), packed]
    return Operator.custom(code, inputs, op.outputs, custom_options=options or None)
