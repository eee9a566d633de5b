"""What of a Keras model may be made sparse, and the optimizer state that belongs to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras

from tflm_sparsesep import proximal
from tflm_sparsesep.converters.errors import ConfigError

# Kernels of these layers, of their subclasses too. Depthwise, separable and transposed
# convolutions derive from other bases in Keras 3 and stay dense.
_LAYERS = (keras.layers.Dense, keras.layers.Conv1D, keras.layers.Conv2D)
_LAYER_NAMES = "Dense, Conv1D, Conv2D"


def find_kernels(model: Any, layers: Sequence[str] | None, exclude: Sequence[str]) -> list[Any]:
    """The trainable kernels (`keras.Variable`) of Dense, Conv1D and Conv2D layers, each once.

    Args:
        model: a built model; layers of nested models count as its own.
        layers: names of the layers wanted, None for all.
        exclude: names of layers to leave dense.

    Raises:
        ConfigError: a name is unknown, a wanted layer has no kernel that can be made sparse, or
            none is left.
    """
    everything = list(_walk(model))
    trainable = {id(variable) for variable in model.trainable_variables}
    found = [
        (layer.name, layer.kernel)
        for layer in everything
        if isinstance(layer, _LAYERS) and id(getattr(layer, "kernel", None)) in trainable
    ]
    accepted = {name for name, _ in found}
    _check_names("layers", layers or (), accepted, accepted)
    _check_names("exclude", exclude, {layer.name for layer in everything}, accepted)
    kernels = {
        id(kernel): kernel
        for name, kernel in found
        if (layers is None or name in layers) and name not in exclude
    }
    if not kernels:
        raise ConfigError(
            f"model {model.name!r} has no layer to make sparse; accepted: trainable {_LAYER_NAMES}"
            " layers that are not excluded"
        )
    return list(kernels.values())


def _walk(model: Any) -> Iterator[Any]:
    # Keras has no public way to reach the layers inside layers.
    yield from model._flatten_layers(include_self=False, recursive=True)


def _check_names(
    argument: str, names: Sequence[str], known: set[str], sparsifiable: set[str]
) -> None:
    for name in names:
        if name not in known:
            raise ConfigError(
                f"{argument}={name!r} names no fitting layer of the model; accepted: trainable "
                f"{_LAYER_NAMES} layers, here {', '.join(sorted(sparsifiable)) or 'none'}"
            )


def innermost(optimizer: Any) -> Any:
    """The optimizer that takes the steps: unwraps the loss scaling of mixed precision."""
    return getattr(optimizer, "inner_optimizer", optimizer)


def find_preconditioner(optimizer: Any, kernel: Any) -> Callable[[], Any]:
    """A function that reads D, the diagonal that `optimizer` divides its steps on `kernel` by.

    Args:
        optimizer: built, without its loss scaling (see `innermost`).
        kernel: one of its variables.

    Raises:
        ConfigError: the optimizer keeps no second moment.
    """
    if isinstance(optimizer, keras.optimizers.Adam | keras.optimizers.Nadam):
        amsgrad = getattr(optimizer, "amsgrad", False)
        velocity = _state(optimizer, "_velocity_hats" if amsgrad else "_velocities", kernel)
        return lambda: proximal.adam_preconditioner(
            keras.ops.cast(velocity, "float32"),
            # Before the first step the velocity is 0 and so is the correction.
            keras.ops.maximum(optimizer.iterations, 1),
            beta_2=optimizer.beta_2,
            epsilon=optimizer.epsilon,
        )
    if isinstance(optimizer, keras.optimizers.RMSprop):
        velocity = _state(optimizer, "_velocities", kernel)
        average = _state(optimizer, "_average_gradients", kernel) if optimizer.centered else 0.0
        return lambda: proximal.rmsprop_preconditioner(
            keras.ops.cast(velocity, "float32"),
            keras.ops.cast(average, "float32"),
            epsilon=optimizer.epsilon,
        )
    raise ConfigError(
        f"optimizer {type(optimizer).__name__} keeps no second moment to precondition with; "
        "accepted: Adam, AdamW, Nadam, RMSprop, or any optimizer with preconditioned=False"
    )


def _state(optimizer: Any, name: str, kernel: Any) -> Any:
    """The optimizer's variable of `kernel` in its list `name` (Keras has no public access)."""
    return getattr(optimizer, name)[optimizer._get_variable_index(kernel)]
