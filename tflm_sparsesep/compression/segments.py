"""Run a model, or a part of it, in LiteRT and return any of its tensors."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from tflm_sparsesep.converters.errors import ModelError
from tflm_sparsesep.converters.factorize.gram import Matrix
from tflm_sparsesep.converters.tflite import editor
from tflm_sparsesep.converters.tflite.editor import Model, Operator, Subgraph, Tensor
from tflm_sparsesep.converters.tflite.prune import all_tensors
from tflm_sparsesep.runtime import samples
from tflm_sparsesep.runtime.litert_tensors import Array, litert_tensors

Values = dict[Tensor, Array]
"""Activations on samples: [inferences, *shape] for each tensor."""


def run_segment(operators: Sequence[Operator], values: Values, wanted: Iterable[Tensor]) -> Values:
    """Return what consecutive operators write.

    Args:
        operators: in execution order.
        values: of each activation that they read from elsewhere.
        wanted: activations; those that the operators write are returned.

    Raises:
        ModelError: an operator keeps state from one inference to the next, or has subgraphs.
        DeviceError: LiteRT refuses the operators.
    """
    inside = {tensor for op in operators for tensor in op.outputs}
    leaving = list(dict.fromkeys(tensor for tensor in wanted if tensor in inside))
    if not leaving:
        return {}
    read = [t for op in operators for t in op.inputs if t is not None and not t.is_constant]
    if any(tensor.is_variable for tensor in read):
        raise ModelError("keeps state from one inference to the next, which compress cannot follow")
    entering = list(dict.fromkeys(tensor for tensor in read if tensor not in inside))
    part = Model([Subgraph("main", inputs=entering, outputs=leaving, operators=operators)])
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
