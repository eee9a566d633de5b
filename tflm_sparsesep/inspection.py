"""`inspect`, `annotate`, `node_data`, `variants`: the layers of a model, their kernels, viewers."""

from __future__ import annotations

from typing import Any

from tflm_sparsesep.converters import viewers
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


def annotate(model: Any, *, name: str | None = None) -> bytes:
    """Return a converted model whose packed layers show in Netron and Model Explorer.

    About 80 bytes a layer are added, in which viewers find pattern, index, zeros, rows and cols;
    runtimes do not read them. What was added before is replaced.

    Args:
        model: the bytes or the path of a .tflite file.
        name: what errors call the model; by default the path, or "model".

    Raises:
        ModelError: the model is not usable, or a packed layer is damaged.
    """
    given = ModelInput.of(model, name=name)
    return viewers.annotate(given.to_tflite(), name=given.name)


def node_data(
    model: Any, *, target: str = "cortex-m4", name: str | None = None
) -> dict[str, dict[str, Any]]:
    """Return what Model Explorer shows as node data: bytes and instructions of each layer.

    Args:
        model: as for `inspect`.
        target: the core that instructions are estimated for, a name of `targets.TARGETS`.
        name: what errors call the model; by default the path, or "model".

    Returns:
        The contents of two JSON files, by "bytes" and "instructions".

    Raises:
        ModelError: the model is not usable, or a packed layer is damaged.
        ConfigError: the target is unknown.
        ToolMissingError: what reads or converts a Keras model is not installed.
    """
    given = ModelInput.of(model, name=name)
    return viewers.node_data(given.to_tflite(), target=target, name=given.name)


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
