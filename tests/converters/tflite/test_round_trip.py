"""Everything the schema knows survives read and build, judged on the schema's own objects.

The models are assembled with the generated classes alone, so neither side of the comparison
relies on the editor.
"""

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
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def as_plain(value: Any) -> Any:
    """A schema object as nested dicts and lists, an empty vector counting as an absent one."""
    if isinstance(value, np.ndarray | list):
        return [as_plain(item) for item in value] or None
    if hasattr(value, "__dict__"):
        return {name: as_plain(item) for name, item in vars(value).items()}
    if isinstance(value, np.generic):
        return value.item()
    return value.encode() if isinstance(value, str) else value


def unpack(data: bytes) -> Any:
    return as_plain(schema.ModelT.InitFromPackedBuf(data, 0))


def make_tensor(name: str | bytes, **fields: Any) -> Any:
    fields = {"shape": np.array([2], np.int32), "hasRank": True} | fields
    return schema_object(schema.TensorT, name=name, **fields)


def make_operator(opcode: int, inputs: list[int], outputs: list[int], **fields: Any) -> Any:
    indices = {"inputs": np.array(inputs, np.int32), "outputs": np.array(outputs, np.int32)}
    return schema_object(schema.OperatorT, opcodeIndex=opcode, **indices, **fields)


def quantization(**fields: Any) -> Any:
    return schema_object(schema.QuantizationParametersT, **fields)


def sparsity() -> Any:
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
    details = schema_object(schema.BlockwiseQuantizationT, scales=2, zeroPoints=-1, blockSize=32)
    kind = schema.QuantizationDetails.BlockwiseQuantization
    return quantization(detailsType=kind, details=details)


def main_subgraph() -> Any:
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
    tensors = [
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
    operators = [
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
    return schema_object(
        schema.SubGraphT,
        name="main",
        tensors=tensors,
        operators=operators,
        inputs=np.array([0], np.int32),
        outputs=np.array([9, 8], np.int32),
        debugMetadataIndex=1,
    )


def rich_model() -> Any:
    """A `ModelT` that uses every part of the schema that has a place to be lost in."""
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


@pytest.mark.parametrize("prune", [False, True])
def test_nothing_is_lost(prune: bool) -> None:
    source = pack(rich_model())
    model = editor.read(source)
    if prune:
        editor.prune_unused(model)
    built = editor.write(model)
    expected, got = unpack(source), unpack(built)
    if prune:
        assert expected["operatorCodes"].pop()["version"] == 5  # the code without operators
    assert got == expected
    assert editor.write(editor.read(built)) == built


def test_references_are_objects() -> None:
    model = editor.read(pack(rich_model()))
    main = model.subgraphs[0]
    x, weights, scales, sharing, state, sparse, *_ = main.tensors
    assert weights.buffer is sharing.buffer
    assert scales.buffer is sparse.buffer is model.buffers[1]
    assert weights.quantization is not None
    assert weights.quantization.scale_tensor is scales
    assert weights.quantization.zero_point_tensor is None
    assert main.operators[0].inputs == [x, None, weights, sparse, state]
    assert main.operators[0].intermediates == [main.tensors[8], None]
    assert (x.shape, x.shape_signature) == ((2,), (-1,))
    assert state.is_variable
    assert sparse.array is not None
    assert sparse.array.shape == (1,)  # the stored values only
    assert model.metadata[0].buffer is model.buffers[3]


def test_moved_indices_are_renumbered_everywhere() -> None:
    model = editor.read(pack(rich_model()))
    for subgraph in model.subgraphs:
        subgraph.tensors.reverse()
    model.buffers.reverse()
    back = editor.read(editor.write(model))
    main = back.subgraphs[0]
    names = [t.name for t in main.tensors]
    assert names[0] == "y"
    op = main.operators[0]
    assert [t and t.name for t in op.inputs] == ["x", None, "w", "sparse", "state"]
    weights = main.tensors[names.index("w")]
    assert weights.quantization is not None
    assert weights.quantization.scale_tensor is main.tensors[names.index("scales")]
    assert weights.array is not None
    assert weights.array.tolist() == [3, 4]
    assert back.metadata_bytes("m") == bytes([9, 9, 9])


def test_files_from_before_the_wide_operator_code() -> None:
    model = rich_model()
    for code in model.operatorCodes:
        code.builtinCode = 0 if code.deprecatedBuiltinCode < 127 else code.builtinCode
    read = editor.read(pack(model))
    assert [op.op_name for op in read.operators][:2] == ["Foo", "WHILE"]


def test_data_behind_the_flatbuffer_is_taken_in() -> None:
    model = rich_model()
    weights, options = bytes([5, 6]), bytes(range(20))
    model.buffers[1] = schema_object(schema.BufferT, offset=2**40, size=len(weights))
    op = model.subgraphs[0].operators[0]
    op.customOptions = None
    op.largeCustomOptionsOffset, op.largeCustomOptionsSize = 2**40, len(options)
    flatbuffer_size = len(pack(model))  # the same for any offset
    model.buffers[1].offset = flatbuffer_size
    op.largeCustomOptionsOffset = flatbuffer_size + len(weights)
    data = pack(model) + weights + options

    back = editor.read(editor.write(editor.read(data)))
    array = back.subgraphs[0].tensors[1].array
    assert array is not None
    assert array.tobytes() == weights
    assert back.subgraphs[0].operators[0].custom_options == options
    assert unpack(editor.write(back))["buffers"][1]["offset"] == 0
    with pytest.raises(ModelError, match=r"custom options of 20 bytes at offset .* outside"):
        editor.read(data[:-1])
    with pytest.raises(ModelError, match=r"buffer 1 of 2 bytes at offset .* outside the file"):
        editor.read(data[: flatbuffer_size + 1])
