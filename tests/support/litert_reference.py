"""LiteRT's reference kernels, and random inputs for them."""

from __future__ import annotations

from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from numpy.typing import NDArray


def run_litert(data: bytes, inputs: NDArray[Any]) -> NDArray[Any]:
    """Return the first output of a model in LiteRT's reference kernels."""
    interpreter = Interpreter(
        model_content=data, experimental_op_resolver_type=OpResolverType.BUILTIN_REF
    )
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], inputs)
    interpreter.invoke()
    return np.array(interpreter.get_tensor(interpreter.get_output_details()[0]["index"]))


def int8_inputs(shape: list[int], seed: int = 1) -> NDArray[np.int8]:
    """Return random int8 values of `shape`."""
    return np.random.default_rng(seed).integers(-128, 128, shape).astype(np.int8)
