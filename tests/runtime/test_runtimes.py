"""`run` and `tensor_values` on the real TFLM and LiteRT interpreters."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
import pytest

from tests.support.layers import reference
from tests.support.models.dense_models import (
    float_fully_connected_model,
)
from tests.support.models.small_models import (
    INPUT_SCALE,
    INPUT_ZERO_POINT,
    OUTPUT_SCALE,
    OUTPUT_ZERO_POINT,
    add_model,
    dense_model,
    int8_samples,
)
from tests.support.models.sparse_models import sparse_model
from tflm_sparsesep import runtimes
from tflm_sparsesep.converters.errors import ConfigError, DeviceError, ModelError
from tflm_sparsesep.converters.tflite import editor
from tflm_sparsesep.converters.tflite.editor import (
    BuiltinOperator,
    Model,
    Operator,
    Quantization,
    Subgraph,
    Tensor,
    TensorType,
    schema,
    schema_object,
)
from tflm_sparsesep.device.synthetic_layers import LayerCase, random_case
from tflm_sparsesep.model_input import int8_input
from tflm_sparsesep.runtime import samples
from tflm_sparsesep.runtime.inference import tensor_values
from tflm_sparsesep.runtime.tflm_interpreter import TflmInterpreter

# OpenCL has processes of its own: tests/custom_ops/test_litert_delegate_opencl.py.
RUNTIMES = ("tflm", "litert")


def sparse_case(batch: int = 1) -> LayerCase[Any]:
    return random_case(np.random.default_rng(6), 12, 40, zeros=0.7, batch=batch)


def test_sparse_layer_equals_the_reference() -> None:
    case = sparse_case(batch=7)
    one = LayerCase(case.layer, case.options, case.inputs[:1])
    (outputs,) = runtimes.run(sparse_model(one), case.inputs)
    np.testing.assert_array_equal(outputs, reference(case))


def test_tflm_and_litert_agree_to_a_unit() -> None:
    inputs = int8_samples(50)
    (tflm,) = runtimes.run(dense_model(), inputs)
    (litert,) = runtimes.run(dense_model(), inputs, runtime="litert", reference=True)
    assert tflm.dtype == litert.dtype == np.int8
    assert tflm.shape == litert.shape == (50, 10)
    assert len(np.unique(tflm)) > 50
    # LiteRT's reference kernel requantizes in floating point, TFLM's with two roundings: at
    # most one unit apart, which moves the second layer's outputs by less than another unit.
    assert np.abs(tflm.astype(int) - litert.astype(int)).max() <= 2
    assert np.mean(tflm == litert) > 0.98


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_accepted_shapes(runtime: str) -> None:
    inputs = int8_samples(6)
    expected = np.concatenate([runtimes.run(dense_model(), x[None])[0] for x in inputs])
    one_each = runtimes.run(dense_model(), inputs, runtime="tflm")[0]
    np.testing.assert_array_equal(one_each, expected)
    whole_inferences = runtimes.run(dense_model(), inputs[:, None], runtime=runtime)[0]
    in_threes = runtimes.run(dense_model(batch=3), inputs, runtime=runtime)[0]
    pairs_of_threes = runtimes.run(dense_model(batch=3), inputs.reshape(2, 3, 30), runtime=runtime)[
        0
    ]
    for outputs in (whole_inferences, in_threes, pairs_of_threes):
        assert outputs.shape == (6, 10)
        # One unit a layer, see above.
        tolerance = 0 if runtime == "tflm" else 2
        assert np.abs(outputs.astype(int) - expected).max() <= tolerance


def test_two_inputs_and_two_outputs() -> None:
    a = np.array([[1, 2, 3, 4], [5, 6, 7, 8]], np.int8)
    b = np.array([[10, 20, 30, 40], [-1, -2, -3, -4]], np.int8)
    for runtime in RUNTIMES:
        total, twice = runtimes.run(add_model(), [a, b], runtime=runtime)
        np.testing.assert_array_equal(total, a + b)
        np.testing.assert_array_equal(twice, a + b + a)


def test_floats_are_quantized_and_outputs_dequantized() -> None:
    inputs = int8_samples(8)
    real = (inputs.astype(np.float64) - INPUT_ZERO_POINT) * INPUT_SCALE
    (quantized,) = runtimes.run(dense_model(), inputs)
    (from_floats,) = runtimes.run(dense_model(), real)
    np.testing.assert_array_equal(from_floats, quantized)
    (floats,) = runtimes.run(dense_model(), real, dequantize=True)
    assert floats.dtype == np.float32
    expected = (quantized.astype(np.float64) - OUTPUT_ZERO_POINT) * OUTPUT_SCALE
    np.testing.assert_array_equal(floats, expected)


def test_quantization_is_tflites() -> None:
    """Against the QUANTIZE op of TFLM, halves and saturation included."""
    scale, zero_point = 0.1, -5
    entering = Tensor("x", (1, 64), TensorType.FLOAT32)
    leaving = Tensor("q", (1, 64), TensorType.INT8, quantization=Quantization(scale, zero_point))
    quantize = Operator(BuiltinOperator.QUANTIZE, [entering], [leaving])
    model = editor.write(
        Model([Subgraph("main", inputs=[entering], outputs=[leaving], operators=[quantize])])
    )
    rng = np.random.default_rng(7)
    halves = (np.arange(-64, 64) + 0.5) * np.float32(scale)
    values = np.concatenate([halves, rng.uniform(-15, 15, 64 * 98)])
    values = values.astype(np.float32).reshape(-1, 64)
    (expected,) = runtimes.run(model, values)
    np.testing.assert_array_equal(
        samples.quantize_values(values, scale, zero_point, np.int8), expected
    )


def test_float_model() -> None:
    rng = np.random.default_rng(8)
    weights, bias = (rng.standard_normal(s).astype(np.float32) for s in ((5, 9), 5))
    model = float_fully_connected_model(weights, bias, input_shape=(1, 9))
    inputs = rng.standard_normal((4, 9))
    for runtime in RUNTIMES:
        (outputs,) = runtimes.run(model, inputs, runtime=runtime)
        # Ten float32 products and sums of magnitude below 4.
        np.testing.assert_allclose(outputs, inputs @ weights.T + bias, atol=10 * 4 * 2**-23)


def test_model_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "dense.tflite"
    path.write_bytes(dense_model())
    inputs = int8_samples(2)
    expected = runtimes.run(dense_model(), inputs)[0]
    np.testing.assert_array_equal(runtimes.run(path, inputs)[0], expected)
    np.testing.assert_array_equal(runtimes.run(str(path), inputs)[0], expected)


def test_tensor_values_are_what_enters_a_layer() -> None:
    data = dense_model()
    main = editor.read(data).subgraphs[0]
    first, second = main.operators
    indices = [main.tensors.index(t) for t in (first.input(0), second.input(0), *main.outputs)]
    inputs = int8_samples(9)
    entering, between, leaving = tensor_values(data, editor.read(data), indices, inputs)
    np.testing.assert_array_equal(entering, inputs[:, None])
    assert between.shape == (9, 1, 20)
    assert len(np.unique(between)) > 20
    np.testing.assert_array_equal(leaving[:, 0], runtimes.run(data, inputs)[0])


def test_arena_bytes_are_those_of_the_model() -> None:
    case = sparse_case()
    data = sparse_model(case)
    model = editor.read(data)
    arena = TflmInterpreter(data, model).arena_bytes
    assert arena is not None
    assert case.inputs.size + len(case.layer.bias) < arena < 4096
    assert TflmInterpreter(data, model, preserve_all_tensors=True).arena_bytes is None


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (int8_samples(2)[:, :29], r"shape \[2, 29\] given, accepted: \[n, 30\]"),
        (int8_samples(2)[0], r"shape \[30\] given"),
        (int8_samples(2).astype(np.int64), "dtype int64 given, accepted: int8 or float32"),
        (int8_samples(2).astype(np.uint8), "dtype uint8 given"),
        (int8_samples(0), "no samples"),
        ([int8_samples(2)] * 2, "2 input array"),
        ([], "0 input array"),
        (np.full((1, 30), np.nan), "NaN or infinite"),
    ],
)
@pytest.mark.parametrize("runtime", RUNTIMES)
def test_inputs_that_do_not_fit(runtime: str, inputs: np.ndarray, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        runtimes.run(dense_model(), inputs, runtime=runtime)
    assert "\n" not in str(caught.value)


def test_inputs_of_different_lengths() -> None:
    with pytest.raises(ConfigError, match=r"\[2, 3\] inferences"):
        runtimes.run(add_model(), [np.zeros((2, 4), np.int8), np.zeros((3, 4), np.int8)])


def test_a_dimension_of_0() -> None:
    entering, leaving = Tensor("in", (0, 4)), Tensor("out", (1, 0))
    (inputs,) = samples.split_inputs(np.zeros((2, 0, 4), np.float32), [entering])
    assert inputs.shape == (2, 0, 4)
    with pytest.raises(ConfigError, match=r"accepted: \[n, 0, 4\]"):
        samples.split_inputs(np.zeros((2, 4), np.float32), [entering])
    (inputs,) = samples.split_inputs(np.zeros((6, 0), np.float32), [Tensor("in", (3, 0))])
    assert inputs.shape == (2, 3, 0)
    assert samples.join_outputs(np.zeros((2, 1, 0)), leaving, 1).shape == (2, 0)
    assert samples.join_outputs(np.zeros((2, 0, 4)), entering, 0).shape == (0, 4)


def test_samples_that_do_not_fill_the_batch() -> None:
    with pytest.raises(ConfigError, match="a multiple of 3"):
        runtimes.run(dense_model(batch=3), int8_samples(4))


def test_bad_arguments() -> None:
    inputs = int8_samples(1)
    with pytest.raises(ConfigError, match="'tpu' is unknown; accepted: tflm, litert, opencl"):
        runtimes.run(dense_model(), inputs, runtime="tpu")
    with pytest.raises(ConfigError, match="reference"):
        runtimes.run(dense_model(), inputs, reference=True)
    with pytest.raises(ConfigError, match="expected: a Keras model, or the bytes"):
        runtimes.run(12, inputs)
    with pytest.raises(ModelError):
        runtimes.run(dense_model()[:100], inputs)
    with pytest.raises(ModelError, match=r"absent\.tflite: cannot be read"):
        runtimes.run("absent.tflite", inputs)
    with pytest.raises(ConfigError, match="tensor 99"):
        tensor_values(dense_model(), editor.read(dense_model()), [99], inputs)


def test_litert_runs_our_operators() -> None:
    case = sparse_case()
    (outputs,) = runtimes.run(sparse_model(case), case.inputs, runtime="litert")
    np.testing.assert_array_equal(outputs, reference(case))


def test_litert_says_why_our_operator_refuses() -> None:
    case = sparse_case()
    with pytest.raises(DeviceError, match="SPARSE_FULLY_CONNECTED: not packed weights") as caught:
        runtimes.run(sparse_model(case, blob=bytes(200)), case.inputs, runtime="litert")
    assert "\n" not in str(caught.value)
    assert "; Node number" in str(caught.value)


def test_opencl_runs_where_tensorflow_is_imported() -> None:
    """In one process, pocl and TensorFlow end each other."""
    import tensorflow  # noqa: F401

    case = sparse_case()
    (outputs,) = runtimes.run(sparse_model(case), case.inputs, runtime="opencl")
    np.testing.assert_array_equal(outputs, reference(case))


def test_refusal_in_prepare_is_one_line_and_nothing_is_printed(
    capfd: pytest.CaptureFixture[str],
) -> None:
    case = sparse_case()
    message = "SPARSE_FULLY_CONNECTED: not packed weights of version 1"
    with pytest.raises(DeviceError, match=message) as caught:
        runtimes.run(sparse_model(case, blob=bytes(200)), case.inputs)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr().err == ""
    # The process goes on, and stderr works again.
    np.testing.assert_array_equal(runtimes.run(sparse_model(case), case.inputs)[0], reference(case))
    os.write(2, b"still here")
    assert capfd.readouterr().err == "still here"


def test_an_operator_that_tflm_lacks_is_named() -> None:
    tensors = [Tensor(name, (1, 4)) for name in ("in", "out")]
    unknown = Operator.custom("NO_SUCH_OP", tensors[:1], tensors[1:])
    model = editor.write(
        Model([Subgraph("main", inputs=tensors[:1], outputs=tensors[1:], operators=[unknown])])
    )
    for runtime in RUNTIMES:
        with pytest.raises(DeviceError, match="NO_SUCH_OP"):
            runtimes.run(model, np.zeros((1, 4), np.float32), runtime=runtime)


def test_activations_beyond_what_tflm_can_count_are_refused() -> None:
    huge = [Tensor(name, (1, 1 << 28)) for name in ("in", "out")]
    copy = Operator(BuiltinOperator.RELU, [huge[0]], huge[1:])
    model = editor.write(
        Model([Subgraph("main", inputs=huge[:1], outputs=huge[1:], operators=[copy])])
    )
    with pytest.raises(DeviceError, match="an arena of up to"):
        TflmInterpreter(model, editor.read(model))


@pytest.mark.parametrize(("scale", "beta"), [(2.0**-27, 1.0), (1.0, 2.0**-27), (1.0, np.nan)])
def test_a_softmax_that_would_end_the_process_is_refused(scale: float, beta: float) -> None:
    logits, shares = (
        Tensor(name, (1, 4), TensorType.INT8, quantization=Quantization(scale, zero_point))
        for name, scale, zero_point in (("logits", scale, 0), ("shares", 1 / 256, -128))
    )
    options = schema.SoftmaxOptionsT()
    options.beta = beta
    softmax = Operator(BuiltinOperator.SOFTMAX, [logits], [shares], options=options)
    model = editor.write(
        Model([Subgraph("main", inputs=[logits], outputs=[shares], operators=[softmax])])
    )
    with pytest.raises(DeviceError, match="input of SOFTMAX, has the scale"):
        runtimes.run(model, np.zeros((1, 4), np.int8))


def test_tflm_runs_files_without_the_lists_that_it_reads_unasked() -> None:
    x, y = Tensor("x", (1, 4)), Tensor("y", (1, 4))
    relu = Operator(BuiltinOperator.RELU, [x], [y])
    data = editor.write(Model([Subgraph("main", inputs=[x], outputs=[y], operators=[relu])]))
    raw = schema.ModelT.InitFromPackedBuf(data, 0)
    raw.buffers = raw.metadata = None
    inputs = np.array([[-1, 0, 1, 2]], np.float32)
    (outputs,) = runtimes.run(_packed(raw), inputs)
    np.testing.assert_array_equal(outputs, [[0, 0, 1, 2]])
    raw.subgraphs[0].outputs = None
    assert runtimes.run(_packed(raw), inputs) == []


def _packed(raw: Any) -> bytes:
    builder = flatbuffers.Builder()
    builder.Finish(raw.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def test_our_operators_where_tflm_plans_no_scratch_are_refused() -> None:
    """TFLM ends its process on them if they need scratch: they are for a second entry point."""
    model = editor.read(sparse_model(sparse_case()))
    (main,) = model.subgraphs
    second = Subgraph("second", inputs=main.inputs, outputs=main.outputs, operators=main.operators)
    model.subgraphs.append(second)
    with pytest.raises(DeviceError, match="subgraph 'second' has SPARSE_FULLY_CONNECTED, and the"):
        runtimes.run(editor.write(model), np.zeros((1, 40), np.int8))


def test_scales_of_a_bias_in_files_of_tensorflow_1(tmp_path: Path) -> None:
    """Their dimension is 3, as in TFLM's own person detector: TFLM runs it, LiteRT refuses."""
    weights = np.arange(-6, 6, dtype=np.int8).reshape(3, 1, 1, 4)
    x, y = (
        Tensor(name, shape, TensorType.INT8, quantization=Quantization(0.1))
        for name, shape in (("x", (1, 2, 2, 4)), ("y", (1, 2, 2, 3)))
    )
    scales = np.array([0.1, 0.2, 0.3], np.float32)
    bias = Quantization(scales * 0.1, np.zeros(3), axis=3)
    constants = [
        Tensor.constant("w", weights, quantization=Quantization(scales, np.zeros(3))),
        Tensor.constant("b", np.arange(3, dtype=np.int32), quantization=bias),
    ]
    fields = {"strideH": 1, "strideW": 1, "dilationHFactor": 1, "dilationWFactor": 1}
    options = schema_object(schema.Conv2DOptionsT, **fields)
    conv = Operator(BuiltinOperator.CONV_2D, [x, *constants], [y], version=3, options=options)
    data = editor.write(Model([Subgraph("main", inputs=[x], outputs=[y], operators=[conv])]))
    parsed = editor.read(data)
    assert parsed.is_mended
    mended = parsed.subgraphs[0].operators[0].input(2).quantization
    assert mended is not None
    assert mended.axis == 0
    assert not editor.read(editor.write(parsed)).is_mended
    samples = np.random.default_rng(0).integers(-128, 128, (5, 2, 2, 4)).astype(np.int8)
    (wanted,) = runtimes.run(data, samples)
    for given in (data, int8_input(data, samples).tflite):
        (found,) = runtimes.run(given, samples, runtime="litert", reference=True)
        assert np.abs(found.astype(int) - wanted).max() <= 1


def test_absent_runtime_names_the_install_line() -> None:
    script = """
import sys
sys.modules["tflite_micro"] = None
import numpy as np
from tests.support.models.small_models import dense_model, int8_samples
from tflm_sparsesep import runtimes
from tflm_sparsesep.converters.errors import ToolMissingError
try:
    runtimes.run(dense_model(), int8_samples(1))
except ToolMissingError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
        check=True,
    )
    assert 'pip install "tflm-sparsesep[tflm]"' in done.stdout
    assert done.stdout.count("\n") == 1


def test_progress_is_drawn_on_stderr_on_request(capfd: pytest.CaptureFixture[str]) -> None:
    # Slow enough to be drawn: the bar refreshes every tenth of a second.
    runtimes.run(dense_model(), int8_samples(30_000), progress=True)
    captured = capfd.readouterr()
    assert "inferences" in captured.err
    assert captured.out == ""
