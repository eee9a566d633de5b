"""Models and resizes that the delegate must refuse: no crash, no wrong number."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import tflm_sparsesep as ts
from tests.support.layers import layout_case
from tests.support.opencl_device import needs_opencl
from tests.support.operator_models import GraphBuilder
from tests.support.sparse_convs import random_conv
from tests.support.sparse_models import sparse_conv_model, sparse_model
from tflm_sparsesep.converters.blob.layouts import LAYOUTS
from tflm_sparsesep.converters.blob.pack_sparse_conv import ConvWindow
from tflm_sparsesep.converters.tflite import editor
from tflm_sparsesep.converters.tflite.editor import (
    Buffer,
    Model,
    Quantization,
    Tensor,
    schema,
    schema_object,
)

BACKENDS = ["cpu", pytest.param("opencl", marks=[pytest.mark.slow, needs_opencl])]
CLAIMED = re.compile(r"runs (\d+) of (\d+) operators")


@dataclass(frozen=True)
class Offer:
    """What became of a model. claimed: operators that each backend took."""

    claimed: list[int]
    error: str | None


def offer(
    folder: Path, backend: str, cases: Sequence[tuple[bytes, Sequence[Sequence[int]] | None]]
) -> list[Offer]:
    """Offer models in one new process; with shapes, resize their inputs and run them."""
    for number, (model, _) in enumerate(cases):
        (folder / f"{number}.tflite").write_bytes(model)
    listed = [(f"{number}.tflite", shapes) for number, (_, shapes) in enumerate(cases)]
    (folder / "cases.json").write_text(json.dumps(listed))
    worker, library = Path(__file__).with_name("refusal_worker.py"), str(ts.delegate_path())
    options = json.dumps({"backend": backend, "verbose": "1", "threads": "2"})
    done = subprocess.run(
        [sys.executable, worker, folder, library, options],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    errors = [json.loads(line) for line in done.stdout.splitlines()]
    messages = re.split(r"^case \d+$", done.stderr, flags=re.MULTILINE)[1:]
    claims = [[int(count) for count, _ in CLAIMED.findall(text)] for text in messages]
    return [Offer(*pair) for pair in zip(claims, errors, strict=True)]


def operators(quantized: bool) -> Iterator[tuple[str, GraphBuilder]]:
    """One model of one operator for each kind with constants, or none."""

    def graph() -> GraphBuilder:
        return GraphBuilder(3, quantized=quantized)

    g = graph()
    g.fully_connected(g.input(1, 20), 10)
    yield "FULLY_CONNECTED", g
    for depthwise in (False, True):
        g = graph()
        g.conv(g.input(1, 8, 8, 4), 8, (3, 3), depthwise=depthwise)
        yield ("DEPTHWISE_CONV_2D" if depthwise else "CONV_2D"), g
    for kind in ("MAX", "AVERAGE"):
        g = graph()
        g.pool(g.input(1, 8, 8, 4), kind, (2, 2), (2, 2))
        yield f"{kind}_POOL_2D", g
    for name in ("ADD", "MUL"):
        g = graph()
        g.arithmetic(name, g.input(1, 6, 5), g.constant(5))
        yield name, g
    for name in ("RELU", "RELU6", "LOGISTIC", "SOFTMAX"):
        g = graph()
        g.function(name, g.input(1, 30))
        yield name, g
    g = graph()
    g.pad(g.input(1, 4), [(0, 0), (1, 2)])
    yield "PAD", g
    g = graph()
    x = g.input(1, 4)
    g.concatenate([x, x], 1)
    yield "CONCATENATION", g
    g = graph()
    g.reshape(g.input(1, 12), 3, 4)
    yield "RESHAPE", g


def sparse_layer() -> bytes:
    case = layout_case(np.random.default_rng(2), LAYOUTS[0], 9, 40, zeros=0.5)
    return sparse_model(case)


def sparse_conv() -> bytes:
    window = ConvWindow((3, 3), 4)
    conv = random_conv(np.random.default_rng(2), LAYOUTS[0], window=window, units=9, size=(8, 8))
    return sparse_conv_model(conv, LAYOUTS[0])


def models(quantized: bool) -> list[tuple[str, bytes]]:
    """The operators and, once, this project's own."""
    found = [(name, graph.build()) for name, graph in operators(quantized)]
    own = [("SPARSE_FULLY_CONNECTED", sparse_layer()), ("SPARSE_CONV_2D", sparse_conv())]
    return [*found, *own] if quantized else found


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


def run_claimed(
    folder: Path, backend: str, named: Sequence[tuple[str, bytes, Sequence[Sequence[int]]]]
) -> list[tuple[str, str]]:
    """Names and errors, "" for none, of what the backend claims of the models and then runs."""
    claims = offer(folder, backend, [(model, None) for _, model, _ in named])
    claimed = [case for case, one in zip(named, claims, strict=True) if any(one.claimed)]
    assert claimed
    offers = offer(folder, backend, [(model, shapes) for _, model, shapes in claimed])
    return [(name, one.error or "") for (name, *_), one in zip(claimed, offers, strict=True)]


def expect_refusals(
    folder: Path, backend: str, named: Sequence[tuple[str, bytes, Sequence[Sequence[int]]]]
) -> None:
    """What the backend claims of the models is, resized, an error of the delegate."""
    errors = run_claimed(folder, backend, named)
    assert [pair for pair in errors if "sparsesep delegate: the shape" not in pair[1]] == []


