"""Runs a model in LiteRT part by part, so that operators can change between the parts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tflm_sparsesep.converters.errors import ModelError
from tflm_sparsesep.converters.tflite import editor
from tflm_sparsesep.converters.tflite.editor import Model, Operator, Subgraph, Tensor
from tflm_sparsesep.runtime.litert_tensors import Array, litert_tensors

Values = dict[Tensor, Array]


def run_segment(operators: Sequence[Operator], values: Values, wanted: Iterable[Tensor]) -> Values:
    """What consecutive operators write.

    Args:
        operators: in execution order.
        values: for each activation that they read from elsewhere [inferences, *shape].
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
    data = editor.write(part)
    main = editor.read(data).subgraphs[0]
    indices = [main.tensors.index(tensor) for tensor in main.outputs]
    found = litert_tensors(data, indices, [values[tensor] for tensor in entering])
    return dict(zip(leaving, found, strict=True))
