"""Costs of operators against the files that the converter writes of them."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.models.latent_models import mlp
from tests.support.models.operator_models import GraphBuilder, lenet_5
from tests.support.models.shared_models import SHARED_MODELS, needs_shared_models
from tflm_sparsesep.compression.operator_cost import dense_cost, rewritten_cost
from tflm_sparsesep.converters import model_cost
from tflm_sparsesep.converters.layers import split
from tflm_sparsesep.converters.layers.stages import stages_of
from tflm_sparsesep.converters.passes.conversion import Conversion
from tflm_sparsesep.converters.rewrite import run_passes, tidy
from tflm_sparsesep.converters.tflite import editor
from tflm_sparsesep.converters.tflite.editor import Model, Operator, Subgraph

TARGET = "cortex-m4"
# Each constant is padded by up to 15 bytes, on average 8: five may be off by 64 in all. A file of
# packed layers alone lacks the tables of fields of options and quantization, which take up to 56.
MOST_BYTES_OFF = 64 + 56
# A model lists each kind of operator once, in a table of 28 bytes with the name of a custom one;
# costs leave it out.
CODE_TABLE_BYTES = 28


def in_a_file(operators: list[Operator]) -> tuple[int, int, int]:
    """Bytes but for names of operators, instructions and arena of a file, as it is rewritten."""
    ends = {"inputs": [operators[0].input(0)], "outputs": operators[-1].outputs}
    part = Subgraph("main", operators=operators, **ends)
    layers = run_passes(part, Conversion(TARGET, {}))
    model = Model([part])
    tidy(model)
    kinds = {(op.builtin_code, op.custom_code or "") for op in part.operators}
    codes = sum(CODE_TABLE_BYTES + len(name) for _, name in kinds)
    return (
        len(editor.write(model)) - codes,
        model_cost.instructions(model, layers, TARGET),
        model_cost.arena_bytes(model, layers),
    )


def check(variants: list[list[Operator]]) -> None:
    """Variants of one layer: the rest of the file is the same for all."""
    rests = []
    for operators in variants:
        cost = rewritten_cost(list(operators), TARGET, {})
        flash, instructions, arena = in_a_file(list(operators))
        assert (cost.instructions, cost.arena_bytes) == (instructions, arena)
        rests.append(flash - cost.bytes)
    assert max(rests) - min(rests) <= MOST_BYTES_OFF


def thinned(op: Operator, share: float) -> Operator:
    """With this share of the weights."""
    array = op.weights.array
    assert array is not None
    kept = np.random.default_rng(0).random(array.shape) < share
    changed = Operator(op.builtin_code, op.inputs, op.outputs, options=op.options)
    weights = editor.Tensor.constant(
        op.weights.name,
        np.where(kept, array, 0).astype(np.int8),
        quantization=op.weights.quantization,
    )
    changed.inputs[1] = weights
    return changed


@pytest.mark.parametrize("data", [mlp(), lenet_5(quantized=True).build()], ids=["mlp", "lenet"])
def test_sparse_layers_and_products(data: bytes) -> None:
    for op in editor.read(data).subgraphs[0].operators:
        if op.op_name != "FULLY_CONNECTED":
            continue
        rows, cols = op.weights.shape
        rng, rank = np.random.default_rng(0), min(rows, 6)
        matrices = [rng.normal(size=(rank, cols)), rng.normal(size=(rows, rank))]
        stages = stages_of("low_rank", matrices, (1, 1, cols))
        product = split.split(op, stages, np.zeros(rows), rng.normal(size=(9, 1, 1, cols)))
        check([[op], product, *([thinned(op, share)] for share in (0.02, 0.1, 0.3))])


def test_separated_convolutions() -> None:
    graph = GraphBuilder(0, quantized=True)
    graph.conv(graph.input(1, 12, 12, 8), 24, (5, 5))
    (op,) = editor.read(graph.build()).operators
    rng = np.random.default_rng(0)
    windows = rng.normal(size=(9, 5, 5, 8))
    kinds = {"separated": [(4, 40), (24, 20)], "tucker": [(3, 8), (6, 75), (24, 6)]}
    variants = [[op]]
    for kind, shapes in kinds.items():
        matrices = [rng.normal(size=shape) for shape in shapes]
        variants.append(
            split.split(op, stages_of(kind, matrices, (5, 5, 8)), np.zeros(24), windows)
        )
    check(variants)


@needs_shared_models
@pytest.mark.parametrize("name", ["kws_ref_model", "vww_96_int8", "ad01_int8"])
def test_a_layer_removed_from_a_model_of_others(name: str) -> None:
    model = editor.read((SHARED_MODELS / f"{name}.tflite").read_bytes())
    tidy(model)
    whole, main = len(editor.write(model)), model.subgraphs[0]
    op = main.operators[1]
    main.operators.remove(op)
    editor.prune_unused(model)
    cost = dense_cost(op, TARGET)
    assert abs(whole - len(editor.write(model)) - cost.bytes) <= MOST_BYTES_OFF
    assert cost.instructions == model_cost.dense_instructions(op, TARGET)
