"""Read, edit and write .tflite models as objects that refer to each other.

    model = editor.read(data, name="kws.tflite")
    for subgraph in model.subgraphs:
        for op in subgraph.operators:
            if op.builtin_code == BuiltinOperator.FULLY_CONNECTED:
                weights = op.weights.array            # numpy view, [rows, cols]
                subgraph.replace(op, Operator.custom("MY_OP", [op.inputs[0], blob], op.outputs))
    editor.prune_unused(model)
    data = editor.write(model)

Integer indices (of tensors, buffers, operator codes, signatures' subgraphs) exist only at read
and write. Options of control flow operators keep subgraph indices, so subgraphs may be appended
but not moved. Fields that this module does not know survive (`tensor`).
"""

from __future__ import annotations

from typing import Any

from ai_edge_litert import schema_py_generated as schema

from tflm_sparsesep.converters.tflite.check import check
from tflm_sparsesep.converters.tflite.graph import (
    BuiltinOperator,
    Metadata,
    Model,
    ModelIndices,
    Operator,
    OperatorCode,
    Signature,
    Subgraph,
)
from tflm_sparsesep.converters.tflite.prune import prune_unused
from tflm_sparsesep.converters.tflite.tensor import (
    Buffer,
    Quantization,
    Tensor,
    TensorType,
    schema_object,
    to_text,
)
from tflm_sparsesep.converters.tflite.unpack import unpack
from tflm_sparsesep.converters.tflite.verifier import verify
from tflm_sparsesep.converters.tflite.writer import write

__all__ = [
    "Buffer",
    "BuiltinOperator",
    "Metadata",
    "Model",
    "Operator",
    "OperatorCode",
    "Quantization",
    "Signature",
    "Subgraph",
    "Tensor",
    "TensorType",
    "prune_unused",
    "read",
    "schema",
    "schema_object",
    "write",
]


def read(data: bytes, *, name: str = "model") -> Model:
    """Check and read the bytes of a .tflite file.

    Nothing in `data` is trusted: `verifier` checks that every part is inside the file, and `check`
    that every index, size and length is consistent. Constant data is a view of `data`, not a copy.
    Dimensions of scales that fit no tensor are mended (`Model.is_mended`).
    Data that is stored after the flatbuffer (models above 2 GiB) is read, too; `write` puts it
    inside.

    Args:
        data: the bytes.
        name: the name of the model in errors, such as the file name.

    Raises:
        ModelError: the bytes are not an intact model; one line with `name` and the reason.
    """
    data = bytes(data)
    verify(data, name)
    raw = unpack(data)
    check(raw, len(data), name)
    return _Reader(raw, data, name).read()


