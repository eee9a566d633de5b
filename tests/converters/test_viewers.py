"""What viewers read of packed layers, and that runtimes do not mind it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from flatbuffers import flexbuffers

import tflm_sparsesep as ts
from tests.support.device_tools import needs_emulator
from tests.support.models.dense_models import single_layer_model, sparse_weights
from tests.support.models.operator_models import conv1d, lenet_300_100
from tests.support.sparse_network import sparse_network
from tflm_sparsesep.converters import viewers
from tflm_sparsesep.converters.layers.packed import options_of
from tflm_sparsesep.converters.page_model import page_model
from tflm_sparsesep.converters.tflite import editor
from tflm_sparsesep.converters.tflite.editor import Operator

# A layer of 24 bytes of options, whose vectors are windows.
WINDOWS = ts.convert(conv1d(quantized=True).build(), prefer="speed").tflite


def packed(data: bytes) -> Iterator[Operator]:
    for op in editor.read(data).subgraphs[0].operators:
        if op.op_name.startswith(("SPARSE_", "SEPARABLE_")):
            yield op


def facts(op: Operator) -> dict[str, int | str]:
    # As viewers do it: the whole bytes, whose end is the root.
    found: dict[str, int | str] = flexbuffers.Loads(op.custom_options or b"")
    return found


def test_facts_are_those_of_inspect() -> None:
    plain = sparse_network()
    annotated = viewers.annotate(plain)
    shown = [facts(op) for op in packed(annotated)]
    layers = [layer for layer in ts.inspect(plain) if layer.rewritten]
    assert len(shown) == len(layers) >= 3
    for found, layer in zip(shown, layers, strict=True):
        assert sorted(found) == ["cols", "index", "pattern", "rows", "zeros"]
        if layer.pattern is not None:  # not of separable pairs
            wanted = (layer.rows, layer.cols, layer.pattern, layer.index, f"{layer.zeros:.1%}")
            assert tuple(found[k] for k in ("rows", "cols", "pattern", "index", "zeros")) == wanted
    assert {op.op_name for op in packed(plain)} == {op.op_name for op in packed(annotated)}
    assert len(annotated) - len(plain) <= 100 * len(shown)


def test_paged_layers_have_no_zeros_to_show() -> None:
    paged = page_model(
        ts.convert(single_layer_model(sparse_weights(64, 300, 0.9))).tflite, page_bytes=600
    )
    (found,) = (facts(op) for op in packed(viewers.annotate(paged.tflite)))
    assert found["rows"] == 64
    assert found["cols"] == 300
    assert "zeros" not in found


@pytest.mark.parametrize("model", [sparse_network(), WINDOWS], ids=["network", "windows"])
@pytest.mark.parametrize("runtime", ["tflm", "litert"])
def test_outputs_stay_the_same(model: bytes, runtime: str) -> None:
    shape = editor.read(model).subgraphs[0].inputs[0].shape
    x = np.random.default_rng(0).integers(-128, 128, (4, *shape[1:])).astype(np.int8)
    annotated = viewers.annotate(model)
    assert annotated != model
    found, wanted = (ts.run(one, x, runtime=runtime) for one in (annotated, model))
    np.testing.assert_array_equal(found[0], wanted[0])


def test_the_window_step_stays() -> None:
    before, after = (
        [options_of(op) for op in packed(model) if op.op_name == "SPARSE_FULLY_CONNECTED"]
        for model in (WINDOWS, viewers.annotate(WINDOWS))
    )
    assert before == after
    assert any(options.input_step for options in before)


def test_annotating_twice_changes_nothing() -> None:
    once = viewers.annotate(sparse_network())
    assert viewers.annotate(once) == once


@needs_emulator
@pytest.mark.slow
def test_annotated_layers_run_on_a_device() -> None:
    figures = ts.benchmark(viewers.annotate(sparse_network()))
    assert len(figures) >= 3
    assert all(layer.bit_exact for layer in figures)


def test_node_data_name_the_tensors_of_the_file() -> None:
    dense = lenet_300_100(quantized=True).build()
    result = ts.convert(dense)
    for model, rewritten in ((dense, False), (result.tflite, True)):
        data = ts.node_data(model)
        assert sorted(data) == ["bytes", "instructions"]
        outputs = {op.outputs[0].name for op in editor.read(model).subgraphs[0].operators}
        sizes = data["bytes"]["main"]["results"]
        assert set(sizes) <= outputs
        layers = ts.inspect(model)
        wanted = [
            one.packed_bytes if one.op.startswith("SPARSE") else one.dense_bytes for one in layers
        ]
        assert [entry["value"] for entry in sizes.values()] == wanted
        assert any(one.op.startswith("SPARSE") for one in layers) == rewritten
        for metric in data.values():
            stops = [stop["stop"] for stop in metric["main"]["gradient"]]
            assert (stops[0], stops[-1]) == (0, 1)
