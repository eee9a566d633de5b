"""Runtimes have processes of their own: models that end them end no other."""

from __future__ import annotations

import os
import signal

import numpy as np
import pytest

from tests.support.models.small_models import dense_model, int8_samples
from tflm_sparsesep import runtimes
from tflm_sparsesep.converters.errors import DeviceError
from tflm_sparsesep.converters.tflite import editor
from tflm_sparsesep.converters.tflite.editor import (
    BuiltinOperator,
    Model,
    Operator,
    Quantization,
    Subgraph,
    Tensor,
    TensorType,
    schema,
    schema_object,
)
from tflm_sparsesep.runtime.child import child
from tflm_sparsesep.runtime.litert import LiteRtInterpreter
from tflm_sparsesep.runtime.tflm_interpreter import TflmInterpreter


def with_odd_scales() -> bytes:
    """An int8 ADD whose scales are further apart than TFLM's arithmetic takes."""
    scales = {"a": 1e-30, "b": 1e30, "y": 1e-30}
    a, b, y = (
        Tensor(name, (1, 4), TensorType.INT8, quantization=Quantization(scale))
        for name, scale in scales.items()
    )
    add = Operator(BuiltinOperator.ADD, [a, b], [y], version=2, options=schema.AddOptionsT())
    return editor.write(Model([Subgraph("main", inputs=[a, b], outputs=[y], operators=[add])]))


def calls_itself() -> bytes:
    """A WHILE whose condition is the subgraph that holds it."""
    x, y = Tensor("x", (1,), TensorType.BOOL), Tensor("y", (1,), TensorType.BOOL)
    options = schema_object(schema.WhileOptionsT, condSubgraphIndex=0, bodySubgraphIndex=0)
    loop = Operator(BuiltinOperator.WHILE, [x], [y], options=options)
    return editor.write(Model([Subgraph("main", inputs=[x], outputs=[y], operators=[loop])]))


@pytest.mark.parametrize(
    ("data", "inputs"),
    [
        (with_odd_scales(), [np.ones((1, 4), np.int8)] * 2),
        (calls_itself(), np.ones((1, 1), np.bool_)),
    ],
    ids=["odd_scales", "calls_itself"],
)
def test_a_model_that_ends_tflm(data: bytes, inputs: np.ndarray | list[np.ndarray]) -> None:
    with pytest.raises(DeviceError, match=r"^model: TFLM: ") as caught:
        runtimes.run(data, inputs)
    assert "\n" not in str(caught.value)
    samples = int8_samples(3)
    assert runtimes.run(dense_model(), samples)[0].shape == (3, 10)


def test_an_interpreter_whose_process_was_killed() -> None:
    data, (first, *_) = dense_model(), int8_samples(1)[:, None]
    interpreter = TflmInterpreter(data, editor.read(data))
    (wanted,) = interpreter.invoke([first])
    os.kill(child("tflm")._process.pid, signal.SIGKILL)
    for _ in range(2):
        with pytest.raises(DeviceError, match="ended its process by SIGKILL"):
            interpreter.invoke([first])
    (again,) = TflmInterpreter(data, editor.read(data)).invoke([first])
    np.testing.assert_array_equal(again, wanted)


def test_unused_interpreters_are_freed() -> None:
    data = dense_model()
    model = editor.read(data)
    TflmInterpreter(data, model)
    (dropped,) = child("tflm").garbage
    kept = TflmInterpreter(data, model)
    assert child("tflm").garbage == []
    assert kept.arena_bytes
    kept._key = dropped
    with pytest.raises(DeviceError, match=f"TFLM: {dropped}$"):
        kept.invoke([int8_samples(1)])


def test_interpreters_do_not_pass_to_a_forked_process() -> None:
    data, inputs = dense_model(), int8_samples(1)
    interpreter = TflmInterpreter(data, editor.read(data))
    (wanted,) = interpreter.invoke([inputs])
    pid = os.fork()
    if pid == 0:
        try:
            interpreter.invoke([inputs])
        except DeviceError:
            (fresh,) = runtimes.run(data, inputs)
            os._exit(0 if np.array_equal(fresh, wanted) else 1)
        os._exit(2)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    np.testing.assert_array_equal(interpreter.invoke([inputs])[0], wanted)


def test_a_model_that_ends_litert() -> None:
    inputs = [np.ones((1, 4), np.int8)] * 2
    with pytest.raises(DeviceError, match=r"^model: LiteRT: the model ended its process") as caught:
        runtimes.run(with_odd_scales(), inputs, runtime="litert")
    assert "\n" not in str(caught.value)
    (outputs,) = runtimes.run(dense_model(), int8_samples(3), runtime="litert")
    assert outputs.shape == (3, 10)


def test_litert_whose_process_was_killed() -> None:
    samples = int8_samples(3)
    (wanted,) = runtimes.run(dense_model(), samples, runtime="litert")
    interpreter = LiteRtInterpreter(dense_model(), "model")
    os.kill(child("litert")._process.pid, signal.SIGKILL)
    for _ in range(2):
        with pytest.raises(DeviceError, match="LiteRT: the model ended its process by SIGKILL"):
            interpreter.invoke([samples[:1]])
    (again,) = runtimes.run(dense_model(), samples, runtime="litert")
    np.testing.assert_array_equal(again, wanted)
