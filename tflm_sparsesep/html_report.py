"""`html_report`: one page that shows what became of a model."""

from __future__ import annotations

import importlib.metadata
import platform
from typing import Any

from tflm_sparsesep.converters import model_cost, op_names
from tflm_sparsesep.converters.errors import ConfigError
from tflm_sparsesep.converters.inspect_model import inspect_model
from tflm_sparsesep.converters.selected_variants import variants_of
from tflm_sparsesep.converters.targets import get_target
from tflm_sparsesep.converters.tflite import editor, names
from tflm_sparsesep.model_input import ModelInput
from tflm_sparsesep.reporting.page import ModelFacts, page


def html_report(sparse: Any, *, dense: Any = None, target: str = "cortex-m4") -> str:
    """Return an HTML page about a rewritten model; it refers to nothing outside of itself.

    The page shows flash, instructions of each layer dense beside sparse, the arena during each
    operator, what decided each layer, versions, and the commands that make it again.

    Args:
        sparse: a rewritten model, its bytes or path.
        dense: the model that it was made from: adds its arena and file size, and the reasons for
            its layers.
        target: the core that costs are estimated for, a name of `targets.TARGETS`.

    Raises:
        ModelError: a model is not usable, or was converted for another target.
        ConfigError: the target is unknown, or `dense` has other inputs or outputs.
    """
    core = get_target(target)
    given = _as_file(sparse)
    facts = _facts(given, target)
    was = None if dense is None else _as_file(dense)
    if was is not None:
        _check_pair(given, was)
    packages = ["tflm-sparsesep", "ai-edge-litert", "numpy"]
    versions = [(package, importlib.metadata.version(package)) for package in packages]
    commands = [
        *([f"tflm-sparsesep convert {was.name} -o {given.name} -t {target}"] if was else []),
        f"tflm-sparsesep report {given.name}{f' --dense {was.name}' if was else ''} "
        f"--target {target} --html report.html",
        f"tflm-sparsesep bench {given.name} --target {target}",
    ]
    return page(
        facts,
        None if was is None else _facts(was, target),
        target=target,
        unit=core.cost_unit,
        versions=[*versions, ("Python", platform.python_version())],
        commands=commands,
    )


def _as_file(model: Any) -> ModelInput:
    """Return a model as its file: converting a Keras model takes seconds, so it is done once."""
    given = ModelInput.of(model)
    return ModelInput(given.name, tflite=given.to_tflite())


def _check_pair(sparse: ModelInput, dense: ModelInput) -> None:
    shapes = []
    for one in (sparse, dense):
        main = editor.read(one.to_tflite(), name=one.name).subgraphs[0]
        shapes.append([[t.shape for t in tensors] for tensors in (main.inputs, main.outputs)])
    if shapes[0] != shapes[1]:
        described = " and ".join(f"{inputs} -> {outputs}" for inputs, outputs in shapes)
        raise ConfigError(
            f"{sparse.name} and {dense.name} compute {described}; accepted: a converted model and "
            "the one that it was made from"
        )


def _facts(given: ModelInput, target: str) -> ModelFacts:
    """Describe a model as it is: of a dense one, decisions give only the reasons."""
    data = given.to_tflite()
    variants_of(data, target=target, name=given.name)  # refuses what no kernel runs
    model = editor.read(data, name=given.name)
    names.make_unique(model)  # the layers are found by name
    layers = inspect_model(data, target=target, name=given.name)
    packed = [layer for layer in layers if layer.op in op_names.ALL]
    sizes = model_cost.layer_bytes(model, packed, target)
    counts = model_cost.layer_instructions(model, packed, target)
    known = sum(counts.get(layer.name, 0) for layer in layers)
    return ModelFacts(
        name=given.name,
        bytes=len(data),
        layers=layers,
        weight_bytes={
            layer.name: layer.packed_bytes or 0 if layer in packed else sizes[layer.name]
            for layer in layers
        },
        instructions=counts,
        other_instructions=model_cost.instructions(model, packed, target) - known,
        uncounted=model_cost.uncounted(model, packed, target),
        operators=[op.op_name for op in model.subgraphs[0].operators],
        arena=model_cost.arena_by_operator(model, packed),
    )
