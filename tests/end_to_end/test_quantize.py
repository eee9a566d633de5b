"""Keras to .tflite: the fixed batch, exact zeros, every form of dataset, clear refusals."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import pytest
from ai_edge_litert import interpreter as litert

import tflm_sparsesep as ts
from tests.support.tensors import values_of
from tflm_sparsesep.converters.errors import ConfigError, ModelError
from tflm_sparsesep.converters.tflite import editor
from tflm_sparsesep.converters.tflite.editor import BuiltinOperator
from tflm_sparsesep.quantize import quantize

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("tensorflow")]

RNG = np.random.default_rng(0)
IMAGES = RNG.random((40, 28, 28)).astype(np.float32)


def lenet(input_layer: Any = None) -> Any:
    """LeNet-300-100 with 90% zeros."""
    keras.utils.set_random_seed(0)
    layers = keras.layers
    model = keras.Sequential(
        [
            input_layer or keras.Input((28, 28)),
            layers.Flatten(),
            layers.Dense(300, "relu", bias_initializer="uniform"),
            layers.Dense(100, "relu", bias_initializer="uniform"),
            layers.Dense(10, "softmax", bias_initializer="uniform"),
        ],
        name="lenet",
    )
    for layer in model.layers[1:]:
        kernel, bias = layer.get_weights()
        layer.set_weights([kernel * (RNG.random(kernel.shape) < 0.1), bias])
    return model


def operators(tflite: bytes) -> list[int]:
    (subgraph,) = editor.read(tflite).subgraphs
    return [op.builtin_code for op in subgraph.operators]


def run(tflite: bytes, inputs: dict[str, npt.NDArray[Any]]) -> list[npt.NDArray[Any]]:
    """Outputs of one inference, by the reference kernels; inputs and outputs as real numbers."""
    interpreter = litert.Interpreter(
        model_content=tflite,
        experimental_op_resolver_type=litert.OpResolverType.BUILTIN_REF,
    )
    interpreter.allocate_tensors()
    for detail in interpreter.get_input_details():
        value = next(v for name, v in inputs.items() if name in detail["name"])
        if detail["dtype"] == np.int8:
            scale, zero_point = detail["quantization"]
            value = np.clip(np.round(value / scale) + zero_point, -128, 127).astype(np.int8)
        interpreter.set_tensor(detail["index"], value)
    interpreter.invoke()
    outputs = []
    for detail in interpreter.get_output_details():
        value = interpreter.get_tensor(detail["index"])
        scale, zero_point = detail["quantization"]
        is_int8 = detail["dtype"] == np.int8
        outputs.append((value.astype(np.float32) - zero_point) * scale if is_int8 else value)
    return outputs


def test_lenet_is_int8_with_a_fixed_batch_and_its_zeros() -> None:
    model = lenet()
    tflite = quantize(model, IMAGES)
    assert operators(tflite) == [
        BuiltinOperator.RESHAPE,
        BuiltinOperator.FULLY_CONNECTED,
        BuiltinOperator.FULLY_CONNECTED,
        BuiltinOperator.FULLY_CONNECTED,
        BuiltinOperator.SOFTMAX,
    ]
    (subgraph,) = editor.read(tflite).subgraphs
    assert [list(t.shape) for t in subgraph.inputs] == [[1, 28, 28]]
    assert [list(t.shape) for t in subgraph.outputs] == [[1, 10]]
    assert {t.array.dtype for t in subgraph.inputs if t.array is not None} <= {np.dtype(np.int8)}
    fully_connected = [
        op for op in subgraph.operators if op.builtin_code == BuiltinOperator.FULLY_CONNECTED
    ]
    for op, layer in zip(fully_connected, model.layers[1:], strict=True):
        weights, kernel = values_of(op.weights), layer.get_weights()[0].T
        assert weights.dtype == np.int8
        assert np.all(weights[kernel == 0] == 0)
        # Per channel: the largest weight of each row is at the end of the range.
        assert np.all(np.abs(weights.astype(int)).max(axis=1) == 127)
    # The model itself still takes any batch.
    assert model.input_shape == (None, 28, 28)
    # int8 softmax has steps of 1/256; activations of 8 bits add about as much.
    scores = run(tflite, {"": IMAGES[:1]})[0]
    np.testing.assert_allclose(scores, model(IMAGES[:1]), atol=0.03)


def test_float32_equals_keras() -> None:
    model = lenet()
    tflite = quantize(model, dtype="float32")
    assert BuiltinOperator.SHAPE not in operators(tflite)
    scores = run(tflite, {"": IMAGES[:1]})[0]
    np.testing.assert_allclose(scores, model(IMAGES[:1]), atol=1e-6)


def test_dataset_forms_give_the_same_model() -> None:
    model = lenet()
    expected = run(quantize(model, IMAGES), {"": IMAGES[:1]})[0]
    forms: dict[str, Any] = {
        "list": [IMAGES],
        "function of batches of 1": lambda: ([image[np.newaxis]] for image in IMAGES),
        "function of samples": lambda: iter(IMAGES),
        "float64": IMAGES.astype(np.float64),
    }
    for name, form in forms.items():
        found = run(quantize(model, form), {"": IMAGES[:1]})[0]
        np.testing.assert_array_equal(found, expected, err_msg=name)


def test_inputs_of_different_scale_keep_their_own() -> None:
    # Declared in another order than that of their names, which is the converter's.
    keras.utils.set_random_seed(0)
    inputs = [keras.Input((4,), name=name) for name in ("zeta", "alpha", "mid")]
    branches = [keras.layers.Dense(4, kernel_initializer="identity")(i) for i in inputs]
    model = keras.Model(inputs, keras.layers.Concatenate()(branches))
    arrays = [RNG.uniform(-s, s, (50, 4)).astype(np.float32) for s in (100, 1, 10)]
    tflite = quantize(model, arrays)
    sample = dict(zip(("zeta", "alpha", "mid"), (a[:1] for a in arrays), strict=True))
    details = litert.Interpreter(model_content=tflite).get_input_details()
    scales = {d["name"]: d["quantization"][0] for d in details}
    for name, largest in (("zeta", 100), ("alpha", 1), ("mid", 10)):
        (scale,) = [s for n, s in scales.items() if name in n]
        assert scale == pytest.approx(2 * largest / 255, rel=0.05)
    found = run(tflite, sample)[0]
    # One step of the common output scale, which spans -100 to 100 in 255 steps, each way.
    np.testing.assert_allclose(found, np.concatenate(list(sample.values()), axis=1), atol=1.6)


class Subclassed(keras.Model):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.flatten = keras.layers.Flatten()
        self.dense = keras.layers.Dense(5)

    def call(self, x: Any) -> Any:
        return self.dense(self.flatten(x))


@pytest.mark.parametrize("built", [True, False])
def test_subclassed_model(built: bool) -> None:
    keras.utils.set_random_seed(0)
    model = Subclassed()
    if built:
        model(IMAGES[:3])
    tflite = quantize(model, IMAGES)
    assert BuiltinOperator.SHAPE not in operators(tflite)
    expected = np.asarray(model(IMAGES[:1]))
    # Outputs of about +-1.5 in 255 steps.
    np.testing.assert_allclose(run(tflite, {"": IMAGES[:1]})[0], expected, atol=0.05)


def test_open_dimension_takes_the_size_of_the_samples() -> None:
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((None, 3)),
            keras.layers.Conv1D(4, 3),
            keras.layers.GlobalAveragePooling1D(),
        ]
    )
    tflite = quantize(model, RNG.random((20, 16, 3)))
    (subgraph,) = editor.read(tflite).subgraphs
    assert [list(t.shape) for t in subgraph.inputs] == [[1, 16, 3]]
    with pytest.raises(ConfigError, match="does not tell the shape"):
        quantize(model, dtype="float32")


def test_says_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    quantize(lenet(), IMAGES[:5])
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("dataset", "message"),
    [
        (None, "missing"),
        (IMAGES[:0], "empty"),
        (lambda: iter(()), "empty"),
        (np.full((4, 28, 28), np.nan), "NaN"),
        (np.full((4, 28, 28), np.inf), "NaN or infinity"),
        (np.zeros((4, 28)), r"shape \(1, 28\), the model takes \(1, 28, 28\)"),
        (np.zeros((4, 27, 28)), r"\(1, 27, 28\)"),
        (np.float32(3), "empty"),
        ([IMAGES, IMAGES], "2 input array"),
        (np.full((4, 28, 28), "a"), "numbers"),
        (lambda: iter([IMAGES[0], IMAGES[0, :5]]), r"shape \(5, 28\)"),
    ],
    ids=[
        "none",
        "empty",
        "exhausted",
        "nan",
        "inf",
        "rank",
        "size",
        "scalar",
        "two",
        "text",
        "odd",
    ],
)
def test_dataset_refused(dataset: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as error:
        quantize(lenet(), dataset)
    assert "\n" not in str(error.value)


def test_dtype_refused() -> None:
    with pytest.raises(ConfigError, match="dtype='int4'; accepted: int8, float32"):
        quantize(lenet(), IMAGES, dtype="int4")


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "SimpleRNN"])
def test_loops_are_refused_and_unrolled_ones_taken(kind: str) -> None:
    x = np.random.default_rng(0).normal(size=(20, 4, 6)).astype(np.float32)

    def model(**options: bool) -> Any:
        recurrent = getattr(keras.layers, kind)(5, **options)
        return keras.Sequential([keras.Input((4, 6)), recurrent, keras.layers.Dense(3)])

    with pytest.raises(ModelError, match=r"has a loop, .* accepted: LSTM, GRU .* unroll=True"):
        quantize(model(), x)
    assert BuiltinOperator.WHILE not in operators(quantize(model(unroll=True), x))
    assert quantize(model(), dtype="float32")


def test_mixed_precision_becomes_int8() -> None:
    x = np.random.default_rng(0).normal(size=(50, 20)).astype(np.float32)
    keras.utils.set_random_seed(0)
    layers = [
        keras.layers.Dense(16, activation="relu", dtype="mixed_float16"),
        keras.layers.BatchNormalization(dtype="mixed_bfloat16"),
        keras.layers.Dense(4),
    ]
    mixed = keras.Sequential([keras.Input((20,)), *layers])
    policies = [layer.dtype_policy.name for layer in layers]
    plain = keras.models.clone_model(
        mixed, clone_function=lambda x: type(x).from_config({**x.get_config(), "dtype": "float32"})
    )
    plain.set_weights(mixed.get_weights())
    (wanted,), (found,) = (ts.run(quantize(m, x), x, runtime="litert") for m in (plain, mixed))
    np.testing.assert_array_equal(found, wanted)
    assert [layer.dtype_policy.name for layer in layers] == policies


@pytest.mark.parametrize("names", [("my-input.1", "A b"), ("z:0", "input_1"), ("ünter", "1a")])
def test_inputs_of_any_name(names: tuple[str, str]) -> None:
    inputs = [keras.Input((n,), name=name) for n, name in zip((3, 5), names, strict=True)]
    model = keras.Model(inputs, keras.layers.add([keras.layers.Dense(2)(x) for x in inputs]))
    x = [np.full((10, n), value, np.float32) for n, value in ((3, 1.0), (5, 100.0))]
    for given in (x, tuple(x), dict(zip(names, x, strict=True))):
        entering = editor.read(quantize(model, given)).subgraphs[0].inputs
        scales = {t.shape[1]: float(t.quantization.scales[0]) for t in entering if t.quantization}
        assert scales[5] == pytest.approx(100 * scales[3], rel=1e-4)


def test_what_the_converter_cannot_do_is_one_line() -> None:
    inputs = keras.Input((8, 8, 1))
    model = keras.Model(inputs, keras.ops.erfinv(inputs))
    with pytest.raises(ModelError, match="cannot be converted to int8") as error:
        quantize(model, RNG.random((4, 8, 8, 1)))
    assert "\n" not in str(error.value)
