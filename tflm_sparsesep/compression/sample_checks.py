"""Warn about samples that say little: random or equal ones, or too few for a layer's width."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tflm_sparsesep.compression.layers import vectors_per_inference
from tflm_sparsesep.converters.layers.quantized import layer_name
from tflm_sparsesep.converters.layers.real import LAYERS
from tflm_sparsesep.converters.tflite.editor import Model, Operator
from tflm_sparsesep.runtime import samples

Array = npt.NDArray[Any]

# Every fourth sample measures, the others fit.
_HELD_OUT = 4
# Elements of a sample that are compared with one another.
_MOST_ELEMENTS = 512
_LEAST_ELEMENTS = 16
# Of fewer, chance correlations hide those of real inputs.
_LEAST_SAMPLES = 16
# The mean squared correlation of independent numbers deviates from its expectation by a share of
# about 2 / elements. Of real inputs it is a multiple, which grows with the samples.
_DEVIATIONS = 4


def sample_warnings(model: Model, dataset: Sequence[Array]) -> list[str]:
    """Return a line for each reason to doubt what is measured on some samples.

    Args:
        model: that takes them.
        dataset: samples for each input, as for `samples.split_inputs`.
    """
    arrays = samples.split_inputs(dataset, model.subgraphs[0].inputs)
    fitting = int(np.count_nonzero(~held_out(len(arrays[0])))) if arrays else 0
    names = [tensor.name for tensor in model.subgraphs[0].inputs]
    found = [
        f"the samples of input {name!r} look like random numbers, as their elements are "
        "uncorrelated; use inputs that the model meets: quality on others says little about them"
        for name, array in zip(names, arrays, strict=True)
        if looks_random(array)
    ]
    found += [
        f"the {len(array):,} samples of input {name!r} are all the same; use inputs that the model "
        "meets: nothing varies that could show a loss"
        for name, array in zip(names, arrays, strict=True)
        if len(array) > 1 and (array == array[:1]).all()
    ]
    layers = [op for op in model.subgraphs[0].operators if op.builtin_code in LAYERS]
    if not layers or not fitting:
        return found
    widest = max(layers, key=lambda op: _inputs(op) / vectors_per_inference(op))
    vectors, inputs = fitting * vectors_per_inference(widest), _inputs(widest)
    if vectors < inputs:
        found.append(
            f"{fitting:,} samples are left to fit layer {layer_name(widest)!r}: {vectors:,} input "
            f"vectors for {inputs:,} inputs; give {math.ceil(inputs / vectors):,} times as many"
        )
    return found


def held_out(count: int) -> npt.NDArray[np.bool_]:
    """Return which of `count` samples measure quality; the others fit."""
    found: npt.NDArray[np.bool_] = np.arange(count) % _HELD_OUT == _HELD_OUT - 1
    return found


def looks_random(values: Array) -> bool:
    """Return True if the elements of samples [n, ...] are independent of one another.

    Images, spectra and sequences are smooth: their elements are correlated. The mean squared
    correlation of two elements is compared with 1 / (n - 1), that of independent numbers.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> looks_random(rng.uniform(size=(50, 40)))
        True
        >>> looks_random(rng.uniform(size=(50, 40)).cumsum(axis=1))
        False
    """
    flat = values.reshape(len(values), -1).astype(np.float64)
    flat = flat[:, flat.std(axis=0) > 0]
    count, elements = flat.shape
    if count < _LEAST_SAMPLES or elements < _LEAST_ELEMENTS:
        return False
    picks = np.linspace(0, elements - 1, min(elements, _MOST_ELEMENTS)).astype(np.int64)
    correlations = np.corrcoef(flat[:, picks], rowvar=False)
    pairs = len(picks) * (len(picks) - 1)
    mean = float(np.square(correlations).sum() - len(picks)) / pairs
    return mean * (count - 1) < 1 + _DEVIATIONS * 2 / len(picks)


def _inputs(op: Operator) -> int:
    return math.prod(op.weights.shape[1:])
