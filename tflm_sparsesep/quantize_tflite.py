"""Float32 .tflite to full-int8 .tflite, without TensorFlow.

AI Edge Quantizer does the arithmetic: int8 activations with one scale each, int8 weights with one
scale per output, int32 biases. This module measures the ranges of activations, the smallest and the
largest value on sample inputs, as TensorFlow's converter does: the quantizer's own moving average
over samples clips rare values.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tflm_sparsesep.converters.errors import ModelError, ToolMissingError
from tflm_sparsesep.converters.layers.quantized import layer_name
from tflm_sparsesep.converters.rewrite import written
from tflm_sparsesep.converters.tflite import editor, names
from tflm_sparsesep.converters.tflite.editor import (
    BuiltinOperator,
    Model,
    Signature,
    Subgraph,
    TensorType,
)
from tflm_sparsesep.runtime import samples
from tflm_sparsesep.runtime.litert_tensors import litert_tensors
from tflm_sparsesep.runtime.quiet import quiet
from tflm_sparsesep.runtime.representative_dataset import (
    Array,
    RepresentativeDataset,
    arrays_of,
    tflite_inputs,
)

Ranges = dict[str, dict[str, npt.NDArray[np.float32]]]

# Samples whose activations are in memory at the same time.
_AT_ONCE = 32
_WEIGHTED = (
    BuiltinOperator.FULLY_CONNECTED,
    BuiltinOperator.CONV_2D,
    BuiltinOperator.DEPTHWISE_CONV_2D,
)


def is_float(model: Model) -> bool:
    """Tell if all layers of a model compute in float32."""
    entering = [op.inputs[0] for op in model.operators if op.builtin_code in _WEIGHTED]
    weights = [op.inputs[1] for op in model.operators if op.builtin_code in _WEIGHTED]
    types = {tensor.type for tensor in (*entering, *weights) if tensor is not None}
    return types == {TensorType.FLOAT32}


def quantize_tflite(
    data: bytes, representative_dataset: RepresentativeDataset, *, name: str = "model"
) -> bytes:
    """Quantize a float32 model of one subgraph to int8: weights, activations, inputs and outputs.

    Raises:
        ModelError: the model is not usable, or has an operator that cannot be int8.
        ConfigError: the dataset does not fit the model.
        DeviceError: LiteRT, which computes the activations, cannot run the model.
        ToolMissingError: AI Edge Quantizer is not installed.
    """
    quantizer, recipe = _ai_edge_quantizer()
    model = editor.read(data, name=name)
    if len(model.subgraphs) != 1:
        raise ModelError(f"{name}: {len(model.subgraphs)} subgraphs, accepted to quantize: one")
    main = model.subgraphs[0]
    given = arrays_of(representative_dataset, tflite_inputs(model))
    arrays = samples.split_inputs(given, main.inputs)
    signatures, ends = model.signatures, (*main.inputs, *main.outputs)
    known_as = [tensor.name for tensor in ends]
    names.make_unique(model, ends=True)  # the quantizer finds tensors by name
    # The quantizer takes tensors for a graph's inputs only where a signature names them.
    model.signatures = [_signature(main)]
    signed = editor.write(model)
    try:
        with quiet():
            job = quantizer.Quantizer(bytearray(signed))
            job.load_quantization_recipe(recipe.static_wi8_ai8())
            quantized = bytes(job.quantize(_ranges(signed, arrays, name)).quantized_model)
    except (ValueError, RuntimeError, KeyError, NotImplementedError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ModelError(f"{name}: cannot be quantized to int8: {reason}") from None
    # Build the file again: the quantizer leaves constants unaligned, which TFLM misreads.
    result = editor.read(quantized, name=name)
    moved = result.subgraphs[0]
    result.signatures = _moved(signatures, main, moved)
    for tensor, known in zip((*moved.inputs, *moved.outputs), known_as, strict=True):
        tensor.name = known
    _check_int8(moved, name)
    return written(result, data)


def _ai_edge_quantizer() -> tuple[Any, Any]:
    try:
        with quiet():
            from ai_edge_quantizer import quantizer, recipe
    except ImportError as error:
        raise ToolMissingError(
            f"quantizing a float32 .tflite model needs AI Edge Quantizer ({error}): "
            "pip install 'tflm-sparsesep[quantize]'"
        ) from error
    return quantizer, recipe


def _signature(main: Subgraph) -> Signature:
    return Signature(
        "serving_default",
        main,
        inputs=[(f"input_{i}", tensor) for i, tensor in enumerate(main.inputs)],
        outputs=[(f"output_{i}", tensor) for i, tensor in enumerate(main.outputs)],
    )


def _moved(signatures: Sequence[Signature], old: Subgraph, new: Subgraph) -> list[Signature]:
    """Return the signatures for the quantized graph, which keeps the order of its inputs."""
    pairs = [*zip(old.inputs, new.inputs, strict=True), *zip(old.outputs, new.outputs, strict=True)]
    replaced = {id(before): after for before, after in pairs}
    return [
        Signature(
            signature.key,
            new,
            inputs=[(alias, replaced[id(tensor)]) for alias, tensor in signature.inputs],
            outputs=[(alias, replaced[id(tensor)]) for alias, tensor in signature.outputs],
        )
        for signature in signatures
    ]


def _ranges(data: bytes, inputs: Sequence[Array], name: str) -> Ranges:
    """Return the smallest and largest value of each float32 activation, by name."""
    main = editor.read(data).subgraphs[0]
    indices = [
        index
        for index, tensor in enumerate(main.tensors)
        if tensor.type == TensorType.FLOAT32 and not tensor.is_constant
    ]
    low, high = np.full(len(indices), np.inf), np.full(len(indices), -np.inf)
    for start in range(0, len(inputs[0]), _AT_ONCE):
        part = [array[start : start + _AT_ONCE] for array in inputs]
        for n, values in enumerate(litert_tensors(data, indices, part, name=name)):
            low[n], high[n] = min(low[n], values.min()), max(high[n], values.max())
    found = {}
    for index, *limits in zip(indices, low, high, strict=True):
        tensor = main.tensors[index]
        shape = (1,) * len(tensor.shape)
        smallest, largest = (np.full(shape, limit, np.float32) for limit in limits)
        found[tensor.name] = {"min": smallest, "max": largest}
    return found


def _check_int8(main: Subgraph, name: str) -> None:
    """Raise ModelError if an operator still computes in float32."""
    for op in main.operators:
        between = op.builtin_code in (BuiltinOperator.QUANTIZE, BuiltinOperator.DEQUANTIZE)
        if not between and any(tensor.type == TensorType.FLOAT32 for tensor in op.tensors):
            raise ModelError(
                f"{name}: layer {layer_name(op)!r}: {op.op_name} cannot be quantized to int8"
            )
