"""Factorize the layers of one int8 model: options with their costs, and whole models."""

from __future__ import annotations

import functools
import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tflm_sparsesep.compression import form_choice
from tflm_sparsesep.compression.candidates import families, noise_per_error
from tflm_sparsesep.compression.factorization import (
    DENSE,
    Factorization,
    FitProblem,
    Fitted,
    MatrixFitProblem,
    depthwise_windows,
)
from tflm_sparsesep.compression.form_choice import Option
from tflm_sparsesep.compression.layers import CompressibleLayer, find_layers, vectors
from tflm_sparsesep.compression.operator_cost import rewritten_cost
from tflm_sparsesep.compression.output_importance import scores
from tflm_sparsesep.compression.palette_rounding import round_to_palette
from tflm_sparsesep.compression.refit import PROBE, WHOLE, Refit, Refitter
from tflm_sparsesep.compression.segments import (
    Values,
    is_activation,
    is_stateful,
    real_tensors,
    run_model,
    run_segment,
)
from tflm_sparsesep.compression.trial_cache import Entry, TrialCache, fit_entry, fit_of
from tflm_sparsesep.converters.cost.choose_layout import Prefer
from tflm_sparsesep.converters.errors import ModelError
from tflm_sparsesep.converters.factorize.gram import Matrix, Vector
from tflm_sparsesep.converters.layers import real, split
from tflm_sparsesep.converters.layers import stages as conv_stages
from tflm_sparsesep.converters.tflite import editor
from tflm_sparsesep.converters.tflite.editor import Model, Operator
from tflm_sparsesep.runtime.litert_tensors import Array
from tflm_sparsesep.runtime.output_quality import sqnr_db

Forms = Sequence[Factorization]

# Costs hardly depend on the scales of intermediate activations: few vectors set them.
_COST_VECTORS = 256


@dataclass(frozen=True)
class CompressedModel:
    """A compressed model before rewriting.

    Attributes:
        tflite: the file.
        model: the same as objects.
        input_zeros: of each layer's input, by name, the fraction of zeros (`Conversion`).
    """

    tflite: bytes
    model: Model
    input_zeros: dict[str, float]

    def outputs(self, inputs: Sequence[Array]) -> list[Matrix]:
        """Return the outputs in LiteRT as real numbers, [inferences, *shape] each."""
        return real_tensors(self.model, self.tflite, self.model.subgraphs[0].outputs, inputs)

    def scores(self, inputs: Sequence[Array]) -> list[Matrix]:
        """Return the same before a softmax: few samples show an error in probabilities."""
        return real_tensors(self.model, self.tflite, scores(self.model.subgraphs[0]), inputs)


