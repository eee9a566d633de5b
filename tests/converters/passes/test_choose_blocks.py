"""The set of blocks to fuse: against all sets, and the reasons that `convert` gives."""

from __future__ import annotations

import itertools
import re

import numpy as np
import pytest

from tests.support.models.shared_models import shared_model
from tflm_sparsesep.converters import model_cost, op_names
from tflm_sparsesep.converters.cost.choose_layout import Prefer
from tflm_sparsesep.converters.passes import choose_blocks
from tflm_sparsesep.converters.rewrite import RewriteResult, rewrite
from tflm_sparsesep.converters.tflite import editor, memory_plan
from tflm_sparsesep.converters.tflite.memory_plan import Buffer


def peak_of(needs: list[int], savings: dict[int, int], blocks: tuple[int, ...]) -> int:
    """Return the arena of a model whose operator i needs `needs[i]`, less with block i."""
    return max(n - (savings.get(i, 0) if i in blocks else 0) for i, n in enumerate(needs))


def test_blocks_that_only_help_together_are_fused() -> None:
    needs, savings = [100, 100, 60], {0: 30, 1: 25, 2: 30}
    found = choose_blocks.choose(1000, [20, 20, 20], lambda b: peak_of(needs, savings, b))
    assert found == ((0, 1), 75)


def test_a_block_that_costs_more_than_it_saves_is_not() -> None:
    needs, savings = [100, 60], {0: 10, 1: 5}
    assert choose_blocks.choose(1000, [120, 1], lambda b: peak_of(needs, savings, b)) == ((), 100)
    assert choose_blocks.choose(1000, [100, 1], lambda b: peak_of(needs, savings, b))[0] == (0,)


def test_a_faster_block_is_fused_whatever_the_arena() -> None:
    assert choose_blocks.choose(1000, [-1], lambda b: 100)[0] == (0,)
    assert choose_blocks.choose(1000, [-100], lambda b: 112 if b else 100)[0] == ()
    assert choose_blocks.choose(1000, [-100], lambda b: 112 if b else 100, "speed")[0] == (0,)
    assert choose_blocks.choose(1000, [1], lambda b: 1 if b else 100, "speed")[0] == ()


def test_no_set_is_much_better() -> None:
    """Chains of random sizes: most choices are the best of all sets, others nearly."""
    rng, ratios = np.random.default_rng(4), []
    for _ in range(30):
        sizes = rng.integers(1, 40, 13) * 100
        costs = [int(x) for x in rng.integers(-5, 60, 6)]

        def arena_of(blocks: tuple[int, ...], sizes: np.ndarray = sizes) -> int:
            # Block i spares tensor 2 i + 1, and needs scratch.
            kept = [i for i in range(13) if i % 2 == 0 or i // 2 not in blocks]
            alive = [Buffer(int(sizes[i]), at - 1, at) for at, i in enumerate(kept)]
            scratch = [Buffer(150, k, k) for k in range(len(blocks))]
            return memory_plan.greedy_bytes(alive + scratch)

        def price(blocks: tuple[int, ...], costs: list[int] = costs) -> int:
            return (2000 + sum(costs[i] for i in blocks)) * arena_of(blocks)

        found = choose_blocks.choose(2000, costs, arena_of)
        sets = [s for n in range(7) for s in itertools.combinations(range(6), n)]
        best = min(map(price, sets))
        ratios.append(price(found.blocks) / best)
    assert ratios.count(1) > 20
    assert np.mean(ratios) < 1.01


def convert(prefer: Prefer | None = None) -> RewriteResult:
    return rewrite(shared_model("vww_96_int8.tflite"), target="cortex-m4", prefer=prefer)


def test_reasons_state_what_the_model_gains() -> None:
    result = convert()
    model = editor.read(result.tflite)
    blocks = [x for x in result.layers if x.op == op_names.SEPARABLE_CONV_2D]
    pattern = (
        "depthwise block fused: # -> # instructions on cortex-m4; # in the model: "
        "# -> # instructions, planned arena # -> # bytes"
    ).replace("#", r"([\d,]+)")
    assert blocks
    for block in blocks:
        match = re.fullmatch(pattern, block.reason)
        assert match is not None, block.reason
        found = [int(x.replace(",", "")) for x in match.groups()]
        assert found[1] == block.sparse_instructions
        assert found[2] == len(blocks)
        assert found[4] == model_cost.instructions(model, result.layers, "cortex-m4")
        assert found[4] * found[6] < found[3] * found[5]


@pytest.mark.parametrize("prefer", ["flash", "speed"])
def test_a_preference_comes_first(prefer: Prefer) -> None:
    """Speed fuses nothing that is slower; flash fuses nothing that would grow."""
    for layer in convert(prefer).layers:
        if layer.op == op_names.SEPARABLE_CONV_2D:
            assert prefer == "flash"
            assert layer.packed_bytes is not None
            assert layer.dense_bytes is not None
            assert layer.packed_bytes <= layer.dense_bytes
