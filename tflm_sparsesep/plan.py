"""`plan`: the possible gain of compressing a model, layer by layer, before any work."""

from __future__ import annotations

import dataclasses
from typing import Any

from tflm_sparsesep.converters.boards import get_board
from tflm_sparsesep.converters.errors import ConfigError
from tflm_sparsesep.converters.targets import get_target
from tflm_sparsesep.model_input import ModelInput
from tflm_sparsesep.planning import shapes
from tflm_sparsesep.planning.board_fit import fit_of
from tflm_sparsesep.planning.gains import Plan, plan_model
from tflm_sparsesep.planning.shapes import ModelShapes


def plan(
    model: Any,
    *,
    target: str | None = None,
    board: str | None = None,
    name: str | None = None,
) -> Plan:
    """Estimate what can be gained on each layer of a model, from shapes alone, in about a second.

    The plan does not consider accuracy: `compress` finds what accuracy allows.

    Args:
        model: the bytes or the path of an int8 or float32 .tflite file, a Keras model, or the
            path of a .keras file. Other models are planned as the int8 model that they become.
        target: the core that costs are estimated for, a name of `targets.TARGETS`; that of the
            board by default, or cortex-m4.
        board: a name of `boards.BOARDS`: adds whether the model fits in its memories.
        name: what errors call the model; by default the path, or "model".

    Raises:
        ModelError: the model cannot be read, was rewritten already, or has no layers with weights.
        ConfigError: an argument is not accepted.

    Examples:
        >>> result = plan("model_int8.tflite", target="cortex-m4")  # doctest: +SKIP
        >>> result.layers[0].block  # doctest: +SKIP
        PlannedForm(bytes=81961, instructions=83846, pattern='4x4', zeros=0.07, ...)
    """
    known = None if board is None else get_board(board)
    if known is not None and target not in (None, known.target):
        raise ConfigError(f"board {board!r} has target {known.target!r}, given: {target!r}")
    core = known.target if known is not None else get_target(target or "cortex-m4").name
    given = ModelInput.of(model, name=name)
    result = plan_model(_shapes_of(given), core)
    if known is None:
        return result
    fit = fit_of(given.tflite, result.dense_bytes, result.best_case_bytes, known)
    return dataclasses.replace(result, fit=fit)


def _shapes_of(given: ModelInput) -> ModelShapes:
    if given.tflite is not None:
        return shapes.shapes_of(given.tflite, given.name)
    from tflm_sparsesep.planning import keras_shapes

    return keras_shapes.shapes_of(given.keras)
