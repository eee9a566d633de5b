"""TensorFlow's sparse tensors and float16 weights are converted like dense weights."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from ai_edge_litert import schema_py_generated as schema

import tflm_sparsesep as ts
from tflm_sparsesep.converters.tflite import dense_constants, editor
from tflm_sparsesep.converters.tflite.editor import (
    BuiltinOperator,
    Model,
    Operator,
    Subgraph,
    Tensor,
    TensorType,
)

SAMPLES = np.random.default_rng(1).normal(size=(40, 8, 8, 16)).astype(np.float32)


def _network(block: int) -> Any:
    """A convolution and two fully-connected layers, whose weights are 85% zeros in blocks."""
    import keras

    keras.utils.set_random_seed(0)
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((8, 8, 16), batch_size=1),
            layers.Conv2D(16, 3, strides=2, activation="relu"),
            layers.Flatten(),
            layers.Dense(64, activation="relu"),
            layers.Dense(32),
        ]
    )
    rng = np.random.default_rng(0)
    for layer in (layer for layer in model.layers if layer.get_weights()):
        weights, bias = layer.get_weights()
        rows = weights.reshape(-1, weights.shape[-1]).T
        kept = rng.random((len(rows), rows.shape[1] // block)) < 0.15
        rows = rng.normal(size=rows.shape) * np.repeat(kept, block, axis=1)
        layer.set_weights([rows.T.reshape(weights.shape), rng.normal(size=bias.shape)])
    return model


def _tflite(model: Any, *, int8: bool = False, float16: bool = False, sparse: bool = True) -> bytes:
    """What TensorFlow's converter makes of the model with its options for small files."""
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    optimize = tf.lite.Optimize
    converter.optimizations = [optimize.DEFAULT] * (int8 or float16)
    converter.optimizations += [optimize.EXPERIMENTAL_SPARSITY] * sparse
    if float16:
        converter.target_spec.supported_types = [tf.float16]
    if int8:
        converter.representative_dataset = lambda: ([sample[None]] for sample in SAMPLES)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8
    return bytes(converter.convert())


FILES: dict[str, tuple[int, dict[str, bool]]] = {
    "float16": (1, {"float16": True, "sparse": False}),
    "sparse float16": (1, {"float16": True}),
    "sparse float32": (4, {}),
    "sparse int8": (1, {"int8": True}),
    "sparse int8 blocks": (16, {"int8": True}),
}


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    """A file of each kind."""
    networks = {block: _network(block) for block in (1, 4, 16)}
    return {name: _tflite(networks[block], **how) for name, (block, how) in FILES.items()}


def _names(data: bytes) -> list[str]:
    return [op.op_name for op in editor.read(data).operators]


def _samples(data: bytes) -> npt.NDArray[Any]:
    entry = editor.read(data).subgraphs[0].inputs[0]
    return (SAMPLES * 40).astype(np.int8) if entry.type == TensorType.INT8 else SAMPLES


def test_tensorflow_writes_what_these_tests_are_about(files: dict[str, bytes]) -> None:
    def direct(name: str) -> list[str]:
        ops = editor.read(files[name]).operators
        return [op.op_name for op in ops if any(t and t.raw.sparsity for t in op.inputs)]

    assert _names(files["float16"]).count("DEQUANTIZE") == 6
    assert {"DENSIFY", "DEQUANTIZE"} <= {*_names(files["sparse float16"])}
    assert direct("sparse int8") == ["DENSIFY"] * 3
    assert "FULLY_CONNECTED" in direct("sparse float32")
    assert "FULLY_CONNECTED" in direct("sparse int8 blocks")


@pytest.mark.parametrize("name", FILES)
def test_every_layer_is_packed_and_computes_the_same(files: dict[str, bytes], name: str) -> None:
    data = files[name]
    result = ts.convert(data, representative_dataset=_samples(data))
    assert all(layer.rewritten for layer in result.layers), [d.reason for d in result.layers]
    assert not {"DENSIFY", "DEQUANTIZE"} & {*_names(result.tflite)}
    # LiteRT's optimized kernels refuse DENSIFY of int8 tensors.
    (want,) = ts.run(data, _samples(data), runtime="litert", reference=True)
    (found,) = ts.run(result.tflite, _samples(data))
    tolerance = 1 if want.dtype == np.int8 else 1e-5 * np.abs(want).max()
    assert np.abs(found.astype(np.float64) - want).max() <= tolerance
    assert result.dense_tflite == data


@pytest.mark.parametrize("name", FILES)
def test_inspect_and_plan_see_the_weights(files: dict[str, bytes], name: str) -> None:
    layers = ts.inspect(files[name])
    assert [layer.op for layer in layers] == ["CONV_2D", "FULLY_CONNECTED", "FULLY_CONNECTED"]
    assert all(layer.zeros is not None and layer.zeros > 0.6 for layer in layers)
    assert all(layer.block is not None for layer in ts.plan(files[name]).layers)


@pytest.mark.parametrize("name", ["sparse float16", "sparse int8"])
def test_layers_that_stay_on_a_phone_keep_their_constants(
    files: dict[str, bytes], name: str
) -> None:
    data = files[name]
    result = ts.convert(data, target="host")
    dense = sum(not layer.rewritten for layer in result.layers)
    assert _names(result.tflite).count("DENSIFY") == dense > 0
    assert len(result.tflite) <= len(data)
    (want,), (found,) = (
        ts.run(model, _samples(data), runtime="litert", reference=True)
        for model in (data, result.tflite)
    )
    np.testing.assert_allclose(found, want, rtol=1e-5, atol=1 if want.dtype == np.int8 else 1e-4)


