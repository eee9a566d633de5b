"""Resizes that the delegate must refuse: no crash, no wrong number."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.support.delegate_offers import (
    BACKENDS,
    operators,
    run_claimed,
    sparse_conv,
    sparse_layer,
)
from tests.support.models.operator_models import GraphBuilder


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
    conv = sparse_conv(has_residual=True)
    for shape in ((1,) * 7, (0, 8, 8, 9), (1 << 16, 1 << 16, 8, 9)):
        named.append((f"residual {shape}", conv, [(1, 8, 8, 4), shape]))
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
