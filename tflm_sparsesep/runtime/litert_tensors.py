"""Values of tensors inside a model, computed by LiteRT's builtin kernels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy.typing as npt

from tflm_sparsesep.runtime.litert import LiteRtInterpreter

Array = npt.NDArray[Any]


def litert_tensors(
    tflite: bytes, indices: Sequence[int], inputs: Sequence[Array], *, name: str = "model"
) -> list[Array]:
    """Return one array [inferences, *shape] for each index of a tensor of the first subgraph.

    `inputs` are [inferences, *shape] of each model input, of the tensor's dtype; `name` is that of
    the model in errors.

    Raises:
        ToolMissingError: LiteRT is not installed.
        DeviceError: LiteRT refuses the model, or fails.
    """
    interpreter = LiteRtInterpreter(
        tflite, name, resolver="BUILTIN_WITHOUT_DEFAULT_DELEGATES", preserve_all_tensors=True
    )
    return interpreter.run(inputs, indices)
