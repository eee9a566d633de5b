"""Models that the delegate must refuse: no crash, no wrong number."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from tests.support.delegate_offers import BACKENDS, models, offer, operators, run_claimed
from tests.support.models.operator_models import GraphBuilder
from tflm_sparsesep.converters.tflite import editor
from tflm_sparsesep.converters.tflite.editor import (
    Buffer,
    Model,
    Quantization,
    Tensor,
    schema,
    schema_object,
)


def edited(data: bytes, edit: Callable[[Model], None]) -> bytes:
    model = editor.read(data)
    edit(model)
    return editor.write(model)


def assert_refused(
    folder: Path, backend: str, named: Sequence[tuple[str, bytes]], whole: Sequence[bytes]
) -> None:
    """No backend claims any of the models, whose unspoilt versions it does claim."""
    offers = offer(folder, backend, [(model, None) for _, model in named])
    assert [name for (name, _), one in zip(named, offers, strict=True) if any(one.claimed)] == []
    assert any(
        any(one.claimed) for one in offer(folder, backend, [(model, None) for model in whole])
    )


@pytest.mark.parametrize("backend", BACKENDS)
def test_sparse_constants_are_not_claimed(backend: str, tmp_path: Path) -> None:
    """TensorFlow's own sparsity: the buffer then holds fewer values than the shape says."""

    def make_sparse(tensor: Tensor) -> None:
        dense = schema.DimensionType.DENSE
        sizes = [
            schema_object(schema.DimensionMetadataT, format=dense, denseSize=n)
            for n in tensor.shape
        ]
        order = np.arange(len(tensor.shape), dtype=np.int32)
        tensor.raw.sparsity = schema_object(
            schema.SparsityParametersT, traversalOrder=order, dimMetadata=sizes
        )

    named, whole = [], []
    for quantized in (True, False):
        for name, data in models(quantized):
            constants = [
                i
                for i, tensor in enumerate(editor.read(data).subgraphs[0].operators[0].inputs)
                if tensor is not None and tensor.is_constant
            ]
            for i in constants:

                def edit(model: Model, i: int = i) -> None:
                    tensor = model.subgraphs[0].operators[0].inputs[i]
                    assert tensor is not None
                    make_sparse(tensor)

                named.append((f"{name} input {i}", edited(data, edit)))
            whole += [data] * bool(constants)
    assert_refused(tmp_path, backend, named, whole)


@pytest.mark.parametrize("backend", BACKENDS)
def test_constant_outputs_are_not_claimed(backend: str, tmp_path: Path) -> None:
    """A constant cannot be written, and has no buffer on a device."""

    def edit(model: Model) -> None:
        (output,) = model.subgraphs[0].operators[0].outputs
        size = int(np.prod(output.shape)) * (1 if output.quantization is not None else 4)
        output.buffer = Buffer(bytes(size))

    whole = [data for quantized in (True, False) for _, data in models(quantized)]
    named = [
        (name, edited(data, edit))
        for quantized in (True, False)
        for name, data in models(quantized)
    ]
    assert_refused(tmp_path, backend, named, whole)


def badly_ordered(quantized: bool) -> Iterator[tuple[str, bytes]]:
    """Graphs whose tensors are written twice, by their reader, after it, or though constant."""

    def graph() -> tuple[GraphBuilder, Tensor]:
        g = GraphBuilder(4, quantized=quantized)
        return g, g.input(1, 20)

    g, x = graph()
    first, second = g.fully_connected(x, 10), g.fully_connected(x, 10)
    g.operators[1].outputs[0] = first
    del second
    yield "two writers", g.build(first)
    g, x = graph()
    first = g.fully_connected(x, 20)
    g.fully_connected(first, 10)
    g.operators.reverse()
    yield "a reader before the writer", g.build(g.operators[0].outputs[0])
    g, x = graph()
    out = g.fully_connected(x, 20)
    g.operators[0].outputs[0] = x
    del out
    yield "the input as output", g.build(x)
    g, x = graph()
    g.fully_connected(x, 20)
    weights = g.operators[0].inputs[1]
    assert weights is not None
    y = g.input(weights.shape[0], weights.shape[1])
    g.reshape(y, *weights.shape)
    g.operators[1].outputs[0] = weights
    g.operators.reverse()
    yield "written weights", g.build(g.operators[1].outputs[0])
    g.operators[0].outputs[0] = Tensor("twin", weights.shape, weights.type, buffer=weights.buffer)
    g.operators[0].outputs[0].quantization = weights.quantization
    yield "weights written through another tensor", g.build(g.operators[1].outputs[0])


