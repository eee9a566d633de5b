"""Run a model, or a part of it, in LiteRT and return any of its tensors."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from tflm_sparsesep.converters.errors import ModelError
from tflm_sparsesep.converters.factorize.gram import Matrix
from tflm_sparsesep.converters.tflite import editor
from tflm_sparsesep.converters.tflite.editor import (
    BuiltinOperator,
    Model,
    Operator,
    Subgraph,
    Tensor,
    TensorType,
)
from tflm_sparsesep.converters.tflite.prune import all_tensors
from tflm_sparsesep.runtime import samples
from tflm_sparsesep.runtime.litert_tensors import Array, litert_tensors

Values = dict[Tensor, Array]
"""Activations on samples: [inferences, *shape] for each tensor."""


_STATEFUL = (
    BuiltinOperator.CALL_ONCE,
    BuiltinOperator.VAR_HANDLE,
    BuiltinOperator.READ_VARIABLE,
    BuiltinOperator.ASSIGN_VARIABLE,
)
_NO_VALUES = (TensorType.RESOURCE, TensorType.VARIANT, TensorType.STRING)


def is_stateful(op: Operator) -> bool:
    """Return True for operators on the variables of a streaming model."""
    return op.builtin_code in _STATEFUL


def is_activation(tensor: Tensor) -> bool:
    """Return True for tensors with numbers, which a segment can take and give."""
    return tensor.type not in _NO_VALUES


def run_segment(
    operators: Sequence[Operator],
    values: Values,
    wanted: Iterable[Tensor],
    *,
    subgraphs: Sequence[Subgraph] = (),
) -> Values:
    """Return what consecutive operators write.

    Operators on variables do not run: `values` say what these hold.

    Args:
        operators: in execution order.
        values: of each activation that they read from elsewhere, or from variables.
        wanted: activations; those that the operators write are returned.
        subgraphs: that the operators may call, those of the model after the first.

    Raises:
        ModelError: an operator keeps state from one inference to the next.
        DeviceError: LiteRT refuses the operators.
    """
    operators = [op for op in operators if not is_stateful(op)]
    inside = {tensor for op in operators for tensor in op.outputs if is_activation(tensor)}
    leaving = list(dict.fromkeys(tensor for tensor in wanted if tensor in inside))
    if not leaving:
        return {}
    read = [t for op in operators for t in op.inputs if t is not None and not t.is_constant]
    if any(tensor.is_variable for tensor in read):
        raise ModelError("keeps state from one inference to the next, which compress cannot follow")
    entering = list(dict.fromkeys(tensor for tensor in read if tensor not in inside))
    main = Subgraph("main", inputs=entering, outputs=leaving, operators=operators)
    part = Model([main, *subgraphs])
    found = run_model(part, editor.write(part), leaving, [values[tensor] for tensor in entering])
    return dict(zip(leaving, found, strict=True))


def run_model(
    model: Model, data: bytes, wanted: Sequence[Tensor], inputs: Sequence[Array]
) -> list[Array]:
    """Return tensors of the main subgraph, [inferences, *shape] each.

    Args:
        model: what was written to, or read from, `data`.
        data: the .tflite file.
        wanted: tensors of `model`.
        inputs: samples [inferences, *shape] for each input.
    """
    order = {tensor: at for at, tensor in enumerate(all_tensors(model, model.subgraphs[0]))}
    return litert_tensors(data, [order[tensor] for tensor in wanted], inputs)


def real_tensors(
    model: Model, data: bytes, wanted: Sequence[Tensor], inputs: Sequence[Array]
) -> list[Matrix]:
    """Return the same as real numbers."""
    found = run_model(model, data, wanted, inputs)
    return [
        samples.dequantize(values, tensor).astype(np.float64)
        for values, tensor in zip(found, wanted, strict=True)
    ]


def real_outputs(tflite: bytes, inputs: Sequence[Array]) -> list[Matrix]:
    """Return all outputs of a .tflite file as real numbers, [inferences, *shape] each."""
    model = editor.read(tflite)
    return real_tensors(model, tflite, model.subgraphs[0].outputs, inputs)
