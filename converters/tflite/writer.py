"""Edited objects to .tflite bytes: references become indices.

Writing does not change the objects: indices are set on shallow copies of the schema objects.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from flatbuffers.builder import BuilderSizeError
from numpy.typing import NDArray

from tflm_sparsesep.converters import op_names
from tflm_sparsesep.converters.errors import ConfigError, ModelError
from tflm_sparsesep.converters.tflite import metadata
from tflm_sparsesep.converters.tflite.graph import (
    Model,
    Operator,
    OperatorCode,
    Signature,
)
from tflm_sparsesep.converters.tflite.prune import (
    all_tensors,
    referenced_buffers,
)
from tflm_sparsesep.converters.tflite.tensor import (
    Buffer,
    Quantization,
    Tensor,
    schema_object,
    to_bytes,
)

BUFFER_ALIGNMENT = 16
"""In bytes; the schema's `force_align` of buffers, which its generated Python code ignores."""
LITERT_ALIGNMENT = 64
"""In bytes; what LiteRT 2 asks of host memory that it wraps in a tensor buffer."""

# `deprecated_builtin_code` is one signed byte; larger codes are written as this placeholder.
_LARGEST_DEPRECATED_CODE = 127
# The average size of a table with its share of vtables and padding, for the size of the builder.
_BYTES_PER_OBJECT = 256


def write(model: Model, *, blob_alignment: int = BUFFER_ALIGNMENT) -> bytes:
    """Return the model as .tflite bytes. The output is deterministic.

    The data of every buffer is 16-byte aligned in the file.

    Args:
        model: stays as it is.
        blob_alignment: of the constants of our operators in the file, in bytes.

    Raises:
        ModelError: the file would exceed 2 GiB, or the edit invalidated indices in the file (a
            moved subgraph, a signature of a removed subgraph, ...).
    """
    raw = _Writer(model).model()
    payload = sum(0 if buffer.data is None else buffer.data.size for buffer in raw.buffers)
    objects = len(raw.buffers) + sum(len(s.tensors) + len(s.operators) for s in raw.subgraphs)
    try:
        builder = _AligningBuilder(payload + _BYTES_PER_OBJECT * (objects + 16))
        builder.alignments = {id(blob): blob_alignment for blob in _blobs(model)}
        builder.Finish(raw.Pack(builder), b"TFL3")
    except BuilderSizeError:
        raise ModelError(
            f"{model.name}: {payload} bytes of constant data do not fit a .tflite file of 2 GiB"
        ) from None
    return bytes(builder.Output())


class _AligningBuilder(flatbuffers.Builder):  # type: ignore[misc]
    """A builder that aligns every byte vector, hence every buffer.

    Attributes:
        alignments: of arrays by their id, in bytes; BUFFER_ALIGNMENT of all others.
    """

    alignments: dict[int, int]

    def CreateNumpyVector(self, x: NDArray[Any]) -> int:
        if x.dtype == np.uint8:
            self.Prep(self.alignments.get(id(x), BUFFER_ALIGNMENT), x.nbytes)
        return int(super().CreateNumpyVector(x))


def _blobs(model: Model) -> list[NDArray[np.uint8]]:
    """Return the constants of our operators."""
    return [
        tensor.buffer.data
        for op in model.operators
        if op.custom_code in op_names.ALL
        for tensor in op.inputs
        if tensor is not None and tensor.buffer is not None
    ]


