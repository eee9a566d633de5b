"""Refit consecutive layers of a compressed model together, to the outputs of the original."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass

import numpy as np

from tflm_sparsesep.compression.segments import Values, run_segment
from tflm_sparsesep.converters.factorize import joint_refit
from tflm_sparsesep.converters.factorize.chain import OutputLoss, forward, importance
from tflm_sparsesep.converters.factorize.gram import Vector
from tflm_sparsesep.converters.layers import real, real_chain
from tflm_sparsesep.converters.layers.real import LAYERS
from tflm_sparsesep.converters.tflite.editor import (
    BuiltinOperator,
    Model,
    Operator,
    Subgraph,
    Tensor,
)
from tflm_sparsesep.converters.tflite.references import buffer_users, is_shared
from tflm_sparsesep.runtime import samples
from tflm_sparsesep.runtime.litert_tensors import Array

_LEAST_SAMPLES = 60
# Of the layers' inputs and outputs, float32: 256 MB with all that is computed from them.
_MOST_FLOATS = 20_000_000


@dataclass(frozen=True)
class Refit:
    """The extent of a refit.

    Attributes:
        samples: at most; a conjugate-gradient step passes over them three times.
        steps: Gauss-Newton steps.
    """

    samples: int
    steps: int


WHOLE = Refit(samples=8000, steps=4)
PROBE = Refit(samples=1500, steps=2)
"""Enough to see what other layers can compensate for."""


class Refitter:
    """Refits what became of one model.

    Args:
        model: the original model. Layers whose weights have other users stay: a second copy would
            only enlarge the file.
        values: all activations of its main subgraph on the samples.
    """

    def __init__(self, model: Model, values: Values) -> None:
        original = model.subgraphs[0]
        self._original, self._values, self._subgraphs = original, values, model.subgraphs[1:]
        users = buffer_users(model)
        shared = {i for i, op in enumerate(original.operators) if is_shared(op, users)}
        runs = [part for run in real_chain.runs(original) for part in _split(original, run, shared)]
        self._runs = [(run, _parts(original, run)) for run in runs]
        self._targets: dict[tuple[range, int], tuple[list[Vector], list[Array]]] = {}

    def refit(
        self, now: Sequence[Sequence[Operator]], values: Values, extent: Refit, *, first: int = 0
    ) -> None:
        """Improve all weights that are not zero (`joint_refit`), run after run.

        A run with convolutions sees few samples, as it takes much memory: its fully-connected
        layers are refitted again, on more of them.

        Args:
            now: the operators in the place of each original one; their layers are changed.
            values: of what the operators from `first` on read from elsewhere, or from variables.
            extent: how far to go.
            first: position of the first operator that is not the original one.
        """
        at, known = first, dict(values)
        for run, parts in self._runs:
            if run.stop <= first:
                continue
            for positions in parts:
                picks = self._picks(now, positions, extent)
                if picks is None:
                    continue
                known |= self._run(now, known, range(at, run.start))
                at = run.start
                inside = known | self._run(now, known, range(at, positions.start))
                source = now[positions.start][0].input(0)
                self._refit(now, positions, _real(inside, source, picks), picks, extent)

    def _run(self, now: Sequence[Sequence[Operator]], values: Values, positions: range) -> Values:
        """Return the outputs of some operators that later ones read."""
        operators = [op for position in positions for op in now[position]]
        rest = [op for ops in now[positions.stop :] for op in ops]
        later = [t for op in rest for t in op.inputs if t is not None]
        return run_segment(operators, values, later, subgraphs=self._subgraphs)

    def _picks(
        self, now: Sequence[Sequence[Operator]], positions: range, extent: Refit
    ) -> Array | None:
        """Return the samples to take; None where they would be too few to learn from."""
        operators = [op for position in positions for op in now[position]]
        count = len(self._values[self._original.inputs[0]])
        most = min(count, extent.samples, _MOST_FLOATS // real_chain.floats_per_sample(operators))
        if most < _LEAST_SAMPLES:
            return None
        return np.linspace(0, count - 1, most).astype(np.int64)

    def _refit(
        self,
        now: Sequence[Sequence[Operator]],
        positions: range,
        entering: Array,
        picks: Array,
        extent: Refit,
    ) -> None:
        original = [self._original.operators[position] for position in positions]
        readers = self._original.consumers(original[-1].outputs[0])
        is_classifier = any(op.builtin_code == BuiltinOperator.SOFTMAX for op in readers)
        loss = OutputLoss() if is_classifier else OutputLoss(None)
        weights, targets = self._wanted(positions, original, picks, loss)
        outputs = iter(targets)
        wanted: list[Array | None] = []
        for position, op in zip(positions, original, strict=True):
            if op.builtin_code in LAYERS:
                wanted += [*[None] * (len(now[position]) - 1), next(outputs)]
        operators = [op for position in positions for op in now[position]]
        fitted = real_chain.read(operators)
        found = joint_refit.refit(fitted, wanted, entering, weights, loss=loss, steps=extent.steps)
        layers = [op for op in operators if op.builtin_code in LAYERS]
        for op, thin, layer in zip(layers, fitted, found, strict=True):
            real.write(op, np.where(thin.weights != 0, layer.weights, 0.0), layer.bias)

    def _wanted(
        self, positions: range, original: Sequence[Operator], picks: Array, loss: OutputLoss
    ) -> tuple[list[Vector], list[Array]]:
        """Return the importance and the pre-activations, float32, of original layers."""
        key = positions, len(picks)
        if key not in self._targets:
            before = _real(self._values, original[0].input(0), picks)
            dense = real_chain.read(original)
            outputs = [z.astype(np.float32) for z in forward(dense, before).outputs]
            self._targets[key] = importance(dense, before, loss), outputs
        return self._targets[key]


def _split(original: Subgraph, run: range, shared: Set[int]) -> list[range]:
    """Return what remains of a run without some layers, with layers at both ends."""
    found, layers = [], list[int]()
    for position in [*run, run.stop]:
        if position == run.stop or position in shared:
            if layers:
                found.append(range(layers[0], layers[-1] + 1))
            layers = []
        elif original.operators[position].builtin_code in LAYERS:
            layers.append(position)
    return found


def _parts(original: Subgraph, run: range) -> list[range]:
    """Return a run, and the fully-connected layers at its end if convolutions precede them."""
    codes = {i: original.operators[i].builtin_code for i in run}
    convs = [i for i in run if codes[i] == BuiltinOperator.CONV_2D]
    dense = [i for i in run if codes[i] == BuiltinOperator.FULLY_CONNECTED]
    last = [i for i in dense if i > convs[-1]] if convs else []
    return [run, *([range(last[0], run.stop)] if last else [])]


def _real(values: Values, tensor: Tensor, picks: Array) -> Array:
    """Return picked samples of an activation, float32[n, ...]."""
    found: Array = samples.dequantize(values[tensor][picks], tensor).astype(np.float32)
    return found
