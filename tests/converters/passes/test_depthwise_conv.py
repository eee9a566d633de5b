"""DEPTHWISE_CONV_2D alone, and with the 1x1 CONV_2D that follows it, in published models."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from tests.converters.passes.test_sparse_conv_2d import random_conv
from tests.support.models.separable_models import conv_model
from tests.support.models.shared_models import shared_model
from tflm_sparsesep.converters import model_cost, native, op_names
from tflm_sparsesep.converters.blob.pack_depthwise import pack_depthwise
from tflm_sparsesep.converters.blob.pack_sparse_conv import ConvWindow
from tflm_sparsesep.converters.cost.choose_layout import Prefer
from tflm_sparsesep.converters.inspect_model import inspect_model
from tflm_sparsesep.converters.passes import choose_blocks
from tflm_sparsesep.converters.passes.choose_blocks import Choice
from tflm_sparsesep.converters.rewrite import RewriteResult, rewrite
from tflm_sparsesep.converters.tflite import editor
from tflm_sparsesep.device.synthetic_depthwise import random_depthwise
from tflm_sparsesep.runtime.tflm_interpreter import TflmInterpreter

MODELS = ("kws_ref_model.tflite", "vww_96_int8.tflite")
ArenaOf = Callable[[tuple[int, ...]], int]
DEVICES = ("cortex-m0", "cortex-m3", "cortex-m4", "cortex-m55")


def instructions(result: RewriteResult, target: str) -> int:
    model = editor.read(result.tflite)
    return model_cost.instructions(model, result.layers, target)


def separable(data: bytes) -> int:
    model = editor.read(data)
    return sum(op.op_name == op_names.SEPARABLE_CONV_2D for op in model.subgraphs[0].operators)


@pytest.mark.parametrize("target", DEVICES)
@pytest.mark.parametrize("name", MODELS)
def test_outputs_stay_the_same(name: str, target: str) -> None:
    data = shared_model(name)
    result = rewrite(data, target=target)
    assert separable(result.tflite) > 3
    before, after = (TflmInterpreter(d, editor.read(d)) for d in (data, result.tflite))
    shape, rng = editor.read(data).subgraphs[0].inputs[0].shape, np.random.default_rng(1)
    for _ in range(3):
        image = rng.integers(-128, 128, shape).astype(np.int8)
        np.testing.assert_array_equal(after.invoke([image])[0], before.invoke([image])[0])


def test_person_detector_gets_faster_and_leaner() -> None:
    data = shared_model("vww_96_int8.tflite")
    result = rewrite(data, target="cortex-m4")
    assert instructions(result, "cortex-m4") < 11_000_000
    before, after = (TflmInterpreter(d, editor.read(d)) for d in (data, result.tflite))
    assert before.arena_bytes is not None
    assert after.arena_bytes is not None
    assert after.arena_bytes < 0.65 * before.arena_bytes


@pytest.fixture
def fused(monkeypatch: pytest.MonkeyPatch) -> RewriteResult:
    """The person detector with every block fused, as if arena were all."""

    def choose_all(_: int, costs: Sequence[int], arena_of: ArenaOf, __: Prefer | None) -> Choice:
        blocks = tuple(range(len(costs)))
        return Choice(blocks, arena_of(blocks))

    monkeypatch.setattr(choose_blocks, "choose", choose_all)
    return rewrite(shared_model("vww_96_int8.tflite"), target="cortex-m4")


def test_blocks_compute_the_same_in_less_arena(fused: RewriteResult) -> None:
    data = shared_model("vww_96_int8.tflite")
    before, after = (TflmInterpreter(d, editor.read(d)) for d in (data, fused.tflite))
    assert before.arena_bytes is not None
    assert after.arena_bytes is not None
    assert after.arena_bytes < 0.65 * before.arena_bytes
    rng = np.random.default_rng(2)
    for _ in range(3):
        image = rng.integers(-128, 128, (1, 96, 96, 3)).astype(np.int8)
        np.testing.assert_array_equal(after.invoke([image])[0], before.invoke([image])[0])


def test_decisions_are_those_of_inspect(fused: RewriteResult) -> None:
    packed = {layer.name: layer for layer in inspect_model(fused.tflite, target="cortex-m4")}
    blocks = [x for x in fused.layers if x.op == op_names.SEPARABLE_CONV_2D]
    assert len(blocks) > 8
    for layer in blocks:
        found = packed[layer.name]
        for field in ("rows", "cols", "batch", "zeros", "pattern", "index", "packed_bytes"):
            assert getattr(found, field) == getattr(layer, field), field
        for field in ("sparse_instructions", "dense_instructions", "variant", "scratch_bytes"):
            assert getattr(found, field) == getattr(layer, field), field


def test_a_convolution_of_one_channel_is_a_depthwise_one() -> None:
    conv = random_conv(np.random.default_rng(3), 8, (5, 5, 1), zeros=0.0)
    (layer,) = rewrite(conv_model([conv], (1, 20, 20, 1)), target="cortex-m4").layers
    assert (layer.op, layer.rewritten, layer.pattern) == ("CONV_2D", True, "5x5")
    assert layer.variant == "depthwise_dsp"


def test_bytes_and_instructions_decide_how_a_convolution_of_one_channel_runs() -> None:
    conv = random_conv(np.random.default_rng(3), 8, (10, 4, 1), zeros=0.5)
    model = conv_model([conv], (1, 20, 20, 1))
    (layer,) = rewrite(model, target="cortex-m4").layers
    (small,) = rewrite(model, target="cortex-m4", prefer="flash").layers
    assert (layer.pattern, small.pattern) == ("10x4", "1x1")
    assert layer.packed_bytes is not None
    assert small.packed_bytes is not None
    assert layer.sparse_instructions is not None
    assert small.sparse_instructions is not None
    assert layer.packed_bytes > small.packed_bytes
    assert (
        layer.packed_bytes * layer.sparse_instructions
        < small.packed_bytes * small.sparse_instructions
    )


def test_flash_first_keeps_layers_that_would_grow() -> None:
    data = shared_model("kws_ref_model.tflite")
    result = rewrite(data, target="cortex-m4", prefer="flash")
    for layer in result.layers:
        if layer.rewritten:
            assert layer.packed_bytes is not None
            assert layer.dense_bytes is not None
            assert layer.packed_bytes <= layer.dense_bytes


def test_other_cores_have_the_portable_kernel() -> None:
    window = ConvWindow((5, 5), 6)
    blob = pack_depthwise(random_depthwise(np.random.default_rng(3), window))
    assert native.depthwise_variant_name(blob, target="generic") == "depthwise_scalar"
    assert native.depthwise_scratch_bytes(blob, 9, 9, target="generic") > 0
    result = rewrite(shared_model("kws_ref_model.tflite"), target="generic")
    assert all(x.sparse_instructions for x in result.layers if x.op == "DEPTHWISE_CONV_2D")


def test_the_host_keeps_depthwise_layers() -> None:
    result = rewrite(shared_model("kws_ref_model.tflite"), target="host")
    reasons = [x.reason for x in result.layers if x.op == "DEPTHWISE_CONV_2D"]
    assert reasons == ["no depthwise kernel in LiteRT that is faster than its own"] * 4
