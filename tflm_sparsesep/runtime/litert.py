"""LiteRT, with this project's delegate where a model has its operators."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy.typing as npt

from tflm_sparsesep.converters import op_names
from tflm_sparsesep.converters.errors import DeviceError, ToolMissingError
from tflm_sparsesep.converters.tflite import editor
from tflm_sparsesep.converters.tflite.editor import Model
from tflm_sparsesep.runtime import delegate

Array = npt.NDArray[Any]
Invoke = Callable[[list[Array]], list[Array]]
"""One inference: the model's inputs to its outputs."""

# LiteRT under its present name, its former one, and as a part of TensorFlow.
_LITERT_MODULES = ("ai_edge_litert.interpreter", "tflite_runtime.interpreter", "tensorflow.lite")

# Characters: LiteRT lists every tensor that it does not like.
_MOST_REASON = 300


def litert_module() -> tuple[Any, Any]:
    """Return the module that has the class `Interpreter`, and its enumeration `OpResolverType`.

    Raises:
        ToolMissingError: neither LiteRT nor one of its predecessors is installed.
    """
    for name in _LITERT_MODULES:
        try:
            module = importlib.import_module(name)
        except ImportError:
            continue
        return module, getattr(module, "OpResolverType", None) or module.experimental.OpResolverType
    raise ToolMissingError("the LiteRT runtime is not installed; pip install ai-edge-litert")


def litert_invoke(data: bytes, model: Model, *, reference: bool, opencl: bool) -> Invoke:
    """Load a model into LiteRT; `model` is `data`, read.

    `reference` takes LiteRT's reference kernels; `opencl` gives the delegate the OpenCL backend,
    whatever operators the model has.

    Raises:
        ConfigError: OpenCL in a process that has imported TensorFlow.
        ToolMissingError: LiteRT or the delegate is not installed.
        DeviceError: LiteRT refuses the model; the returned function raises it where it fails.
    """
    if opencl:
        delegate.refuse_opencl_beside_tensorflow()
    module, resolvers = litert_module()
    delegates = []
    if opencl or any(op.custom_code in op_names.ALL for op in model.operators):
        options = {"backend": "opencl" if opencl else "cpu"}
        delegates = [delegate.load(module, options)]
    resolver = resolvers.BUILTIN_REF if reference else resolvers.AUTO
    try:
        interpreter = module.Interpreter(
            model_content=editor.write(model) if model.is_mended else data,
            experimental_op_resolver_type=resolver,
            experimental_delegates=delegates,
        )
        interpreter.allocate_tensors()
    except (RuntimeError, ValueError) as error:
        raise _refused(model, error) from None
    inputs = [detail["index"] for detail in interpreter.get_input_details()]
    outputs = [detail["index"] for detail in interpreter.get_output_details()]

    def invoke(values: list[Array]) -> list[Array]:
        try:
            for index, value in zip(inputs, values, strict=True):
                interpreter.set_tensor(index, value)
            interpreter.invoke()
            return [interpreter.get_tensor(index) for index in outputs]
        except (RuntimeError, ValueError) as error:
            raise _refused(model, error) from None

    return invoke


def _refused(model: Model, error: Exception) -> DeviceError:
    reason = " ".join(str(error).split())
    if len(reason) > _MOST_REASON:
        reason = f"{reason[:_MOST_REASON]} ..."
    return DeviceError(f"{model.name}: LiteRT: {reason}")
