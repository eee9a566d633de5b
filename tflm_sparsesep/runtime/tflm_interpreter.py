"""The real TFLM interpreter (the `tflite-micro` wheel) with this project's operators.

It runs in a process of its own: TFLM trusts what it loads, and some files end its process.
"""

from __future__ import annotations

import re
import sys
import weakref
from collections.abc import Sequence
from typing import Any

import numpy.typing as npt

from tflm_sparsesep.converters import native, op_names
from tflm_sparsesep.converters.errors import (
    ConfigError,
    DeviceError,
    ToolMissingError,
    printable,
)
from tflm_sparsesep.converters.layers.packed import is_paged
from tflm_sparsesep.converters.tflite import editor
from tflm_sparsesep.converters.tflite import types as tensor_types
from tflm_sparsesep.converters.tflite.editor import BuiltinOperator, Model, TensorType, schema
from tflm_sparsesep.converters.tflite.references import called_subgraphs
from tflm_sparsesep.runtime.child import Refusal, child

INSTALL = 'pip install "tflm-sparsesep[tflm]"'
_LIBRARY = "libsparsesep_tflm_wheel.so"
_REGISTERER = "SparseSepRegisterer"
_MAX_ARENA_BYTES = (1 << 31) - 1
# Structs, quantization parameters and the copies that kernels keep of them.
_BYTES_PER_TENSOR, _BYTES_PER_CHANNEL, _BYTES_PER_OPERATOR = 256, 64, 4096
# At this product of beta and the scale of its int8 input, and below, TFLM's SOFTMAX ends the
# process.
_SOFTMAX_SCALE_LIMIT = 2.0**-26
_ALLOCATED = re.compile(r"Arena allocation (total|head) (\d+) bytes")


class TflmInterpreter:
    """One model in TFLM.

    interpreter = TflmInterpreter(data, editor.read(data))
    (output,) = interpreter.invoke([np.zeros((1, 640), np.int8)])

    Args:
        data: the bytes of a .tflite file. TFLM trusts them: check them with `editor.read`.
        model: the same, read.
        preserve_all_tensors: keep every activation readable (`tensor`); costs arena.
        external: the image of the external memory that holds the weights of a paged model.

    Raises:
        ConfigError: a paged model without `external`.
        ToolMissingError: the wheel is not installed or cannot be loaded.
        DeviceError: TFLM refuses the model, and the message holds what TFLM printed; or it ends
            TFLM's process.
    """

    def __init__(
        self,
        data: bytes,
        model: Model,
        *,
        preserve_all_tensors: bool = False,
        external: bytes | None = None,
    ) -> None:
        """Load a model; arguments and errors are those of the class."""
        _check_runtime()
        _refuse_what_it_misreads(model)
        if external is None and any(map(is_paged, model.operators)):
            raise ConfigError(
                f"{model.name}: its weights are pages in an external memory; accepted: its image, "
                "external=result.external"
            )
        self._name = model.name
        self._outputs = len(model.subgraphs[0].outputs)
        self._preserved = preserve_all_tensors
        library, registerers = None, []
        if any(op.custom_code in op_names.ALL for op in model.operators):
            library, registerers = str(native.library_path(_LIBRARY)), [_REGISTERER]
        self._child = child("tflm")
        self._key = next(self._child.keys)
        weakref.finalize(self, self._child.garbage.append, self._key)
        arena_bytes = ample_arena_bytes(model) + len(external or b"")
        try:
            data = editor.write(model) if _lacks_lists(model) else data
            self._ask(
                "create", data, library, registerers, arena_bytes, preserve_all_tensors, external
            )
        except DeviceError as error:
            if "op code CUSTOM" not in str(error):  # TFLM does not say which
                raise
            custom = sorted({op.op_name for op in model.operators if op.custom_code is not None})
            raise DeviceError(f"{error} (the model's are {', '.join(custom)})") from None

    @property
    def arena_bytes(self) -> int | None:
        """Arena that the model uses in this 64-bit process; None with preserved tensors.

        A Cortex-M needs less: its pointers and sizes are 4 bytes.
        """
        return self._allocated("total")

    @property
    def planned_bytes(self) -> int | None:
        """The part of `arena_bytes` that activations and scratch share, as TFLM planned them."""
        return self._allocated("head")

    def _allocated(self, part: str) -> int | None:
        if self._preserved:
            return None
        _, lines = self._child.ask("print_allocations", self._key)
        found = {name: int(size) for name, size in _ALLOCATED.findall("\n".join(lines))}
        return found.get(part)

    def invoke(self, inputs: Sequence[npt.NDArray[Any]]) -> list[npt.NDArray[Any]]:
        """Run one inference.

        Variables of the model keep their values from one call to the next.

        Args:
            inputs: one array per model input, shape and dtype as in the file.

        Returns:
            One array per model output, shape and dtype as in the file.

        Raises:
            DeviceError: TFLM fails.
        """
        values: list[npt.NDArray[Any]] = self._ask("invoke", list(inputs), self._outputs)
        return values

    def tensor(self, index: int) -> npt.NDArray[Any]:
        """Return tensor `index` of the first subgraph after `invoke`; needs preserved tensors."""
        value: npt.NDArray[Any] = self._ask("tensor", index)
        return value

    def _ask(self, method: str, *arguments: Any) -> Any:
        """Return the worker's answer; what TFLM prints becomes a part of the error, if any."""
        try:
            result, lines = self._child.ask(method, self._key, *arguments)
        except Refusal as refusal:
            reasons = [line.strip() for line in refusal.printed if line.strip()][-3:]
            reason = "; ".join(reasons) or str(refusal)
            raise DeviceError(f"{self._name}: TFLM: {reason}") from None
        except DeviceError as error:
            raise DeviceError(f"{self._name}: TFLM: {error}") from None
        sys.stderr.writelines(f"{printable(line)}\n" for line in lines)
        return result