class _Reader:
    """Turns a checked `ModelT` into objects, and indices into references."""

    def __init__(self, raw: Any, data: bytes, name: str) -> None:
        self.raw = raw
        self.data = data
        self.model = Model(name=name, raw=raw)
        self.codes = [_operator_code(code) for code in raw.operatorCodes or ()]
        self.buffers = [self.buffer(buffer) for buffer in raw.buffers or ()]

    def read(self) -> Model:
        model, raw = self.model, self.raw
        model.operator_codes = list(self.codes)
        # Buffer 0 is empty by convention. If it holds data, only metadata uses it (`check` rejects
        # other uses), and it becomes a normal buffer.
        model.buffers = [b for i, b in enumerate(self.buffers) if i > 0 or b.data.size > 0]
        model.subgraphs = [self.subgraph(subgraph) for subgraph in raw.subgraphs]
        model.metadata = [
            Metadata(to_text(entry.name), self.buffer_at(entry.buffer))
            for entry in raw.metadata or ()
        ]
        if raw.metadataBuffer is not None:
            model.metadata_buffers = [self.buffer_at(int(i)) for i in raw.metadataBuffer]
        model.signatures = [self.signature(signature) for signature in raw.signatureDefs or ()]
        model.as_read = ModelIndices(model)
        return model

    def external(self, inline: Any, offset: int, size: int) -> bytes | Any:
        """Return the data that is `inline` in the flatbuffer, or at `offset` of the file."""
        if inline is None and offset > 1:
            return memoryview(self.data)[offset : offset + size]
        return b"" if inline is None else inline

    def buffer(self, raw: Any) -> Buffer:
        return Buffer(self.external(raw.data, raw.offset, raw.size))

    def buffer_at(self, index: int) -> Buffer | None:
        if index == 0 and (not self.buffers or self.buffers[0].data.size == 0):
            return None
        return self.buffers[index]

    def subgraph(self, raw: Any) -> Subgraph:
        tensors = [self.tensor(tensor) for tensor in raw.tensors or ()]
        for tensor in tensors:
            _wire_quantization(tensor, tensors)
        return Subgraph(
            tensors=tensors,
            operators=[self.operator(op, tensors) for op in raw.operators or ()],
            inputs=[tensors[i] for i in _indices(raw.inputs)],
            outputs=[tensors[i] for i in _indices(raw.outputs)],
            raw=raw,
        )

    def tensor(self, raw: Any) -> Tensor:
        quantization = None if raw.quantization is None else Quantization(raw=raw.quantization)
        tensor = Tensor(buffer=self.buffer_at(raw.buffer), quantization=quantization, raw=raw)
        self.model.is_mended |= _mend_axis(tensor)
        return tensor

    def operator(self, raw: Any, tensors: list[Tensor]) -> Operator:
        code = self.codes[raw.opcodeIndex]
        large = (raw.largeCustomOptionsOffset, raw.largeCustomOptionsSize)
        # Runtimes look for options behind the flatbuffer for custom operators alone.
        is_large = large[0] > 1 and code.builtin_code == BuiltinOperator.CUSTOM
        has_options = raw.customOptions is not None or is_large
        return Operator(
            code.builtin_code,
            [None if i < 0 else tensors[i] for i in _indices(raw.inputs)],
            [tensors[i] for i in _indices(raw.outputs)],
            custom_code=code.custom_code,
            version=code.version,
            options=raw.builtinOptions,
            options_2=raw.builtinOptions2,
            custom_options=bytes(self.external(raw.customOptions, *large)) if has_options else None,
            intermediates=[None if i < 0 else tensors[i] for i in _indices(raw.intermediates)],
            raw=raw,
        )

    def signature(self, raw: Any) -> Signature:
        subgraph = self.model.subgraphs[raw.subgraphIndex]
        return Signature(
            to_text(raw.signatureKey),
            subgraph,
            inputs=_aliases(raw.inputs, subgraph.tensors),
            outputs=_aliases(raw.outputs, subgraph.tensors),
        )


def _aliases(maps: Any, tensors: list[Tensor]) -> list[tuple[str, Tensor]]:
    return [(to_text(entry.name), tensors[entry.tensorIndex]) for entry in maps or ()]


def _indices(vector: Any) -> list[int]:
    return [] if vector is None else [int(i) for i in vector]


def _operator_code(raw: Any) -> OperatorCode:
    # Old files have only the deprecated byte. Newer files have both fields; the byte is 127 for
    # codes that it cannot hold.
    builtin_code = max(raw.deprecatedBuiltinCode, raw.builtinCode)
    custom_code = None if raw.customCode is None else to_text(raw.customCode)
    return OperatorCode(builtin_code, custom_code, raw.version)


def _mend_axis(tensor: Tensor) -> bool:
    """Give scales the dimension that they fit; return True if they had another.

    TensorFlow 1 gave biases [channels] the dimension 3, that of their weights. TFLM takes no notice
    of it, LiteRT refuses the file.
    """
    quantization, shape = tensor.quantization, tensor.shape
    if quantization is None or quantization.scale_tensor is not None:
        return False
    count, axis = len(quantization.scales), quantization.axis
    if count < 2 or count not in shape or shape[axis : axis + 1] == (count,):
        return False
    quantization.raw.quantizedDimension = shape.index(count)
    return True


def _wire_quantization(tensor: Tensor, tensors: list[Tensor]) -> None:
    """Resolve the tensors that hold blockwise or multi-axis quantization parameters."""
    details = None if tensor.quantization is None else tensor.quantization.raw.details
    if details is None or not hasattr(details, "zeroPoints") or tensor.quantization is None:
        return
    tensor.quantization.scale_tensor = tensors[details.scales]
    if details.zeroPoints >= 0:
        tensor.quantization.zero_point_tensor = tensors[details.zeroPoints]
