"""Consecutive layers of a compressed model, refitted together to the original's outputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tflm_sparsesep.compression.segments import Values, run_segment
from tflm_sparsesep.converters.factorize import joint_refit
from tflm_sparsesep.converters.factorize.chain import OutputLoss, forward, importance
from tflm_sparsesep.converters.layers import real as real_layer
from tflm_sparsesep.converters.layers import real_chain
from tflm_sparsesep.converters.tflite.editor import BuiltinOperator, Operator, Subgraph
from tflm_sparsesep.runtime import samples
from tflm_sparsesep.runtime.litert_tensors import Array

_LEAST_SAMPLES = 200
# Of what layers multiply and give, float32: a quarter of a gigabyte with what comes of them.
_MOST_FLOATS = 20_000_000


@dataclass(frozen=True)
class Refit:
    """How far to go: samples at most, each taken three times by a conjugate-gradient step, and
    Gauss-Newton steps.
    """

    samples: int
    steps: int


WHOLE = Refit(samples=8000, steps=4)
PROBE = Refit(samples=1500, steps=2)
"""Enough to see what other layers can make up for."""


@dataclass(frozen=True)
class _Run:
    """Consecutive operators that are refitted together.

    original: as they were, layers at both ends. now: those in the place of each. before, entering:
    float32[n, ...], what entered in the original, and what does now. is_classifier: what leaves
    goes through a softmax.
    """

    original: Sequence[Operator]
    now: Sequence[Sequence[Operator]]
    before: Array
    entering: Array
    is_classifier: bool

    @property
    def operators(self) -> list[Operator]:
        """Those of now, one after the other."""
        return [op for ops in self.now for op in ops]


def refit_together(
    original: Subgraph,
    compressed: Subgraph,
    now: Sequence[Sequence[Operator]],
    inputs: Sequence[Array],
    extent: Refit,
) -> None:
    """Gives layers better weights where theirs are not zero (`joint_refit`), run after run.

    A run with convolutions sees few samples, as it takes much memory: its fully-connected layers
    are refitted once more, on more of them.

    Args:
        original: the model as it was.
        compressed: what became of it; its layers are changed in place.
        now: for each operator of `original` those in its place.
        inputs: samples [n, *shape] for each input of the model.
    """
    for run in real_chain.runs(original):
        for positions in _parts(original, run):
            _refit(_read_run(original, compressed, now, inputs, positions), extent)


def _parts(original: Subgraph, run: range) -> list[range]:
    """A run, and the fully-connected layers at its end if there are others before."""
    codes = {i: original.operators[i].builtin_code for i in run}
    convs = [i for i in run if codes[i] == BuiltinOperator.CONV_2D]
    dense = [i for i in run if codes[i] == BuiltinOperator.FULLY_CONNECTED]
    last = [i for i in dense if i > convs[-1]] if convs else []
    return [run, *([range(last[0], run.stop)] if last else [])]


def _read_run(
    original: Subgraph,
    compressed: Subgraph,
    now: Sequence[Sequence[Operator]],
    inputs: Sequence[Array],
    positions: range,
) -> _Run:
    before = original.operators[: positions.start]
    changed = [op for ops in now[: positions.start] for op in ops]
    last = original.operators[positions.stop - 1].outputs[0]
    readers = original.consumers(last)
    return _Run(
        [original.operators[i] for i in positions],
        [now[i] for i in positions],
        _arriving(original, before, original.operators[positions.start], inputs),
        _arriving(compressed, changed, now[positions.start][0], inputs),
        any(op.builtin_code == BuiltinOperator.SOFTMAX for op in readers),
    )


def _arriving(
    subgraph: Subgraph, before: Sequence[Operator], op: Operator, inputs: Sequence[Array]
) -> Array:
    """float32[n, ...], what enters `op` behind some operators."""
    values: Values = dict(zip(subgraph.inputs, inputs, strict=True))
    source = op.input(0)
    if source not in values:
        values |= run_segment(before, values, [source])
    found: Array = samples.dequantize(values[source], source).astype(np.float32)
    return found


def _refit(run: _Run, extent: Refit) -> None:
    size = real_chain.floats_per_sample(run.operators)
    most = min(len(run.before), extent.samples, _MOST_FLOATS // size)
    if most < _LEAST_SAMPLES:
        return
    picks = np.linspace(0, len(run.before) - 1, most).astype(np.int64)
    loss = OutputLoss() if run.is_classifier else OutputLoss(None)
    dense = real_chain.read(run.original)
    matter = importance(dense, run.before[picks], loss)
    outputs = iter(forward(dense, run.before[picks]).outputs)
    wanted: list[Array | None] = []
    for op, ops in zip(run.original, run.now, strict=True):
        if op.builtin_code in real_chain.LAYERS:
            wanted += [*[None] * (len(ops) - 1), next(outputs)]
    now = real_chain.read(run.operators)
    found = joint_refit.refit(
        now, wanted, run.entering[picks], matter, loss=loss, steps=extent.steps
    )
    layers = [op for op in run.operators if op.builtin_code in real_chain.LAYERS]
    for op, before, layer in zip(layers, now, found, strict=True):
        real_layer.write(op, np.where(before.weights != 0, layer.weights, 0.0), layer.bias)
