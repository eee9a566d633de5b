"""Published models without most of their weights, whatever that does to accuracy."""

from __future__ import annotations

import numpy as np

from tflm_sparsesep.converters.tflite import editor


def prune_pointwise(data: bytes, *, block: int, zeros: float) -> bytes:
    """Set the smallest blocks of `block` x `block` weights of every 1x1 convolution to zero.

    The norm of the real weights decides, in each layer alone.
    """
    model = editor.read(data)
    for op in model.subgraphs[0].operators:
        if op.builtin_code == editor.BuiltinOperator.CONV_2D and op.weights.shape[1:3] == (1, 1):
            _prune(op.weights, block, zeros)
    return editor.write(model)


def _prune(weights: editor.Tensor, block: int, zeros: float) -> None:
    assert weights.array is not None
    assert weights.quantization is not None
    rows, _, _, cols = weights.shape
    tiles = weights.array.reshape(rows // block, block, cols // block, block)
    real = tiles * weights.quantization.scales.reshape(-1, block, 1, 1)
    norms = np.square(real).sum(axis=(1, 3))
    kept = norms > np.sort(norms, axis=None)[round(zeros * norms.size) - 1]
    weights.array = (tiles * kept[:, None, :, None]).reshape(weights.shape)
