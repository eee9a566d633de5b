"""Bytes that are no intact model are refused, with one line that says why."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from tests.converters.tflite.test_round_trip import pack, quantization, rich_model
from tflm_sparsesep.converters.errors import ModelError
from tflm_sparsesep.converters.tflite import editor, verifier
from tflm_sparsesep.converters.tflite.tensor import schema_object
from tflm_sparsesep.runtime import files

Edit = Callable[[Any], None]


def refusal(data: bytes, name: str = "model.tflite") -> str:
    """The message of the ModelError that reading `data` must raise."""
    with pytest.raises(ModelError) as caught:
        editor.read(data, name=name)
    message = str(caught.value)
    assert message.startswith(f"{name}: ")
    assert "\n" not in message
    return message


def set_field(path: str, value: Any) -> Edit:
    """An edit of a ModelT, e.g. set_field("subgraphs.0.tensors.1.type", 99)."""

    def edit(model: Any) -> None:
        *steps, last = path.split(".")
        for step in steps:
            model = model[int(step)] if step.isdigit() else getattr(model, step)
        assert hasattr(model, last)
        setattr(model, last, value)

    return edit


def i32(*values: int) -> Any:
    return np.array(values, np.int32)


SCALES = quantization(scale=np.ones(3, np.float32), zeroPoint=np.zeros(3, np.int64))
ZERO_POINTS = quantization(scale=np.ones(2, np.float32), zeroPoint=np.zeros(5, np.int64))
IF_OPTIONS = schema_object(schema.IfOptionsT, thenSubgraphIndex=1, elseSubgraphIndex=9)
CASE_OPTIONS = schema_object(schema.StablehloCaseOptionsT, branchSubgraphIndices=i32(0, 3))


@pytest.mark.parametrize(
    ("path", "value", "reason"),
    [
        ("version", 2, "schema version 2, only 3 is supported"),
        ("subgraphs", [], "it has no subgraph"),
        (
            "subgraphs.0.inputs",
            i32(10),
            "subgraph 0: input tensor 10 is out of range, there are 10",
        ),
        ("subgraphs.0.inputs", i32(-1), "subgraph 0: input tensor -1 is out of range"),
        ("subgraphs.1.outputs", i32(1), "subgraph 1: output tensor 1 is out of range"),
        ("subgraphs.0.tensors.1.buffer", 5, "tensor 1 'w': buffer 5 is out of range, there are 5"),
        ("subgraphs.0.tensors.1.type", 99, "tensor 1 'w': type 99 is not one"),
        ("subgraphs.0.tensors.0.shape", i32(2, -3), "negative dimension in shape [2, -3]"),
        (
            "subgraphs.0.tensors.1.shape",
            i32(3, 65536, 65536),
            "buffer holds 2 bytes, INT8[3, 65536, 65536] takes 12884901888 bytes",
        ),
        ("subgraphs.0.tensors.1.type", 2, "buffer holds 2 bytes, INT32[2] takes 8 bytes"),
        ("subgraphs.0.tensors.5.buffer", 4, "buffer holds 3 bytes, elements take 4"),
        ("buffers.0.data", np.ones(8, np.uint8), "uses buffer 0, which must be empty"),
        ("subgraphs.0.tensors.0.quantization", SCALES, "3 scales do not fit any axis of shape [2]"),
        ("subgraphs.0.tensors.0.quantization", ZERO_POINTS, "5 zero points for 2 scales"),
        ("subgraphs.0.tensors.1.quantization.details.scales", 10, "scale tensor 10 is out of"),
        ("subgraphs.0.tensors.1.quantization.details.zeroPoints", -2, "zero point tensor -2 is"),
        ("subgraphs.0.operators.0.opcodeIndex", 5, "operator code 5 is out of range"),
        ("subgraphs.0.operators.0.inputs", i32(-2), "operator 0: input tensor -2 is out of range"),
        ("subgraphs.0.operators.0.outputs", i32(-1), "operator 0: output tensor -1 is out of"),
        ("subgraphs.0.operators.0.intermediates", i32(10), "intermediate tensor 10 is out of"),
        ("subgraphs.0.operators.1.builtinOptions.bodySubgraphIndex", 3, "bodySubgraphIndex 3 is"),
        ("subgraphs.0.operators.2.builtinOptions2.decompositionSubgraphIndex", 3, "Index 3 is out"),
        ("operatorCodes.0.builtinCode", 100_000, "code 0: 100000 is not an operator that the"),
        ("operatorCodes.0.customCode", None, "code 0: custom operator without a name"),
        ("metadata.0.buffer", 5, "buffer index of metadata 5 is out of range"),
        ("metadataBuffer", i32(-1), "buffer index of metadata -1 is out of range"),
        ("signatureDefs.0.subgraphIndex", 3, "signature 0: subgraph 3 is out of range"),
        ("signatureDefs.0.outputs.0.tensorIndex", 1, "signature 0: tensor 1 is out of range"),
    ],
)
def test_inconsistent_models(path: str, value: Any, reason: str) -> None:
    model = rich_model()
    set_field(path, value)(model)
    assert reason in refusal(pack(model))


@pytest.mark.parametrize(
    ("kind", "options"), [("IfOptions", IF_OPTIONS), ("StablehloCaseOptions", CASE_OPTIONS)]
)
def test_subgraph_numbers_of_other_control_flow(kind: str, options: Any) -> None:
    model = rich_model()
    op = model.subgraphs[0].operators[3]
    op.builtinOptions, op.builtinOptionsType = None, 0
    if kind == "IfOptions":
        op.builtinOptions, op.builtinOptionsType = options, schema.BuiltinOptions.IfOptions
    else:
        op.builtinOptions2 = options
        op.builtinOptions2Type = schema.BuiltinOptions2.StablehloCaseOptions
    assert "is out of range, there are 3" in refusal(pack(model))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not a .tflite file: 0 bytes, at least 8 are needed"),
        (b"TFL3", "not a .tflite file: 4 bytes, at least 8 are needed"),
        (
            b"PK\x03\x04" * 100,
            "file identifier is b'PK\\x03\\x04', not b'TFL3'",
        ),
        (
            b"\x08\0\0\0TFL3",
            "table of 4 bytes at offset 8 is outside the file (8 bytes)",
        ),
        (
            b"\xff\xff\xff\xffTFL3" + bytes(64),
            "at offset 4294967295 is outside the file",
        ),
        (b"\x08\0\0\0TFL3" + bytes(64), "vtable at offset 8 has the impossible size 0"),
    ],
)
def test_bytes_that_are_no_flatbuffer(data: bytes, reason: str) -> None:
    assert reason in refusal(data)


def root_with_field(slot: int, tail: bytes) -> bytes:
    """A Model table whose only field is at `slot`, an offset to `tail` right behind it."""
    vtable = struct.pack("<HH", 4 + 2 * (slot + 1), 8) + bytes(2 * slot) + struct.pack("<H", 4)
    vtable += bytes(-len(vtable) % 4)
    table = struct.pack("<iI", len(vtable), 4)
    return struct.pack("<I", 8 + len(vtable)) + b"TFL3" + vtable + table + tail


SUBGRAPHS, DESCRIPTION, METADATA_BUFFER = 2, 3, 5


def test_vectors_longer_than_the_file() -> None:
    for slot in (SUBGRAPHS, DESCRIPTION, METADATA_BUFFER):
        for count in (0x7FFFFFFF, 0xFFFFFFFF, 0x40000000, 100):
            message = refusal(root_with_field(slot, struct.pack("<I", count) + bytes(20)))
            assert f"vector of {count} elements" in message


def vector_of_one_table(count: int, vtable: bytes, table: bytes) -> bytes:
    """A vector of `count` offsets to one and the same table, which follows it."""
    target = 4 + 4 * count + len(vtable)
    offsets = [target - position for position in range(4, 4 + 4 * count, 4)]
    return struct.pack(f"<{count + 1}I", count, *offsets) + vtable + table


def test_offsets_that_describe_more_than_the_file_holds() -> None:
    # 2,000 times the same subgraph, which holds 2,000 times the same tensor: 16 kB that would
    # unfold to four million objects.
    tensor_vtable, tensor = struct.pack("<HH", 4, 4), struct.pack("<i", 4)
    tensors = vector_of_one_table(2000, tensor_vtable, tensor)
    subgraph_vtable, subgraph = struct.pack("<HHHH", 6, 8, 4, 0), struct.pack("<iI", 8, 4)
    subgraphs = vector_of_one_table(2000, subgraph_vtable, subgraph + tensors)
    message = refusal(root_with_field(SUBGRAPHS, subgraphs))
    assert "the file describes many times more data than it holds" in message


def test_a_model_without_any_buffer_vector_is_fine() -> None:
    model = rich_model()
    model.buffers = model.metadata = model.metadataBuffer = None
    for tensor in model.subgraphs[0].tensors:
        tensor.buffer = 0
    back = editor.read(editor.write(editor.read(pack(model))))
    assert not any(tensor.is_constant for tensor in back.subgraphs[0].tensors)


def test_data_behind_the_flatbuffer_counted_many_times() -> None:
    model = rich_model()
    shared = schema_object(schema.BufferT, offset=2, size=1000)
    model.buffers += [shared] * 50
    assert "buffers describe many times more data" in refusal(pack(model))


def test_fields_and_union_members_of_a_newer_schema() -> None:
    tail = struct.pack("<I", 0)
    message = refusal(root_with_field(25, tail))
    assert "field 25 of Model is not known to the installed schema" in message
    assert "pip install -U ai-edge-litert" in message

    model = rich_model()
    model.subgraphs[0].operators[1].builtinOptionsType = 250
    assert "Operators[1].BuiltinOptions: kind 250 is not known" in refusal(pack(model))


def test_compressed_models_may_have_small_buffers() -> None:
    model = rich_model()
    model.metadata[0].name = "COMPRESSION_METADATA"
    model.subgraphs[0].tensors[1].shape = i32(2, 400)
    tensor = editor.read(pack(model)).subgraphs[0].tensors[1]
    with pytest.raises(ModelError, match="its buffer holds 2 values"):
        _ = tensor.array


def test_unreadable_files(tmp_path: Path) -> None:
    for path, reason in ((tmp_path / "no.tflite", "No such file"), (tmp_path, "Is a directory")):
        with pytest.raises(ModelError, match=f"^{path}: cannot be read: {reason}"):
            files.read_model(path)


def test_layout_asked_from_the_generated_classes() -> None:
    tensor = verifier.layout(schema.Tensor)
    assert {field.name: slot for slot, field in tensor.items()}.items() >= {
        "Shape": 0,
        "Type": 1,
        "Buffer": 2,
        "Name": 3,
        "Quantization": 4,
        "Sparsity": 6,
    }.items()
    assert (tensor[0].is_vector, tensor[0].size, tensor[1].size) == (True, 4, 1)
    assert (tensor[3].is_string, tensor[4].table) == (True, schema.QuantizationParameters)
    operator = verifier.layout(schema.Operator)
    assert operator[4].members is not None
    assert operator[4].members[schema.BuiltinOptions.FullyConnectedOptions] == (
        schema.FullyConnectedOptions
    )
    assert verifier.layout(schema.ExternalBuffer)[3].name == "Length"


def test_layout_covers_every_table_of_the_schema() -> None:
    tables = [t for t in vars(schema).values() if "_tab" in (getattr(t, "__slots__", None) or ())]
    assert len(tables) > 150
    holes = {}
    for table in tables:
        slots = set(range(verifier.slot_count(table)))
        layout = set(verifier.layout(table))
        assert layout <= slots
        if layout != slots:
            holes[table.__name__] = slots - layout
    # Exactly the fields that the schema marks as deprecated.
    assert holes == {"ResizeBilinearOptions": {0, 1}, "SignatureDef": {3}}


def test_deprecated_fields_of_old_files_are_ignored() -> None:
    model = rich_model()
    op = model.subgraphs[0].operators[3]
    op.builtinOptionsType = schema.BuiltinOptions.ResizeBilinearOptions
    op.builtinOptions = _OldResizeOptions()
    assert editor.read(pack(model)).subgraphs[0].operators[3].options.alignCorners


class _OldResizeOptions:
    """ResizeBilinearOptions as TensorFlow 1 wrote them: new_height, new_width, align_corners."""

    def Pack(self, builder: Any) -> Any:
        schema.ResizeBilinearOptionsStart(builder)
        builder.PrependInt32Slot(0, 10, 0)
        builder.PrependInt32Slot(1, 20, 0)
        schema.ResizeBilinearOptionsAddAlignCorners(builder, True)
        return schema.ResizeBilinearOptionsEnd(builder)
