"""Measure the effect of an error in each output of a convolution on the model's scores.

With scores z (the outputs, before a softmax) and an error e of one output unit at every pixel,
importance is E||change of z||^2 / E||e||^2. The rest of the model runs in LiteRT with the unit's
activations changed by random signs times a quarter of their standard deviation, about the error of
a compressed layer. Where the activation is at its lower limit, an error mostly stays hidden: those
pixels keep their value, and count.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tflm_sparsesep.compression.segments import Values, is_stateful, run_segment
from tflm_sparsesep.converters.factorize.gram import Vector
from tflm_sparsesep.converters.tflite.editor import BuiltinOperator, Operator, Subgraph, Tensor
from tflm_sparsesep.runtime import samples
from tflm_sparsesep.runtime.litert_tensors import Array

_INFERENCES = 64
_STEP = 0.25
_INT8 = np.iinfo(np.int8)


def output_importance(
    subgraph: Subgraph, position: int, values: Values, subgraphs: Sequence[Subgraph] = ()
) -> Vector:
    """Return float64[units], up to a factor; ones where nothing follows the operator.

    Args:
        subgraph: the main one.
        position: of the operator.
        values: all activations on some samples.
        subgraphs: the others of the model.

    Time: `units` times 64 inferences of what follows.
    """
    output = subgraph.operators[position].outputs[0]
    units = output.shape[-1]
    wanted = scores(subgraph)
    if any(score is output for score in wanted):
        return np.ones(units)
    rest = subgraph.operators[position + 1 :]
    few = {tensor: array[:_INFERENCES] for tensor, array in values.items()}
    rng = np.random.default_rng(0)
    others = [tensor for tensor in _read(rest, few) if tensor is not output]
    entering = {t: np.tile(few[t], (units, *[1] * (few[t].ndim - 1))) for t in others}
    changed, steps = _changed(few[output], rng)
    found = run_segment(rest, entering | {output: changed}, wanted, subgraphs=subgraphs)
    effect = np.zeros(units)
    for score in wanted:
        if score in found:
            before = samples.dequantize(few[score], score)
            after = samples.dequantize(found[score], score).reshape(units, *before.shape)
            effect += np.square(after - before).reshape(units, -1).sum(axis=1)
    importance: Vector = effect / np.square(steps)
    return importance


def _changed(values: Array, rng: np.random.Generator) -> tuple[Array, Vector]:
    """Return the values with one unit changed, for each unit, and the size of each change."""
    units, lowest = values.shape[-1], values.min()
    steps = np.maximum(1, np.rint(_STEP * values.reshape(-1, units).std(axis=0)))
    found = []
    for unit in range(units):
        own = values[..., unit].astype(np.int64)
        moved = own + rng.choice([-1, 1], own.shape) * int(steps[unit])
        one = values.copy()
        one[..., unit] = np.where(own > lowest, np.clip(moved, lowest, _INT8.max), own)
        found.append(one)
    return np.concatenate(found), steps


def scores(subgraph: Subgraph) -> list[Tensor]:
    """Return the outputs, before a softmax: probabilities hide errors."""
    makers = {op.outputs[0]: op for op in subgraph.operators if op.outputs}
    found = []
    for tensor in subgraph.outputs:
        maker = makers.get(tensor)
        is_softmax = maker is not None and maker.builtin_code == BuiltinOperator.SOFTMAX
        source = maker.inputs[0] if is_softmax and maker is not None else None
        found.append(tensor if source is None else source)
    return found


def _read(operators: Sequence[Operator], values: Values) -> list[Tensor]:
    """Return the known activations that operators read and do not write."""
    written = {tensor for op in operators if not is_stateful(op) for tensor in op.outputs}
    read = dict.fromkeys(t for op in operators for t in op.inputs if t is not None)
    return [tensor for tensor in read if tensor in values and tensor not in written]
