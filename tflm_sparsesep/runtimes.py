"""`run`: a .tflite model on samples, in TFLM, or in LiteRT with this project's delegate."""

from __future__ import annotations

import importlib
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.progress import Progress

from tflm_sparsesep.converters import op_names
from tflm_sparsesep.converters.errors import ConfigError, DeviceError, ToolMissingError
from tflm_sparsesep.converters.tflite import editor
from tflm_sparsesep.converters.tflite.editor import Model
from tflm_sparsesep.runtime import delegate, files, samples
from tflm_sparsesep.runtime.tflm_interpreter import TflmInterpreter

Array = npt.NDArray[Any]
Invoke = Callable[[list[Array]], list[Array]]

RUNTIMES = ("tflm", "litert", "opencl")
# LiteRT under its present name, its former one, and as a part of TensorFlow.
_LITERT_MODULES = ("ai_edge_litert.interpreter", "tflite_runtime.interpreter", "tensorflow.lite")
_PATIENCE_SECONDS = 2.0
_REFRESH_SECONDS = 0.1


def run(
    model: bytes | str | Path,
    inputs: Array | Sequence[Array],
    *,
    runtime: str = "tflm",
    reference: bool = False,
    dequantize: bool = False,
    progress: bool | None = None,
    external: bytes | None = None,
) -> list[Array]:
    """Runs a model on samples.

        (scores,) = run(result.tflite, x_test)         # x_test [10000, 28, 28] float32
        digits = scores.argmax(axis=1)

    Args:
        model: a .tflite file's bytes, or its path.
        inputs: samples [n, ...] for a model with one input, else a list with one such array
            per input, in the model's order. A model input [batch, ...] takes n samples, a
            multiple of batch, in groups of batch; whole inferences [n, batch, ...] will do,
            too. Arrays have the dtype of the model's input, or are floats: those are
            quantised for an integer input, round(x / scale) + zero_point, halves away from
            zero, saturated, as TFLite's QUANTIZE does it.
        runtime: "tflm", TensorFlow Lite Micro; "litert" (ai-edge-litert, or else tflite-runtime
            or TensorFlow), where a model with this project's operators gets the delegate's CPU
            backend; or "opencl", LiteRT with the delegate on the first OpenCL device, GPUs
            first. Without one the CPU takes its place, said on stderr.
        reference: LiteRT only: its reference kernels in place of the optimised ones. They are
            TFLM's, but since TensorFlow 2.20 FULLY_CONNECTED requantises in floating point
            there: a few outputs in ten thousand differ from TFLM's by one unit.
        dequantize: float32 outputs, scale * (q - zero_point), instead of the model's dtype.
        progress: a bar on stderr; by default where the run takes over 2 s and stderr is a
            terminal.
        external: TFLM only: the image that a model converted with `page_bytes` reads its weights
            from (docs/paging.md).

    Variables of a model keep their values from one inference to the next.

    Returns:
        One array per model output, [n, ...].

    Raises:
        ModelError: the bytes are no intact model.
        ConfigError: an unknown runtime, inputs that do not fit the model, or OpenCL in a process
            that has imported TensorFlow.
        ToolMissingError: the runtime is not installed.
        DeviceError: the runtime refuses the model, or fails.
    """
    if runtime not in RUNTIMES:
        raise ConfigError(f"runtime {runtime!r} is unknown; accepted: {', '.join(RUNTIMES)}")
    if reference and runtime != "litert":
        raise ConfigError(f"reference=True is for runtime='litert', given: {runtime!r}")
    if external is not None and runtime != "tflm":
        raise ConfigError(f"external= is for runtime='tflm', given: {runtime!r}")
    data, parsed = _load(model)
    main = parsed.subgraphs[0]
    arrays = samples.split_inputs(inputs, main.inputs)
    if runtime == "tflm":
        invoke: Invoke = TflmInterpreter(data, parsed, external=external).invoke
    else:
        invoke = _litert(data, parsed, reference=reference, opencl=runtime == "opencl")
    batch = samples.batch_of(main.inputs)
    results = [
        samples.join_outputs(values, tensor, batch)
        for values, tensor in zip(_invoke_all(invoke, arrays, progress), main.outputs, strict=True)
    ]
    if dequantize:
        results = [
            samples.dequantize(values, tensor)
            for values, tensor in zip(results, main.outputs, strict=True)
        ]
    return results


