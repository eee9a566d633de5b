"""Steps between contiguous windows, against the positions of their elements."""

from __future__ import annotations

import numpy as np
import pytest

from tflm_sparsesep.converters.layers.windows import step_between_windows


@pytest.mark.parametrize(
    ("inputs", "kernel", "strides"),
    [
        ((1, 1, 20, 3), (1, 5), (1, 1)),
        ((1, 1, 20, 3), (1, 5), (1, 2)),
        ((1, 20, 1, 3), (5, 1), (2, 1)),
        ((1, 12, 4, 3), (3, 4), (2, 1)),
    ],
)
def test_windows_start_a_step_apart(
    inputs: tuple[int, ...], kernel: tuple[int, int], strides: tuple[int, int]
) -> None:
    step = step_between_windows(inputs, kernel, strides)
    assert step is not None
    positions = np.arange(np.prod(inputs)).reshape(inputs[1:])
    rows = range(0, inputs[1] - kernel[0] + 1, strides[0])
    columns = range(0, inputs[2] - kernel[1] + 1, strides[1])
    windows = [positions[r : r + kernel[0], c : c + kernel[1]] for r in rows for c in columns]
    assert len(windows) > 1
    for number, window in enumerate(windows):
        elements = window.reshape(-1)
        assert elements.tolist() == list(range(number * step, number * step + elements.size))


@pytest.mark.parametrize(
    ("inputs", "kernel", "strides"),
    [
        ((1, 8, 8, 3), (1, 1), (1, 1)),  # pixels, which are contiguous anyway
        ((2, 1, 20, 3), (1, 5), (1, 1)),  # a batch
        ((1, 8, 8, 3), (3, 3), (1, 1)),  # gaps between rows
        ((1, 8, 8, 3), (1, 3), (1, 1)),  # gaps between rows of the image
    ],
)
def test_other_convolutions_have_no_step(
    inputs: tuple[int, ...], kernel: tuple[int, int], strides: tuple[int, int]
) -> None:
    assert step_between_windows(inputs, kernel, strides) is None
