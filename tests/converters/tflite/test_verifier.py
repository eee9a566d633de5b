"""Flatbuffers that are not inside their file, and the layout of the schema's tables."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from ai_edge_litert import schema_py_generated as schema

from tests.support.models.schema_models import pack, refusal, rich_model
from tflm_sparsesep.converters.tflite import editor, verifier

# Slots of fields of Model.
SUBGRAPHS, DESCRIPTION, METADATA_BUFFER = 2, 3, 5


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
    """Return a Model table whose only field, at `slot`, is an offset to `tail` right after it."""
    vtable = struct.pack("<HH", 4 + 2 * (slot + 1), 8) + bytes(2 * slot) + struct.pack("<H", 4)
    vtable += bytes(-len(vtable) % 4)
    table = struct.pack("<iI", len(vtable), 4)
    return struct.pack("<I", 8 + len(vtable)) + b"TFL3" + vtable + table + tail


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


def test_fields_and_union_members_of_a_newer_schema() -> None:
    tail = struct.pack("<I", 0)
    message = refusal(root_with_field(25, tail))
    assert "field 25 of Model is not known to the installed schema" in message
    assert "pip install -U ai-edge-litert" in message

    model = rich_model()
    model.subgraphs[0].operators[1].builtinOptionsType = 250
    assert "Operators[1].BuiltinOptions: kind 250 is not known" in refusal(pack(model))


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