def tensor_values(
    model: bytes | str | Path,
    indices: Sequence[int],
    inputs: Array | Sequence[Array],
    *,
    progress: bool | None = None,
) -> list[Array]:
    """What tensors inside a model hold in TFLM: one array [inferences, *shape] per index.

    Args:
        model, inputs, progress: as for `run`.
        indices: of activations in the first subgraph's tensors, e.g. the inputs of a layer.

    Raises:
        As `run`; ConfigError also for an index that is no tensor.
    """
    data, parsed = _load(model)
    main = parsed.subgraphs[0]
    used = {*main.inputs, *(tensor for op in main.operators for tensor in op.tensors)}
    for index in indices:
        if not 0 <= index < len(main.tensors) or main.tensors[index] not in used:
            raise ConfigError(
                f"tensor {index} has no value in {parsed.name}: it is not one of the "
                f"{len(main.tensors)} tensors, or nothing uses it"
            )
    arrays = samples.split_inputs(inputs, main.inputs)
    interpreter = TflmInterpreter(data, parsed, preserve_all_tensors=True)

    def invoke(values: list[Array]) -> list[Array]:
        interpreter.invoke(values)
        return [interpreter.tensor(index) for index in indices]

    return _invoke_all(invoke, arrays, progress)


def _load(model: bytes | str | Path) -> tuple[bytes, Model]:
    """The bytes of a model, and the same checked and read."""
    if isinstance(model, str | Path):
        data = files.read_model(Path(model))
        return data, editor.read(data, name=str(model))
    if not isinstance(model, bytes | bytearray | memoryview):
        raise ConfigError(
            f"model is {type(model).__name__}, accepted: the bytes of a .tflite file or its path"
        )
    data = bytes(model)
    return data, editor.read(data)


def _invoke_all(invoke: Invoke, arrays: list[Array], progress: bool | None) -> list[Array]:
    """Every inference in turn; the outputs stacked, [inferences, *shape] each."""
    count = len(arrays[0]) if arrays else 1
    results = [invoke([array[i] for array in arrays]) for i in _tracked(count, progress)]
    return [np.stack(values) for values in zip(*results, strict=True)]


def _tracked(count: int, progress: bool | None) -> Iterator[int]:
    """range(count), with a bar on stderr once the whole is seen to take long.

    The bar draws only here, between inferences: during one, stderr is being captured.
    """
    wanted = sys.stderr.isatty() if progress is None else progress
    start = drawn = time.monotonic()
    console = Console(stderr=True, force_terminal=progress or None)
    bar = Progress(console=console, auto_refresh=False, transient=True)
    task = bar.add_task("inferences", total=count)
    shown = False
    try:
        for done in range(count):
            yield done
            now = time.monotonic()
            if not wanted or now - drawn < _REFRESH_SECONDS:
                continue
            if not shown and (progress or (now - start) / (done + 1) * count > _PATIENCE_SECONDS):
                bar.start()
                shown = True
            if shown:
                bar.update(task, completed=done + 1, refresh=True)
            drawn = now
    finally:
        if shown:
            bar.stop()


def _litert(data: bytes, model: Model, *, reference: bool, opencl: bool) -> Invoke:
    """One inference in LiteRT."""
    if opencl:
        delegate.refuse_opencl_beside_tensorflow()
    module, resolvers = litert_module()
    delegates = []
    if opencl or any(op.custom_code in op_names.ALL for op in model.operators):
        options = {"backend": "opencl" if opencl else "cpu"}
        delegates = [delegate.load(module, options)]
    resolver = resolvers.BUILTIN_REF if reference else resolvers.AUTO
    try:
        interpreter = module.Interpreter(
            model_content=data,
            experimental_op_resolver_type=resolver,
            experimental_delegates=delegates,
        )
        interpreter.allocate_tensors()
    except (RuntimeError, ValueError) as error:
        raise DeviceError(f"{model.name}: LiteRT: {_one_line(error)}") from None
    inputs = [detail["index"] for detail in interpreter.get_input_details()]
    outputs = [detail["index"] for detail in interpreter.get_output_details()]

    def invoke(values: list[Array]) -> list[Array]:
        try:
            for index, value in zip(inputs, values, strict=True):
                interpreter.set_tensor(index, value)
            interpreter.invoke()
            return [interpreter.get_tensor(index) for index in outputs]
        except (RuntimeError, ValueError) as error:
            raise DeviceError(f"{model.name}: LiteRT: {_one_line(error)}") from None

    return invoke


def litert_module() -> tuple[Any, Any]:
    """The module that has the class `Interpreter`, and its enumeration `OpResolverType`.

    Raises:
        ToolMissingError: neither LiteRT nor one of its predecessors is installed.
    """
    for name in _LITERT_MODULES:
        try:
            module = importlib.import_module(name)
        except ImportError:
            continue
        return module, getattr(module, "OpResolverType", None) or module.experimental.OpResolverType
    raise ToolMissingError("the LiteRT runtime is not installed; pip install ai-edge-litert")


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
