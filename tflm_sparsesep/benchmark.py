"""`benchmark`: every rewritten layer of a model on an emulated Cortex-M, with real activations."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tflm_sparsesep.converters.cost import cycles
from tflm_sparsesep.converters.layers.packed import (
    PackedSummary,
    blob_of,
    summarize,
)
from tflm_sparsesep.converters.selected_variants import variants_of
from tflm_sparsesep.converters.targets import get_target
from tflm_sparsesep.converters.tflite import editor
from tflm_sparsesep.converters.tflite import types as tensor_types
from tflm_sparsesep.converters.tflite.editor import Model, Operator, Tensor, TensorType
from tflm_sparsesep.device import emulation, toolchain
from tflm_sparsesep.device.layer_job import LayerJob
from tflm_sparsesep.model_input import ModelInput
from tflm_sparsesep.runtime.inference import tensor_values
from tflm_sparsesep.runtime.representative_dataset import Samples, arrays_of, tflite_inputs


@dataclass(frozen=True)
class LayerFigures(PackedSummary):
    """One packed operator, measured; more fields in `PackedSummary`.

    Instructions are executed ones per inference (the mean over the inputs, rounded); dense ones
    are CMSIS-NN's, measured or interpolated, of a separable convolution those of the two CONV_2D
    that it replaced. `estimated_cycles` are estimated by a model (`converters/cost/cycles.py`), not
    measured. Bytes are those of weights, bias and requantization in flash; `code_bytes` is the text
    of all kernels and the op core as linked. `bit_exact` says whether the emulated core gave TFLM's
    outputs on all of `samples` inputs.
    """

    target: str
    packed_bytes: int
    sparse_instructions: int
    speedup: float
    estimated_cycles: int
    scratch_bytes: int
    persistent_bytes: int
    code_bytes: int
    bit_exact: bool
    samples: int
    flags: str
    compiler: str
    emulator: str

    def to_json(self) -> dict[str, Any]:
        """Return the fields as plain values."""
        return dataclasses.asdict(self)


def benchmark(
    tflite: Any,
    *,
    target: str = "cortex-m4",
    inputs: Samples | None = None,
    name: str | None = None,
) -> list[LayerFigures]:
    """Measure executed instructions, bytes and scratch of each layer that was rewritten.

    The model runs in the real TFLM interpreter on `inputs`; what enters each packed
    operator there runs again through the same layer on the emulated core, and the outputs are
    compared.

    Args:
        tflite: a converted model, its bytes or path. A Keras model or a .keras file counts as the
            float32 .tflite model that it becomes: it has no layer to measure before `convert`.
        target: an emulated core, a name of `targets.TARGETS` other than host.
        inputs: model inputs [samples, ...] as for `run`; by default one sample of random int8 or
            floats; 0 for other types, which may be indices.
        name: what errors call the model; by default the path, or "model".

    Raises:
        ModelError: the model is not usable, was converted for another target, or holds a float32
            convolution that was rewritten.
        ConfigError: the target is unknown or cannot be emulated.
        ToolMissingError: TFLM, QEMU or the Arm compiler is missing.
        DeviceError: a layer was refused, or crashed.
    """
    toolchain.board_of(get_target(target))
    given = ModelInput.of(tflite, name=name)
    data = given.to_tflite()
    variants_of(data, target=target, name=given.name)  # refuses what no kernel runs
    model = editor.read(data, name=given.name)
    main = model.subgraphs[0]
    summaries = [(op, summarize(op, target)) for op in main.operators]
    layers = [(op, summary) for op, summary in summaries if summary is not None]
    if not layers:
        return []
    arrays = (
        _random_inputs(model)
        if inputs is None
        else arrays_of(inputs, tflite_inputs(model), argument="inputs")
    )
    tensors = list(dict.fromkeys(tensor for op, _ in layers for tensor in _activations(op)))
    indices = [main.tensors.index(tensor) for tensor in tensors]
    values = dict(zip(tensors, tensor_values(data, model, indices, arrays), strict=True))
    return [
        _measure(op, summary, target, *(values[tensor] for tensor in _activations(op)))
        for op, summary in layers
    ]


def _activations(op: Operator) -> list[Tensor]:
    """Return the input and the output of a packed operator, and its residual if it has one."""
    return [op.input(0), op.outputs[0], *(tensor for tensor in op.inputs[2:] if tensor is not None)]


def _measure(
    op: Operator,
    summary: PackedSummary,
    target: str,
    entering: npt.NDArray[np.int8],
    leaving: npt.NDArray[np.int8],
    residuals: npt.NDArray[np.int8] | None = None,
) -> LayerFigures:
    samples = len(entering)
    job = LayerJob(
        op.op_name,
        op.custom_options or b"",
        blob_of(op),
        entering,
        op.outputs[0].shape,
        residuals=residuals,
    )
    (run,) = emulation.run_layers(target, [job])
    sparse = round(sum(run.instructions) / samples)
    return LayerFigures(
        **vars(summary),
        target=target,
        packed_bytes=len(blob_of(op)),
        sparse_instructions=sparse,
        speedup=round(summary.dense_instructions / sparse, 3),
        estimated_cycles=cycles.estimate_cycles(
            target, {name: count / samples for name, count in run.classes.items()}
        ),
        scratch_bytes=run.scratch_bytes,
        persistent_bytes=run.persistent_bytes,
        code_bytes=run.code_bytes,
        bit_exact=bool(np.array_equal(run.outputs, leaving)),
        samples=samples,
        flags=run.flags,
        compiler=run.compiler,
        emulator=run.qemu,
    )


def _random_inputs(model: Model) -> list[npt.NDArray[Any]]:
    """Return one sample for each model input: any int8, floats around 0; others, as indices, 0."""
    rng = np.random.default_rng(0)
    found = []
    for tensor in model.subgraphs[0].inputs:
        dtype = tensor_types.numpy_dtype(tensor.type)
        if tensor.type == TensorType.INT8:
            found.append(rng.integers(-128, 128, tensor.shape).astype(np.int8))
        elif dtype.kind == "f":
            found.append(rng.standard_normal(tensor.shape).astype(dtype))
        else:
            found.append(np.zeros(tensor.shape, dtype))
    return found