def test_compress_takes_them(files: dict[str, bytes]) -> None:
    data = files["sparse int8"]
    rng = np.random.default_rng(3)
    samples = rng.integers(-128, 128, (64, 8, 8, 16)).astype(np.int8)
    budget = ts.Budget(min_output_sqnr_db=20)
    result = ts.compress(
        data, budget=budget, representative_dataset=samples, cache_dir=None, workers=1
    )
    assert len(result.tflite) < len(data)
    assert "DENSIFY" not in _names(result.dense_tflite)


def test_tflm_refuses_a_sparse_tensor_that_it_would_misread(files: dict[str, bytes]) -> None:
    data = files["sparse int8 blocks"]
    main = editor.read(data).subgraphs[0]
    direct = [op for op in main.operators if op.op_name == "FULLY_CONNECTED"]
    model = Model([Subgraph("main", inputs=[direct[0].input(0)], outputs=direct[0].outputs)])
    model.subgraphs[0].operators = direct[:1]
    with pytest.raises(ts.DeviceError, match="sparse tensor, TFLM accepts dense ones only"):
        ts.run(editor.write(model), np.zeros((1, *direct[0].input(0).shape), np.int8))


def _index(kind: Any, values: list[int]) -> Any:
    return editor.schema_object(kind, values=np.array(values))


def _compressed(segments: list[int], indices: list[int]) -> Any:
    return editor.schema_object(
        schema.DimensionMetadataT,
        format=schema.DimensionType.SPARSE_CSR,
        arraySegmentsType=schema.SparseIndexVector.Uint8Vector,
        arraySegments=_index(schema.Uint8VectorT, segments),
        arrayIndicesType=schema.SparseIndexVector.Uint16Vector,
        arrayIndices=_index(schema.Uint16VectorT, indices),
    )


def _dense(size: int) -> Any:
    return editor.schema_object(schema.DimensionMetadataT, denseSize=size)


def _sparse_tensor() -> Tensor:
    """A [4, 4] matrix in blocks of 2x2, of which the first and the last are stored."""
    tensor = Tensor.constant("w", np.arange(1, 9, dtype=np.int8), shape=(8,))
    tensor.shape = (4, 4)
    tensor.raw.sparsity = editor.schema_object(
        schema.SparsityParametersT,
        traversalOrder=[0, 1, 2, 3],
        blockMap=[0, 1],
        dimMetadata=[_dense(2), _compressed([0, 1, 2], [0, 1]), _dense(2), _dense(2)],
    )
    return tensor


def _reading(tensor: Tensor) -> tuple[Model, Operator]:
    ends = [Tensor(name, (1, 4), TensorType.INT8) for name in "xy"]
    op = Operator(BuiltinOperator.FULLY_CONNECTED, [ends[0], tensor, None], ends[1:])
    main = Subgraph("main", inputs=ends[:1], outputs=ends[1:], operators=[op])
    return Model([main]), op


def test_blocks_in_traversal_order() -> None:
    model, op = _reading(_sparse_tensor())
    assert dense_constants.make_dense(model)
    np.testing.assert_array_equal(
        op.weights.array, [[1, 2, 0, 0], [3, 4, 0, 0], [0, 0, 5, 6], [0, 0, 7, 8]]
    )
    assert op.weights.name == "w"


def _wrong_segments(sparsity: Any) -> None:
    sparsity.dimMetadata[1].arraySegments.values = np.array([0, 1, 3])


def _wrong_index(sparsity: Any) -> None:
    sparsity.dimMetadata[1].arrayIndices.values = np.array([0, 2])


def _falling_segments(sparsity: Any) -> None:
    sparsity.dimMetadata[1].arraySegments.values = np.array([1, 0, 2])


def _short_segments(sparsity: Any) -> None:
    sparsity.dimMetadata[1].arraySegments.values = np.array([0])


def _no_segments(sparsity: Any) -> None:
    sparsity.dimMetadata[1].arraySegments = None


def _huge_level(sparsity: Any) -> None:
    sparsity.dimMetadata[0] = _dense(2**31 - 1)


def _block_that_does_not_divide(sparsity: Any) -> None:
    sparsity.dimMetadata[2] = _dense(3)


def _order_twice(sparsity: Any) -> None:
    sparsity.traversalOrder = [0, 0, 2, 3]


def _unknown_dimension(sparsity: Any) -> None:
    sparsity.blockMap = [0, 7]


def _too_few_levels(sparsity: Any) -> None:
    sparsity.dimMetadata = sparsity.dimMetadata[:3]


DAMAGE: list[Callable[[Any], None]] = [
    _wrong_segments,
    _wrong_index,
    _falling_segments,
    _short_segments,
    _no_segments,
    _huge_level,
    _block_that_does_not_divide,
    _order_twice,
    _unknown_dimension,
    _too_few_levels,
]


@pytest.mark.parametrize("damage", DAMAGE)
def test_inconsistent_sparsity_stays_as_it_is(damage: Callable[[Any], None]) -> None:
    tensor = _sparse_tensor()
    tensor.raw.sparsity = copy.deepcopy(tensor.raw.sparsity)
    damage(tensor.raw.sparsity)
    model, op = _reading(tensor)
    assert not dense_constants.make_dense(model)
    assert op.weights is tensor


def test_a_small_file_cannot_describe_a_huge_constant() -> None:
    rows = 1 << 14
    tensor = Tensor.constant("w", np.ones(1, np.int8), shape=(1,))
    tensor.shape = (rows, rows)
    tensor.raw.sparsity = editor.schema_object(
        schema.SparsityParametersT,
        traversalOrder=[0, 1],
        dimMetadata=[_compressed([0, 1], [0]), _compressed([0, 1], [0])],
    )
    model, _ = _reading(tensor)
    assert not dense_constants.make_dense(model)
