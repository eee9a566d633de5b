"""Bytes that are no intact model are refused, with one line that says why."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from tests.support.models.schema_models import pack, quantization, refusal, rich_model
from tflm_sparsesep.converters.errors import ModelError
from tflm_sparsesep.converters.tflite import editor
from tflm_sparsesep.converters.tflite.editor import (
    BuiltinOperator,
    Model,
    Operator,
    Subgraph,
    Tensor,
    TensorType,
)
from tflm_sparsesep.converters.tflite.tensor import schema_object

Edit = Callable[[Any], None]


def set_field(path: str, value: Any) -> Edit:
    """An edit of a ModelT, e.g. set_field("subgraphs.0.tensors.1.type", 99)."""

    def edit(model: Any) -> None:
        *steps, last = path.split(".")
        for step in steps:
            model = model[int(step)] if step.isdigit() else getattr(model, step)
        assert hasattr(model, last)
        setattr(model, last, value)

    return edit


def set_fields(*fields: tuple[str, Any]) -> Edit:
    """Several edits at once."""

    def edit(model: Any) -> None:
        for path, value in fields:
            set_field(path, value)(model)

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
    ("edit", "reason"),
    [
        (set_field("subgraphs.0.operators.3.outputs", i32(1)), "an output of operator 3"),
        # Another tensor on the buffer of a constant.
        (
            set_fields(
                ("subgraphs.0.tensors.9.buffer", 1), ("subgraphs.0.tensors.9.type", TensorType.INT8)
            ),
            "an output of operator 0",
        ),
        (set_field("subgraphs.0.inputs", i32(0, 1)), "an input"),
        (set_field("subgraphs.0.tensors.1.isVariable", True), "a variable"),
        (
            set_fields(
                ("subgraphs.1.tensors.0.buffer", 2),
                ("subgraphs.1.tensors.0.type", TensorType.FLOAT16),
            ),
            "an input",
        ),
    ],
)
def test_nothing_writes_into_constants(edit: Edit, reason: str) -> None:
    model = rich_model()
    edit(model)
    assert re.search(
        rf"tensor \d '.*': {reason} with \d bytes of constant data: nothing may write",
        refusal(pack(model)),
    )


def conv(**options: Any) -> bytes:
    """Return a model of one CONV_2D whose options have `options`."""
    x, y = (Tensor(name, (1, 4, 4, 2)) for name in "xy")
    weights = Tensor.constant("w", np.ones((2, 1, 1, 2), np.float32))
    fields = {"strideH": 1, "strideW": 1, "dilationHFactor": 1, "dilationWFactor": 1} | options
    op = Operator(
        BuiltinOperator.CONV_2D,
        [x, weights, None],
        [y],
        options=schema_object(schema.Conv2DOptionsT, **fields),
    )
    return editor.write(Model([Subgraph("main", inputs=[x], outputs=[y], operators=[op])]))


@pytest.mark.parametrize("field", ["strideH", "strideW", "dilationHFactor", "dilationWFactor"])
@pytest.mark.parametrize("value", [0, -2])
def test_windows_move(field: str, value: int) -> None:
    reason = f"operator 0: {field} is {value}, accepted: at least 1"
    assert reason in refusal(conv(**{field: value}))


def test_unknown_padding() -> None:
    assert "padding is 2, accepted: 0, 1" in refusal(conv(padding=2))


def test_options_of_another_operator() -> None:
    model = editor.read(conv())
    model.subgraphs[0].operators[0].options = schema.AddOptionsT()
    assert "options are AddOptions, accepted: Conv2DOptions" in refusal(editor.write(model))
    model.subgraphs[0].operators[0].options = None
    editor.read(editor.write(model))


def test_a_model_without_any_buffer_vector_is_fine() -> None:
    model = rich_model()
    model.buffers = model.metadata = model.metadataBuffer = None
    for tensor in model.subgraphs[0].tensors:
        tensor.buffer = 0
    back = editor.read(editor.write(editor.read(pack(model))))
    assert not any(tensor.is_constant for tensor in back.subgraphs[0].tensors)


def test_data_after_the_flatbuffer_is_counted_for_every_buffer() -> None:
    model = rich_model()
    shared = schema_object(schema.BufferT, offset=2, size=1000)
    model.buffers += [shared] * 50
    assert "buffers describe many times more data" in refusal(pack(model))


def test_compressed_models_may_have_small_buffers() -> None:
    model = rich_model()
    model.metadata[0].name = "COMPRESSION_METADATA"
    model.subgraphs[0].tensors[1].shape = i32(2, 400)
    tensor = editor.read(pack(model)).subgraphs[0].tensors[1]
    with pytest.raises(ModelError, match="its buffer holds 2 values"):
        _ = tensor.array