def resized(quantized: bool) -> Iterator[tuple[str, bytes, list[tuple[int, ...]]]]:
    """Every operator with inputs of shapes that the delegate does not compute."""
    for name, graph in operators(quantized):
        data, (x,) = graph.build(), graph.inputs
        rank = len(x.shape)
        for shape in (
            (1,) * 7,
            (*x.shape[:-1], 0),
            (0, *x.shape[1:]),
            (1 << 20, 1 << 12, *x.shape[2:]),
            (1 << 15,) * rank,
            # Once 2^32 elements, which are 0 in 32 bits.
            (1 << 16, 1 << 16, *x.shape[2:]),
        ):
            if name in ("ADD", "MUL") and len(shape) == 7:
                shape = (1,) * 6 + (5,)
            yield f"{name} {shape}", data, [shape]


@pytest.mark.parametrize("backend", BACKENDS)
def test_resized_inputs_of_other_ranks_and_sizes(backend: str, tmp_path: Path) -> None:
    named = [*resized(True), *resized(False)]
    sparse = sparse_layer()
    named += [(f"sparse {s}", sparse, [s]) for s in ((1,) * 6 + (40,), (0, 40), (1 << 27, 40))]
    conv = sparse_conv()
    named += [(f"conv {s}", conv, [s]) for s in ((1,) * 7, (0, 8, 8, 4), (1, 1 << 14, 1 << 14, 4))]
    expect_refusals(tmp_path, backend, named)


def no_longer_fitting() -> Iterator[tuple[str, bytes, list[tuple[int, ...]]]]:
    """Shapes in range that do not go with the model's constants or options."""

    def graph(seed: int = 3) -> GraphBuilder:
        return GraphBuilder(seed, quantized=True)

    for depthwise in (False, True):
        g = graph()
        g.conv(g.input(1, 8, 8, 4), 8, (3, 3), padding="VALID", depthwise=depthwise)
        yield "channels", g.build(), [(1, 8, 8, 3)]
        yield "rank", g.build(), [(8, 8, 4)]
        yield "window", g.build(), [(1, 2, 8, 4)]
    g = graph()
    g.pool(g.input(1, 8, 8, 4), "MAX", (2, 2), (2, 2))
    yield "rank", g.build(), [(8, 8, 4)]
    g = graph()
    g.fully_connected(g.input(1, 20), 10)
    yield "columns", g.build(), [(1, 21)]
    g = graph()
    g.pad(g.input(1, 4), [(0, 0), (1, 2)])
    yield "more dimensions than amounts", g.build(), [(1, 2, 3, 4, 5, 6)]
    g = graph()
    g.concatenate([g.input(2, 3, 4), g.input(2, 3, 4)], 2)
    yield "axis", g.build(), [(2, 3), (2, 3)]
    yield "sizes off the axis", g.build(), [(2, 3, 4), (2, 1, 4)]
    g = graph()
    g.arithmetic("ADD", g.input(2, 3), g.input(2, 3))
    yield "broadcast", g.build(), [(2, 3), (2, 2)]
    g = graph()
    g.reshape(g.input(1, 12), 3, 4)
    yield "elements", g.build(), [(1, 13)]
    g = graph()
    g.function("SOFTMAX", g.input(1, 30))
    yield "depth", g.build(), [(1, 512)]


@pytest.mark.parametrize("backend", BACKENDS)
def test_resized_inputs_that_do_not_fit_the_model(backend: str, tmp_path: Path) -> None:
    expect_refusals(tmp_path, backend, list(no_longer_fitting()))


def overflowing() -> Iterator[tuple[str, bytes, list[tuple[int, ...]]]]:
    """Inputs in range whose outputs, as the model counts them, are not."""
    for quantized in (True, False):
        g = GraphBuilder(3, quantized=quantized)
        amount = (2**31 - 1) // 64
        g.pad(g.input(1, 1, 1, 1), [(amount, amount)] * 4)
        g.operators[0].outputs[0].shape = (1, 1, 1, 1)
        yield "PAD", g.build(), [(1, 1, 1, 1)]
        g = GraphBuilder(3, quantized=quantized)
        x = g.input(1, 1)
        g.concatenate([x] * 4096, 0)
        yield "CONCATENATION", g.build(), [(1 << 20, 1)]
        g = GraphBuilder(3, quantized=quantized)
        g.arithmetic("ADD", g.input(1 << 16, 1), g.input(1, 1 << 16))
        g.operators[0].outputs[0].shape = (1, 1)
        yield "ADD", g.build(), [(1 << 16, 1), (1, 1 << 16)]
        g = GraphBuilder(3, quantized=quantized)
        g.fully_connected(g.input(1, 1), 1 << 16)
        g.operators[0].outputs[0].shape = (1, 1 << 16)
        yield "FULLY_CONNECTED", g.build(), [(1 << 16, 1)]
        g = GraphBuilder(3, quantized=quantized)
        x = g.input(1, 1 << 14, 1 << 14, 1)
        g.conv(x, 64, (1, 1))
        g.operators[0].outputs[0].shape = (1, 1, 1, 64)
        yield "CONV_2D", g.build(), [x.shape]
    g = GraphBuilder(3, quantized=True)
    g.conv(g.input(1, 8, 8, 4), 8, (3, 3), dilation=(1 << 30, 1))
    yield "dilation", g.build(), [(1, 8, 8, 4)]


@pytest.mark.parametrize("backend", BACKENDS)
def test_inferred_shapes_that_overflow(backend: str, tmp_path: Path) -> None:
    expect_refusals(tmp_path, backend, list(overflowing()))


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
