"""`benchmark`: every rewritten layer of a model on an emulated Cortex-M, with real activations."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tflm_sparsesep import runtimes
from tflm_sparsesep.converters.cost import cycles
from tflm_sparsesep.converters.errors import ConfigError
from tflm_sparsesep.converters.layers.packed import PackedLayer, read_packed_layer
from tflm_sparsesep.converters.layers.quantized import layer_name
from tflm_sparsesep.converters.targets import TARGETS, get_target
from tflm_sparsesep.converters.tflite import editor
from tflm_sparsesep.converters.tflite.editor import Model, Operator, Tensor, TensorType
from tflm_sparsesep.device import emulation


@dataclass(frozen=True)
class LayerFigures:
    """One operator of ours, measured.

    `rows` are output units, `cols` input units, `batch` vectors per inference; of a separable
    convolution they are the channels that leave and enter it, and images, `pattern` its two
    kernels and `index` the order of its weights. `weights` counts them, zeros included.
    Instructions are executed ones per inference (the mean over the inputs, rounded); dense ones
    are CMSIS-NN's, measured or interpolated (`cost_model`), of a separable convolution those of
    the two CONV_2D that it replaced (`separable_cost`). `estimated_cycles` are a model's
    (`cycle_model`), not measured. Bytes are of weights, bias and requantisation in flash;
    `code_bytes` is the text of all kernels and the op core as linked. `bit_exact` says whether
    the emulated core gave TFLM's outputs on all of `samples` inputs.
    """

    name: str
    op: str
    target: str
    rows: int
    cols: int
    batch: int
    weights: int
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
    """Executed instructions, bytes and scratch of each layer that was rewritten.

    The model runs in the real TFLM interpreter on `inputs`; what enters each operator of
    ours there runs again through the same layer on the emulated core, and the
    outputs are compared.

    Args:
        tflite: the bytes of a converted model.
        target: an emulated core, a name of `targets.TARGETS` other than host.
        inputs: model inputs [samples, ...] as for `run`; by default one sample of random int8.
        name: what errors call the model.

    Raises:
        ModelError: the bytes are no usable model, or hold a float32 convolution of ours.
        ConfigError: the target is unknown or cannot be emulated.
        ToolMissingError: TFLM, QEMU or the Arm compiler is missing.
        DeviceError: a layer was refused, or crashed.
    """
    if get_target(target).qemu_machine is None:
        devices = ", ".join(t.name for t in TARGETS.values() if t.qemu_machine)
        raise ConfigError(f"target {target!r} is not emulated; accepted: {devices}")
    model = editor.read(tflite, name=name)
    candidates = (read_packed_layer(op, target) for op in model.subgraphs[0].operators)
    layers = [layer for layer in candidates if layer is not None]
    if not layers:
        return []
    if inputs is None:
        inputs = _random_inputs(model)
    tensors = [tensor for layer in layers for tensor in _ends(layer.operator)]
    indices = [model.subgraphs[0].tensors.index(tensor) for tensor in tensors]
    values = runtimes.tensor_values(tflite, indices, inputs)
    return [
        _measure(layer, target, entering, leaving)
        for layer, entering, leaving in zip(layers, values[0::2], values[1::2], strict=True)
    ]


def _measure(
    layer: PackedLayer,
    target: str,
    entering: npt.NDArray[np.int8],
    leaving: npt.NDArray[np.int8],
) -> LayerFigures:
    samples = len(entering)
    run = emulation.run_layer(
        target,
        layer.operator.op_name,
        layer.options,
        layer.blob,
        entering.reshape(samples, *layer.input_shape),
        layer.output_shape,
    )
    sparse = round(sum(run.instructions) / samples)
    return LayerFigures(
        name=layer_name(layer.operator),
        op=layer.operator.op_name,
        target=target,
        rows=layer.rows,
        cols=layer.cols,
        batch=layer.batch,
        weights=layer.weights,
        zeros=layer.zeros,
        pattern=layer.pattern,
        index=layer.index,
        dense_bytes=layer.dense_bytes,
        packed_bytes=len(layer.blob),
        dense_instructions=layer.dense_instructions,
        sparse_instructions=sparse,
        speedup=round(layer.dense_instructions / sparse, 3),
        estimated_cycles=cycles.estimate_cycles(
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


def _ends(op: Operator) -> tuple[Tensor, Tensor]:
    """What enters and what leaves an operator that `read_packed_layer` has read."""
    tensor = op.inputs[0]
    assert tensor is not None
    return tensor, op.outputs[0]


def _random_inputs(model: Model) -> list[npt.NDArray[Any]]:
    """One sample for each model input: any int8, or floats around 0."""
    rng = np.random.default_rng(0)
    return [
        rng.integers(-128, 128, tensor.shape).astype(np.int8)
        if tensor.type == TensorType.INT8
        else rng.standard_normal(tensor.shape).astype(np.float32)
        for tensor in model.subgraphs[0].inputs
    ]
