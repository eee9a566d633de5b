"""Gains on the layers of a model: the forms that are smaller and faster."""

from __future__ import annotations

import dataclasses
import functools
from dataclasses import dataclass
from typing import Any

from tflm_sparsesep.converters.cost import break_even, other_operators
from tflm_sparsesep.converters.cost.break_even import PlannedForm
from tflm_sparsesep.converters.cost.depthwise_conv import DepthwiseShape
from tflm_sparsesep.converters.cost.shapes import ConvShape
from tflm_sparsesep.planning.board_fit import BoardFit
from tflm_sparsesep.planning.shapes import LayerShape, ModelShapes, Shape

BEST_CASE_ZEROS = 0.95
"""Zeros in the best case of a sparse layer."""
BEST_CASE_CHANNELS = 4
"""In the best case of a separated convolution, its stages are joined by the smaller number of its
input and output channels, divided by this."""

_NONE_WINS = "too small: no form is both smaller and faster"
_NO_DEPTHWISE = "depthwise: neither our kernel nor d x 1 and 1 x e are faster"


@dataclass(frozen=True)
class LayerPlan:
    """Possible gain on one layer.

    Attributes:
        name: of the layer.
        op: its operator.
        size: of its weights; 784->300 has 784 inputs and 300 outputs.
        dense_bytes: weights and biases in int8.
        dense_instructions: of CMSIS-NN for one inference; None if unknown.
        unstructured: with the fewest zeros, at any position, that make it smaller and faster.
        block: the same with zeros in blocks, of the pattern that needs the fewest.
        factors: as two dense layers of the largest rank that makes it smaller and faster, or as
            a separated convolution with the most channels between its stages; a depthwise layer
            as two of rank 1.
        best_case: 95% zeros in the best pattern, or a separated convolution of few channels if
            its product of bytes and instructions is smaller.
        note: why no form applies, else empty.
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
    """Possible gain on a model.

    Attributes:
        target: the core that costs are estimated for.
        layers: those with weights, in execution order.
        other_instructions: of the operators without weights, which no form changes.
        uncounted: operators that no estimate includes, because their cost is not known.
        fit: on the board that was named; None without one.
    """

    target: str
    layers: list[LayerPlan]
    other_instructions: int
    uncounted: list[str]
    fit: BoardFit | None = None

    @property
    def dense_bytes(self) -> int:
        """Weights and biases of all layers in int8."""
        return sum(layer.dense_bytes for layer in self.layers)

    @property
    def dense_instructions(self) -> int:
        """Of the model: sum over the operators where they are known."""
        return self.other_instructions + sum(x.dense_instructions or 0 for x in self.layers)

    @property
    def best_case_bytes(self) -> int:
        """Bytes if every layer takes its best case, where it has one."""
        return sum(x.best_case.bytes if x.best_case else x.dense_bytes for x in self.layers)

    @property
    def best_case_instructions(self) -> int:
        """Of the model in that case, over the operators where they are known."""
        best = ((x.best_case, x.dense_instructions or 0) for x in self.layers)
        layers = sum(form.instructions if form else dense for form, dense in best)
        return self.other_instructions + layers

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain values."""
        totals = ("dense_bytes", "dense_instructions", "best_case_bytes", "best_case_instructions")
        return {
            "target": self.target,
            "layers": [dataclasses.asdict(layer) for layer in self.layers],
            "other_instructions": self.other_instructions,
            "uncounted": self.uncounted,
            **{name: getattr(self, name) for name in totals},
            "fit": None if self.fit is None else self.fit.to_json(),
        }


def plan_model(shapes: ModelShapes, target: str) -> Plan:
    """Weigh the forms of each layer of a model."""
    plans = [_plan_layer(layer, target) for layer in shapes.layers]
    others, unknown = other_operators.total(target, shapes.others)
    names = [plan.op for plan in plans if plan.dense_instructions is None]
    return Plan(target, plans, others, list(dict.fromkeys(names + unknown)))


def _plan_layer(layer: LayerShape, target: str) -> LayerPlan:
    """Weigh the forms that one layer could take on a target."""
    forms: _Forms = (None, None, None, None)
    instructions, note = None, layer.reason
    if layer.shape is not None:
        forms, instructions = _forms(layer.shape, target), layer.shape.dense(target).instructions
        if not any(forms):
            note = _NO_DEPTHWISE if isinstance(layer.shape, DepthwiseShape) else _NONE_WINS
    known = (layer.name, layer.op, layer.size, layer.dense_bytes, instructions)
    return LayerPlan(*known, *forms, note)


# Forms that are smaller and faster: unstructured, block, factors, best_case of `LayerPlan`.
_Forms = tuple[PlannedForm | None, PlannedForm | None, PlannedForm | None, PlannedForm | None]


@functools.lru_cache(maxsize=64)
def _forms(shape: Shape, target: str) -> _Forms:
    if isinstance(shape, DepthwiseShape):
        form = break_even.break_even_depthwise(shape, target)
        cases = [x for x in (form, break_even.depthwise_kernel_form(shape, target)) if x]
        best = min(cases, key=lambda case: case.bytes * case.instructions, default=None)
        return None, None, form, best
    if isinstance(shape, ConvShape):
        factors = separated = None
        if shape.is_separable:
            factors = break_even.break_even_channels(shape, target)
            separated = _best_separated(shape, target)
    else:
        factors, separated = break_even.break_even_rank(shape, target), None
    sparse = break_even.best_sparse(shape, target, BEST_CASE_ZEROS)
    cases = [form for form in (sparse, separated) if form]
    return (
        break_even.break_even_zeros(shape, target, "1x1"),
        break_even.break_even_block(shape, target),
        factors,
        min(cases, key=lambda form: form.bytes * form.instructions, default=None),
    )


def _best_separated(shape: ConvShape, target: str) -> PlannedForm | None:
    units, *_, channels = shape.weights
    fewest = max(1, min(units, channels) // BEST_CASE_CHANNELS)
    form = break_even.separated_form(shape, target, fewest)
    return form if form.beats(shape.dense(target)) else None
