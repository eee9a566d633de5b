"""A layer as one `fit` sees it, and the layers of a model that a fit sparsifies."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy.typing as npt

from tflm_sparsesep.converters.errors import ConfigError
from tflm_sparsesep.training.device_layer import DeviceLayer
from tflm_sparsesep.training.keras_model import check_keras_model
from tflm_sparsesep.training.layer_selection import Selection
from tflm_sparsesep.training.patterns import Blocks

# Their subclasses count, too. Separable and transposed convolutions derive from other bases in
# Keras 3 and stay dense.
_LAYERS = (keras.layers.Dense, keras.layers.Conv1D, keras.layers.Conv2D)
# Depthwise layers have few weights and no sparse kernel: they take part only if they are named.
_NAMED_LAYERS = (keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D)
_LAYER_NAMES = "Dense, Conv1D, Conv2D (DepthwiseConv by name)"


@dataclass(frozen=True, eq=False)
class TrainedLayer:
    """A Dense or convolutional layer during one `fit`.

    It is made once per fit and compares by identity: weights, scores and measurements of the fit
    are kept in dicts with this object as the key.

    Attributes:
        name: the Keras name, or the path if several layers of the model have that name.
        layer: the first Keras layer that uses the kernel.
        device: the layer on the device.
        blocks: the weights that are kept or pruned together.
        trainable: the optimizer updates the kernel.
        selected: the fit sparsifies the kernel.
        goal: its own fraction of zeros, or strength; None for the common goal.
        palette: its int8 weights are limited to 16 values.
    """

    name: str
    layer: Any
    device: DeviceLayer
    blocks: Blocks
    trainable: bool = True
    selected: bool = False
    goal: float | None = None
    palette: bool = False

    @property
    def kernel(self) -> Any:
        """The `keras.Variable` [..., inputs, outputs]."""
        return self.layer.kernel

    @property
    def size(self) -> int:
        """The number of weights."""
        return math.prod(self.kernel.shape)

    @property
    def output_axes(self) -> int:
        """The number of last axes of the kernel that count outputs: 2 for depthwise, else 1."""
        return 2 if hasattr(self.layer, "depth_multiplier") else 1

    @property
    def packable(self) -> bool:
        """True if the fit sparsifies the kernel and the device has a sparse kernel for it."""
        return self.selected and self.device.has_kernel

    def weights(self) -> npt.NDArray[Any]:
        """Return a copy of the kernel [..., inputs, outputs]."""
        values: npt.NDArray[Any] = keras.ops.convert_to_numpy(self.kernel)
        return values


def layers_of(model: Any) -> list[TrainedLayer]:
    """Return all built Dense and convolutional layers of `model`, none of them selected.

    Layers of nested models count as its own. A kernel that several layers share counts once. One
    that is computed anew each time, from the parts of LoRA or from int4, is not trainable: there is
    nothing to set to zero.

    Raises:
        ConfigError: `model` is no Keras 3 model.
    """
    check_keras_model(model)
    trainable = {id(variable) for variable in model.trainable_variables}
    built = [x for x in walk(model) if isinstance(x, _LAYERS + _NAMED_LAYERS) and x.built]
    names = Counter(layer.name for layer in built)
    layers: dict[int, TrainedLayer] = {}
    for layer in built:
        kernel = layer.kernel
        owner = id(kernel if isinstance(kernel, keras.Variable) else layer)
        if owner not in layers:
            layers[owner] = TrainedLayer(
                layer.name if names[layer.name] == 1 else layer.path,
                layer,
                DeviceLayer.of(layer),
                Blocks.of(kernel.shape),
                trainable=owner in trainable,
            )
    return list(layers.values())


def select_layers(
    model: Any,
    selection: Selection,
    pattern_of: Callable[[DeviceLayer, float | None], str] = lambda layer, goal: "1x1",
) -> list[TrainedLayer]:
    """Return all layers as `layers_of` does, with those of `selection` selected.

    Args:
        model: a built Keras model.
        selection: the layers to sparsify, and their own goals.
        pattern_of: returns the pattern for a layer and its own goal (None for the common one).
            Depthwise kernels are no matrix and always get single weights.

    Raises:
        ConfigError: a name matches no layer, or nothing is selected.
    """
    layers = layers_of(model)
    trainable = (x.layer.name for x in layers if x.trainable)
    selection.check((x.name for x in walk(model)), trainable, _LAYER_NAMES)
    layers = [_selected(x, selection, pattern_of) for x in layers]
    if not any(x.selected for x in layers):
        raise ConfigError(
            f"model {model.name!r} has no layer to make sparse; accepted: trainable {_LAYER_NAMES}"
            " layers that are not excluded"
        )
    return layers


def _selected(
    layer: TrainedLayer,
    selection: Selection,
    pattern_of: Callable[[DeviceLayer, float | None], str],
) -> TrainedLayer:
    """Return `layer`, selected with its goal and blocks if `selection` means it."""
    goal = selection.goal_of(layer.layer.name)
    divisible = isinstance(layer.layer, _LAYERS)
    if goal is None or not layer.trainable or not (divisible or selection.names(layer.layer.name)):
        return layer
    own = None if isinstance(goal, bool) else float(goal)
    blocks = layer.blocks
    if divisible:
        blocks = Blocks.of(layer.kernel.shape, pattern_of(layer.device, own))
    return replace(layer, selected=True, goal=own, blocks=blocks)


def is_built(model: Any) -> bool:
    """Return True if all layers with kernels have them: the model knows its inputs."""
    return bool(model.built) and all(x.built for x in walk(model) if isinstance(x, _LAYERS))


def walk(model: Any) -> Iterator[Any]:
    """Yield all Keras layers of `model`, nested ones included."""
    # Keras has no public way to reach them.
    yield from model._flatten_layers(include_self=False, recursive=True)
