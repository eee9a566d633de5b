"""The matrices of a form as layers that follow each other, and as the one kernel they stand for.

| kind | stages |
|---|---|
| `low_rank`, `dictionary` | height x width, C -> K; 1x1, K -> N |
| `separated` | height x 1, C -> K; 1 x width, K -> N |
| `tucker` | 1x1, C -> P; height x width, P -> Q; 1x1, Q -> N |

Fully-connected layers are 1x1. Bias and activation belong to the last stage. SAME padding splits
as strides do: what pads a stage is what the stage before gives for zeros, 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tflm_sparsesep.converters.factorize.gram import Matrix, patches

KernelShape = tuple[int, int, int]  # height, width, channels
Taps = tuple[int, int]


@dataclass(frozen=True)
class Stage:
    """One layer.

    matrix: float64[units, height * width * channels]. taps, strides: height and width.
    """

    matrix: Matrix
    taps: Taps = (1, 1)
    strides: Taps = (1, 1)

    @property
    def channels(self) -> int:
        """Of what enters."""
        return int(self.matrix.shape[1]) // (self.taps[0] * self.taps[1])

    def on(self, windows: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """What it makes of images [n, height, width, channels], VALID and with stride 1."""
        found: npt.NDArray[np.float64] = patches(windows, self.taps) @ self.matrix.T
        return found


def stages_of(
    kind: str, matrices: Sequence[Matrix], kernel: KernelShape, strides: Taps = (1, 1)
) -> list[Stage]:
    """The stages of a form of more than one matrix.

    Args:
        kind: of a `layer_forms.Form`.
        kernel: of the layer; 1 x 1 for fully-connected ones.
        strides: of the layer.
    """
    height, width, _ = kernel
    if kind == "separated":
        first, second = matrices
        return [
            Stage(first, (height, 1), (strides[0], 1)),
            Stage(second, (1, width), (1, strides[1])),
        ]
    *before, core, last = matrices
    return [*map(Stage, before), Stage(core, (height, width), strides), Stage(last)]


def whole_matrix(stages: Sequence[Stage], kernel: KernelShape) -> Matrix:
    """The kernel that stages stand for, float64[units, height * width * channels].

    Example:
        >>> rank_one = [Stage(np.array([[2.0]])), Stage(np.array([[3.0], [5.0]]))]
        >>> whole_matrix(rank_one, (1, 1, 1)).tolist()
        [[6.0], [10.0]]
    """
    size = kernel[0] * kernel[1] * kernel[2]
    found = np.eye(size).reshape(size, *kernel)
    for stage in stages:
        found = stage.on(found)
    matrix: Matrix = found.reshape(size, -1).T
    return matrix
