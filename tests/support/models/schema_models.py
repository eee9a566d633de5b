"""Models assembled with the generated schema classes alone, independent of the editor."""

from __future__ import annotations

from typing import Any

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from tflm_sparsesep.converters.errors import ModelError
from tflm_sparsesep.converters.tflite import editor
from tflm_sparsesep.converters.tflite.editor import BuiltinOperator, TensorType
from tflm_sparsesep.converters.tflite.tensor import schema_object


def pack(model: Any) -> bytes:
    """Return a `ModelT` as .tflite bytes."""
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def as_plain(value: Any) -> Any:
    """Return a schema object as nested dicts and lists; empty vectors are None."""
    if isinstance(value, np.ndarray | list):
        return [as_plain(item) for item in value] or None
    if hasattr(value, "__dict__"):
        return {name: as_plain(item) for name, item in vars(value).items()}
    if isinstance(value, np.generic):
        return value.item()
    return value.encode() if isinstance(value, str) else value


def unpack(data: bytes) -> Any:
    """Return the `ModelT` in .tflite bytes, as nested dicts and lists."""
    return as_plain(schema.ModelT.InitFromPackedBuf(data, 0))


def make_tensor(name: str | bytes, **fields: Any) -> Any:
    """Return a tensor of two elements, but for `fields`."""
    fields = {"shape": np.array([2], np.int32), "hasRank": True} | fields
    return schema_object(schema.TensorT, name=name, **fields)


def make_operator(opcode: int, inputs: list[int], outputs: list[int], **fields: Any) -> Any:
    """Return an operator of the tensors at these indices."""
    indices = {"inputs": np.array(inputs, np.int32), "outputs": np.array(outputs, np.int32)}
    return schema_object(schema.OperatorT, opcodeIndex=opcode, **indices, **fields)


def quantization(**fields: Any) -> Any:
    """Return quantization parameters."""
    return schema_object(schema.QuantizationParametersT, **fields)


def sparsity() -> Any:
    """Return the sparsity of a 2 x n tensor whose second axis is sparse."""
    dense = schema_object(schema.DimensionMetadataT, format=0, denseSize=2)
    sparse = schema_object(
        schema.DimensionMetadataT,
        format=1,
        arraySegmentsType=schema.SparseIndexVector.Uint8Vector,
        arraySegments=schema_object(schema.Uint8VectorT, values=np.array([0, 1, 2], np.uint8)),
        arrayIndicesType=schema.SparseIndexVector.Uint16Vector,
        arrayIndices=schema_object(schema.Uint16VectorT, values=np.array([300, 2], np.uint16)),
    )
    return schema_object(
        schema.SparsityParametersT,
        traversalOrder=np.array([0, 1], np.int32),
        dimMetadata=[dense, sparse],
    )


def blockwise() -> Any:
    """Return quantization in blocks of 32."""
    details = schema_object(schema.BlockwiseQuantizationT, scales=2, zeroPoints=-1, blockSize=32)
    kind = schema.QuantizationDetails.BlockwiseQuantization
    return quantization(detailsType=kind, details=details)


def _main_tensors() -> list[Any]:
    variant = schema_object(
        schema.VariantSubTypeT, shape=np.array([3], np.int32), type=TensorType.INT32, hasRank=True
    )
    per_channel = quantization(
        min=np.array([-1.0], np.float32),
        max=np.array([1.0], np.float32),
        scale=np.array([0.5, 0.25], np.float32),
        zeroPoint=np.array([0, 3], np.int64),
        quantizedDimension=0,
    )
    signature = np.array([-1], np.int32)
    return [
        make_tensor("x", quantization=per_channel, shapeSignature=signature),
        make_tensor("w", buffer=1, type=TensorType.INT8, quantization=blockwise()),
        make_tensor("scales", buffer=2, type=TensorType.FLOAT16),
        make_tensor("shared with w", buffer=1, type=TensorType.INT8),
        make_tensor("state", isVariable=True),
        make_tensor("sparse", buffer=2, shape=np.array([2, 400], np.int32), sparsity=sparsity()),
        make_tensor("variant", type=TensorType.VARIANT, variantTensors=[variant]),
        make_tensor(b"not \xff UTF-8", externalBuffer=7),
        make_tensor("unknown rank", shape=None, hasRank=False),
        make_tensor("y", buffer=3),
    ]


