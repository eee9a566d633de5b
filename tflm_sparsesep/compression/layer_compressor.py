"""The layers of one int8 model in other forms: what each form costs, and models made of them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from tflm_sparsesep.compression import form_choice
from tflm_sparsesep.compression.candidates import cost, sampled_forms, strides_of
from tflm_sparsesep.compression.depthwise_form import DepthwiseLayer, windows_of
from tflm_sparsesep.compression.form_choice import Option
from tflm_sparsesep.compression.layer_forms import DENSE, Fitted, Form, Layer
from tflm_sparsesep.compression.layers import Unit, find_units, vectors
from tflm_sparsesep.compression.moments import layer_of
from tflm_sparsesep.compression.noise_per_error import noise_per_error
from tflm_sparsesep.compression.output_importance import scores
from tflm_sparsesep.compression.palette_rounding import round_to_palette
from tflm_sparsesep.compression.refit import PROBE, WHOLE, Refit, refit_together
from tflm_sparsesep.compression.segments import Values, run_segment
from tflm_sparsesep.converters.errors import ModelError
from tflm_sparsesep.converters.factorize.gram import Matrix, Vector
from tflm_sparsesep.converters.layers import depthwise_pair
from tflm_sparsesep.converters.layers import real as real_layer
from tflm_sparsesep.converters.layers import split as factor_chain
from tflm_sparsesep.converters.layers import stages as conv_stages
from tflm_sparsesep.converters.tflite import editor
from tflm_sparsesep.converters.tflite.editor import Model, Operator, Subgraph, Tensor
from tflm_sparsesep.runtime import samples
from tflm_sparsesep.runtime.litert_tensors import Array, litert_tensors

Over = Callable[[Callable[[int], list[Option]], Sequence[int]], list[list[Option]]]


def _in_turn(function: Callable[[int], list[Option]], indices: Sequence[int]) -> list[list[Option]]:
    return [function(index) for index in indices]


@dataclass(frozen=True)
class Built:
    """A compressed model before the rewriting, and which share of layers' inputs is zero."""

    tflite: bytes
    input_zeros: dict[str, float]


