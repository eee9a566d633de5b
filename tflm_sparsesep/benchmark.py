"""`benchmark`: every sparse layer of a model on an emulated Cortex-M, with its real activations."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tflm_sparsesep import emulation, runtimes
from tflm_sparsesep.converters import cycle_model, model_editor, op_names
from tflm_sparsesep.converters.errors import ConfigError
from tflm_sparsesep.converters.inspect_model import (
    batch_of,
    blob_of,
    dense_instructions,
    options_of,
    packed_weights,
)
from tflm_sparsesep.converters.model_editor import Model, Operator, TensorType
from tflm_sparsesep.converters.quantized_layer import layer_name
from tflm_sparsesep.converters.targets import TARGETS, get_target


@dataclass(frozen=True)
class LayerFigures:
    """One sparse layer, measured.

    `rows` are output units, `cols` input units, `batch` vectors per inference. Instructions are
    executed ones per inference (the mean over the inputs, rounded); dense ones are CMSIS-NN's,
    measured or interpolated (`cost_model`). `estimated_cycles` are a model's (`cycle_model`), not
    measured. Bytes are of weights, bias and requantisation in
    flash; `code_bytes` is the text of all kernels and the op core as linked. `bit_exact` says
    whether the emulated core gave TFLM's outputs on all of `samples` inputs.
    """

    name: str
    target: str
    rows: int
    cols: int
    batch: int
    zeros: float
    pattern: str
    index: str
    dense_bytes: int
    packed_bytes: int
    dense_instructions: int
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
        """The fields as plain values."""
        return dataclasses.asdict(self)


def benchmark(
    tflite: bytes,
    *,
    target: str = "cortex-m4",
    inputs: npt.NDArray[Any] | list[npt.NDArray[Any]] | None = None,
    name: str = "model",
) -> list[LayerFigures]:
    """Executed instructions, bytes and scratch of each SPARSE_FULLY_CONNECTED of a model.

    The model runs in the real TFLM interpreter on `inputs`; what enters each sparse layer there
    runs again through the same layer on the emulated core, and the outputs are compared.

    Args:
        tflite: the bytes of a converted model.
        target: an emulated core, a name of `targets.TARGETS` other than host.
        inputs: model inputs [samples, ...] as for `run`; by default one sample of random int8.
        name: what errors call the model.

    Raises:
        ModelError: the bytes are no usable model.
        ConfigError: the target is unknown or cannot be emulated.
        ToolMissingError: TFLM, QEMU or the Arm compiler is missing.
        DeviceError: a layer was refused, or crashed.
    """
    if get_target(target).qemu_machine is None:
        devices = ", ".join(t.name for t in TARGETS.values() if t.qemu_machine)
        raise ConfigError(f"target {target!r} is not emulated; accepted: {devices}")
    model = model_editor.read(tflite, name=name)
    layers = [
        op for op in model.subgraphs[0].operators if op.op_name == op_names.SPARSE_FULLY_CONNECTED
    ]
    if not layers:
        return []
    if inputs is None:
        inputs = _random_inputs(model)
    tensors = [tensor for op in layers for tensor in (_input(op), op.outputs[0])]
    indices = [model.subgraphs[0].tensors.index(tensor) for tensor in tensors]
    values = runtimes.tensor_values(tflite, indices, inputs)
    return [
        _measure(op, target, entering, leaving)
        for op, entering, leaving in zip(layers, values[0::2], values[1::2], strict=True)
    ]


def _measure(
    op: Operator,
    target: str,
    entering: npt.NDArray[np.int8],
    leaving: npt.NDArray[np.int8],
) -> LayerFigures:
    unpacked = packed_weights(op)
    rows, cols = unpacked.weights.shape
    batch = batch_of(op, cols)
    samples = len(entering)
    blob = blob_of(op)
    run = emulation.run_layer(
        target,
        op.op_name,
        options_of(op).to_bytes(),
        blob,
        entering.reshape(samples, batch, cols),
        (batch, rows),
    )
    dense = dense_instructions(op, unpacked, target)
    sparse = round(sum(run.instructions) / samples)
    return LayerFigures(
        name=layer_name(op),
        target=target,
        rows=rows,
        cols=cols,
        batch=batch,
        zeros=float(1.0 - np.count_nonzero(unpacked.weights) / unpacked.weights.size),
        pattern=unpacked.layout.pattern,
        index=unpacked.layout.index,
        dense_bytes=unpacked.weights.nbytes + 4 * rows,
        packed_bytes=len(blob),
        dense_instructions=dense,
        sparse_instructions=sparse,
        speedup=round(dense / sparse, 3),
        estimated_cycles=cycle_model.estimate_cycles(
            target, {name: count / samples for name, count in run.classes.items()}
        ),
        scratch_bytes=run.scratch_bytes,
        persistent_bytes=run.persistent_bytes,
        code_bytes=run.code_bytes,
        bit_exact=bool(np.array_equal(run.outputs, leaving.reshape(run.outputs.shape))),
        samples=samples,
        flags=run.flags,
        compiler=run.compiler,
        emulator=run.qemu,
    )


def _input(op: Operator) -> model_editor.Tensor:
    tensor = op.inputs[0]
    assert tensor is not None  # packed_weights has been read: the operator is complete
    return tensor


def _random_inputs(model: Model) -> list[npt.NDArray[Any]]:
    """One sample for each model input: any int8, or floats around 0."""
    rng = np.random.default_rng(0)
    return [
        rng.integers(-128, 128, tensor.shape).astype(np.int8)
        if tensor.type == TensorType.INT8
        else rng.standard_normal(tensor.shape).astype(np.float32)
        for tensor in model.subgraphs[0].inputs
    ]
