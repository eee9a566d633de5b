"""`plan`: the possible gain of compressing a model, layer by layer, before any work."""

from __future__ import annotations

from typing import Any

from tflm_sparsesep.converters.targets import get_target
from tflm_sparsesep.model_input import ModelInput
from tflm_sparsesep.planning import shapes
from tflm_sparsesep.planning.gains import Plan, plan_layer
from tflm_sparsesep.planning.shapes import LayerShape


def plan(model: Any, *, target: str = "cortex-m4", name: str | None = None) -> Plan:
    """Estimate what can be gained on each layer of a model, from shapes alone, in about a second.

    The plan does not consider accuracy: `compress` finds what accuracy allows.

    Args:
        model: the bytes or the path of an int8 or float32 .tflite file, a Keras model, or the
            path of a .keras file. Other models are planned as the int8 model that they become.
        target: the core that costs are estimated for, a name of `targets.TARGETS`.
        name: what errors call the model; by default the path, or "model".

    Raises:
        ModelError: the model cannot be read, was rewritten already, or has no layers with weights.
        ConfigError: an argument is not accepted.

    Example:
        >>> result = plan("model_int8.tflite", target="cortex-m4")  # doctest: +SKIP
        >>> result.layers[0].block  # doctest: +SKIP
        PlannedForm(bytes=81961, instructions=83846, pattern='4x4', zeros=0.07, ...)
    """
    core = get_target(target).name
    layers = [plan_layer(layer, core) for layer in _layers_of(ModelInput.of(model, name=name))]
    return Plan(core, layers)


def _layers_of(given: ModelInput) -> list[LayerShape]:
    if given.tflite is not None:
        return shapes.layers_of(given.tflite, given.name)
    from tflm_sparsesep.planning import keras_shapes

    return keras_shapes.layers_of(given.keras)
