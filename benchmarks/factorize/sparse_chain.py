"""Consecutive fully-connected layers made sparse together, under one budget of weights.

1. Growth paths of all rows of all layers, in one unit (importance times squared error), are cut to
   a common number of weights. So each layer gets what it is worth to the outputs.
2. Layer after layer: the targets are the dense model's pre-activations, the inputs those that the
   already compressed layers give; supports are improved by exchanges (`sparse_refit.search_on`).
3. `joint_refit` over all layers.
4. With more than one stage, 1 to 3 start with more weights than asked for. Then the cheapest are
   taken out over all layers (`sparse_refit.removal`) and the rest is refitted, in stages of equal
   ratio: costs are then those of the network as it is by now.

No labels and no gradient descent; `refits=0` leaves closed-form steps only.

MACs: nonzeros. Bytes in int8: nonzeros times one plus the index (`sparse_refit`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from tflm_sparsesep.converters.errors import ConfigError
from tflm_sparsesep.converters.factorize import joint_refit, sparse_refit
from tflm_sparsesep.converters.factorize.chain import OutputLoss, RealLayer, forward, importance
from tflm_sparsesep.converters.factorize.gram import Gram, GramAccumulator, Matrix, Vector
from tflm_sparsesep.converters.factorize.sparse_refit import Block, Path

_STAGE_RATIO = 0.75
# Rows seldom want more than this many times the mean; longer paths cost time.
_PATH_FACTOR = 3


def sparsify(
    dense: Sequence[RealLayer],
    samples: Matrix,
    nonzeros: int,
    *,
    block: Block = (1, 1),
    damping: float = 1e-2,
    loss: OutputLoss | None = None,
    stages: int = 3,
    refits: int = 2,
    exchanges: int = 100,
) -> list[RealLayer]:
    """The layers with `nonzeros` weights left in all, biases not counted.

    Args:
        dense: the layers, first to last.
        samples: float64[n, cols of the first layer], unlabelled.
        block: rows and columns kept or dropped together.
        damping: of each Gram matrix, relative.
        loss: how outputs are compared; softmax at temperature 4 by default.
        stages: 1 cuts to `nonzeros` at once; n start from nonzeros / 0.75^(n-1).
        refits: Gauss-Newton steps in each stage; 0 for none.
        exchanges: most exchanges for each group of rows.

    Raises:
        ConfigError: a value is not accepted, or there are too few samples.

    Example:
        The second input is always 0, so its weight can go.

        >>> x = np.array([[1.0, 0.0], [2.0, 0.0], [4.0, 0.0]])
        >>> found = sparsify([RealLayer(np.eye(2), np.zeros(2))], x, 1, stages=1, refits=0)
        >>> found[0].weights.round(6).tolist()
        [[1.0, 0.0], [0.0, 0.0]]
    """
    if stages < 1 or refits < 0:
        raise ConfigError(f"stages is {stages}, refits {refits}; accepted: at least 1 and 0")
    loss = loss or OutputLoss()
    matter, wanted = importance(dense, samples, loss), forward(dense, samples).outputs
    size = sum(layer.weights.size for layer in dense)
    budgets = [min(size, round(nonzeros / _STAGE_RATIO**i)) for i in reversed(range(stages))]
    supports = _share_out(dense, samples, matter, budgets[0], block, damping)
    layers = _layer_after_layer(dense, samples, matter, supports, block, damping, exchanges)
    for stage, budget in enumerate(budgets):
        if stage:
            layers = _take_out(layers, samples, budget, block, damping, loss)
        if refits:
            layers = joint_refit.refit(layers, wanted, samples, matter, loss=loss, steps=refits)
    return layers


def _share_out(
    dense: Sequence[RealLayer],
    samples: Matrix,
    matter: Sequence[Vector],
    nonzeros: int,
    block: Block,
    damping: float,
) -> list[list[Path]]:
    """Supports of all groups of rows of all layers that hold `nonzeros` together."""
    flow = forward(dense, samples)
    blocks = nonzeros // (block[0] * block[1])
    groups = sum(-(-len(layer.bias) // block[0]) for layer in dense)
    paths = []
    for layer, inputs, values in zip(dense, flow.inputs, matter, strict=False):
        gram = _gram(inputs).damped(damping)
        limit = min(-(-gram.cols // block[1]), _PATH_FACTOR * blocks // groups + 8)
        paths.append(
            sparse_refit.growth(layer.weights, gram, limit, block=block, importance=values)
        )
    return _split(sparse_refit.cut(_join(paths), blocks), paths)


def _layer_after_layer(
    dense: Sequence[RealLayer],
    samples: Matrix,
    matter: Sequence[Vector],
    supports: Sequence[Sequence[Path]],
    block: Block,
    damping: float,
    exchanges: int,
) -> list[RealLayer]:
    wanted, inputs, layers = forward(dense, samples).outputs, samples, []
    for layer, outputs, values, paths in zip(dense, wanted, matter, supports, strict=True):
        moments = _gram(inputs, outputs)
        target, bias = moments.target_weights(layer.weights, damping=damping)
        gram = moments.damped(damping)
        weights = sparse_refit.search_on(
            target, gram, paths, block=block, importance=values, exchanges=exchanges
        )
        found = replace(layer, weights=weights, bias=bias + gram.bias_shift(target, weights))
        layers.append(found)
        inputs = forward([found], inputs).inputs[-1]
    return layers


def _take_out(
    layers: Sequence[RealLayer],
    samples: Matrix,
    nonzeros: int,
    block: Block,
    damping: float,
    loss: OutputLoss,
) -> list[RealLayer]:
    """The layers with the cheapest blocks gone and each row refitted to what it was."""
    flow = forward(layers, samples)
    grams = [_gram(inputs).damped(damping) for inputs in flow.inputs[:-1]]
    matter = importance(layers, samples, loss)
    paths = [
        sparse_refit.removal(layer.weights, gram, block=block, importance=values)
        for layer, gram, values in zip(layers, grams, matter, strict=True)
    ]
    blocks = nonzeros // (block[0] * block[1])
    left = _split(sparse_refit.survivors(_join(paths), blocks), paths)
    found = []
    for layer, gram, supports in zip(layers, grams, left, strict=True):
        weights = sparse_refit.search_on(layer.weights, gram, supports, block=block, exchanges=0)
        bias = layer.bias + gram.bias_shift(layer.weights, weights)
        found.append(replace(layer, weights=weights, bias=bias))
    return found


def _gram(inputs: Matrix, targets: Matrix | None = None) -> Gram:
    accumulator = GramAccumulator()
    accumulator.add(inputs, targets)
    return accumulator.finish()


def _join(paths: Sequence[Sequence[Path]]) -> list[Path]:
    return [path for layer in paths for path in layer]


def _split(flat: Sequence[Path], like: Sequence[Sequence[Path]]) -> list[list[Path]]:
    ends = np.cumsum([len(layer) for layer in like])
    starts = ends - [len(layer) for layer in like]
    return [list(flat[start:end]) for start, end in zip(starts, ends, strict=True)]
