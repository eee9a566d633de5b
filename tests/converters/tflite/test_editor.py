"""Reading, editing and writing models: what must survive, and what edits do."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from numpy.typing import NDArray

from tests.support import dense_models
from tests.support.shared_models import SHARED_MODELS
from tflm_sparsesep.converters.errors import ConfigError, ModelError
from tflm_sparsesep.converters.tflite import editor
from tflm_sparsesep.converters.tflite.editor import (
    Buffer,
    BuiltinOperator,
    Metadata,
    Model,
    Operator,
    Quantization,
    Subgraph,
    Tensor,
    TensorType,
    schema,
    schema_object,
)

SHARED_NAMES = ("ad01_fp32.tflite", "ad01_int8.tflite", "kws_ref_model.tflite")


def shared_model(name: str) -> bytes:
    """Bytes of a third-party model; skips the calling test where it is absent."""
    path = SHARED_MODELS / name
    if not path.is_file():
        pytest.skip(f"no {name} of MLPerf Tiny: make runtimes")
    return path.read_bytes()


def run_litert(data: bytes, inputs: NDArray[Any]) -> NDArray[Any]:
    """First output of a model in LiteRT's reference kernels."""
    interpreter = Interpreter(
        model_content=data, experimental_op_resolver_type=OpResolverType.BUILTIN_REF
    )
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], inputs)
    interpreter.invoke()
    return np.array(interpreter.get_tensor(interpreter.get_output_details()[0]["index"]))


def buffer_positions(data: bytes) -> list[int]:
    """File offset of the data of every buffer that has some."""
    root = schema.Model.GetRootAs(data)
    tables = [root.Buffers(i)._tab for i in range(root.BuffersLength())]
    fields = [(table, table.Offset(4)) for table in tables]
    return [table.Vector(field) for table, field in fields if field and table.VectorLen(field)]


def chain(seed: int = 0) -> bytes:
    """FC 12 -> 8 -> 4, int8."""
    rng = np.random.default_rng(seed)
    layers = [
        dense_models.FullyConnectedLayer(
            rng.integers(-127, 128, (rows, cols)).astype(np.int8),
            rng.integers(-500, 500, rows).astype(np.int32),
            weight_scales=rng.uniform(0.01, 0.02, rows),
            output_scale=0.3,
            output_zero_point=3,
            activation="RELU",
        )
        for rows, cols in ((8, 12), (4, 8))
    ]
    return dense_models.fully_connected_chain(
        layers, input_shape=[1, 12], input_scale=0.1, input_zero_point=-1
    )


def int8_inputs(shape: list[int], seed: int = 1) -> NDArray[np.int8]:
    return np.random.default_rng(seed).integers(-128, 128, shape).astype(np.int8)


@pytest.mark.parametrize("name", SHARED_NAMES)
@pytest.mark.parametrize("prune", [False, True])
def test_rebuilt_model_computes_the_same(name: str, prune: bool) -> None:
    data = shared_model(name)
    model = editor.read(data, name=name)
    if prune:
        editor.prune_unused(model)
    rebuilt = editor.write(model)
    source = model.subgraphs[0].inputs[0]
    inputs: NDArray[Any] = int8_inputs(list(source.shape))
    if source.type == TensorType.FLOAT32:
        inputs = inputs.astype(np.float32) / 16
    np.testing.assert_array_equal(run_litert(rebuilt, inputs), run_litert(data, inputs))
    assert len(rebuilt) < len(data) + 1024
    assert editor.write(editor.read(rebuilt)) == rebuilt


def test_build_is_deterministic_and_leaves_the_model_alone() -> None:
    model = editor.read(chain())
    first = editor.write(model)
    assert first == editor.write(model) == editor.write(editor.read(chain()))
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


def test_what_is_read_is_pleasant_to_use() -> None:
    model = editor.read(chain(), name="chain.tflite")
    subgraph = model.subgraphs[0]
    first, second = subgraph.operators
    x, weights, bias = first.inputs
    assert x is not None
    assert weights is not None
    assert bias is not None
    assert (first.builtin_code, first.version) == (BuiltinOperator.FULLY_CONNECTED, 4)
    assert first.options.fusedActivationFunction == schema.ActivationFunctionType.RELU
    assert weights.array is not None
    assert weights.array.shape == (8, 12)
    assert weights.array.dtype == np.int8
    assert bias.array is not None
    assert bias.array.dtype == np.int32
    assert x.array is None
    assert (weights.is_constant, x.is_constant) == (True, False)
    assert weights.quantization is not None
    assert weights.quantization.scales.shape == (8,)
    assert not weights.quantization.zero_points.any()
    assert subgraph.consumers(first.outputs[0]) == [second]
    assert subgraph.producer(first.outputs[0]) is first
    assert subgraph.producer(x) is None
    assert "FULLY_CONNECTED" in repr(first)
    assert model.name == "chain.tflite"


def test_replacing_an_operator_and_pruning() -> None:
    data = chain()
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