@pytest.mark.parametrize("backend", BACKENDS)
def test_tensors_written_out_of_order_are_not_claimed(backend: str, tmp_path: Path) -> None:
    named = [*badly_ordered(True), *badly_ordered(False)]
    offers = offer(tmp_path, backend, [(model, None) for _, model in named])
    for (name, _), one in zip(named, offers, strict=True):
        # The writer of what is read too early is in order itself.
        assert max(one.claimed) <= (name == "a reader before the writer"), name


def with_scales(
    graph: GraphBuilder, scales: Sequence[float], zero_points: Sequence[int] = (0, 0, 0)
) -> bytes:
    """The one-operator model with other scales of its input, output and second operand."""
    operator = graph.operators[0]
    first, *others = operator.inputs
    seconds = [tensor for tensor in others[:1] if tensor is not first]
    tensors = [first, operator.outputs[0], *seconds]
    for tensor, scale, zero_point in zip(tensors, scales, zero_points, strict=False):
        assert tensor is not None
        if tensor.quantization is not None:
            tensor.quantization = Quantization(
                np.full_like(tensor.quantization.scales, scale), zero_point
            )
    return graph.build()


@pytest.mark.parametrize("backend", BACKENDS)
def test_factors_out_of_range_are_not_claimed(backend: str, tmp_path: Path) -> None:
    """Shifts of more than 30, infinite factors and zero points that no int8 has."""
    rescaling = ("FULLY_CONNECTED", "CONV_2D", "DEPTHWISE_CONV_2D", "ADD", "MUL", "RELU")
    extremes = [(1e30, 1e-30, 1e30), (1.0, 1e-38, 1e10), (3e38, 1e-38, 3e38), (np.inf, 1.0, 1.0)]
    named = [
        (f"{name} {scales}", with_scales(graph, scales))
        for scales in extremes
        for name, graph in operators(True)
        if name in rescaling
    ]
    for zero_points in ((1 << 30, 0, 0), (0, -(1 << 31), 0), (128, 0, 0)):
        named += [
            (f"{name} {zero_points}", with_scales(graph, (0.1, 0.1, 0.1), zero_points))
            for name, graph in operators(True)
        ]
    for first, second in ((1e30, 1e-30), (3e38, 1e-38)):
        g = GraphBuilder(3, quantized=True)
        x = g.tensor("x", (1, 30), first, 0)
        g.inputs.append(x)
        g.convert(x, g.tensor("y", (1, 30), second, 0))
        named.append((f"QUANTIZE {first}", g.build()))
    assert_refused(tmp_path, backend, named, [graph.build() for _, graph in operators(True)])


@pytest.mark.parametrize("backend", BACKENDS)
def test_large_and_small_factors_in_range_are_computed(backend: str, tmp_path: Path) -> None:
    scales = [(2.0**10, 2.0**-19, 1.0), (2.0**-60, 1.0, 2.0**-60), (1e-38, 1e38, 1e-38)]
    named = [
        (f"{name} {s}", with_scales(graph, s), [graph.inputs[0].shape])
        for s in scales
        for name, graph in operators(True)
        if name in ("FULLY_CONNECTED", "ADD", "MUL", "RELU")
    ]
    assert [pair for pair in run_claimed(tmp_path, backend, named) if pair[1]] == []
