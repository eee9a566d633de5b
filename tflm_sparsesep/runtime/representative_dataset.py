"""Sample inputs, in every form that users have them in, as one array for each model input."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tflm_sparsesep.converters.errors import ConfigError
from tflm_sparsesep.converters.tflite.editor import Model

Array = npt.NDArray[Any]
Samples = Array | Sequence[Array] | Mapping[str, Array]
"""An array [n, ...]; for several inputs a list or tuple of arrays, or a dict by input name."""
RepresentativeDataset = Samples | Callable[[], Iterable[Any]]
"""`Samples`, or a function that returns an iterable of samples: each an array, or a list, tuple or
dict with one array per input, with or without the batch dimension."""


@dataclass(frozen=True)
class InputSpec:
    """One input of a model.

    Attributes:
        names: what a dict may call it.
        rank: its dimensions, the batch included.
    """

    names: tuple[str, ...]
    rank: int


def tflite_inputs(model: Model) -> list[InputSpec]:
    """Return the inputs of a .tflite model, named by its first signature and by their tensors."""
    aliases = {id(tensor): alias for one in model.signatures[:1] for alias, tensor in one.inputs}
    return [
        InputSpec((aliases.get(id(tensor), tensor.name), tensor.name), len(tensor.shape))
        for tensor in model.subgraphs[0].inputs
    ]


def arrays_of(
    dataset: RepresentativeDataset,
    inputs: Sequence[InputSpec] | None,
    *,
    argument: str = "representative_dataset",
    limit: int | None = None,
) -> list[Array]:
    """Return one array [n, ...] per model input, in the order of `inputs`.

    Values, dtypes and the shape of a sample are left to the caller, who knows what it accepts.

    Args:
        dataset: the samples in any form.
        inputs: those of the model; None where it does not declare them.
        argument: what errors call `dataset`.
        limit: read at most this many samples, all by default.

    Raises:
        ConfigError: the dataset is an empty function, has samples of several shapes, or does not
            name or number the inputs of the model.
    """
    if not callable(dataset):
        arrays = _in_order(dataset, inputs, argument)
        return [array[:limit] if array.ndim else array for array in arrays]
    samples = [_in_order(one, inputs, argument) for one in itertools.islice(dataset(), limit)]
    if not samples:
        raise ConfigError(f"{argument} is empty; accepted: at least one sample")
    counts = {len(parts) for parts in samples}
    if len(counts) > 1:
        raise ConfigError(
            f"{argument} holds samples of {sorted(counts)} arrays; accepted: equally many in each"
        )
    ranks = [1] * len(samples[0]) if inputs is None else [one.rank for one in inputs]
    columns = zip(*samples, strict=True)
    return [_joined(column, rank, argument) for column, rank in zip(columns, ranks, strict=True)]


def _in_order(sample: Any, inputs: Sequence[InputSpec] | None, argument: str) -> list[Array]:
    """Return one array per input, whatever the container."""
    if isinstance(sample, Mapping):
        return _by_name(sample, inputs, argument)
    parts = list(sample) if isinstance(sample, list | tuple) else [sample]
    if inputs is not None and len(parts) != len(inputs):
        raise ConfigError(
            f"{argument}: {len(parts)} input array(s) given, the model takes {len(inputs)}; "
            "accepted: one array, or a list, tuple or dict with one array per input"
        )
    return [np.asarray(part) for part in parts]


def _by_name(
    sample: Mapping[str, Any], inputs: Sequence[InputSpec] | None, argument: str
) -> list[Array]:
    if inputs is None:
        raise ConfigError(
            f"{argument} is a dict, but the model does not name its inputs; accepted: one array, "
            "or a list with one array per input"
        )
    keys = [next((name for name in one.names if name in sample), None) for one in inputs]
    if None in keys or len(sample) != len(inputs):
        accepted = ", ".join(repr(one.names[0]) for one in inputs)
        raise ConfigError(f"{argument} has the keys {sorted(sample)}; accepted: {accepted}")
    return [np.asarray(sample[key]) for key in keys if key is not None]


def _joined(parts: Sequence[Array], rank: int, argument: str) -> Array:
    """Join samples, each with or without a batch, into one array [n, ...]."""
    batched = [part[np.newaxis] if part.ndim == rank - 1 else part for part in parts]
    for part, batch in zip(parts, batched, strict=True):
        if batch.ndim == 0 or batch.shape[1:] != batched[0].shape[1:]:
            raise ConfigError(
                f"{argument} holds a sample of shape {parts[0].shape} and one of shape "
                f"{part.shape}; accepted: the same for all, [batch, ...] or without the batch"
            )
    return np.concatenate(batched)
