"""Steps between consecutive layers: windows of images and max pools, with derivatives.

A layer multiplies vectors. Those of a convolution are windows of an image, one at each place of its
output; before that there may be a pool. Each step has a `forward` that also returns what its
slope depends on, `push` (a small change of what enters -> of what leaves), and `pull`, the adjoint
of `push`, for gradients. Arrays are [samples, elements], images flat in the order height, width,
channels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tflm_sparsesep.converters.factorize.gram import patches, same_padding

Array = npt.NDArray[Any]  # float32 or float64
Image = tuple[int, int, int]  # height, width, channels


@dataclass(frozen=True)
class Windows:
    """All windows of an image, one after the other: [samples, windows * cols].

    Attributes:
        image: height, width, channels.
        kernel, strides: height, width.
        same: SAME padding, else VALID.
    """

    image: Image
    kernel: tuple[int, int]
    strides: tuple[int, int] = (1, 1)
    same: bool = False

    def forward(self, x: Array) -> tuple[Array, None]:
        """Return the windows, and no state."""
        found = patches(
            x.reshape(-1, *self.image), self.kernel, strides=self.strides, same=self.same
        )
        return found.reshape(len(x), -1), None

    def push(self, change: Array, _: None) -> Array:
        """Return the change of the windows."""
        return self.forward(change)[0]

    def pull(self, slope: Array, _: None) -> Array:
        """Return gradients by the image."""
        height, width, channels = self.image
        pads = [(0, 0), (0, 0)]
        if self.same:
            axes = zip((height, width), self.kernel, self.strides, strict=True)
            pads = [same_padding(*axis) for axis in axes]
        room = (height + sum(pads[0]), width + sum(pads[1]))
        axes = zip(room, self.kernel, self.strides, strict=True)
        rows, columns = ((size - kernel) // stride + 1 for size, kernel, stride in axes)
        taps = slope.reshape(len(slope), rows, columns, *self.kernel, channels)
        found = np.zeros((len(slope), *room, channels), slope.dtype)
        for i in range(self.kernel[0]):
            for j in range(self.kernel[1]):
                down = slice(i, i + rows * self.strides[0], self.strides[0])
                right = slice(j, j + columns * self.strides[1], self.strides[1])
                found[:, down, right][:, :rows, :columns] += taps[:, :, :, i, j]
        inner = found[:, pads[0][0] :, pads[1][0] :][:, :height, :width]
        return inner.reshape(len(slope), -1)


@dataclass(frozen=True)
class MaxPool:
    """The maximum of each window, without overlap; incomplete windows are dropped.

    The state holds the positions of the maxima in an image: int64[samples, outputs].
    """

    image: Image
    size: tuple[int, int]

    def forward(self, x: Array) -> tuple[Array, Array]:
        """Return the maxima, and where they are."""
        (height, width), (_, image_width, channels) = self.size, self.image
        rows, columns = self.image[0] // height, image_width // width
        images = x.reshape(-1, *self.image)[:, : rows * height, : columns * width]
        split = images.reshape(len(x), rows, height, columns, width, channels)
        windows = split.transpose(0, 1, 3, 5, 2, 4)
        best = windows.reshape(*windows.shape[:4], height * width).argmax(axis=-1)
        row, column, channel = np.ogrid[:rows, :columns, :channels]
        down, right = row * height + best // width, column * width + best % width
        places = ((down * image_width + right) * channels + channel).reshape(len(x), -1)
        return self.push(x.reshape(len(x), -1), places), places

    def push(self, change: Array, places: Array) -> Array:
        """Return the change of the maxima."""
        return np.take_along_axis(change, places, axis=1)

    def pull(self, slope: Array, places: Array) -> Array:
        """Return gradients by the image."""
        found = np.zeros((len(slope), math.prod(self.image)), slope.dtype)
        np.put_along_axis(found, places, slope, axis=1)
        return found


Step = Windows | MaxPool


@dataclass(frozen=True)
class Arrival:
    """Steps applied to activations.

    Attributes:
        steps: in order.
        states: of each step, for its derivative.
        vectors: the result, [samples * windows, cols].
        samples: their number.
    """

    steps: Sequence[Step]
    states: Sequence[Any]
    vectors: Array
    samples: int

    def push(self, change: Array) -> Array:
        """Return the change of the vectors for a change of the activations."""
        change = change.reshape(self.samples, -1)
        for step, state in zip(self.steps, self.states, strict=True):
            change = step.push(change, state)
        return change.reshape(self.vectors.shape)

    def pull(self, slope: Array) -> Array:
        """Return gradients by the activations, [samples, elements], from those by the vectors."""
        slope = slope.reshape(self.samples, -1)
        for step, state in zip(reversed(self.steps), reversed(self.states), strict=True):
            slope = step.pull(slope, state)
        return slope


def arrive(steps: Sequence[Step], activations: Array, cols: int, samples: int) -> Arrival:
    """Apply steps to activations [samples, ...] and return vectors of `cols` elements."""
    x, states = activations.reshape(samples, -1), []
    for step in steps:
        x, state = step.forward(x)
        states.append(state)
    return Arrival(steps, states, x.reshape(-1, cols), samples)
