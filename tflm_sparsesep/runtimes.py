"""`run`: a model on samples, in TFLM, or in LiteRT with this project's delegate."""

from __future__ import annotations

from typing import Any

from tflm_sparsesep.converters.errors import ConfigError
from tflm_sparsesep.converters.tflite import editor
from tflm_sparsesep.model_input import ModelInput
from tflm_sparsesep.runtime import samples
from tflm_sparsesep.runtime.inference import invoke_all
from tflm_sparsesep.runtime.litert import Array, Invoke, litert_invoke
from tflm_sparsesep.runtime.representative_dataset import Samples, arrays_of, tflite_inputs
from tflm_sparsesep.runtime.tflm_interpreter import TflmInterpreter

RUNTIMES = ("tflm", "litert", "opencl")


def run(
    model: Any,
    inputs: Samples,
    *,
    runtime: str = "tflm",
    reference: bool = False,
    dequantize: bool = False,
    progress: bool | None = None,
    external: bytes | None = None,
) -> list[Array]:
    """Run a model on samples.

        (scores,) = run(result.tflite, x_test)         # x_test [10000, 28, 28] float32
        digits = scores.argmax(axis=1)

    Variables of a model keep their values from one inference to the next.

    Args:
        model: the bytes or the path of a .tflite file; or a Keras model or the path of a .keras
            file, which runs as the float32 .tflite model that it becomes.
        inputs: samples [n, ...] for a model with one input, else a list or tuple with one such
            array per input, in the order of the .tflite file, or a dict by input name. A model
            input [batch, ...] takes n samples, a multiple of batch, in groups of batch; whole
            inferences [n, batch, ...] will do, too. Arrays have the dtype of the model's input,
            or are floats: those are quantized for an integer input, round(x / scale) +
            zero_point, halves away from zero, saturated, as TFLite's QUANTIZE does it.
        runtime: "tflm", TensorFlow Lite Micro; "litert" (ai-edge-litert, or else tflite-runtime
            or TensorFlow), where a model with this project's operators gets the delegate's CPU
            backend; or "opencl", LiteRT with the delegate on the first OpenCL device, GPUs
            first. Without one it runs on the CPU and says so on stderr.
        reference: LiteRT only: its reference kernels in place of the optimized ones. They are
            TFLM's, but since TensorFlow 2.20 FULLY_CONNECTED requantizes in floating point
            there: a few outputs in ten thousand differ from TFLM's by one unit.
        dequantize: float32 outputs, scale * (q - zero_point), instead of the model's dtype.
        progress: draw a bar on stderr; by default where the run takes over 2 s and stderr is a
            terminal.
        external: TFLM only: the image that a model converted with `page_bytes` reads its weights
            from (docs/paging.md).

    Returns:
        One array per model output, [n, ...].

    Raises:
        ModelError: the model is not intact.
        ConfigError: an unknown runtime, or inputs that do not fit the model.
        ToolMissingError: the runtime is not installed.
        DeviceError: the runtime refuses the model, or fails.
    """
    if runtime not in RUNTIMES:
        raise ConfigError(f"runtime {runtime!r} is unknown; accepted: {', '.join(RUNTIMES)}")
    if reference and runtime != "litert":
        raise ConfigError(f"reference=True is for runtime='litert', given: {runtime!r}")
    if external is not None and runtime != "tflm":
        raise ConfigError(f"external= is for runtime='tflm', given: {runtime!r}")
    given = ModelInput.of(model)
    data = given.to_tflite()
    parsed = editor.read(data, name=given.name)
    main = parsed.subgraphs[0]
    arrays = samples.split_inputs(
        arrays_of(inputs, tflite_inputs(parsed), argument="inputs"), main.inputs
    )
    if runtime == "tflm":
        invoke: Invoke = TflmInterpreter(data, parsed, external=external).invoke
    else:
        invoke = litert_invoke(data, parsed, reference=reference, opencl=runtime == "opencl")
    batch = samples.batch_of(main.inputs)
    results = [
        samples.join_outputs(values, tensor, batch)
        for values, tensor in zip(invoke_all(invoke, arrays, progress), main.outputs, strict=True)
    ]
    if not dequantize:
        return results
    pairs = zip(results, main.outputs, strict=True)
    return [samples.dequantize(values, tensor) for values, tensor in pairs]
