"""A compressed model as Keras layers: the same function, the same forms when converted again."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import pytest

import tflm_sparsesep as ts
from tests.support.models.keras_models import array
from tests.support.tensors import values_of
from tflm_sparsesep.compression.compressed_layers import compressed_layers
from tflm_sparsesep.compression.factorization import DENSE, DEPTHWISE_SEPARATED, Factorization
from tflm_sparsesep.compression.layer_compressor import LayerCompressor
from tflm_sparsesep.compression.segments import real_outputs
from tflm_sparsesep.compression.to_keras import to_keras
from tflm_sparsesep.converters.tflite import editor
from tflm_sparsesep.converters.tflite.editor import BuiltinOperator
from tflm_sparsesep.quantize import quantize
from tflm_sparsesep.runtime.samples import split_inputs

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("tensorflow")]

Array = npt.NDArray[Any]
RNG = np.random.default_rng(0)
IMAGES = RNG.normal(size=(300, 12, 12, 3)).astype(np.float32)
SIGNALS = RNG.normal(size=(300, 40, 6)).astype(np.float32)
LOW_RANK = Factorization("low_rank", rank=6)
DICTIONARY = Factorization("dictionary", rank=8, size=200)


def sparse(size: int, block: tuple[int, int] = (1, 1)) -> Factorization:
    return Factorization("sparse", block, size)


def separated(rank: int) -> Factorization:
    return Factorization("separated", rank=rank)


def image_model() -> Any:
    """Functional, with a branch, a normalisation behind a convolution without bias, and strides."""
    keras.utils.set_random_seed(1)
    layers = keras.layers
    inputs = keras.Input((12, 12, 3), name="image")
    x = layers.Conv2D(8, 3, use_bias=False, name="conv")(inputs)
    x = layers.BatchNormalization(
        gamma_initializer=keras.initializers.RandomUniform(0.3, 3, seed=0),
        beta_initializer=keras.initializers.RandomUniform(-1, 1, seed=1),
        moving_variance_initializer=keras.initializers.RandomUniform(0.5, 2, seed=2),
        name="norm",
    )(x)
    x = layers.ReLU()(x)
    x = layers.Conv2D(12, 3, 2, padding="same", activation="relu", name="strided")(x)
    x = layers.Conv2D(16, 1, activation="relu", name="pointwise")(x)
    x = layers.Flatten()(x)
    x = layers.Dense(24, "relu", name="wide")(x)
    x = layers.Add()([x, layers.Dense(24, name="branch")(x)])
    return keras.Model(inputs, layers.Dense(4, "softmax", name="head")(x))


def signal_model() -> Any:
    """Sequential, with Conv1D, one model nested in another."""
    keras.utils.set_random_seed(1)
    layers = keras.layers
    body = [layers.Conv1D(12, 5, activation="relu", name="taps"), layers.MaxPooling1D()]
    head = [layers.Flatten(), layers.Dense(24, "relu", name="wide"), layers.Dense(4, name="head")]
    return keras.Sequential(
        [keras.Input((40, 6)), keras.Sequential(body, name="body"), *head], name="signal"
    )


TUCKER = Factorization("tucker", rank=4, outer=6)


def depthwise_model(stride: int = 1) -> Any:
    """With a normalisation behind a depthwise convolution without bias."""
    keras.utils.set_random_seed(1)
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((12, 12, 3)),
            layers.DepthwiseConv2D(7, stride, padding="same", use_bias=False, name="each"),
            layers.BatchNormalization(
                gamma_initializer=keras.initializers.RandomUniform(0.3, 3, seed=0),
                beta_initializer=keras.initializers.RandomUniform(-1, 1, seed=1),
            ),
            layers.ReLU(),
            layers.Conv2D(16, 1, activation="relu", name="pointwise"),
            layers.DepthwiseConv2D(7, padding="same", activation="relu", name="second"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(4, name="head"),
        ]
    )


IMAGE_FORMS = [separated(4), separated(5), sparse(60), LOW_RANK, sparse(96, (1, 4)), DENSE]
TUCKER_FORMS = [LOW_RANK, TUCKER, sparse(60), DENSE, sparse(96), DENSE]
DEPTHWISE_FORMS = [DEPTHWISE_SEPARATED, DENSE, DEPTHWISE_SEPARATED, sparse(400)]
SIGNAL_FORMS = [separated(5), DICTIONARY, sparse(40)]
CASES: dict[str, tuple[Callable[[], Any], Array, list[Factorization]]] = {
    "separated": (image_model, IMAGES, IMAGE_FORMS),
    "tucker": (image_model, IMAGES, TUCKER_FORMS),
    "depthwise": (depthwise_model, IMAGES, DEPTHWISE_FORMS),
    "signal": (signal_model, SIGNALS, SIGNAL_FORMS),
}


def compressed(model: Any, samples: Array, forms: Sequence[Factorization]) -> tuple[bytes, bytes]:
    """The int8 model, and the same with its layers in these forms."""
    source = quantize(model, samples)
    inputs = split_inputs(samples, editor.read(source).subgraphs[0].inputs)
    compressor = LayerCompressor(source, inputs, target="cortex-m4", name="model")
    assert len(compressor.layers) == len(forms)
    return source, compressor.build(forms).tflite


def outputs_of(tflite: bytes, samples: Array) -> Array:
    """In LiteRT, as real numbers."""
    (found,) = real_outputs(tflite, split_inputs(samples, editor.read(tflite).subgraphs[0].inputs))
    return found.reshape(len(samples), -1)


@functools.cache
def compressed_case(name: str) -> tuple[bytes, bytes]:
    """What `compressed` gives for a case: models are built from the same random numbers."""
    build, samples, forms = CASES[name]
    return compressed(build(), samples, forms)


@pytest.mark.parametrize("name", CASES)
def test_the_keras_model_computes_what_the_compressed_file_does(name: str) -> None:
    build, samples, _ = CASES[name]
    model = build()
    before = model.predict(samples, verbose=0)
    source, file = compressed_case(name)
    small = to_keras(model, compressed_layers(source, file))
    wanted = outputs_of(file, samples)
    found = small.predict(samples, verbose=0)
    # The file rounds activations, the Keras model does not: of the original, which is int8 with
    # float weights alike, the same is allowed, twice for layers in two.
    rounding = np.abs(outputs_of(source, samples) - before).max()
    assert np.abs(found - wanted).max() <= 3 * rounding
    # And compression changed much more than that, so that it is no accident.
    assert np.abs(found - before).mean() > 3 * np.abs(found - wanted).mean()
    np.testing.assert_array_equal(model.predict(samples, verbose=0), before)  # as it was


@pytest.mark.parametrize("name", CASES)
def test_it_converts_to_the_same_operators_and_supports(name: str) -> None:
    build, samples, _ = CASES[name]
    model = build()
    source, file = compressed_case(name)
    small = to_keras(model, compressed_layers(source, file))
    for wanted, found in zip(_layers(file), _layers(quantize(small, samples)), strict=True):
        assert wanted[0] == found[0]
        np.testing.assert_array_equal(wanted[1] != 0, found[1] != 0)
        # Weights came from int8 and go back to the same scales but for a normalisation that is
        # taken out and folded in again, in float32.
        assert np.abs(wanted[1].astype(int) - found[1].astype(int)).max() <= 1


def _layers(tflite: bytes) -> list[tuple[int, Array]]:
    """Operator and int8 weights of each layer."""
    codes = (
        BuiltinOperator.FULLY_CONNECTED,
        BuiltinOperator.CONV_2D,
        BuiltinOperator.DEPTHWISE_CONV_2D,
    )
    ops = editor.read(tflite).subgraphs[0].operators
    return [(op.builtin_code, values_of(op.weights)) for op in ops if op.builtin_code in codes]


def test_layers_that_were_not_compressed_keep_their_float_weights() -> None:
    model = signal_model()
    source, file = compressed(model, SIGNALS, [DENSE, DENSE, sparse(40)])
    small = to_keras(model, compressed_layers(source, file))
    for name in ("body", "wide"):
        old, new = model.get_layer(name), small.get_layer(name)
        for before, after in zip(old.get_weights(), new.get_weights(), strict=True):
            np.testing.assert_array_equal(before, after)
    assert np.count_nonzero(array(small.get_layer("head").kernel)) <= 40


def test_it_trains_saves_and_loads(tmp_path: Any) -> None:
    model = signal_model()
    source, file = compressed(model, SIGNALS, SIGNAL_FORMS)
    small = to_keras(model, compressed_layers(source, file))
    small.compile("adam", "mse")
    y = RNG.normal(size=(300, 4))
    small.fit(SIGNALS, y, epochs=1, verbose=0, callbacks=[ts.KeepZeros()])
    small.save(tmp_path / "small.keras")
    again = keras.models.load_model(tmp_path / "small.keras")
    np.testing.assert_array_equal(
        again.predict(SIGNALS, verbose=0), small.predict(SIGNALS, verbose=0)
    )


def test_depthwise_strides_that_keras_has_not_are_refused() -> None:
    model = depthwise_model(stride=2)
    forms = [DEPTHWISE_SEPARATED, DENSE, DENSE, DENSE]
    with pytest.raises(ts.ModelError, match="'each' became two depthwise convolutions"):
        to_keras(model, compressed_layers(*compressed(model, IMAGES, forms)))


def test_another_model_is_refused() -> None:
    model = signal_model()
    layers = compressed_layers(*compressed(model, SIGNALS, SIGNAL_FORMS))
    other = keras.models.clone_model(model)  # with other random weights
    with pytest.raises(ts.ModelError, match="has the weights of no layer of the Keras model"):
        to_keras(other, layers)


def test_what_is_no_functional_model_is_refused() -> None:
    class Subclassed(keras.Model):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.dense = keras.layers.Dense(4)

        def call(self, x: Any) -> Any:
            return self.dense(x)

    with pytest.raises(ts.ConfigError, match="accepted: a Sequential or functional"):
        to_keras("model.keras", [])
    model = Subclassed()
    model(np.zeros((1, 3), np.float32))
    with pytest.raises(ts.ConfigError, match="cannot be copied"):
        to_keras(model, [])


def test_a_layer_that_is_used_twice_stays() -> None:
    keras.utils.set_random_seed(0)
    shared = keras.layers.Dense(32, "relu", name="shared")
    inputs = keras.Input((32,))
    model = keras.Model(inputs, keras.layers.Dense(4)(shared(shared(inputs))))
    x = RNG.normal(size=(200, 32)).astype(np.float32)
    layers = compressed_layers(*compressed(model, x, [sparse(60)]))
    small = to_keras(model, layers)
    kept, last = small.get_layer("shared").kernel, small.layers[-1].kernel
    np.testing.assert_array_equal(kept, model.get_layer("shared").kernel)
    assert np.count_nonzero(last) == 60
    with pytest.raises(ts.ModelError, match="is used more than once"):
        to_keras(model, [*layers, *layers])


def test_a_layer_within_another_cannot_become_two() -> None:
    class Around(keras.layers.Layer):  # type: ignore[misc]
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            self.inner = keras.layers.Dense(32, "relu", name="inner")

        def call(self, x: Any) -> Any:
            return self.inner(x)

    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((32,)), Around()])
    x = RNG.normal(size=(200, 32)).astype(np.float32)
    layers = compressed_layers(*compressed(model, x, [LOW_RANK]))
    with pytest.raises(ts.ModelError, match="inside other layers cannot be replaced: 'inner'"):
        to_keras(model, layers)
