"""The planner model: by hand, and against the allocator of TFLM."""

from __future__ import annotations

import pytest

from tests.support.depthwise_layers import random_block, random_case
from tests.support.models.separable_models import separable_model
from tests.support.models.shared_models import shared_model
from tests.support.sweeps import sweep
from tflm_sparsesep.converters import native
from tflm_sparsesep.converters.blob.depthwise_format import Kind
from tflm_sparsesep.converters.blob.layouts import LAYOUTS
from tflm_sparsesep.converters.blob.pack_depthwise import pack_depthwise
from tflm_sparsesep.converters.inspect_model import inspect_model
from tflm_sparsesep.converters.layers.quantized import layer_name
from tflm_sparsesep.converters.rewrite import rewrite
from tflm_sparsesep.converters.tflite import arena, editor
from tflm_sparsesep.converters.tflite.editor import Operator, Subgraph, Tensor, TensorType
from tflm_sparsesep.converters.tflite.memory_plan import Buffer, greedy_bytes, planned_bytes
from tflm_sparsesep.runtime.tflm_interpreter import TflmInterpreter

MODELS = ("vww_96_int8", "kws_ref_model", "pretrainedResnet_quant", "str_ww_ref_model", "ad01_int8")


def test_buffers_go_to_the_lowest_gap() -> None:
    assert greedy_bytes([]) == 0
    assert greedy_bytes([Buffer(20, 0, 1), Buffer(10, 1, 2)]) == 32 + 16
    assert greedy_bytes([Buffer(32, 0, 1), Buffer(16, 2, 3)]) == 32
    # The second largest lies above the largest, where the smallest does not fit below it.
    assert greedy_bytes([Buffer(48, 0, 0), Buffer(32, 0, 1), Buffer(16, 1, 2)]) == 80


def test_the_last_of_equals_comes_first() -> None:
    """As in TFLM: the order decides how much is lost between buffers."""
    first, second = Buffer(32, 0, 1), Buffer(32, 1, 2)
    around = [Buffer(64, 2, 3), Buffer(48, 0, 0)]
    assert greedy_bytes([first, second, *around]) == 128
    assert greedy_bytes([second, first, *around]) == 112


def test_tensors_that_are_not_listed_yet_have_memory_too() -> None:
    """Such as those between the parts of a layer that was just split."""
    a, b, c = (Tensor(name, [100], TensorType.INT8) for name in "abc")
    operators = [Operator.custom("A", [a], [b]), Operator.custom("A", [b], [c])]
    for listed in ([a, b, c], [a, c]):
        graph = Subgraph(tensors=listed, inputs=[a], outputs=[c], operators=operators)
        assert planned_bytes(graph) == 2 * 112


def test_variables_have_memory_of_their_own() -> None:
    tensors = [Tensor(f"t{i}", [64], TensorType.INT8) for i in range(3)]
    tensors[1].raw.isVariable = True
    operators = [Operator.custom("A", tensors[:2], tensors[2:])]
    graph = Subgraph(tensors=tensors, inputs=tensors[:1], outputs=tensors[2:], operators=operators)
    assert planned_bytes(graph) == 128
    assert planned_bytes(graph, {0: 16}) == 144


@pytest.mark.parametrize("target", [None, "cortex-m0", "cortex-m4", "cortex-m55"])
@pytest.mark.parametrize("name", MODELS)
def test_tflm_plans_the_same(name: str, target: str | None) -> None:
    """To the byte, with the scratch of this machine's kernels."""
    data = shared_model(f"{name}.tflite")
    if target is not None:
        data = rewrite(data, target=target).tflite
    model = editor.read(data)
    graph = model.subgraphs[0]
    stated = {x.name: x.scratch_bytes for x in inspect_model(data, target="host") if x.rewritten}
    names = enumerate(map(layer_name, graph.operators))
    planned = planned_bytes(graph, {i: stated.get(name) or 0 for i, name in names})
    assert planned == TflmInterpreter(data, model).planned_bytes
    assert planned >= arena.peak_bytes(graph)


@pytest.mark.parametrize("kind", list(Kind))
def test_tflm_plans_the_scratch_of_depthwise_blobs(kind: Kind) -> None:
    for rng in sweep(1, 12):
        case = random_case(rng)
        blob, shape = pack_depthwise(case.layer), case.output_shape
        if kind is Kind.BLOCK:
            block = random_block(rng, LAYOUTS[0], case=case)
            blob, shape = block.blob, block.output_shape
        data = separable_model(blob, case.images.shape, shape)
        height, width = case.images.shape[1:3]
        scratch = native.depthwise_scratch_bytes(blob, height, width, target="host")
        model = editor.read(data)
        planned = planned_bytes(model.subgraphs[0], {0: scratch})
        assert planned == TflmInterpreter(data, model).planned_bytes
