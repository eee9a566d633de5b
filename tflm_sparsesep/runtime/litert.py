"""LiteRT, with this project's delegate where a model has its operators.

It runs in a process of its own: some files end it, and OpenCL drivers crash beside TensorFlow.
"""

from __future__ import annotations

import re
import sys
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import numpy.typing as npt

from tflm_sparsesep.converters import op_names
from tflm_sparsesep.converters.errors import DeviceError, ToolMissingError, printable
from tflm_sparsesep.converters.tflite import editor
from tflm_sparsesep.converters.tflite.editor import Model
from tflm_sparsesep.runtime.child import Refusal, child
from tflm_sparsesep.runtime.delegate import delegate_path

Array = npt.NDArray[Any]
Invoke = Callable[[list[Array]], list[Array]]
"""One inference: the model's inputs to its outputs."""

# Characters: LiteRT lists every tensor that it does not like.
_MOST_REASON = 300
# LiteRT appends which operator failed to what the operator said.
_OPERATOR = re.compile(r"(?<=[^\s;])(?=Node number \d)")


class LiteRtInterpreter:
    """One model in LiteRT.

    Args:
        data: the bytes of a .tflite file.
        name: of the model in errors.
        resolver: which kernels, a name of LiteRT's `OpResolverType`.
        preserve_all_tensors: keep every activation readable.
        backend: of the delegate, "cpu" or "opencl"; None for no delegate.

    Raises:
        ToolMissingError: LiteRT or the delegate is not installed.
        DeviceError: LiteRT refuses the model, or it ends LiteRT's process.
    """

    def __init__(
        self,
        data: bytes,
        name: str,
        *,
        resolver: str = "AUTO",
        preserve_all_tensors: bool = False,
        backend: str | None = None,
    ) -> None:
        """Load a model; arguments and errors are those of the class."""
        self._name = name
        self._child = child("litert")
        self._key = next(self._child.keys)
        weakref.finalize(self, self._child.garbage.append, self._key)
        delegate = None if backend is None else (str(delegate_path()), {"backend": backend})
        self._ask("create", data, resolver, preserve_all_tensors, delegate)

    def invoke(self, inputs: Sequence[Array]) -> list[Array]:
        """Run one inference and return its outputs.

        Raises:
            DeviceError: LiteRT fails.
        """
        values: list[Array] = self._ask("invoke", list(inputs))
        return values

    def run(self, inputs: Sequence[Array], tensors: Sequence[int]) -> list[Array]:
        """Run inferences [n, *shape] of each input, at least one; return the same of tensors.

        Raises:
            DeviceError: LiteRT fails.
        """
        values: list[Array] = self._ask("run", list(inputs), list(tensors))
        return values

    def _ask(self, method: str, *arguments: Any) -> Any:
        try:
            result, lines = self._child.ask(method, self._key, *arguments)
        except Refusal as refusal:
            if refusal.kind is ImportError:
                raise ToolMissingError(str(refusal)) from None
            raise self._refused(str(refusal)) from None
        except DeviceError as error:
            raise self._refused(str(error)) from None
        sys.stderr.writelines(f"{printable(line)}\n" for line in lines)
        return result

    def _refused(self, reason: str) -> DeviceError:
        reason = _OPERATOR.sub("; ", " ".join(reason.split()))
        if len(reason) > _MOST_REASON:
            reason = f"{reason[:_MOST_REASON]} ..."
        return DeviceError(f"{self._name}: LiteRT: {reason}")


def litert_invoke(data: bytes, model: Model, *, reference: bool, opencl: bool) -> Invoke:
    """Load a model into LiteRT; `model` is `data`, read.

    `reference` takes LiteRT's reference kernels; `opencl` gives the delegate the OpenCL backend,
    whatever operators the model has.

    Raises:
        ToolMissingError: LiteRT or the delegate is not installed.
        DeviceError: LiteRT refuses the model; the returned function raises it where it fails.
    """
    backend = "opencl" if opencl else None
    if backend is None and any(op.custom_code in op_names.ALL for op in model.operators):
        backend = "cpu"
    interpreter = LiteRtInterpreter(
        editor.write(model) if model.is_mended else data,
        model.name,
        resolver="BUILTIN_REF" if reference else "AUTO",
        backend=backend,
    )
    return interpreter.invoke