class LayerCompressor:
    """Compresses the layers of one model to forms that are asked for.

    Args:
        data: a .tflite file that `rewrite` accepts.
        fitting: for each model input the calibration samples [inferences, *shape].
        target: a name of `targets.TARGETS`.
        name: what errors call the model.

    Raises:
        ModelError: the model has no int8 layer that can be compressed, or keeps state.
    """

    def __init__(self, data: bytes, fitting: list[Array], *, target: str, name: str) -> None:
        self._data, self._fitting, self._target, self._name = data, fitting, target, name
        main = self._read().subgraphs[0]
        values = self._all_values(main, fitting)
        self.units = find_units(main, values, target)
        if not self.units:
            raise ModelError(
                f"{name}: no int8 FULLY_CONNECTED or CONV_2D layer that could be compressed"
            )
        self._zeros = _zeros(main.operators, values)
        self._layers = [layer_of(unit, unit.inputs)[0] for unit in self.units]
        self._fits: dict[tuple[int, Form], Fitted] = {}

    def options(self, measuring: list[Array], over: Over = _in_turn) -> list[list[Option]]:
        """For each layer what it can become; the first option is to stay as it is.

        Args:
            measuring: samples that show what a layer's errors do to the outputs.
            over: applies a function to indices of layers.
        """
        main = self._read().subgraphs[0]
        wanted = real_scores(self._data, measuring)

        def noise(forms: Sequence[Form]) -> float:
            found = real_scores(self.build(forms, together=PROBE).tflite, measuring)
            return float(10 ** (-sqnr_db(wanted, found) / 10))

        return over(lambda index: self._options(index, main, noise), range(len(self.units)))

    def build(
        self, forms: Sequence[Form], *, effort: int = 1, together: Refit | None = None
    ) -> Built:
        """The model, still dense, with each layer in its form.

        Layer after layer: weights and bias are fitted to the original's pre-activations, on the
        inputs that the layers before now give. `effort` is that of `Layer.fit`. `together`
        says how runs of layers are refitted after that; by default all the way, with some effort.
        """
        model = self._read()
        main = model.subgraphs[0]
        values: Values = dict(zip(main.inputs, self._fitting, strict=True))
        at = {unit.position: index for index, unit in enumerate(self.units)}
        done: list[Operator] = []
        pending: list[Operator] = []
        changed = False
        now: list[list[Operator]] = []
        for position, op in enumerate(main.operators):
            index = at.get(position)
            if index is None or forms[index] == DENSE:
                pending.append(op)
                now.append([op])
                continue
            values |= self._run(pending, values)
            done += pending
            inputs = None
            if changed:
                inputs = vectors(op, values[op.input(0)], self.units[index].picks)
            pending, changed = self._compressed(op, index, forms[index], inputs, effort), True
            now.append(pending[:])
        zeros = self._zeros | _zeros(main.operators, values)
        main.operators = done + pending
        together = together or (WHOLE if effort > 1 else None)
        if changed and together is not None:
            refit_together(self._read().subgraphs[0], main, now, self._fitting, together)
            for index, unit in enumerate(self.units):
                if forms[index].palette:
                    _round_to_palette(now[unit.position][0], self._layers[index])
        editor.prune_unused(model)
        return Built(editor.write(model), zeros)

    def _options(
        self, index: int, main: Subgraph, noise: Callable[[Sequence[Form]], float]
    ) -> list[Option]:
        """See `options`; `noise` is that of the outputs where layers have some forms."""
        op = main.operators[self.units[index].position]
        dense = Option(DENSE, 0.0, *cost([op], self._target, self._zeros))
        families = [
            [self._sample(index, op, form) for form in family]
            for family in sampled_forms(op, self.units[index])
        ]
        every = [option for family in families for option in family]
        if not every:
            return [dense]

        def noise_of(form: Form) -> float:
            forms = [DENSE] * len(self.units)
            forms[index] = form
            return noise(forms)

        factor = noise_per_error(every, noise_of)
        found = [dense]
        for family in families:
            scaled = [replace(option, noise=factor * option.noise) for option in family]
            for first, second in itertools.pairwise(scaled):
                found += form_choice.between(first, second)
            found.append(scaled[-1])
        return found

    def _sample(self, index: int, op: Operator, form: Form) -> Option:
        """The option with the layer's own error in place of the noise at the outputs."""
        operators = self._compressed(op, index, form, None, 1)
        sizes = cost(operators, self._target, self._zeros)
        fitted = self._fit(index, form)
        if form.palette:
            fitted = replace(fitted, matrices=(real_layer.read(operators[0]).weights,))
        return Option(form, self._layers[index].error(fitted), *sizes)

    def _fit(self, index: int, form: Form) -> Fitted:
        """On the original's inputs, once."""
        form = replace(form, palette=False)  # rounding comes after
        if (index, form) not in self._fits:
            self._fits[index, form] = self._layers[index].fit(form, effort=1)
        return self._fits[index, form]

    def _compressed(
        self, op: Operator, index: int, form: Form, inputs: Matrix | None, effort: int
    ) -> list[Operator]:
        """Operators in the place of `op`, fitted on `inputs`, None for those of the original."""
        unit, layer = self.units[index], self._layers[index]
        bias: Vector = unit.layer.bias
        if inputs is not None:
            layer, bias = layer_of(unit, inputs, unit.wanted)
        if effort > 1:
            fitted = layer.fit(form, effort=effort)
        elif inputs is None:
            fitted = self._fit(index, form)
        else:
            fitted = layer.refit(self._fit(index, form))
        bias = bias + layer.bias_shift(fitted)
        written = _written(op, unit, fitted, bias, unit.inputs if inputs is None else inputs)
        if form.palette:
            _round_to_palette(written[0], layer)
        return written

    def _read(self) -> Model:
        return editor.read(self._data, name=self._name)

    def _all_values(self, main: Subgraph, inputs: list[Array]) -> Values:
        entering: Values = dict(zip(main.inputs, inputs, strict=True))
        return entering | self._run(main.operators, entering)

    def _run(self, operators: Sequence[Operator], values: Values) -> Values:
        """All that some operators write."""
        try:
            return run_segment(operators, values, [t for op in operators for t in op.outputs])
        except ModelError as error:
            raise ModelError(f"{self._name}: {error}") from None


