"""`convert`: a trained model in, a .tflite with sparse layers out."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tflm_sparsesep.converters.cost.choose_layout import Prefer
from tflm_sparsesep.converters.decisions import LayerDecision
from tflm_sparsesep.converters.errors import ConfigError, ModelError
from tflm_sparsesep.converters.page_model import page_model
from tflm_sparsesep.converters.rewrite import rewrite
from tflm_sparsesep.runtime.activations import input_zeros

RepresentativeDataset = npt.NDArray[Any] | list[npt.NDArray[Any]] | Callable[[], Iterable[Any]]


@dataclass(frozen=True)
class ConvertResult:
    """What `convert` made.

    tflite: the model with custom ops where they pay. layers: one decision for each layer that
    a pass looked at, in execution order. dense_tflite: the same model before the rewriting.
    external: with `page_bytes`, the image of the external memory that the model's paged weights
    are in; else None.
    """

    tflite: bytes
    layers: list[LayerDecision]
    dense_tflite: bytes
    external: bytes | None = None


def convert(
    model: Any,
    *,
    representative_dataset: RepresentativeDataset | None = None,
    target: str = "cortex-m4",
    prefer: Prefer | None = None,
    page_bytes: int | None = None,
    name: str | None = None,
) -> ConvertResult:
    """Rewrites the layers of a model that get smaller and faster on `target`.

    Args:
        model: a Keras model, the bytes of a .tflite file, or the path of one.
        representative_dataset: sample inputs, an array [samples, ...] of what the model was
            trained on (200 are plenty), or a list with one such array per input; for Keras models
            also a function that yields lists of arrays. Keras models are quantised with it, which
            is why they require it. For both it tells how many activations are zero: kernels that
            skip zero inputs are chosen only where that is known.
        target: the core that costs are estimated for, a name of `targets.TARGETS`.
        prefer: of the layouts that make a layer both smaller and faster, "flash" takes the
            smallest one, "speed" the fastest; None the one with the least bytes times
            instructions.
        page_bytes: where flash is short: packed weights that are larger go to an external memory,
            in pages of at most so many bytes (docs/paging.md).
        name: what errors call the model; by default the path, or "model".

    Raises:
        ModelError: the bytes are no usable .tflite model, or its weights are not finite.
        ConfigError: an argument is not accepted.

    Example:
        >>> result = convert("model_int8.tflite", target="cortex-m4")  # doctest: +SKIP
        >>> [layer.name for layer in result.layers if layer.rewritten]  # doctest: +SKIP
    """
    if isinstance(model, bytes | bytearray | str | Path):
        dense, name = _read(model, name)
    else:
        dense, name = _quantize(model, representative_dataset), name or "model"
    zeros = input_zeros(dense, representative_dataset, name=name)
    result = rewrite(dense, target=target, input_zeros=zeros, name=name, prefer=prefer)
    if page_bytes is None:
        return ConvertResult(result.tflite, result.layers, dense)
    paged = page_model(result.tflite, page_bytes=page_bytes, name=name)
    return ConvertResult(paged.tflite, result.layers, dense, paged.external)


def _read(model: bytes | bytearray | str | Path, name: str | None) -> tuple[bytes, str]:
    if isinstance(model, bytes | bytearray):
        return bytes(model), name or "model"
    try:
        return Path(model).read_bytes(), name or str(model)
    except OSError as error:
        raise ModelError(f"{model}: cannot be read: {error.strerror}") from None


def _quantize(model: Any, representative_dataset: RepresentativeDataset | None) -> bytes:
    if not hasattr(model, "get_weights"):
        raise ConfigError(
            f"model is a {type(model).__name__}, accepted: a Keras model, or the bytes or the "
            "path of a .tflite file"
        )
    if representative_dataset is None:
        raise ConfigError(
            "representative_dataset is missing: a Keras model is quantised to int8 with sample "
            "inputs, for instance representative_dataset=x_train[:200]"
        )
    for variable in model.weights:
        if not np.all(np.isfinite(np.asarray(variable))):
            raise ModelError(f"weights {variable.path!r} of the Keras model hold NaN or infinity")
    from tflm_sparsesep.quantize import quantize

    return quantize(model, representative_dataset)
