"""What users have becomes int8: equal in quality to TensorFlow's converter, and TFLM runs it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tflm_sparsesep as ts
from tests.support.models.dense_models import float_fully_connected_model
from tests.support.models.shared_models import SHARED_MODELS, needs_shared_models
from tflm_sparsesep.converters.tflite import editor
from tflm_sparsesep.converters.tflite.editor import BuiltinOperator, Operator, Tensor, TensorType
from tflm_sparsesep.model_input import int8_input
from tflm_sparsesep.runtime.output_quality import plain_sqnr_db

AD01 = SHARED_MODELS / "ad01_fp32.tflite"
needs_tensorflow = pytest.mark.xdist_group("tensorflow")

# The constants of the quantizer's own file are unaligned where their sizes are; a model of rows
# that fill no 16 bytes shows whether they were aligned again.
SMALL = (13, 20)


def noise(shape: tuple[int, ...], seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def small_model() -> bytes:
    return float_fully_connected_model(
        noise(SMALL, 1), noise(SMALL[:1], 2), input_shape=(1, SMALL[1]), activation="RELU"
    )


def quality(original: bytes, quantized: bytes, x: np.ndarray, runtime: str) -> float:
    """Plain SQNR in dB of an int8 model against float32 in LiteRT: bounds follow from powers."""
    (wanted,) = ts.run(original, x, runtime="litert")
    (found,) = ts.run(quantized, x, runtime=runtime, dequantize=True)
    return plain_sqnr_db([wanted.astype(float)], [found.astype(float)])


def types(tflite: bytes) -> set[int]:
    tensors = editor.read(tflite).subgraphs[0].tensors
    return {tensor.type for tensor in tensors}


@pytest.mark.parametrize("runtime", ["litert", "tflm"])
def test_a_small_float_model(runtime: str) -> None:
    x = noise((300, SMALL[1]), 3)
    found = int8_input(small_model(), x)
    assert types(found.tflite) == {TensorType.INT8, TensorType.INT32}
    # 255 steps d span the inputs' 7.4 standard deviations, so rounding has a power of d^2 / 12:
    # 41.5 dB below theirs. So have weights (their largest at 2 deviations, 127 steps): 46.8 dB, and
    # outputs (3.6 deviations, of which a RELU clears half): 47.6 dB. Together 39.6 dB; a row of 20
    # weights may have its largest at 2.5, which costs 2 dB of the 46.8 and 0.5 of the whole.
    assert quality(small_model(), found.tflite, x, runtime) > 39.1


@needs_shared_models
@pytest.mark.parametrize("runtime", ["litert", "tflm"])
def test_a_float_model_of_others(runtime: str) -> None:
    """MLPerf Tiny's anomaly detector, whose file has no signature."""
    data = AD01.read_bytes()
    found = int8_input(AD01, noise((300, 640), 0))
    assert found.name == str(AD01)
    assert types(found.tflite) == {TensorType.INT8, TensorType.INT32}
    assert len(found.tflite) < 0.31 * len(data)
    # TensorFlow's converter reaches 28.2 dB with the same layers in Keras and these samples.
    assert quality(data, found.tflite, noise((100, 640), 1), runtime) > 27.7
    assert [layer.op for layer in ts.convert(found.tflite).layers] == ["FULLY_CONNECTED"] * 10


@needs_shared_models
def test_it_needs_no_tensorflow_and_gives_the_same_bytes_again(tmp_path: Path) -> None:
    code = """
import sys, numpy as np
from pathlib import Path
from tflm_sparsesep.model_input import int8_input
x = np.random.default_rng(0).normal(size=(40, 640)).astype(np.float32)
Path(sys.argv[2]).write_bytes(int8_input(sys.argv[1], x).tflite)
assert "tensorflow" not in sys.modules and "keras" not in sys.modules
"""
    for name in ("a", "b"):
        done = subprocess.run(
            [sys.executable, "-c", code, AD01, tmp_path / name],
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout + done.stderr == ""
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@needs_shared_models
def test_int8_models_stay_as_they_are() -> None:
    data = (SHARED_MODELS / "ad01_int8.tflite").read_bytes()
    x = noise((10, 640), 0)
    found = int8_input(data, x)
    assert found.tflite == data
    assert found.name == "model"
    assert len(found.samples) == 1
    np.testing.assert_array_equal(found.samples[0], x)


def test_an_operator_that_cannot_be_int8_is_named() -> None:
    model = editor.read(small_model())
    main = model.subgraphs[0]
    (hidden,) = main.outputs
    floor = Operator(BuiltinOperator.FLOOR, [hidden], [Tensor("rounded", hidden.shape)])
    main.operators.append(floor)
    main.outputs = floor.outputs
    with pytest.raises(ts.ModelError, match=r"net: layer '.*': FLOOR cannot be quantized"):
        int8_input(editor.write(model), noise((20, SMALL[1]), 0), name="net")


def test_inputs_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ts.ConfigError, match=r"shape \[8, 21\] given, accepted: \[n, 20\]"):
        int8_input(small_model(), noise((8, 21), 0))
    with pytest.raises(ts.ConfigError, match="model is of type int"):
        int8_input(5, noise((8, 20), 0))
    with pytest.raises(ts.ModelError, match="cannot be read"):
        int8_input(tmp_path / "none.tflite", noise((8, 20), 0))
    (tmp_path / "bad.keras").write_bytes(b"no model")
    with pytest.raises(ts.ModelError, match=r"bad.keras: cannot be read as a Keras model"):
        int8_input(tmp_path / "bad.keras", noise((8, 20), 0))


