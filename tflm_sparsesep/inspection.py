"""`inspect` and `variants`: the layers of a model, and the kernels that they need."""

from __future__ import annotations

from typing import Any

from tflm_sparsesep.converters.decisions import LayerDecision
from tflm_sparsesep.converters.inspect_model import inspect_model
from tflm_sparsesep.converters.selected_variants import variants_of
from tflm_sparsesep.model_input import ModelInput


def inspect(
    model: Any, *, target: str = "cortex-m4", name: str | None = None
) -> list[LayerDecision]:
    """Describe each layer that holds weights, in execution order.

    Layers that are packed already appear as rewritten. The others appear with the decision that
    `convert` would take without samples.

    Args:
        model: the bytes or the path of a .tflite file; or a Keras model or the path of a .keras
            file, which is described as the float32 .tflite model that it becomes.
        target: the core that costs are estimated for, a name of `targets.TARGETS`.
        name: what errors call the model; by default the path, or "model".

    Raises:
        ModelError: the model is not usable, or a packed layer is damaged.
        ConfigError: an argument is not accepted.
        ToolMissingError: what reads or converts a Keras model is not installed.
    """
    given = ModelInput.of(model, name=name)
    return inspect_model(given.to_tflite(), target=target, name=given.name)


def variants(*models: Any, target: str = "cortex-m4") -> list[str]:
    """Name the kernels that run the SPARSE_FULLY_CONNECTED layers of models of one firmware.

    Args:
        models: converted models, as for `inspect`.
        target: the core, a name of `targets.TARGETS`.

    Returns:
        The names, sorted, each once.

    Raises:
        ModelError: a model is not usable, or holds a layer that no kernel of the target runs.
        ConfigError: an argument is not accepted.
        ToolMissingError: what reads or converts a Keras model is not installed.
    """
    given = [ModelInput.of(model) for model in models]
    names = (variants_of(one.to_tflite(), target=target, name=one.name) for one in given)
    return sorted({name for found in names for name in found})