def test_assigning_an_array_detaches_a_shared_buffer() -> None:
    shared = Buffer(np.arange(6, dtype=np.int8))
    a, b = (Tensor(n, [2, 3], TensorType.INT8, buffer=shared) for n in "ab")
    op = Operator.custom("OP", [a, b], [Tensor("y", [1])])
    data = editor.write(Model([Subgraph(outputs=op.outputs, operators=[op])]))
    assert len(buffer_positions(data)) == 1

    model = editor.read(data)
    first, second = model.subgraphs[0].tensors[:2]
    assert first.buffer is second.buffer
    assert first.array is not None
    assert not first.array.flags.writeable
    first.array = np.zeros((4, 1), np.int8)
    assert first.shape == (4, 1)
    assert second.array is not None
    np.testing.assert_array_equal(second.array, np.arange(6).reshape(2, 3))
    with pytest.raises(ConfigError, match="float32 given, not INT8"):
        second.array = np.zeros((2, 3), np.float32)
    editor.prune_unused(model)
    assert len(buffer_positions(editor.write(model))) == 2


def test_array_of_packed_raw_and_scalar_tensors() -> None:
    int4 = Tensor.constant("w", np.array([0x21, 0x03], np.uint8), type=TensorType.INT4, shape=[3])
    assert int4.array is not None
    assert int4.array.dtype == np.uint8
    assert int4.array.tolist() == [0x21, 0x03]
    int4.array = np.array([1, 2], np.uint8)
    assert int4.shape == (3,)
    with pytest.raises(ConfigError, match=r"3 bytes given, type INT4 of shape \[3\] takes 2"):
        int4.array = np.array([1, 2, 3], np.uint8)
    text = Tensor("s", [1], TensorType.STRING, buffer=Buffer(b"\x01\0\0\0"))
    assert text.array is not None
    assert text.array.tolist() == [1, 0, 0, 0]
    scalar = Tensor.constant("k", np.array(2.5, np.float32))
    assert scalar.shape == ()
    assert scalar.array == np.float32(2.5)
    with pytest.raises(ConfigError, match="no tensor type stores numpy dtype <U1"):
        Tensor.constant("bad", np.array(["a"]))


@pytest.mark.parametrize(
    ("code", "deprecated"), [(9, 9), (126, 126), (127, 127), (130, 127), (206, 127)]
)
def test_both_builtin_code_fields_are_written(code: int, deprecated: int) -> None:
    op = Operator(code, [], [Tensor("y", [1])], version=2)
    data = editor.write(Model([Subgraph(outputs=op.outputs, operators=[op])]))
    written = schema.Model.GetRootAs(data).OperatorCodes(0)
    assert (written.BuiltinCode(), written.DeprecatedBuiltinCode()) == (code, deprecated)
    assert next(editor.read(data).operators).builtin_code == code


def test_offline_memory_plan_follows_its_tensors() -> None:
    model = editor.read(chain())
    subgraph = model.subgraphs[0]
    offsets = [100 + i for i in range(len(subgraph.tensors))]
    by_name = dict(zip((t.name for t in subgraph.tensors), offsets, strict=True))
    plan = np.array([1, 0, len(offsets), *offsets], np.int32)
    model.set_metadata("OfflineMemoryAllocation", plan.tobytes())

    planned = editor.read(editor.write(model))
    graph = planned.subgraphs[0]
    old = graph.operators[0]
    blob = Tensor.constant("blob", np.zeros(4, np.uint8))
    graph.replace(old, Operator.custom("MY_OP", [old.inputs[0], blob], old.outputs))
    editor.prune_unused(planned)
    edited = editor.read(editor.write(planned))
    names = [t.name for t in edited.subgraphs[0].tensors]
    words = np.frombuffer(edited.metadata_bytes("OfflineMemoryAllocation") or b"", np.int32)
    assert words.tolist() == [1, 0, len(names), *(by_name.get(name, -1) for name in names)]
    assert by_name.get("blob") is None
    assert "blob" in names


def test_metadata_with_frozen_indices_limits_edits() -> None:
    model = editor.read(chain())
    model.set_metadata("COMPRESSION_METADATA", b"\0")
    pinned = editor.read(editor.write(model))
    pinned.subgraphs[0].tensors.append(Tensor.constant("unused", np.ones(1, np.int8)))
    editor.prune_unused(pinned)
    assert len(pinned.subgraphs[0].tensors) == 8
    editor.write(pinned)
    pinned.subgraphs[0].tensors.reverse()
    with pytest.raises(ModelError, match="COMPRESSION_METADATA"):
        editor.write(pinned)

    model = editor.read(chain())
    model.set_metadata("model_control_dependencies", b"\0")
    pinned = editor.read(editor.write(model))
    pinned.subgraphs[0].replace(pinned.subgraphs[0].operators[0])
    with pytest.raises(ModelError, match="operators were moved or removed"):
        editor.write(pinned)


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


def test_new_tensors_take_numbers_or_sequences_as_quantization() -> None:
    assert Quantization(0.5, -3).zero_points.tolist() == [-3]
    per_channel = Quantization([0.5, 0.25], axis=1)
    assert (per_channel.zero_points.tolist(), per_channel.axis) == ([0, 0], 1)
    assert Quantization().scales.size == 0
