"""The one form of a depthwise convolution: d x 1 and 1 x e.

Its layers have the interface of `layer_forms.Layer`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tflm_sparsesep.compression.layer_forms import Fitted, Form
from tflm_sparsesep.converters.factorize import depthwise
from tflm_sparsesep.converters.factorize.depthwise import ChannelMoments
from tflm_sparsesep.converters.factorize.gram import Matrix, Vector

FORM = Form("depthwise_separated", rank=1)


@dataclass(frozen=True)
class DepthwiseLayer:
    """What the form is fitted to.

    weights: float64[channels, taps]. moments: of the inputs, damped. importance:
    float64[channels], positive. taps: height and width.
    """

    weights: Matrix
    moments: ChannelMoments
    importance: Vector
    taps: tuple[int, int]

    def fit(self, form: Form, *, effort: int) -> Fitted:
        """The best factors, [channels, height] and [channels, width], whatever the effort."""
        return Fitted(form, depthwise.separate(self.weights, self.taps, self.moments))

    def refit(self, fitted: Fitted) -> Fitted:
        """The same for other weights or inputs."""
        return self.fit(fitted.form, effort=1)

    def error(self, fitted: Fitted) -> float:
        """What is left, as a share of the power of the outputs about their mean."""
        left = self.moments.errors(self.weights - depthwise.product(*fitted.matrices))
        return float(self.importance @ left / (self.importance @ self.moments.errors(self.weights)))

    def bias_shift(self, fitted: Fitted) -> Vector:
        """What to add to the bias, float64[channels]."""
        lost = self.weights - depthwise.product(*fitted.matrices)
        shift: Vector = (lost * self.moments.means).sum(axis=1)
        return shift


def windows_of(inputs: npt.NDArray[Any], channels: int) -> npt.NDArray[Any]:
    """Patches [n, taps * channels] as [n, taps, channels]."""
    return np.reshape(inputs, (len(inputs), -1, channels))
