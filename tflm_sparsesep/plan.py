"""`plan`: what compressing a model can gain, layer by layer, before any work."""

from __future__ import annotations

import dataclasses
import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tflm_sparsesep.converters.cost import break_even
from tflm_sparsesep.converters.cost.break_even import PlannedForm
from tflm_sparsesep.converters.cost.shapes import ConvShape
from tflm_sparsesep.converters.errors import ConfigError
from tflm_sparsesep.converters.layers.depthwise import DepthwiseConv
from tflm_sparsesep.converters.targets import get_target
from tflm_sparsesep.planning import shapes as plan_shapes
from tflm_sparsesep.planning.shapes import LayerShape, Shape
from tflm_sparsesep.runtime import files

BEST_CASE_ZEROS = 0.95
"""Of the best case of fully-connected layers and convolutions of one tap or along one axis."""
BEST_CASE_CHANNELS = 4
"""The best case of a convolution has so many times fewer channels between its stages than the
smaller of its inputs and outputs."""

_NONE_WINS = {
    False: "too small: no form is both smaller and faster",
    True: "depthwise: d x 1 and 1 x e do not pay",
}


@dataclass(frozen=True)
class LayerPlan:
    """What can be gained on one layer.

    Attributes:
        name, op, size: what it is; 784->300 are 300 outputs of 784 inputs.
        dense_bytes: weights and biases in int8.
        dense_instructions: of CMSIS-NN for one inference; None where that is not known.
        unstructured: with the fewest zeros, anywhere, that make it smaller and faster.
        block: likewise with zeros in blocks of the pattern that needs fewest.
        factors: as two dense layers of the largest rank that makes it smaller and faster, or as
            a separated convolution of the most channels between its stages; depthwise ones as
            two of rank 1.
        best_case: 95% zeros in the best pattern, or a separated convolution of few channels where
            that has less bytes times instructions.
        note: why nothing can be done, else empty.
    """

    name: str
    op: str
    size: str
    dense_bytes: int
    dense_instructions: int | None
    unstructured: PlannedForm | None
    block: PlannedForm | None
    factors: PlannedForm | None
    best_case: PlannedForm | None
    note: str


@dataclass(frozen=True)
class Plan:
    """What can be gained on a model.

    Attributes:
        target: the core that it is estimated for.
        layers: those with weights, in execution order.
    """

    target: str
    layers: list[LayerPlan]

    @property
    def dense_bytes(self) -> int:
        """Weights and biases of all layers in int8."""
        return sum(layer.dense_bytes for layer in self.layers)

    @property
    def dense_instructions(self) -> int:
        """Of the layers of which they are known."""
        return sum(layer.dense_instructions or 0 for layer in self.layers)

    @property
    def best_case_bytes(self) -> int:
        """Every layer at its best case, the others as they are."""
        return sum(x.best_case.bytes if x.best_case else x.dense_bytes for x in self.layers)

    @property
    def best_case_instructions(self) -> int:
        """Likewise, of the layers of which they are known."""
        best = ((x.best_case, x.dense_instructions or 0) for x in self.layers)
        return sum(form.instructions if form else dense for form, dense in best)

    def to_json(self) -> dict[str, Any]:
        """All as plain values."""
        totals = ("dense_bytes", "dense_instructions", "best_case_bytes", "best_case_instructions")
        return {
            "target": self.target,
            "layers": [dataclasses.asdict(layer) for layer in self.layers],
            **{name: getattr(self, name) for name in totals},
        }


def plan(model: Any, *, target: str = "cortex-m4", name: str | None = None) -> Plan:
    """Tells what can be gained on each layer of a model, from shapes alone, in about a second.

    Nothing is said of accuracy: how far a layer can go is what `compress` finds out.

    Args:
        model: the bytes or the path of an int8 or float32 .tflite file, a Keras model, or the
            path of a .keras file. What is not int8 is planned as the int8 model it becomes.
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
    layers = [_plan_layer(layer, core) for layer in _layers_of(model, name)]
    return Plan(core, layers)


def _layers_of(model: Any, name: str | None) -> list[LayerShape]:
    if isinstance(model, bytes | bytearray):
        return plan_shapes.layers_of(bytes(model), name or "model")
    if isinstance(model, str | Path):
        path = Path(model)
        if path.suffix != ".keras":
            return plan_shapes.layers_of(files.read_model(path), name or str(path))
        from tflm_sparsesep.model_input import load_keras

        model = load_keras(path)
    if not hasattr(model, "layers"):
        raise ConfigError(
            f"model is a {type(model).__name__}, accepted: a Keras model, or the bytes or the "
            "path of a .tflite or .keras file"
        )
    from tflm_sparsesep.planning import keras_shapes

    return keras_shapes.layers_of(model)


def _plan_layer(layer: LayerShape, target: str) -> LayerPlan:
    if layer.shape is None:
        forms, instructions, note = _Forms(), None, layer.reason
    else:
        forms, instructions = _forms(layer.shape, target), layer.shape.dense(target).instructions
        note = "" if forms.any_wins else _NONE_WINS[isinstance(layer.shape, DepthwiseConv)]
    return LayerPlan(
        name=layer.name,
        op=layer.op,
        size=layer.size,
        dense_bytes=layer.dense_bytes,
        dense_instructions=instructions,
        unstructured=forms.unstructured,
        block=forms.block,
        factors=forms.factors,
        best_case=forms.best_case,
        note=note,
    )


@dataclass(frozen=True)
class _Forms:
    """Those that win; as in `LayerPlan`."""

    unstructured: PlannedForm | None = None
    block: PlannedForm | None = None
    factors: PlannedForm | None = None
    best_case: PlannedForm | None = None

    @property
    def any_wins(self) -> bool:
        return any((self.unstructured, self.block, self.factors))


@functools.lru_cache(maxsize=64)
def _forms(shape: Shape, target: str) -> _Forms:
    if isinstance(shape, DepthwiseConv):
        form = shape.best(target)
        return _Forms(factors=form, best_case=form)
    sparse = break_even.best_sparse(shape, target, BEST_CASE_ZEROS)
    if isinstance(shape, ConvShape):
        factors = break_even.break_even_channels(shape, target)
        cases = [form for form in (sparse, _best_separated(shape, target)) if form]
        sparse = min(cases, key=lambda form: form.bytes * form.instructions, default=None)
    else:
        factors = break_even.break_even_rank(shape, target)
    return _Forms(
        unstructured=break_even.break_even_zeros(shape, target, "1x1"),
        block=break_even.break_even_block(shape, target),
        factors=factors,
        best_case=sparse,
    )


def _best_separated(shape: ConvShape, target: str) -> PlannedForm | None:
    units, *_, channels = shape.weights
    most = max(1, min(units, channels) // BEST_CASE_CHANNELS)
    form = break_even.separated_form(shape, target, most)
    return form if form.beats(shape.dense(target)) else None