class LayerCompressor:
    """Compresses the layers of one model to given factorizations.

    Args:
        data: a .tflite file that `rewrite` accepts.
        fitting: for each model input the calibration samples [inferences, *shape].
        target: a name of `targets.TARGETS`.
        name: what errors call the model.
        prefer: the preference among layouts (`choose_layout`).
        cache: keeps each fit as soon as it is made.

    Raises:
        ModelError: the model has no int8 layer that can be compressed, or keeps state.
    """

    def __init__(
        self,
        data: bytes,
        fitting: list[Array],
        *,
        target: str,
        name: str,
        prefer: Prefer | None = None,
        cache: TrialCache | None = None,
    ) -> None:
        self._data, self._fitting, self._target, self._name = data, fitting, target, name
        self._prefer = prefer
        self._cache, self._fits = cache or TrialCache(None), dict[str, Entry]()
        self.original = CompressedModel(data, editor.read(data, name=name), {})
        self._main = self.original.model.subgraphs[0]
        self._values: Values = dict(zip(self._main.inputs, fitting, strict=True))
        self._values |= self._recorded()
        self.layers = find_layers(self.original.model, self._values, target)
        if not self.layers:
            raise ModelError(
                f"{name}: no int8 FULLY_CONNECTED or CONV_2D layer that could be compressed"
            )
        self._zeros = input_zeros(self._main.operators, self._values)
        self._problems = [layer.fit_problem(layer.inputs)[0] for layer in self.layers]

    def options(self, index: int, measuring: list[Array], wanted: list[Matrix]) -> list[Option]:
        """Return what a layer can become; the first option is to stay as it is.

        Args:
            index: of the layer.
            measuring: samples that show the effect of the layer's errors on the outputs.
            wanted: the original's scores on them.
        """

        def noise_of(form: Factorization) -> float:
            forms = [DENSE] * len(self.layers)
            forms[index] = form
            found = self.build(forms, together=PROBE).scores(measuring)
            return float(10 ** (-sqnr_db(wanted, found) / 10))

        dense, sampled = self._sampled(index)
        every = [option for family in sampled for option in family]
        if not every:
            return [dense]
        factor = noise_per_error(every, noise_of)
        found = [dense]
        for family in sampled:
            scaled = [replace(option, noise=factor * option.noise) for option in family]
            for first, second in itertools.pairwise(scaled):
                found += form_choice.between(first, second)
            found.append(scaled[-1])
        return found

    def build(
        self, forms: Forms, *, effort: int = 1, together: Refit | None = None
    ) -> CompressedModel:
        """Return the model, still dense, with each layer factorized.

        Layer after layer, weights and bias are fitted to the original's pre-activations on the
        inputs that the compressed layers before give.

        Args:
            forms: one for each of `layers`.
            effort: see `FitProblem.fit`.
            together: how runs of layers are refitted after that; by default fully, with effort 2.
        """
        model = editor.read(self._data, name=self._name)
        main = model.subgraphs[0]
        changed = {
            layer.position: index
            for index, (layer, form) in enumerate(zip(self.layers, forms, strict=True))
            if form != DENSE
        }
        first = min(changed, default=len(main.operators))
        # What variables hold stays that of the original.
        later = {t for op in main.operators[first:] if not is_stateful(op) for t in op.outputs}
        same = zip(main.tensors, self._main.tensors, strict=True)  # of one file
        values = {t: self._values[o] for t, o in same if o in self._values and t not in later}
        before = dict(values)
        now = [[op] for op in main.operators]
        pending: list[Operator] = []
        for position, op in enumerate(main.operators[first:], first):
            if position in changed:
                values |= self._run(pending, values)
                now[position] = self._factorized(op, changed[position], forms, effort, values)
                pending = []
            pending += now[position]
        zeros = self._zeros | input_zeros(main.operators, values)
        main.operators = [op for operators in now for op in operators]
        together = together or (WHOLE if effort > 1 else None)
        if changed and together is not None:
            self._refitter.refit(now, before, together, first=first)
            for position, index in changed.items():
                if forms[index].palette:
                    _round_to_palette(now[position][0], self._problems[index])
        editor.prune_unused(model)
        return CompressedModel(editor.write(model), model, zeros)

    @functools.cached_property
    def _refitter(self) -> Refitter:
        return Refitter(self.original.model, self._values)

    def _sampled(self, index: int) -> tuple[Option, list[list[Option]]]:
        """Return the option to stay dense, and families with the layer's own errors as noise."""
        layer = self.layers[index]
        op = self._main.operators[layer.position]
        cost = rewritten_cost([op], self._target, self._zeros, self._prefer)
        dense = Option(DENSE, 0.0, cost.bytes, cost.instructions, cost.arena_bytes)
        return dense, [
            [self._option(index, form) for form in family] for family in families(op, layer.real)
        ]

    def _option(self, index: int, form: Factorization) -> Option:
        """Return the option with the layer's own error in place of the noise at the outputs."""
        op = self._main.operators[self.layers[index].position]
        forms = [*[DENSE] * index, form]
        layer, problem = self.layers[index], self._problems[index]
        fitted, bias = self._fit(index, forms, 1, None)
        operators = _written(op, layer, fitted, bias, layer.inputs[:_COST_VECTORS])
        if form.palette:
            _round_to_palette(operators[0], problem)
            fitted = replace(fitted, matrices=(real.read(operators[0]).weights,))
        cost = rewritten_cost(operators, self._target, self._zeros, self._prefer)
        error = problem.error(fitted)
        return Option(form, error, cost.bytes, cost.instructions, cost.arena_bytes)

    def _factorized(
        self, op: Operator, index: int, forms: Forms, effort: int, values: Values
    ) -> list[Operator]:
        """Return the operators in the place of `op`.

        Args:
            op: of the original model or a copy of it; unchanged.
            index: of its layer.
            forms: of all layers, or of those up to this one.
            effort: see `build`.
            values: activations of the compressed model.
        """
        layer = self.layers[index]
        inputs = layer.inputs
        if any(form != DENSE for form in forms[:index]):
            inputs = vectors(op, values[op.input(0)], layer.picks)
        changed = None if inputs is layer.inputs else inputs
        fitted, bias = self._fit(index, forms, effort, changed)
        written = _written(op, layer, fitted, bias, inputs)
        if forms[index].palette:
            _round_to_palette(written[0], self._problem(index, changed)[0])
        return written

    def _fit(
        self, index: int, forms: Forms, effort: int, inputs: Matrix | None
    ) -> tuple[Fitted, Vector]:
        """Return the matrices and the bias of a layer, fitted once for the same layers before."""
        before = [vars(form) for form in forms[:index]] if inputs is not None else []
        form = replace(forms[index], palette=False)  # rounding comes after

        def compute() -> Entry:
            problem, bias = self._problem(index, inputs)
            if inputs is None or effort > 1:
                fitted = problem.fit(form, effort=effort)
            else:
                fitted = problem.refit(form, lambda: self._fit(index, forms, 1, None)[0])
            return fit_entry(fitted, bias + problem.bias_shift(fitted))

        setting = {"fit": index, "form": vars(form), "before": before, "effort": effort}
        return fit_of(self._recalled(setting, compute))

    def _problem(self, index: int, inputs: Matrix | None) -> tuple[FitProblem, Vector]:
        """Return the fit problem of a layer on changed inputs; None for the original's."""
        layer = self.layers[index]
        if inputs is None:
            return self._problems[index], layer.real.bias
        return layer.fit_problem(inputs, to_original=True)

    def _recalled(self, setting: Mapping[str, Any], compute: Callable[[], Entry]) -> Entry:
        key = json.dumps(setting)
        if key not in self._fits:
            self._fits[key] = self._cache.recall(setting, compute)
        return self._fits[key]

    def _recorded(self) -> Values:
        """Return all activations of the original, with the state that it keeps from sample on."""
        model, operators = self.original.model, self._main.operators
        if any(t is not None and t.is_variable for op in operators for t in op.inputs):
            raise ModelError(
                f"{self._name}: keeps state from one inference to the next, which compress "
                "cannot follow"
            )
        wanted = [t for op in operators for t in op.outputs if is_activation(t)]
        found = run_model(model, self._data, wanted, self._fitting)
        return dict(zip(wanted, found, strict=True))

    def _run(self, operators: Sequence[Operator], values: Values) -> Values:
        """Return all that some operators write."""
        try:
            wanted = [t for op in operators for t in op.outputs]
            return run_segment(
                operators, values, wanted, subgraphs=self.original.model.subgraphs[1:]
            )
        except ModelError as error:
            raise ModelError(f"{self._name}: {error}") from None


