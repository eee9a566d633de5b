"""Everything the schema knows survives read and build, judged on the schema's own objects.

The models are assembled with the generated classes alone, so neither side of the comparison
relies on the editor.
"""

from __future__ import annotations

import pytest
from ai_edge_litert import schema_py_generated as schema

from tests.support.models.schema_models import pack, rich_model, unpack
from tflm_sparsesep.converters.errors import ModelError
from tflm_sparsesep.converters.tflite import editor
from tflm_sparsesep.converters.tflite.tensor import schema_object


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


def test_data_after_the_flatbuffer_is_read() -> None:
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


def test_an_operator_of_tflite_gets_no_custom_options() -> None:
    """TFLM refuses them; it does not look for options behind the flatbuffer of such operators."""
    model = rich_model()
    _, loop, *_ = model.subgraphs[0].operators
    assert loop.customOptions is None
    loop.largeCustomOptionsOffset, loop.largeCustomOptionsSize = 7, 4
    back = editor.read(editor.write(editor.read(pack(model) + b"data")))
    _, found, *_ = back.subgraphs[0].operators
    assert found.op_name == "WHILE"
    assert found.custom_options is None