def real_outputs(tflite: bytes, inputs: list[Array]) -> list[Matrix]:
    """All outputs of a model in LiteRT as real numbers, [inferences, *shape] each."""
    return _real_tensors(tflite, lambda main: main.outputs, inputs)


def real_scores(tflite: bytes, inputs: list[Array]) -> list[Matrix]:
    """The same before a softmax: of probabilities few samples show an error."""
    return _real_tensors(tflite, scores, inputs)


def _real_tensors(
    tflite: bytes, wanted: Callable[[Subgraph], Sequence[Tensor]], inputs: list[Array]
) -> list[Matrix]:
    main = editor.read(tflite).subgraphs[0]
    tensors = wanted(main)
    values = litert_tensors(tflite, [main.tensors.index(tensor) for tensor in tensors], inputs)
    return [_real(v, tensor) for v, tensor in zip(values, tensors, strict=True)]


def sqnr_db(wanted: list[Matrix], found: list[Matrix]) -> float:
    """10 log10(sum wanted^2 / sum (found - wanted)^2) over all outputs; inf if they are equal.

    Example:
        >>> sqnr_db([np.array([10.0, 0.0])], [np.array([9.0, 0.0])])
        20.0
    """
    noise = sum(float(np.square(f - w).sum()) for w, f in zip(wanted, found, strict=True))
    power = sum(float(np.square(w).sum()) for w in wanted)
    if noise == 0:
        return math.inf
    return 10 * math.log10(power / noise) if power else -math.inf


def _written(
    op: Operator, unit: Unit, fitted: Fitted, bias: Vector, inputs: Matrix
) -> list[Operator]:
    """New operators that hold a form's numbers; `op` stays as it is."""
    if len(fitted.matrices) == 1:
        changed = Operator(
            op.builtin_code, op.inputs, op.outputs, version=op.version, options=op.options
        )
        real_layer.write(changed, fitted.matrices[0], bias)
        return [changed]
    if unit.is_depthwise:
        down, right = fitted.matrices
        windows = windows_of(inputs, len(unit.layer.weights))
        return depthwise_pair.split(op, down, right, bias, windows)
    strides = strides_of(op)
    stages = conv_stages.stages_of(fitted.form.kind, fitted.matrices, unit.kernel, strides)
    return factor_chain.split(op, stages, bias, inputs.reshape(-1, *unit.kernel))


def _round_to_palette(op: Operator, layer: Layer | DepthwiseLayer) -> None:
    assert isinstance(layer, Layer)  # palettes are of sparse matrices
    round_to_palette(op, layer.gram)


def _zeros(operators: Sequence[Operator], values: Values) -> dict[str, float]:
    """Of each layer's input that is known, by name, the share of elements at the zero point."""
    found = {}
    for op in operators:
        tensor = op.inputs[0] if op.inputs else None
        if tensor in values and tensor is not None and tensor.quantization is not None:
            points = tensor.quantization.zero_points
            zero = int(points[0]) if len(points) else 0
            found[tensor.name] = float(np.mean(values[tensor] == zero))
    return found


def _real(values: Array, tensor: Tensor) -> Matrix:
    return samples.dequantize(values, tensor).astype(np.float64)