class _Writer:
    """Builds the tree of schema objects of a model, and assigns the indices."""

    def __init__(self, model: Model) -> None:
        self.source = model
        self.tensors = [all_tensors(model, subgraph) for subgraph in model.subgraphs]
        self.buffers = list(dict.fromkeys((*model.buffers, *referenced_buffers(model))))
        self.replaced_buffers: dict[Buffer, Buffer] = {}
        metadata.check(model, self.tensors, self.buffers)
        self.rewrite_offline_plan()
        self.buffer_index = {buffer: i + 1 for i, buffer in enumerate(self.buffers)}
        self.codes: dict[OperatorCode | tuple[int, str | None, int], int] = {}
        for code in model.operator_codes:
            self.codes.setdefault(code, len(self.codes))

    def rewrite_offline_plan(self) -> None:
        """Rewrite the offline memory plan, if there is one, for the new indices of tensors."""
        plan = metadata.offline_plan(self.source, self.tensors)
        for entry in self.source.metadata:
            if plan is not None and entry.name == metadata.OFFLINE_PLAN and entry.buffer:
                self.replaced_buffers[entry.buffer] = plan

    def model(self) -> Any:
        model = self.source
        raw = copy.copy(model.raw)
        raw.subgraphs = [self.subgraph(i) for i in range(len(model.subgraphs))]
        raw.operatorCodes = [self.operator_code(*code) for code in self.codes]
        written = [self.replaced_buffers.get(buffer, buffer) for buffer in self.buffers]
        raw.buffers = [schema.BufferT()] + [
            schema_object(schema.BufferT, data=buffer.data if buffer.data.size else None)
            for buffer in written
        ]
        raw.metadata = [
            schema_object(
                schema.MetadataT, name=to_bytes(entry.name), buffer=self.index_of(entry.buffer)
            )
            for entry in model.metadata
        ] or None
        if model.metadata_buffers is not None:
            indices = [self.index_of(buffer) for buffer in model.metadata_buffers]
            raw.metadataBuffer = np.array(indices, np.int32)
        raw.signatureDefs = [self.signature(signature) for signature in model.signatures] or None
        return raw

    def index_of(self, buffer: Buffer | None) -> int:
        return 0 if buffer is None else self.buffer_index[buffer]

    def operator_code(self, builtin_code: int, custom_code: str | None, version: int) -> Any:
        return schema_object(
            schema.OperatorCodeT,
            deprecatedBuiltinCode=min(builtin_code, _LARGEST_DEPRECATED_CODE),
            builtinCode=builtin_code,
            customCode=None if custom_code is None else to_bytes(custom_code),
            version=version,
        )

    def subgraph(self, position: int) -> Any:
        source, tensors = self.source.subgraphs[position], self.tensors[position]
        index = {tensor: i for i, tensor in enumerate(tensors)}
        raw = copy.copy(source.raw)
        raw.tensors = [self.tensor(tensor, index) for tensor in tensors]
        raw.operators = [self.operator(op, index) for op in source.operators]
        raw.inputs = _index_vector(source.inputs, index)
        raw.outputs = _index_vector(source.outputs, index)
        return raw

    def tensor(self, tensor: Tensor, index: dict[Tensor, int]) -> Any:
        raw = copy.copy(tensor.raw)
        raw.buffer = self.index_of(tensor.buffer)
        raw.quantization = _quantization(tensor.quantization, index)
        return raw

    def operator(self, op: Operator, index: dict[Tensor, int]) -> Any:
        raw = copy.copy(op.raw)
        code = (op.builtin_code, op.custom_code, op.version)
        raw.opcodeIndex = self.codes.setdefault(code, len(self.codes))
        raw.inputs = _index_vector(op.inputs, index)
        raw.outputs = _index_vector(op.outputs, index)
        raw.intermediates = _index_vector(op.intermediates, index) if op.intermediates else None
        raw.builtinOptionsType = _union_number(schema.BuiltinOptions, op.options)
        raw.builtinOptions = op.options
        raw.builtinOptions2Type = _union_number(schema.BuiltinOptions2, op.options_2)
        raw.builtinOptions2 = op.options_2
        custom = op.custom_options
        raw.customOptions = None if custom is None else np.frombuffer(custom, np.uint8)
        raw.largeCustomOptionsOffset = raw.largeCustomOptionsSize = 0  # written inline
        return raw

    def signature(self, signature: Signature) -> Any:
        subgraphs = self.source.subgraphs
        if signature.subgraph not in subgraphs:
            raise ModelError(
                f"{self.source.name}: signature {signature.key!r} runs a subgraph that is not "
                "in the model"
            )
        position = subgraphs.index(signature.subgraph)
        index = {tensor: i for i, tensor in enumerate(self.tensors[position])}
        return schema_object(
            schema.SignatureDefT,
            signatureKey=to_bytes(signature.key),
            subgraphIndex=position,
            inputs=_tensor_maps(signature.inputs, index),
            outputs=_tensor_maps(signature.outputs, index),
        )


def _index_vector(tensors: Iterable[Tensor | None], index: dict[Tensor, int]) -> NDArray[np.int32]:
    return np.array([-1 if t is None else index[t] for t in tensors], np.int32)


def _tensor_maps(pairs: Iterable[tuple[str, Tensor]], index: dict[Tensor, int]) -> list[Any]:
    return [
        schema_object(schema.TensorMapT, name=to_bytes(alias), tensorIndex=index[tensor])
        for alias, tensor in pairs
    ]


def _quantization(quantization: Quantization | None, index: dict[Tensor, int]) -> Any:
    if quantization is None:
        return None
    raw = quantization.raw
    if quantization.scale_tensor is not None:
        raw = copy.copy(raw)
        raw.details = copy.copy(raw.details)
        zero_point = quantization.zero_point_tensor
        raw.details.scales = index[quantization.scale_tensor]
        raw.details.zeroPoints = -1 if zero_point is None else index[zero_point]
    return raw


def _union_number(union: Any, options: Any) -> int:
    """Return the number of an options type in the schema's union; 0 for None."""
    if options is None:
        return 0
    member = type(options).__name__.removesuffix("T")
    if not hasattr(union, member):
        raise ConfigError(f"{type(options).__name__} is not one of the schema's builtin options")
    return int(getattr(union, member))
