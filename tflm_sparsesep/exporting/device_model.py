"""A model with all that its firmware needs to know: operators, kernels, arena, a sample."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tflm_sparsesep.converters import op_names
from tflm_sparsesep.converters.errors import ConfigError, DeviceError
from tflm_sparsesep.converters.layers.packed import is_paged
from tflm_sparsesep.converters.selected_variants import variants_of
from tflm_sparsesep.converters.targets import Target, get_target
from tflm_sparsesep.converters.tflite import editor
from tflm_sparsesep.converters.tflite import types as tensor_types
from tflm_sparsesep.converters.tflite.editor import Model, Tensor
from tflm_sparsesep.exporting.arena import Arena, arena_of
from tflm_sparsesep.exporting.op_resolver import resolver_calls
from tflm_sparsesep.runtime import samples
from tflm_sparsesep.runtime.representative_dataset import Samples, arrays_of, tflite_inputs
from tflm_sparsesep.runtime.tflm_interpreter import TflmInterpreter

Array = npt.NDArray[Any]

_IDENTIFIER = re.compile(r"[a-z][a-z0-9_]*")
# Names that other parts of an exported library have.
_RESERVED = frozenset({"sparsesep", "tensorflow", "tflite", "tflm_sparsesep", "example", "std"})


@dataclass(frozen=True)
class DeviceModel:
    """One model for one core.

    Attributes:
        name: its C++ namespace.
        tflite: the file.
        target: the core.
        calls: that fill the resolver.
        variants: fully-connected kernels to link.
        uses_our_operators: the model holds operators of this project.
        arena: its size.
        inputs, outputs: a sample, one array for each input, and TFLM's outputs for it.
    """

    name: str
    tflite: bytes
    target: Target
    calls: list[str]
    variants: list[str]
    uses_our_operators: bool
    arena: Arena
    inputs: list[Array]
    outputs: list[Array]


def prepare(
    data: bytes, *, target: str, library: str, sample: Samples | None, model_name: str
) -> DeviceModel:
    """Read a model, and run it in TFLM on its sample.

    Args:
        data: the bytes of a .tflite file.
        target: the core.
        library: the name for the export, an identifier.
        sample: inputs as for `run`, of which the first inference is taken; None for random ones.
        model_name: what errors call the model.

    Raises:
        ModelError: the model is not usable.
        ConfigError: an argument is not accepted.
        ToolMissingError: TFLM's interpreter is not installed.
        DeviceError: TFLM refuses the model.
    """
    core = get_target(target)
    if target == "host":
        raise ConfigError("target 'host' has no firmware; accepted: a core")
    model = editor.read(data, name=model_name)
    if any(map(is_paged, model.operators)):
        raise ConfigError(
            f"{model_name}: its weights are pages in an external memory, which export does not "
            "know; accepted: models converted without page_bytes (docs/paging.md)"
        )
    calls = resolver_calls(model)
    variants = variants_of(data, target=target, name=model_name)
    inputs = _first(model, sample)
    interpreter = TflmInterpreter(data, model)
    outputs = interpreter.invoke(inputs)
    measured = interpreter.arena_bytes
    if measured is None:
        raise DeviceError(f"{model_name}: TFLM does not tell what arena it uses")
    return DeviceModel(
        name=library,
        tflite=data,
        target=core,
        calls=calls,
        variants=variants,
        uses_our_operators=any(op.custom_code in op_names.ALL for op in model.operators),
        arena=arena_of(data, model, measured, target=target),
        inputs=inputs,
        outputs=outputs,
    )


def library_name(name: str | None, model_name: str) -> str:
    """Return the name of an export: `name`, or what the model's file name makes of it.

    Raises:
        ConfigError: `name` is not accepted.
    """
    if name is None:
        words = re.sub(r"[^a-z0-9]+", "_", Path(model_name).stem.lower()).strip("_")
        name = words if _is_name(words) else f"model_{words}".rstrip("_")
    if not _is_name(name):
        raise ConfigError(
            f"name {name!r} is not accepted; accepted: lower-case letters, digits and "
            f"underscores, a letter first, except {', '.join(sorted(_RESERVED))}"
        )
    return name


def _is_name(text: str) -> bool:
    return bool(_IDENTIFIER.fullmatch(text)) and text not in _RESERVED


def _first(model: Model, sample: Samples | None) -> list[Array]:
    """Return the first inference of `sample`, or random inputs, the same for every export."""
    tensors = model.subgraphs[0].inputs
    if sample is None:
        rng = np.random.default_rng(0)
        return [_random(tensor, rng) for tensor in tensors]
    arrays = arrays_of(sample, tflite_inputs(model), argument="data")
    return [array[0] for array in samples.split_inputs(arrays, tensors)]


def _random(tensor: Tensor, rng: np.random.Generator) -> Array:
    dtype = tensor_types.numpy_dtype(tensor.type)
    if dtype.itemsize == 1 and dtype != np.bool_:
        limits = np.iinfo(dtype)
        return rng.integers(limits.min, limits.max + 1, tensor.shape).astype(dtype)
    return rng.uniform(0, 1, tensor.shape).astype(dtype)