def ample_arena_bytes(model: Model) -> int:
    """Return an arena size that always suffices: TFLM can crash on one that is slightly short.

    No tensors share memory, and kernels get scratch for a 64-bit accumulator per activation and
    for a copy of each constant. TFLM never touches what it does not use, so it costs no memory.

    Raises:
        DeviceError: the model needs more than TFLM's 32-bit sizes count.
    """
    total = 1 << 20
    for subgraph in model.subgraphs:
        total += _BYTES_PER_OPERATOR * len(subgraph.operators)
        for tensor in subgraph.tensors:
            channels = 0 if tensor.quantization is None else len(tensor.quantization.scales)
            total += _BYTES_PER_TENSOR + _BYTES_PER_CHANNEL * channels
            data = tensor_types.byte_size(tensor.type, tensor.shape) or 0
            total += data * (1 if tensor.is_constant else 1 + 8)
    if total > _MAX_ARENA_BYTES:
        raise DeviceError(
            f"{model.name}: an arena of up to {total} bytes, TFLM is given at most "
            f"{_MAX_ARENA_BYTES}"
        )
    return total


def _refuse_what_it_misreads(model: Model) -> None:
    """Refuse what ends TFLM's process or gives wrong outputs without a word."""
    _refuse_unplanned_scratch(model)
    for op in model.operators:
        for tensor in op.inputs:
            if tensor is not None and tensor.raw.sparsity is not None and tensor.is_constant:
                raise DeviceError(
                    f"{model.name}: {tensor.name!r} is a sparse tensor, TFLM accepts dense ones "
                    "only; `convert` writes it dense if it rewrites a layer"
                )
        logits = next(iter(op.inputs), None) if op.builtin_code == BuiltinOperator.SOFTMAX else None
        if logits is None or logits.type != TensorType.INT8 or logits.quantization is None:
            continue
        scale = float(min(logits.quantization.scales, default=0.0))
        beta = float(op.options.beta) if isinstance(op.options, schema.SoftmaxOptionsT) else 1.0
        if not scale * beta > _SOFTMAX_SCALE_LIMIT:
            raise DeviceError(
                f"{model.name}: {logits.name!r}, the input of SOFTMAX, has the scale {scale:.2g} "
                f"and beta {beta:.2g}; TFLM accepts a product of more than "
                f"{_SOFTMAX_SCALE_LIMIT:.2g} (were all samples 0 there?)"
            )


def _lacks_lists(model: Model) -> bool:
    """Return True if lists are absent that TFLM reads unasked; `editor.write` writes empty ones."""
    parts = [
        *(op.raw for op in model.operators),
        *(subgraph.raw for subgraph in model.subgraphs),
    ]
    lists = [model.raw.buffers, *(vector for x in parts for vector in (x.inputs, x.outputs))]
    return any(vector is None for vector in lists)


def _refuse_unplanned_scratch(model: Model) -> None:
    """Refuse operators of ours where TFLM plans no memory for their scratch, and crashes."""
    planned = called_subgraphs(model)
    for subgraph in model.subgraphs:
        own = [op.op_name for op in subgraph.operators if op.custom_code in op_names.ALL]
        if own and subgraph not in planned:
            raise DeviceError(
                f"{model.name}: subgraph {subgraph.name!r} has {own[0]}, and the first subgraph "
                "does not call it: TFLM would crash; `convert` leaves it dense for all targets but "
                "host"
            )


def _check_runtime() -> None:
    """Raise ToolMissingError if the wheel is not installed or cannot be loaded."""
    try:
        from tflite_micro import runtime  # noqa: F401
    except ModuleNotFoundError as error:
        if error.name != "tflite_micro":
            raise ToolMissingError(f"tflite-micro lacks {error.name}; {INSTALL}") from None
        raise ToolMissingError(f"the TFLM runtime is not installed; {INSTALL}") from None
    except ImportError as error:
        raise ToolMissingError(f"tflite-micro cannot be loaded: {error}; {INSTALL}") from None
