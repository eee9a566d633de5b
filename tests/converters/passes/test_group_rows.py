"""Hidden units in another order: outputs bit for bit the same, and only where it pays.

The target is mostly the Cortex-M3, whose costs are near to counts of blocks.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.dense_models import (
    FullyConnectedLayer,
    float_fully_connected_model,
    fully_connected_chain,
)
from tflm_sparsesep.converters.errors import ModelError
from tflm_sparsesep.converters.passes import group_rows, sparse_fully_connected
from tflm_sparsesep.converters.passes.conversion import Conversion
from tflm_sparsesep.converters.passes.row_grouping import count_blocks
from tflm_sparsesep.converters.rewrite import rewrite
from tflm_sparsesep.converters.tflite import editor
from tflm_sparsesep.converters.tflite.editor import (
    BuiltinOperator,
    Model,
    Operator,
    Quantization,
    Tensor,
    schema,
)
from tflm_sparsesep.runtimes import run

TARGET = "cortex-m3"
COLS = 96


def clustered_weights(rows: int, cols: int, seed: int) -> np.ndarray:
    """Groups of four rows with equal zeros, 85% of them, shuffled."""
    rng = np.random.default_rng(seed)
    kept = (rng.random((-(-rows // 4), cols)) < 0.15).repeat(4, axis=0)[:rows]
    weights = rng.integers(1, 128, (rows, cols)) * rng.choice([-1, 1], (rows, cols))
    return (weights * kept[rng.permutation(rows)]).astype(np.int8)


def random_layer(weights: np.ndarray, seed: int, *, last: bool = False) -> FullyConnectedLayer:
    """A layer with scales per row and biases, whose outputs spread over int8."""
    rng = np.random.default_rng(seed)
    return FullyConnectedLayer(
        weights=weights,
        bias=rng.integers(-3000, 3000, len(weights)).astype(np.int32),
        weight_scales=rng.uniform(0.002, 0.01, len(weights)),
        output_scale=0.4,
        output_zero_point=5 if last else -128,
        activation="NONE" if last else "RELU",
    )


def chain(*weights: np.ndarray, batch: int = 1) -> bytes:
    layers = [random_layer(w, seed=i, last=w is weights[-1]) for i, w in enumerate(weights)]
    return fully_connected_chain(
        layers,
        input_shape=(batch, weights[0].shape[1]),
        input_scale=0.1,
        input_zero_point=-3,
    )


def two_layers() -> bytes:
    return chain(clustered_weights(40, COLS, 0), clustered_weights(12, 40, 1))


def grouped(data: bytes, *, target: str = TARGET) -> bytes:
    """`data` after the pass alone."""
    model = editor.read(data)
    for subgraph in model.subgraphs:
        assert group_rows.run(subgraph, Conversion(target)) == []
    model.prune_unused()
    return model.build()


def constants(data: bytes) -> list[Tensor]:
    operators = editor.read(data).subgraphs[0].operators
    return [t for op in operators for t in op.inputs[1:] if t is not None]


def assert_same_outputs(ours: bytes, theirs: bytes, count: int = 30) -> None:
    shape = editor.read(theirs).subgraphs[0].inputs[0].shape
    rng = np.random.default_rng(7)
    inputs = rng.integers(-128, 128, (count * shape[0], *shape[1:])).astype(np.int8)
    expected = run(theirs, inputs)
    assert len(np.unique(expected[0])) > 5
    for one, other in zip(run(ours, inputs), expected, strict=True):
        np.testing.assert_array_equal(one, other)


def test_outputs_are_the_same_bit_for_bit_in_tflm() -> None:
    dense = two_layers()
    ordered = grouped(dense)
    assert_same_outputs(ordered, dense)
    plain, _ = sparse_fully_connected.run(editor.read(dense).subgraphs[0], Conversion(TARGET))
    result = rewrite(dense, target=TARGET)
    packed, _ = result.layers
    assert packed.pattern in ("2x4", "4x1", "4x4")
    assert packed.sparse_instructions < 0.9 * plain.sparse_instructions
    assert packed.packed_bytes < plain.packed_bytes
    assert_same_outputs(result.tflite, dense)


@settings(max_examples=25, deadline=None)
@given(
    rows=st.integers(1, 40),
    units=st.integers(1, 12),
    zeros=st.sampled_from([0.5, 0.9, 0.97]),
    batch=st.integers(1, 3),
    per_row=st.booleans(),
    bias=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_any_pair_of_layers_computes_the_same(
    rows: int, units: int, zeros: float, batch: int, per_row: bool, bias: bool, seed: int
) -> None:
    rng = np.random.default_rng(seed)

    def layer(rows: int, cols: int) -> FullyConnectedLayer:
        weights = rng.integers(-127, 128, (rows, cols)).astype(np.int8)
        weights[rng.random((rows, cols)) < zeros] = 0
        return FullyConnectedLayer(
            weights,
            rng.integers(-3000, 3000, rows).astype(np.int32) if bias else None,
            rng.uniform(0.005, 0.02, rows if per_row else 1),
            output_scale=0.3,
            output_zero_point=int(rng.integers(-128, 128)),
        )

    dense = fully_connected_chain(
        [layer(rows, 50), layer(units, rows)],
        input_shape=(batch, 50),
        input_scale=0.1,
        input_zero_point=4,
    )
    ordered = grouped(dense)
    inputs = rng.integers(-128, 128, (5 * batch, 50)).astype(np.int8)
    (expected,) = run(dense, inputs)
    np.testing.assert_array_equal(run(ordered, inputs)[0], expected)
    np.testing.assert_array_equal(run(rewrite(ordered, target=TARGET).tflite, inputs)[0], expected)


def test_all_that_belongs_to_a_row_moves_with_it() -> None:
    parsed = editor.read(two_layers())
    weights, bias = parsed.subgraphs[0].operators[0].inputs[1:]
    weights.quantization.raw.min = np.arange(40, dtype=np.float32)
    weights.quantization.raw.max = np.array([9.0], np.float32)
    bias.quantization.zero_points = np.zeros(40)
    dense = parsed.build()
    old_weights, old_bias, *old_rest = constants(dense)
    new_weights, new_bias, *new_rest = constants(grouped(dense))
    order = new_weights.quantization.raw.min.astype(int)
    assert sorted(order) == list(range(40))
    assert order.tolist() != list(range(40))
    np.testing.assert_array_equal(new_weights.array, old_weights.array[order])
    np.testing.assert_array_equal(new_bias.array, old_bias.array[order])
    for new, old in ((new_weights, old_weights), (new_bias, old_bias)):
        assert new.name == old.name
        np.testing.assert_array_equal(new.quantization.scales, old.quantization.scales[order])
    assert new_weights.quantization.raw.max.tolist() == [9.0]
    np.testing.assert_array_equal(new_rest[0].array, old_rest[0].array[:, order])
    np.testing.assert_array_equal(new_rest[1].array, old_rest[1].array)
    np.testing.assert_array_equal(new_rest[0].quantization.scales, old_rest[0].quantization.scales)


def test_both_hidden_activations_of_three_layers() -> None:
    shapes = [(40, COLS), (32, 40), (10, 32)]
    dense = chain(*(clustered_weights(*shape, seed) for seed, shape in enumerate(shapes)), batch=2)
    ordered = grouped(dense)
    for i in (0, 2):
        blocks = [count_blocks(constants(data)[i].array, (4, 1)) for data in (ordered, dense)]
        assert blocks[0] < 0.8 * blocks[1]
    assert_same_outputs(ordered, dense)
    assert_same_outputs(rewrite(ordered, target=TARGET).tflite, dense)


def test_others_that_share_the_weights_keep_theirs() -> None:
    parsed = editor.read(two_layers())
    subgraph = parsed.subgraphs[0]
    first = subgraph.operators[0]
    output = Tensor("twin", first.outputs[0].shape, first.outputs[0].type)
    output.quantization = first.outputs[0].quantization
    subgraph.operators.append(
        Operator(
            first.builtin_code,
            first.inputs,
            [output],
            version=first.version,
            options=first.options,
        )
    )
    subgraph.outputs.append(output)
    dense = parsed.build()
    ordered = grouped(dense)
    assert not np.array_equal(constants(ordered)[0].array, constants(dense)[0].array)
    assert_same_outputs(ordered, dense)


def hidden_is_an_output(parsed: Model) -> None:
    main = parsed.subgraphs[0]
    main.outputs.append(main.operators[0].outputs[0])


def hidden_is_read_twice(parsed: Model) -> None:
    main = parsed.subgraphs[0]
    second = main.operators[1]
    output = Tensor("again", second.outputs[0].shape, second.outputs[0].type)
    output.quantization = second.outputs[0].quantization
    main.operators.append(
        Operator(
            second.builtin_code,
            second.inputs,
            [output],
            version=second.version,
            options=second.options,
        )
    )
    main.outputs.append(output)


def a_reshape_lies_between(parsed: Model) -> None:
    main = parsed.subgraphs[0]
    hidden = main.operators[0].outputs[0]
    shaped = Tensor("shaped", hidden.shape, hidden.type, quantization=hidden.quantization)
    shape = Tensor.constant("shape", np.array([1, 40], np.int32))
    reshape = Operator(BuiltinOperator.RESHAPE, [hidden, shape], [shaped])
    reshape.options = schema.ReshapeOptionsT()
    main.operators.insert(1, reshape)
    main.operators[2].inputs[0] = shaped


def hidden_has_many_scales(parsed: Model) -> None:
    hidden = parsed.subgraphs[0].operators[0].outputs[0]
    hidden.quantization = Quantization([0.4] * 40, -128, axis=1)


def hidden_is_variable(parsed: Model) -> None:
    parsed.subgraphs[0].operators[0].outputs[0].raw.isVariable = True


def the_reader_is_no_layer_we_know(parsed: Model) -> None:
    parsed.subgraphs[0].operators[1].options.weightsFormat = 1


@pytest.mark.parametrize(
    "change",
    [
        hidden_is_an_output,
        hidden_is_read_twice,
        a_reshape_lies_between,
        hidden_has_many_scales,
        hidden_is_variable,
        the_reader_is_no_layer_we_know,
    ],
)
def test_layers_that_cannot_be_ordered_stay(change: Callable[[Model], None]) -> None:
    parsed = editor.read(two_layers())
    change(parsed)
    dense = parsed.build()
    assert grouped(dense) == grouped(dense, target="cortex-m4") == dense


@pytest.mark.parametrize("target", [TARGET, "cortex-m0", "cortex-m4", "cortex-m55"])
def test_models_that_would_not_gain_stay(target: str) -> None:
    rng = np.random.default_rng(3)
    full = rng.integers(1, 128, (40, COLS)).astype(np.int8)
    aligned = np.kron(np.eye(10, 24, dtype=np.int8), full[:4, :4])
    last = rng.integers(1, 128, (5, 40)).astype(np.int8)
    for weights in (full, aligned, np.zeros_like(full)):
        dense = chain(weights, last)
        assert grouped(dense, target=target) == dense


def test_what_the_reader_loses_counts() -> None:
    # Two rows with the same zeros belong in one group, twice: each saves 8 blocks. A full reader
    # does not mind; one made of 64 whole blocks would see more of them torn apart. (On the
    # Cortex-M4, where blocks of several rows win by so much that two rows of four pay.)
    first = np.zeros((64, 256), np.int8)
    first[[0, 6, 16, 22]] = np.tile(np.repeat([5, 0, 0, 0, 0, 0, 0, 0], 4), 8)
    blocks = np.kron(np.eye(16, dtype=np.int8), np.full((16, 4), 3, np.int8))
    minds, does_not = chain(first, blocks), chain(first, np.full_like(blocks, 3))
    assert grouped(does_not, target="cortex-m4") != does_not
    assert grouped(minds, target="cortex-m4") == minds


def test_float_layers_stay() -> None:
    weights = (clustered_weights(40, COLS, 0)).astype(np.float32)
    dense = float_fully_connected_model(weights, None, input_shape=(1, COLS))
    assert grouped(dense) == dense


def test_unknown_version_is_refused() -> None:
    parsed = editor.read(two_layers())
    parsed.subgraphs[0].operators[1].version = 99
    with pytest.raises(ModelError, match=r"FULLY_CONNECTED version 99, accepted: 1\.\.14"):
        grouped(parsed.build())
