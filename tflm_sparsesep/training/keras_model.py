"""Keras 3 models, told from whatever else is given as one."""

from __future__ import annotations

from typing import Any

from tflm_sparsesep.converters.errors import ConfigError


def check_keras_model(model: Any) -> None:
    """Raise ConfigError unless `model` is a model of Keras 3.

    Keras itself is not imported: whoever has a model has imported it.
    """
    roots = {kind.__module__.partition(".")[0] for kind in type(model).__mro__}
    if "keras" in roots and hasattr(model, "layers"):
        return
    given = f"model is of type {type(model).__name__}"
    if "tf_keras" in roots:
        raise ConfigError(
            f"{given} of tf_keras, which is Keras 2; accepted: a model of Keras 3, for instance "
            "built again from its configuration, with the same weights (set_weights)"
        )
    hint = "; keras.models.load_model reads a file" if isinstance(model, str | bytes) else ""
    raise ConfigError(f"{given}; accepted: a Keras model{hint}")
