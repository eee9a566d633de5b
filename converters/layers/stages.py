"""Factors of a layer as consecutive layers, and the kernel that they are equivalent to.

| kind | stages |
|---|---|
| `low_rank`, `dictionary` | height x width, C -> K; 1x1, K -> N |
| `separated` | height x 1, C -> K; 1 x width, K -> N |
| `tucker` | 1x1, C -> P; height x width, P -> Q; 1x1, Q -> N |

Fully-connected layers are 1x1. Bias and activation belong to the last stage. SAME padding splits
as strides do: a stage pads with 0, which is what the stage before computes from zeros.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tflm_sparsesep.converters.factorize.chain import RealLayer
from tflm_sparsesep.converters.factorize.gram import Matrix, patches

KernelShape = tuple[int, int, int]  # height, width, channels
Taps = tuple[int, int]


def stages_of(
    kind: str, matrices: Sequence[Matrix], kernel: KernelShape, strides: Taps = (1, 1)
) -> list[RealLayer]:
    """Return the stages of a factorization into several matrices, without bias.

    Args:
        kind: of the `Factorization`.
        matrices: its factors, float64[units, height * width * channels] each.
        kernel: of the layer; 1 x 1 for fully-connected ones.
        strides: of the layer.
    """
    height, width, _ = kernel
    if kind == "separated":
        first, second = matrices
        return [
            _stage(first, (height, 1), (strides[0], 1)),
            _stage(second, (1, width), (1, strides[1])),
        ]
    *before, core, last = matrices
    return [*map(_stage, before), _stage(core, (height, width), strides), _stage(last)]


def whole_matrix(stages: Sequence[RealLayer], kernel: KernelShape) -> Matrix:
    """Return the kernel that stages are equivalent to, float64[units, height * width * channels].

    Example:
        >>> matrices = [np.array([[2.0]]), np.array([[3.0], [5.0]])]
        >>> rank_one = stages_of("low_rank", matrices, (1, 1, 1))
        >>> whole_matrix(rank_one, (1, 1, 1)).tolist()
        [[6.0], [10.0]]
    """
    size = kernel[0] * kernel[1] * kernel[2]
    found = np.eye(size).reshape(size, *kernel)
    for stage in stages:
        found = outputs(stage, found)
    matrix: Matrix = found.reshape(size, -1).T
    return matrix


def outputs(stage: RealLayer, windows: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return W x of a stage on images [n, height, width, channels], VALID and with stride 1."""
    found: npt.NDArray[np.float64] = patches(windows, stage.taps) @ stage.weights.T
    return found


def _stage(matrix: Matrix, taps: Taps = (1, 1), strides: Taps = (1, 1)) -> RealLayer:
    return RealLayer(matrix, np.zeros(len(matrix)), taps=taps, strides=strides)
