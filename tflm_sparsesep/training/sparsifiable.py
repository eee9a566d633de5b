"""What of a Keras model may be made sparse, and the optimizer state that belongs to it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import keras

from tflm_sparsesep.converters.errors import ConfigError
from tflm_sparsesep.training import proximal
from tflm_sparsesep.training.device_layer import DeviceLayer
from tflm_sparsesep.training.layer_selection import Selection
from tflm_sparsesep.training.patterns import Blocks

# Kernels of these layers, of their subclasses too. Separable and transposed convolutions derive
# from other bases in Keras 3 and stay dense.
_LAYERS = (keras.layers.Dense, keras.layers.Conv1D, keras.layers.Conv2D)
# These have few weights and no sparse kernel: only where they are named.
_NAMED_LAYERS = (keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D)
_LAYER_NAMES = "Dense, Conv1D, Conv2D (DepthwiseConv by name)"


@dataclass(frozen=True)
class SparseKernel:
    """A kernel to make sparse.

    Attributes:
        name: of its layer; its path, where several layers of the model have that name.
        layer: the first layer that uses it.
        kernel: the `keras.Variable`, [..., inputs, outputs].
        blocks: its groups of weights.
        goal: its own goal or strength; None for that of all.
    """

    name: str
    layer: Any
    kernel: Any
    blocks: Blocks
    goal: float | None = None


def check_fit(model: Any, callback: str) -> None:
    """Raises ConfigError for a model that the callback of that name cannot follow."""
    if keras.backend.backend() != "tensorflow":
        raise ConfigError(
            f"Keras runs on {keras.backend.backend()}; {callback} accepts TensorFlow only"
        )
    if not getattr(model, "compiled", False) or model.optimizer is None:
        raise ConfigError(
            f"model {model.name!r} is not compiled with an optimizer: call model.compile first"
        )


def find_kernels(
    model: Any,
    selection: Selection,
    pattern_of: Callable[[Any, float | None], str] = lambda layer, goal: "1x1",
) -> list[SparseKernel]:
    """The trainable kernels of Dense, Conv1D and Conv2D layers, each once.

    Args:
        model: a built model; layers of nested models count as its own.
        selection: which layers, with which goals.
        pattern_of: the pattern for a layer with its own goal, None for that of all. Depthwise
            kernels, which have no matrix to divide, get single weights.

    Raises:
        ConfigError: a name matches nothing, or no layer is left.
    """
    candidates = trainable_layers(model)
    selection.check((x.name for x in walk(model)), (x.name for x in candidates), _LAYER_NAMES)
    kernels: dict[int, SparseKernel] = {}
    for layer in candidates:
        goal = selection.goal_of(layer.name)
        is_meant = isinstance(layer, _LAYERS) or selection.names(layer.name)
        if goal is None or not is_meant or id(layer.kernel) in kernels:
            continue
        own = None if isinstance(goal, bool) else float(goal)
        pattern = pattern_of(layer, own) if isinstance(layer, _LAYERS) else "1x1"
        unique = sum(other.name == layer.name for other in candidates) == 1
        name = layer.name if unique else layer.path
        blocks = Blocks.of(layer.kernel.shape, pattern)
        kernels[id(layer.kernel)] = SparseKernel(name, layer, layer.kernel, blocks, own)
    if not kernels:
        raise ConfigError(
            f"model {model.name!r} has no layer to make sparse; accepted: trainable {_LAYER_NAMES}"
            " layers that are not excluded"
        )
    return list(kernels.values())


def trainable_layers(model: Any) -> list[Any]:
    """All Dense and convolutional layers, depthwise ones too, whose kernels are trained."""
    trainable = {id(variable) for variable in model.trainable_variables}
    return [
        layer
        for layer in walk(model)
        if isinstance(layer, _LAYERS + _NAMED_LAYERS)
        and id(getattr(layer, "kernel", None)) in trainable
    ]


def kernels_of(model: Any, named: Sequence[SparseKernel] = ()) -> list[tuple[DeviceLayer, Any]]:
    """All built Dense and convolutional layers of a model, once each, with their kernels.

    Names are those of `named`, else of the layers; paths where several layers share a name.
    """
    names = {id(k.kernel): k.name for k in named}
    layers = {
        id(layer.kernel): layer
        for layer in reversed(list(walk(model)))
        if isinstance(layer, _LAYERS + _NAMED_LAYERS) and layer.built
    }
    counts = Counter(layer.name for layer in layers.values())
    found = []
    for key, layer in reversed(layers.items()):
        name = names.get(key) or (layer.name if counts[layer.name] == 1 else layer.path)
        found.append((DeviceLayer.of(layer, name), layer.kernel))
    return found


def walk(model: Any) -> Iterator[Any]:
    """All layers of a model, those inside layers too."""
    # Keras has no public way to reach them.
    yield from model._flatten_layers(include_self=False, recursive=True)


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
