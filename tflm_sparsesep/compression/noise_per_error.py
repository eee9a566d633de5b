"""What the error of one layer does to the model's outputs, once all layers are refitted to it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from tflm_sparsesep.compression.form_choice import Option
from tflm_sparsesep.compression.layer_forms import Form

# A form with about this error shows it.
_PROBE_ERROR = 0.1
_LEAST_ERROR = 1e-12
# Of a probe that the outputs do not show at all: other errors might.
_LEAST_NOISE = 1e-6


def noise_per_error(options: Sequence[Option], noise_of: Callable[[Form], float]) -> float:
    """The outputs' noise as a multiple of the layer's error, as one of its forms shows it.

    Args:
        options: of one layer, at least one, with the layer's own errors as noise.
        noise_of: the outputs' noise where the layer alone has a form; takes time.
    """
    probe = min(options, key=lambda o: abs(math.log(_error(o) / _PROBE_ERROR)))
    return max(noise_of(probe.form), _LEAST_NOISE) / _error(probe)


def _error(option: Option) -> float:
    return max(option.noise, _LEAST_ERROR)