def _written(
    op: Operator, layer: CompressibleLayer, fitted: Fitted, bias: Vector, inputs: Matrix
) -> list[Operator]:
    """Return new operators that hold fitted matrices; `op` stays as it is."""
    if len(fitted.matrices) == 1:
        changed = Operator(
            op.builtin_code, op.inputs, op.outputs, version=op.version, options=op.options
        )
        real.write(changed, fitted.matrices[0], bias)
        return [changed]
    if layer.real.is_depthwise:
        down, right = fitted.matrices
        windows = depthwise_windows(inputs, len(layer.real.weights))
        return split.split_depthwise(op, down, right, bias, windows)
    kernel, strides = layer.real.kernel, layer.real.strides
    parts = conv_stages.stages_of(fitted.form.kind, fitted.matrices, kernel, strides)
    return split.split(op, parts, bias, inputs.reshape(-1, *kernel))


def _round_to_palette(op: Operator, problem: FitProblem) -> None:
    assert isinstance(problem, MatrixFitProblem)  # palettes are of sparse matrices
    round_to_palette(op, problem.gram)


def input_zeros(operators: Sequence[Operator], values: Values) -> dict[str, float]:
    """Return the share of known layer inputs that are at the zero point, by tensor name."""
    found = {}
    for op in operators:
        tensor = op.inputs[0] if op.inputs else None
        if tensor in values and tensor is not None and tensor.quantization is not None:
            points = tensor.quantization.zero_points
            zero = int(points[0]) if len(points) else 0
            found[tensor.name] = float(np.mean(values[tensor] == zero))
    return found
