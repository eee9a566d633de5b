"""Offer models to the delegate in a process of its own, which may crash."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import tflm_sparsesep as ts
from tests.support.layers import layout_case
from tests.support.models.operator_models import GraphBuilder
from tests.support.models.sparse_models import (
    second_feature_map,
    sparse_conv_model,
    sparse_model,
)
from tests.support.opencl_device import needs_opencl
from tests.support.residuals import random_residual
from tests.support.sparse_convs import random_conv
from tflm_sparsesep.converters.blob.layouts import LAYOUTS
from tflm_sparsesep.converters.blob.pack_sparse_conv import ConvWindow, with_residual

WORKER = Path(__file__).parents[1] / "custom_ops/refusal_worker.py"
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
    library = str(ts.delegate_path())
    options = json.dumps({"backend": backend, "verbose": "1", "threads": "2"})
    done = subprocess.run(
        [sys.executable, WORKER, folder, library, options],
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


def sparse_conv(*, has_residual: bool = False) -> bytes:
    rng, window = np.random.default_rng(2), ConvWindow((3, 3), 4)
    conv = random_conv(rng, LAYOUTS[0], window=window, units=9, size=(8, 8))
    if not has_residual:
        return sparse_conv_model(conv, LAYOUTS[0])
    blob = with_residual(conv.blob(LAYOUTS[0]), random_residual(rng))
    return sparse_conv_model(conv, LAYOUTS[0], blob=blob, other=second_feature_map(conv))


def models(quantized: bool) -> list[tuple[str, bytes]]:
    """The operators and, once, this project's own."""
    found = [(name, graph.build()) for name, graph in operators(quantized)]
    own = [
        ("SPARSE_FULLY_CONNECTED", sparse_layer()),
        ("SPARSE_CONV_2D", sparse_conv()),
        ("SPARSE_CONV_2D with a residual", sparse_conv(has_residual=True)),
    ]
    return [*found, *own] if quantized else found


def run_claimed(
    folder: Path, backend: str, named: Sequence[tuple[str, bytes, Sequence[Sequence[int]]]]
) -> list[tuple[str, str]]:
    """Names and errors, "" for none, of what the backend claims of the models and then runs."""
    claims = offer(folder, backend, [(model, None) for _, model, _ in named])
    claimed = [case for case, one in zip(named, claims, strict=True) if any(one.claimed)]
    assert claimed
    offers = offer(folder, backend, [(model, shapes) for _, model, shapes in claimed])
    return [(name, one.error or "") for (name, *_), one in zip(claimed, offers, strict=True)]