def _main_operators() -> list[Any]:
    return [
        make_operator(
            0,
            [0, -1, 1, 5, 4],
            [9],
            customOptions=np.arange(5, dtype=np.uint8),
            mutatingVariableInputs=np.array([0, 0, 0, 0, 1], np.bool_),
            intermediates=np.array([8, -1], np.int32),
            debugMetadataIndex=4,
        ),
        make_operator(
            1,
            [9],
            [6],
            builtinOptionsType=schema.BuiltinOptions.WhileOptions,
            builtinOptions=schema_object(
                schema.WhileOptionsT, condSubgraphIndex=2, bodySubgraphIndex=1
            ),
        ),
        make_operator(
            3,
            [6, 3],
            [7],
            builtinOptions2Type=schema.BuiltinOptions2.StableHLOCompositeOptions,
            builtinOptions2=schema_object(
                schema.StableHLOCompositeOptionsT,
                name="composite",
                decompositionSubgraphIndex=2,
                compositeAttributes=np.array([1, 2], np.uint8),
                version=3,
            ),
        ),
        make_operator(
            2,
            [7],
            [8],
            builtinOptionsType=schema.BuiltinOptions.ReshapeOptions,
            builtinOptions=schema_object(schema.ReshapeOptionsT, newShape=np.array([2], np.int32)),
        ),
    ]


def main_subgraph() -> Any:
    """Return the subgraph of `rich_model` that uses every table."""
    return schema_object(
        schema.SubGraphT,
        name="main",
        tensors=_main_tensors(),
        operators=_main_operators(),
        inputs=np.array([0], np.int32),
        outputs=np.array([9, 8], np.int32),
        debugMetadataIndex=1,
    )


def rich_model() -> Any:
    """Return a `ModelT` that uses every part of the schema that reading could lose."""
    codes = [
        (BuiltinOperator.CUSTOM, 32, "Foo", 2),
        (BuiltinOperator.WHILE, 119, None, 1),
        (BuiltinOperator.RESHAPE, 22, None, 1),
        (BuiltinOperator.STABLEHLO_COMPOSITE, 127, None, 1),
        (BuiltinOperator.ADD, 0, None, 5),  # used by no operator
    ]
    small = [
        schema_object(schema.SubGraphT, name=n, tensors=[make_tensor("a")], inputs=[0], outputs=[0])
        for n in ("body", "cond")
    ]
    signature = schema_object(
        schema.SignatureDefT,
        signatureKey="serving_default",
        subgraphIndex=1,
        inputs=[schema_object(schema.TensorMapT, name="in", tensorIndex=0)],
        outputs=[schema_object(schema.TensorMapT, name="out", tensorIndex=0)],
    )
    contents = [[], [3, 4], [1, 2, 3, 4], [], [9, 9, 9]]
    external = schema_object(
        schema.ExternalBufferT, id=7, group=0, offset=64, length=8, packing="none"
    )
    return schema_object(
        schema.ModelT,
        version=3,
        description="rich",
        operatorCodes=[
            schema_object(
                schema.OperatorCodeT,
                builtinCode=code,
                deprecatedBuiltinCode=deprecated,
                customCode=custom,
                version=version,
            )
            for code, deprecated, custom, version in codes
        ],
        subgraphs=[main_subgraph(), *small],
        buffers=[schema_object(schema.BufferT, data=np.array(c, np.uint8)) for c in contents],
        metadataBuffer=np.array([4], np.int32),
        metadata=[schema_object(schema.MetadataT, name="m", buffer=4)],
        signatureDefs=[signature],
        externalBufferGroups=[schema_object(schema.ExternalBufferGroupT, name="weights.bin")],
        externalBuffers=[external],
    )


def buffer_positions(data: bytes) -> list[int]:
    """Return the file offset of the data of every buffer with data."""
    root = schema.Model.GetRootAs(data)
    tables = [root.Buffers(i)._tab for i in range(root.BuffersLength())]
    fields = [(table, table.Offset(4)) for table in tables]
    return [table.Vector(field) for table, field in fields if field and table.VectorLen(field)]


def refusal(data: bytes, name: str = "model.tflite") -> str:
    """Return the message of the ModelError that reading `data` must raise."""
    with pytest.raises(ModelError) as caught:
        editor.read(data, name=name)
    message = str(caught.value)
    assert message.startswith(f"{name}: ")
    assert "\n" not in message
    return message
