"""Pruning: unused parts leave the file, all others stay."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.models.dense_models import small_chain
from tflm_sparsesep.converters.errors import ConfigError
from tflm_sparsesep.converters.tflite import editor
from tflm_sparsesep.converters.tflite.editor import (
    Buffer,
    BuiltinOperator,
    Metadata,
    Model,
    Operator,
    Subgraph,
    Tensor,
    schema,
)


def test_replacing_an_operator_and_pruning() -> None:
    data = small_chain()
    model = editor.read(data)
    subgraph = model.subgraphs[0]
    old = subgraph.operators[0]
    blob = Tensor.constant("blob", np.arange(40, dtype=np.uint8))
    subgraph.replace(
        old,
        Operator.custom("MY_OP", [old.inputs[0], blob], old.outputs, custom_options=b"\x01\x02"),
    )
    editor.prune_unused(model)
    back = editor.read(editor.write(model))
    op, kept = back.subgraphs[0].operators
    assert (op.op_name, op.custom_options, op.version) == ("MY_OP", b"\x01\x02", 1)
    assert op.inputs[1] is not None
    np.testing.assert_array_equal(op.inputs[1].array, np.arange(40))
    assert op.outputs[0] is kept.inputs[0]
    assert len(back.subgraphs[0].tensors) == 6  # the old weights and bias are gone
    assert sorted(b.data.size for b in back.buffers) == [16, 32, 40]
    assert {code.custom_code for code in back.operator_codes} == {None, "MY_OP"}
    with pytest.raises(ConfigError, match="has no operator"):
        subgraph.replace(old)


def test_prune_keeps_what_metadata_signatures_and_control_flow_need() -> None:
    x, y, state = Tensor("x", [1]), Tensor("y", [1]), Tensor("state", [1])
    dead = Tensor.constant("dead", np.ones(3, np.float32))
    body = Subgraph("body", inputs=[state], outputs=[state], tensors=[state])
    op = Operator(BuiltinOperator.WHILE, [x], [y], options=schema.WhileOptionsT())
    main = Subgraph("main", inputs=[x], outputs=[y], operators=[op], tensors=[dead])
    model = Model([main, body])
    model.metadata = [Metadata("kept", Buffer(b"kept bytes")), Metadata("empty")]
    model.buffers = [Buffer(b"unreferenced"), *[t.buffer for t in (dead,) if t.buffer]]
    model.metadata_buffers = [Buffer(b"old style"), None]
    model.signatures = [editor.Signature("serve", body, [("in", state)], [("out", state)])]
    assert len(editor.read(editor.write(model)).subgraphs[0].tensors) == 3

    editor.prune_unused(model)
    back = editor.read(editor.write(model))
    assert [t.name for t in back.subgraphs[0].tensors] == ["x", "y"]
    assert [t.name for t in back.subgraphs[1].tensors] == ["state"]
    assert back.metadata_bytes("kept") == b"kept bytes"
    assert back.metadata_bytes("empty") == b""
    assert back.metadata_bytes("absent") is None
    assert [b.data.tobytes() for b in back.buffers] == [b"kept bytes", b"old style"]
    assert back.metadata_buffers == [back.buffers[1], None]
    assert back.signatures[0].subgraph is back.subgraphs[1]
    assert back.signatures[0].inputs == [("in", back.subgraphs[1].tensors[0])]
