"""One trial of `compress`: all fully-connected layers of a model at one share of weights."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tflm_sparsesep import samples
from tflm_sparsesep.converters import model_editor, real_layer
from tflm_sparsesep.converters.choose_layout import choose_layout, reason_to_stay_dense
from tflm_sparsesep.converters.cost_model import dense_fully_connected
from tflm_sparsesep.converters.errors import ModelError
from tflm_sparsesep.converters.factorize import sparse_refit
from tflm_sparsesep.converters.factorize.chain import DenseLayer, OutputLoss, importance
from tflm_sparsesep.converters.factorize.gram import Gram, GramAccumulator, Matrix, Vector
from tflm_sparsesep.converters.factorize.nonzero_shares import Block, SharedBlocks, block_values
from tflm_sparsesep.converters.model_editor import BuiltinOperator, Model, Operator, Tensor
from tflm_sparsesep.converters.passes.sparse_fully_connected import read_layer
from tflm_sparsesep.converters.quantized_layer import Unsupported, dense_bytes, tensor_of
from tflm_sparsesep.litert_tensors import Array, litert_tensors

# Of each Gram matrix, relative to the mean of its diagonal.
_DAMPING = 1e-2
# Half of what `sparse_refit.admm` does by default: the search tries many levels.
_ITERATIONS = 30
# For the curves of error over nonzeros, which are only compared, and their shares of the blocks.
_CURVE_ITERATIONS = 12
_CURVE_SHARES = (1 / 64, 1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2)


@dataclass(frozen=True)
class _Original:
    """What a layer was: numbers, inputs [n, cols] and pre-activations [n, rows], importance."""

    layer: DenseLayer
    inputs: Matrix
    wanted: Matrix
    matter: Vector


class LayerCompressor:
    """Makes the fully-connected layers of one int8 model sparse.

    Args:
        data: a .tflite file that `rewrite` accepts.
        inputs: for each model input the calibration samples [inferences, *shape].
        target: a name of `targets.TARGETS`: layers are made sparse only where that pays there.
        name: what errors call the model.

    Raises:
        ModelError: the model has no int8 FULLY_CONNECTED.
    """

    def __init__(self, data: bytes, inputs: list[Array], *, target: str, name: str) -> None:
        self._data, self._inputs, self._target, self._name = data, inputs, target, name
        self._shared: dict[Block, SharedBlocks] = {}
        model = model_editor.read(data, name=name)
        ops = _compressible(model)
        if not ops:
            raise ModelError(f"{name}: no int8 FULLY_CONNECTED layer that could be made sparse")
        layers = [real_layer.read(op) for op in ops]
        entering = self._entering(model, ops)
        matter = _importance(ops, layers, entering)
        self._originals = [
            _Original(layer, x, x @ layer.weights.T + layer.bias, values)
            for layer, x, values in zip(layers, entering, matter, strict=True)
        ]

    def compress(self, block: Block, share: float) -> bytes:
        """The model, still dense, with the share of its weights kept that does best.

        Layer after layer: weights and bias are fitted to the original's pre-activations, on the
        inputs that the layers before now give. A layer that its nonzeros would not make smaller
        and faster stays as it was.
        """
        model = model_editor.read(self._data, name=self._name)
        changed = False
        counts = self._blocks(block).nonzeros(share)
        for op, original, count in zip(_compressible(model), self._originals, counts, strict=True):
            if count >= original.layer.weights.size:
                continue
            x = self._entering(model, [op])[0] if changed else original.inputs
            before = list(op.inputs)
            real_layer.write(op, *_fit(original, x, count, block))
            if self._pays(op):
                changed = True
            else:
                op.inputs[:] = before
        model.prune_unused()
        return model.build()

    def _blocks(self, block: Block) -> SharedBlocks:
        if block not in self._shared:
            values = [_values(original, block) for original in self._originals]
            self._shared[block] = SharedBlocks(values, block)
        return self._shared[block]

    def _entering(self, model: Model, ops: list[Operator]) -> list[Matrix]:
        """The real inputs [n, cols] of some layers of a model."""
        data = model.build()
        main = model_editor.read(data, name=self._name).subgraphs[0]
        positions = [model.subgraphs[0].operators.index(op) for op in ops]
        tensors = [tensor_of(main.operators[i].inputs[0]) for i in positions]
        indices = [main.tensors.index(tensor) for tensor in tensors]
        values = litert_tensors(data, indices, self._inputs)
        cols = [tensor_of(op.inputs[1]).shape[-1] for op in ops]
        return [
            _real(v, tensor).reshape(-1, c)
            for v, tensor, c in zip(values, tensors, cols, strict=True)
        ]

    def _pays(self, op: Operator) -> bool:
        """Whether `passes/sparse_fully_connected` would take the layer."""
        try:
            layer, _ = read_layer(op)
        except Unsupported:
            return False
        rows, cols = layer.weights.shape
        batch = math.prod(tensor_of(op.inputs[0]).shape) // cols
        best = choose_layout(layer, self._target, batch)
        return best is not None and not reason_to_stay_dense(
            best,
            zeros=0.0,
            target=self._target,
            dense_instructions=dense_fully_connected(self._target, rows, cols, batch),
            dense_bytes=dense_bytes(op),
        )


def real_outputs(tflite: bytes, inputs: list[Array]) -> list[Matrix]:
    """All outputs of a model in LiteRT as real numbers, [inferences, *shape] each."""
    main = model_editor.read(tflite).subgraphs[0]
    indices = [main.tensors.index(tensor) for tensor in main.outputs]
    values = litert_tensors(tflite, indices, inputs)
    return [_real(v, tensor) for v, tensor in zip(values, main.outputs, strict=True)]


def sqnr_db(wanted: list[Matrix], found: list[Matrix]) -> float:
    """10 log10(sum wanted^2 / sum (found - wanted)^2) over all outputs; inf if they are equal.

    Example:
        >>> sqnr_db([np.array([10.0, 0.0])], [np.array([9.0, 0.0])])
        20.0
    """
    noise = sum(float(np.square(f - w).sum()) for w, f in zip(wanted, found, strict=True))
    power = sum(float(np.square(w).sum()) for w in wanted)
    if noise == 0:
        return math.inf
    return 10 * math.log10(power / noise) if power else -math.inf


def _compressible(model: Model) -> list[Operator]:
    found = []
    for op in model.subgraphs[0].operators:
        if op.builtin_code == BuiltinOperator.FULLY_CONNECTED:
            try:
                real_layer.read(op)
            except Unsupported:
                continue
            found.append(op)
    return found


def _importance(
    ops: list[Operator], layers: list[DenseLayer], entering: list[Matrix]
) -> list[Vector]:
    """What squared errors matter, as a share of the power that leaves the layer's chain.

    A chain are layers that read one another.
    """
    starts = [i for i, op in enumerate(ops) if not i or op.inputs[0] is not ops[i - 1].outputs[0]]
    found: list[Vector] = []
    for start, end in zip(starts, [*starts[1:], len(ops)], strict=True):
        last = entering[end - 1] @ layers[end - 1].weights.T + layers[end - 1].bias
        power = float(np.square(last).sum(axis=1).mean()) or 1.0
        values = importance(layers[start:end], entering[start], OutputLoss(None))
        found += [v / power for v in values]
    return found


def _values(original: _Original, block: Block) -> Vector:
    """What each block of a layer is worth to the outputs (`nonzero_shares`)."""
    weights, gram = original.layer.weights, _gram(original.inputs).damped(_DAMPING)
    rows, cols = weights.shape
    total, size = -(-rows // block[0]) * -(-cols // block[1]), block[0] * block[1]
    counts = sorted({0, total, *(round(share * total) for share in _CURVE_SHARES)})
    errors = []
    for count in counts[:-1]:
        kept = sparse_refit.admm(
            weights,
            gram,
            count * size,
            block=block,
            importance=original.matter,
            iterations=_CURVE_ITERATIONS,
        )
        errors.append(gram.error((weights - kept) * np.sqrt(original.matter)[:, None]))
    return block_values(counts, [*errors, 0.0])


def _fit(original: _Original, inputs: Matrix, count: int, block: Block) -> tuple[Matrix, Vector]:
    """Weights with `count` nonzeros, and bias, that give what is wanted on these inputs."""
    moments = _gram(inputs, original.wanted)
    target, bias = moments.target_weights(original.layer.weights, damping=_DAMPING)
    gram = moments.damped(_DAMPING)
    weights = sparse_refit.admm(
        target, gram, count, block=block, importance=original.matter, iterations=_ITERATIONS
    )
    return weights, bias + gram.bias_shift(target, weights)


def _gram(inputs: Matrix, targets: Matrix | None = None) -> Gram:
    accumulator = GramAccumulator()
    accumulator.add(inputs, targets)
    return accumulator.finish()


def _real(values: Array, tensor: Tensor) -> Matrix:
    return samples.dequantize(values, tensor).astype(np.float64)
