"""Values of tensors inside a model, computed by LiteRT's builtin kernels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tflm_sparsesep.converters.errors import DeviceError
from tflm_sparsesep.runtime.litert import litert_module

Array = npt.NDArray[Any]


def litert_tensors(tflite: bytes, indices: Sequence[int], inputs: Sequence[Array]) -> list[Array]:
    """Return one array [inferences, *shape] for each index of a tensor of the first subgraph.

    `inputs` are [inferences, *shape] of each model input, of the tensor's dtype.

    Raises:
        ToolMissingError: LiteRT is not installed.
        DeviceError: LiteRT refuses the model, or fails.
    """
    module, resolvers = litert_module()
    try:
        interpreter = module.Interpreter(
            model_content=tflite,
            experimental_op_resolver_type=resolvers.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
            experimental_preserve_all_tensors=True,
        )
        interpreter.allocate_tensors()
        entries = [detail["index"] for detail in interpreter.get_input_details()]
        found: list[list[Array]] = [[] for _ in indices]
        for values in zip(*inputs, strict=True):
            for entry, value in zip(entries, values, strict=True):
                interpreter.set_tensor(entry, value)
            interpreter.invoke()
            for column, index in zip(found, indices, strict=True):
                column.append(interpreter.get_tensor(index))
    except (RuntimeError, ValueError) as error:
        raise DeviceError(f"LiteRT: {' '.join(str(error).split())}") from None
    return [np.stack(column) for column in found]
