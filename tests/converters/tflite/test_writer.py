"""Written files: deterministic, aligned, and refused after edits that break references."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.models.dense_models import small_chain
from tests.support.models.schema_models import buffer_positions
from tflm_sparsesep.converters.errors import ConfigError, ModelError
from tflm_sparsesep.converters.tflite import editor
from tflm_sparsesep.converters.tflite.editor import (
    BuiltinOperator,
    Model,
    Operator,
    Subgraph,
    Tensor,
    schema,
    schema_object,
)


def test_build_is_deterministic_and_leaves_the_model_alone() -> None:
    model = editor.read(small_chain())
    first = editor.write(model)
    assert first == editor.write(model) == editor.write(editor.read(small_chain()))
    assert [op.op_name for op in model.operators] == ["FULLY_CONNECTED"] * 2


@pytest.mark.parametrize("sizes", [(1,), (3, 17, 16), (5, 1, 31, 64, 7)])
def test_every_buffer_is_16_byte_aligned(sizes: tuple[int, ...]) -> None:
    x = Tensor("x", [1])
    blobs = [Tensor.constant(f"b{n}", np.arange(n, dtype=np.uint8)) for n in sizes]
    op = Operator.custom("OP", [x, *blobs], [Tensor("y", [1])], custom_options=b"abc")
    model = Model([Subgraph("main", inputs=[x], outputs=op.outputs, operators=[op])])
    model.set_metadata("note", b"hello")
    positions = buffer_positions(editor.write(model))
    assert len(positions) == len(sizes) + 1
    assert [position % 16 for position in positions] == [0] * len(positions)


@pytest.mark.parametrize(
    ("code", "deprecated"), [(9, 9), (126, 126), (127, 127), (130, 127), (206, 127)]
)
def test_both_builtin_code_fields_are_written(code: int, deprecated: int) -> None:
    op = Operator(code, [], [Tensor("y", [1])], version=2)
    data = editor.write(Model([Subgraph(outputs=op.outputs, operators=[op])]))
    written = schema.Model.GetRootAs(data).OperatorCodes(0)
    assert (written.BuiltinCode(), written.DeprecatedBuiltinCode()) == (code, deprecated)
    assert next(editor.read(data).operators).builtin_code == code


def test_edits_that_break_references_are_refused() -> None:
    x = Tensor("x", [1])
    graphs = [Subgraph(n, inputs=[x], outputs=[x], tensors=[x]) for n in ("main", "body")]
    model = Model(graphs)
    model.signatures = [editor.Signature("s", graphs[1])]
    moved = editor.read(editor.write(model), name="m.tflite")
    moved.subgraphs.reverse()
    with pytest.raises(ModelError, match=r"m\.tflite: subgraphs were moved or removed"):
        editor.write(moved)
    model.subgraphs.pop()
    with pytest.raises(ModelError, match="signature 's' runs a subgraph that is not in the model"):
        editor.write(model)
    op = Operator(BuiltinOperator.ADD, [x], [x], options=schema.TensorT())
    with pytest.raises(ConfigError, match="TensorT is not one of the schema's builtin options"):
        editor.write(Model([Subgraph(operators=[op])]))
    with pytest.raises(ConfigError, match="has no field 'nonsense'"):
        schema_object(schema.TensorT, nonsense=1)


def test_more_than_2_gib_is_refused() -> None:
    # np.zeros only reserves address space: nothing reads or writes these pages.
    huge = [Tensor.constant(name, np.zeros(2**30, np.uint8)) for name in "ab"]
    op = Operator.custom("OP", huge, [Tensor("y", [1])])
    with pytest.raises(ModelError, match="2147483648 bytes of constant data do not fit"):
        editor.write(Model([Subgraph(operators=[op])], name="huge.tflite"))
