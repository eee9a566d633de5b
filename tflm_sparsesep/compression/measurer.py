"""Measure a compressed model: quality in LiteRT on held-out samples, bytes, instructions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy.typing as npt

from tflm_sparsesep.compression.budget_search import Point
from tflm_sparsesep.compression.layer_compressor import CompressedModel
from tflm_sparsesep.compression.sample_checks import held_out
from tflm_sparsesep.compression.segments import real_outputs
from tflm_sparsesep.converters import model_cost
from tflm_sparsesep.converters.cost.choose_layout import Prefer
from tflm_sparsesep.converters.errors import ConfigError
from tflm_sparsesep.converters.factorize.gram import Matrix
from tflm_sparsesep.converters.passes.conversion import Conversion
from tflm_sparsesep.converters.rewrite import RewriteResult, planned, run_passes, tidy, written
from tflm_sparsesep.converters.targets import get_target
from tflm_sparsesep.converters.tflite import editor
from tflm_sparsesep.converters.tflite.references import buffer_users
from tflm_sparsesep.runtime import samples
from tflm_sparsesep.runtime.class_labels import accuracy, checked_labels
from tflm_sparsesep.runtime.output_quality import plain_sqnr_db, sqnr_db

Array = npt.NDArray[Any]

_LEAST_SAMPLES = 8
# Of fewer labels a good model may miss most by chance.
_LEAST_LABELS = 16


class Measurer:
    """Compares compressed models with the one that they were made from.

    Args:
        source: the int8 .tflite file before compression.
        dataset: samples; a fourth is held out to measure, the others are `fitting`.
        labels: the class of each sample, or None.
        target: a name of `targets.TARGETS`.
        name: what errors call the model.
        prefer: the preference among layouts (`choose_layout`).

    Raises:
        ConfigError: samples or labels do not fit.
    """

    def __init__(
        self,
        source: bytes,
        dataset: Sequence[Array],
        labels: Array | None,
        target: str,
        *,
        name: str = "model",
        prefer: Prefer | None = None,
    ) -> None:
        self._source, self._target = source, get_target(target).name
        self._prefer = prefer
        main = editor.read(source, name=name).subgraphs[0]
        arrays = samples.split_inputs(list(dataset), main.inputs)
        count = len(arrays[0]) if arrays else 0
        if count < _LEAST_SAMPLES:
            raise ConfigError(f"{count} samples given, accepted: at least {_LEAST_SAMPLES}")
        measures = held_out(count)
        self.fitting = [array[~measures] for array in arrays]
        self.measuring = [array[measures] for array in arrays]
        self._labels: Array | None = None
        if labels is not None:
            classes = math.prod(main.outputs[0].shape) // samples.batch_of(main.inputs)
            self._labels = checked_labels(labels, samples=count, classes=classes)[measures]
        self._wanted: list[Matrix] | None = None

    def measure(
        self, built: CompressedModel, forms: tuple[str, ...], level: int
    ) -> tuple[Point, RewriteResult]:
        """Return the point of a model, and the model rewritten; its objects are changed."""
        outputs = built.outputs(self.measuring)
        if self._wanted is None:
            self._wanted = real_outputs(self._source, self.measuring)
            self._check_accuracy(self._wanted[0])
        rewritten = self._rewritten(built)
        point = Point(
            level,
            sqnr_db(self._wanted, outputs),
            len(rewritten.tflite),
            model_cost.instructions(built.model, rewritten.layers, self._target),
            model_cost.arena_bytes(built.model, rewritten.layers),
            self._accuracy_drop(outputs),
            forms,
            plain_sqnr_db(self._wanted, outputs),
        )
        return point, rewritten

    def _rewritten(self, built: CompressedModel) -> RewriteResult:
        """Return what `rewrite` makes of the file."""
        model = built.model
        users = buffer_users(model)
        conversion = Conversion(self._target, built.input_zeros, self._prefer, users)
        graphs = planned(model, self._target)
        layers = [d for graph in graphs for d in run_passes(graph, conversion)]
        tidy(model)
        return RewriteResult(written(model, self._source, target=self._target), layers)

    def _accuracy_drop(self, outputs: list[Matrix]) -> float | None:
        """Return points lost, by the class of the highest score of the first output."""
        if self._labels is None or self._wanted is None:
            return None
        before, after = (accuracy(x[0], self._labels) for x in (self._wanted, outputs))
        return 100 * (before - after)

    def _check_accuracy(self, scores: Matrix) -> None:
        """Refuse labels of other samples or classes: no loss against them means anything."""
        if self._labels is None or len(self._labels) < _LEAST_LABELS:
            return
        found, chance = accuracy(scores, self._labels), len(self._labels) / scores.size
        if found <= chance < 1:
            raise ConfigError(
                f"the original model gets {found:.1%} of {len(self._labels)} held-out labels "
                f"right, no more than chance, {chance:.1%}; accepted: the labels of these samples, "
                "numbered as the model's classes are"
            )
