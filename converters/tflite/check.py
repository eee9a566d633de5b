"""Consistency check of a model that `verifier` has accepted.

It covers what the editor and the passes rely on: every index refers to an object, constants have
the size of their type and shape, nothing writes into them, quantization parameters fit their
tensor. It does not cover versions and types of operators, which their readers check.
"""

from __future__ import annotations

from typing import Any, NoReturn

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from tflm_sparsesep.converters.errors import ModelError
from tflm_sparsesep.converters.tflite import types as tensor_types
from tflm_sparsesep.converters.tflite.check_operators import options_problem, written
from tflm_sparsesep.converters.tflite.metadata import COMPRESSION
from tflm_sparsesep.converters.tflite.tensor import to_text

_SCHEMA_VERSION = 3
_BUILTIN_CODES = {v for k, v in vars(schema.BuiltinOperator).items() if not k.startswith("_")}
# Buffers may share data that is stored after the flatbuffer, but a small file must not describe a
# huge model.
_MAX_REUSE = 4


def check(raw: Any, file_size: int, name: str) -> None:
    """Check the consistency of `raw`, a `ModelT` read from a file of `file_size` bytes.

    Raises:
        ModelError: with one line that starts with `name`.
    """
    _Checker(raw, file_size, name).check()


class _Checker:
    def __init__(self, raw: Any, file_size: int, name: str) -> None:
        self.raw = raw
        self.file_size = file_size
        self.name = name
        self.buffers = raw.buffers or []
        self.codes = raw.operatorCodes or []
        self.external_bytes = 0

    def fail(self, reason: str) -> NoReturn:
        raise ModelError(f"{self.name}: inconsistent model: {reason}")

    def indices(self, vector: Any, count: int, what: str, lowest: int = 0) -> None:
        """Check that every index in `vector` (None if absent) is in [lowest, count)."""
        values: NDArray[Any] = np.asarray(() if vector is None else vector, np.int64)
        wrong = values[(values < lowest) | (values >= count)]
        if wrong.size:
            self.fail(f"{what} {wrong[0]} is out of range, there are {count}")

    def check(self) -> None:
        raw = self.raw
        if raw.version != _SCHEMA_VERSION:
            raise ModelError(
                f"{self.name}: schema version {raw.version}, only {_SCHEMA_VERSION} is supported"
            )
        if not raw.subgraphs:
            self.fail("it has no subgraph")
        for i, buffer in enumerate(self.buffers):
            self.external(buffer.data, buffer.offset, buffer.size, f"buffer {i}")
        for i, code in enumerate(self.codes):
            self.operator_code(code, f"operator code {i}")
        self.metadata()
        for i, subgraph in enumerate(raw.subgraphs):
            self.subgraph(subgraph, f"subgraph {i}")
        for i, signature in enumerate(raw.signatureDefs or ()):
            self.signature(signature, f"signature {i}")

    def external(self, inline: Any, offset: int, size: int, what: str) -> None:
        """Check data that may be stored after the flatbuffer (if the offset exceeds 1)."""
        if inline is not None or offset <= 1:
            return
        self.external_bytes += size
        if offset + size > self.file_size:
            self.fail(
                f"{what} of {size} bytes at offset {offset} is outside the file "
                f"({self.file_size} bytes)"
            )
        if self.external_bytes > _MAX_REUSE * self.file_size:
            self.fail("buffers describe many times more data than the file holds")

    def operator_code(self, code: Any, what: str) -> None:
        builtin_code = max(code.deprecatedBuiltinCode, code.builtinCode)
        if builtin_code not in _BUILTIN_CODES:
            self.fail(f"{what}: {builtin_code} is not an operator that the schema knows")
        if builtin_code == schema.BuiltinOperator.CUSTOM and not code.customCode:
            self.fail(f"{what}: custom operator without a name")

    def metadata(self) -> None:
        count = len(self.buffers)
        entries = self.raw.metadata or []
        self.indices([entry.buffer for entry in entries], count, "buffer index of metadata")
        self.indices(self.raw.metadataBuffer, count, "buffer index of metadata")
        # TFLM's look-up-table compression shrinks buffers and keeps shapes.
        names = {to_text(entry.name) for entry in entries}
        self.sizes_are_exact = COMPRESSION not in names

    def subgraph(self, subgraph: Any, where: str) -> None:
        tensors = subgraph.tensors or []
        for i, tensor in enumerate(tensors):
            label = f"{where}, tensor {i} {to_text(tensor.name)[:80]!r}"
            self.tensor(tensor, label)
            self.quantization(tensor, len(tensors), label)
        self.indices(subgraph.inputs, len(tensors), f"{where}: input tensor")
        self.indices(subgraph.outputs, len(tensors), f"{where}: output tensor")
        for i, op in enumerate(subgraph.operators or ()):
            self.operator(op, len(tensors), f"{where}, operator {i}")
        for i, role in written(subgraph):
            size = self.buffer_size(tensors[i].buffer)
            if size:
                name = to_text(tensors[i].name)[:80]
                self.fail(
                    f"{where}, tensor {i} {name!r}: {role} with {size} bytes of constant data: "
                    "nothing may write into a constant"
                )

    def tensor(self, tensor: Any, where: str) -> None:
        if tensor.type not in tensor_types.NAMES:
            self.fail(f"{where}: type {tensor.type} is not one that the schema knows")
        shape = [] if tensor.shape is None else tensor.shape.tolist()
        if any(dim < 0 for dim in shape):
            self.fail(f"{where}: negative dimension in shape {shape}")
        # Buffer 0 need not even exist in a model without constants.
        self.indices([tensor.buffer], max(1, len(self.buffers)), f"{where}: buffer")
        size = self.buffer_size(tensor.buffer)
        if size and tensor.buffer == 0:
            self.fail(f"{where}: uses buffer 0, which must be empty and holds {size} bytes")
        expected = tensor_types.byte_size(tensor.type, shape)
        exact = self.sizes_are_exact and tensor.sparsity is None and expected is not None
        if exact and size not in (0, expected):
            type_name = tensor_types.NAMES[tensor.type]
            self.fail(
                f"{where}: buffer holds {size} bytes, {type_name}{shape} takes {expected} bytes"
            )
        element = tensor_types.numpy_dtype(tensor.type).itemsize
        if size % element:
            self.fail(f"{where}: buffer holds {size} bytes, elements take {element}")

    def buffer_size(self, index: int) -> int:
        if index >= len(self.buffers):
            return 0
        buffer = self.buffers[index]
        if buffer.data is not None:
            return int(buffer.data.size)
        return int(buffer.size) if buffer.offset > 1 else 0

    def quantization(self, tensor: Any, tensor_count: int, where: str) -> None:
        parameters = tensor.quantization
        if parameters is None:
            return
        if hasattr(parameters.details, "zeroPoints"):  # blockwise, multi-axis: tensor indices
            details = parameters.details
            self.indices([details.scales], tensor_count, f"{where}: scale tensor")
            self.indices([details.zeroPoints], tensor_count, f"{where}: zero point tensor", -1)
            return
        scales = 0 if parameters.scale is None else len(parameters.scale)
        zero_points = 0 if parameters.zeroPoint is None else len(parameters.zeroPoint)
        if scales and zero_points not in (0, 1, scales):
            self.fail(f"{where}: {zero_points} zero points for {scales} scales")
        shape = [] if tensor.shape is None else tensor.shape.tolist()
        # The axis itself is no criterion: TensorFlow 1 gave biases [channels] the axis 3.
        if scales > 1 and shape and scales not in shape:
            self.fail(f"{where}: {scales} scales do not fit any axis of shape {shape}")

    def operator(self, op: Any, tensor_count: int, where: str) -> None:
        self.indices([op.opcodeIndex], len(self.codes), f"{where}: operator code")
        self.indices(op.inputs, tensor_count, f"{where}: input tensor", -1)
        self.indices(op.outputs, tensor_count, f"{where}: output tensor")
        self.indices(op.intermediates, tensor_count, f"{where}: intermediate tensor", -1)
        code = self.codes[op.opcodeIndex]
        builtin_code = max(code.deprecatedBuiltinCode, code.builtinCode)
        problem = options_problem(builtin_code, op.builtinOptions)
        if problem is not None:
            self.fail(f"{where}: {problem}")
        offset, size = op.largeCustomOptionsOffset, op.largeCustomOptionsSize
        self.external(op.customOptions, offset, size, f"{where}: custom options")
        for options in (op.builtinOptions, op.builtinOptions2):
            for field, value in vars(options).items() if options is not None else ():
                if is_subgraph_index(options, field):
                    values = None if value is None else np.atleast_1d(value)
                    self.indices(values, len(self.raw.subgraphs), f"{where}: {field}", -1)

    def signature(self, signature: Any, where: str) -> None:
        self.indices([signature.subgraphIndex], len(self.raw.subgraphs), f"{where}: subgraph")
        tensors = self.raw.subgraphs[signature.subgraphIndex].tensors or []
        for entry in (*(signature.inputs or ()), *(signature.outputs or ())):
            self.indices([entry.tensorIndex], len(tensors), f"{where}: tensor")


def is_subgraph_index(options: Any, field: str) -> bool:
    """Return True for fields of control flow options (IF, WHILE, ...) that are subgraph indices."""
    return (
        field.lower().endswith(("subgraphindex", "subgraphindices"))
        or field == "calledComputations"
        or (field == "subgraph" and isinstance(options, schema.CallOptionsT))
    )