def network() -> Any:
    """A Keras model with most operators that microcontrollers run."""
    import keras

    keras.utils.set_random_seed(0)
    layers, uniform = keras.layers, {"bias_initializer": "uniform"}
    entering = keras.Input((16, 16, 3))
    x = layers.ZeroPadding2D(1)(entering)
    x = layers.Conv2D(8, 3, strides=2, activation="relu", **uniform)(x)
    x = layers.ReLU(6.0)(layers.DepthwiseConv2D(3, padding="same", **uniform)(x))
    x = layers.Add()([x, layers.Conv2D(8, 1, **uniform)(x)])
    x = layers.MaxPooling2D(2)(layers.Activation("sigmoid")(x))
    x = layers.Concatenate()([x, layers.Conv2D(8, (3, 1), padding="same", **uniform)(x)])
    x = layers.AveragePooling2D(2)(layers.Activation("relu")(x))
    x = layers.Dense(20, activation="tanh", **uniform)(layers.Flatten()(x))
    return keras.Model(entering, layers.Dense(10, activation="softmax", **uniform)(x))


@pytest.mark.slow
@needs_tensorflow
def test_a_convolutional_network_is_as_good_as_tensorflow_makes_it(tmp_path: Path) -> None:
    from tflm_sparsesep.quantize import quantize

    model, x = network(), noise((200, 16, 16, 3), 0)
    original = quantize(model, x, dtype="float32")
    ours, theirs = int8_input(original, x).tflite, int8_input(model, x).tflite
    assert types(ours) == types(theirs) == {TensorType.INT8, TensorType.INT32}
    fresh = noise((100, 16, 16, 3), 1)
    for runtime in ("litert", "tflm"):
        wanted = quality(original, theirs, fresh, runtime)
        # Ranges are the same; what differs is the order of a requantization and a pool.
        assert quality(original, ours, fresh, runtime) == pytest.approx(wanted, abs=0.5)
    before, after = (editor.read(tflite).signatures[0] for tflite in (original, ours))
    assert after.key == before.key
    assert [alias for alias, _ in after.inputs] == [alias for alias, _ in before.inputs]
    model.save(tmp_path / "model.keras")
    loaded = int8_input(tmp_path / "model.keras", x).tflite
    for one, other in zip(*(ts.run(t, fresh) for t in (loaded, theirs)), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.slow
@needs_tensorflow
def test_samples_for_several_inputs_follow_the_files_order() -> None:
    import keras

    inputs = [keras.Input((n,), name=name) for n, name in ((3, "z"), (5, "a"), (4, "m"))]
    parts = [keras.layers.Dense(6, bias_initializer="uniform")(one) for one in inputs]
    model = keras.Model(inputs, keras.layers.Add()(parts))
    arrays = [noise((20, n), n) for n in (3, 5, 4)]
    for dataset in (arrays, lambda: (list(sample) for sample in zip(*arrays, strict=True))):
        found = int8_input(model, dataset)
        widths = [t.shape[1] for t in editor.read(found.tflite).subgraphs[0].inputs]
        assert [array.shape for array in found.samples] == [(20, n) for n in widths]
    (outputs,) = ts.run(found.tflite, found.samples, runtime="tflm", dequantize=True)
    wanted = model.predict(arrays, verbose=0)
    assert plain_sqnr_db([wanted.astype(float)], [outputs.astype(float)]) > 30


@pytest.mark.slow
@needs_tensorflow
def test_every_verb_takes_a_keras_model_or_its_file(tmp_path: Path) -> None:
    import keras

    keras.utils.set_random_seed(0)
    dense = keras.layers.Dense(12, bias_initializer="uniform")
    model = keras.Sequential([keras.Input((SMALL[1],)), dense])
    path, x = tmp_path / "model.keras", noise((30, SMALL[1]), 0)
    model.save(path)
    (wanted,) = ts.run(model, x)
    np.testing.assert_allclose(wanted, model.predict(x, verbose=0), rtol=1e-5, atol=1e-6)
    for given in (path, str(path)):
        np.testing.assert_array_equal(ts.run(given, x)[0], wanted)
        assert ts.inspect(given) == ts.inspect(model)
        assert ts.benchmark(given) == []
        assert ts.variants(given) == []
        assert ts.plan(given) == ts.plan(model)
        # TensorFlow's bytes differ from one conversion to the next.
        converted = ts.convert(given, representative_dataset=x)
        same = ts.convert(model, representative_dataset={model.inputs[0].name: x})
        assert converted.layers == same.layers
        (int8,) = ts.run(converted.tflite, x)
        np.testing.assert_array_equal(ts.run(same.tflite, x)[0], int8)
    (layer,) = ts.inspect(model)
    assert layer.op == "FULLY_CONNECTED"
    with pytest.raises(ts.ConfigError, match="model is of type Dense, expected: a Keras model"):
        ts.inspect(dense)
    with pytest.raises(ts.ConfigError, match="representative_dataset is missing"):
        ts.convert(path)
    np.save(tmp_path / "x.npy", x)
    command: list[str | Path] = [sys.executable, "-m", "tflm_sparsesep", "convert", path]
    options: list[str | Path] = ["-o", tmp_path / "out.tflite", "--data", tmp_path / "x.npy"]
    done = subprocess.run([*command, *options], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    np.testing.assert_array_equal(ts.run(tmp_path / "out.tflite", x)[0], int8)
