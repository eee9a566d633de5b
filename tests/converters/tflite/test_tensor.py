"""Tensors: arrays of every type, shared buffers, quantization."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.models.schema_models import buffer_positions
from tflm_sparsesep.converters.errors import ConfigError
from tflm_sparsesep.converters.tflite import editor
from tflm_sparsesep.converters.tflite.editor import (
    Buffer,
    Model,
    Operator,
    Quantization,
    Subgraph,
    Tensor,
    TensorType,
)


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


def test_new_tensors_take_numbers_or_sequences_as_quantization() -> None:
    assert Quantization(0.5, -3).zero_points.tolist() == [-3]
    assert Quantization([0.5, 0.25], []).zero_points.tolist() == [0, 0]
    per_channel = Quantization([0.5, 0.25], axis=1)
    assert (per_channel.zero_points.tolist(), per_channel.axis) == ([0, 0], 1)
    assert Quantization().scales.size == 0
