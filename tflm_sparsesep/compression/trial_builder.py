"""Build and measure one compressed model: quality in LiteRT, bytes, instructions.

A `TrialJob` is all that this depends on. It can be pickled: other processes, of this machine or
others, make the same builder of it.
"""

from __future__ import annotations

import functools
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy.typing as npt

from tflm_sparsesep.compression.budget_search import Point
from tflm_sparsesep.compression.factorization import Factorization
from tflm_sparsesep.compression.form_choice import Option
from tflm_sparsesep.compression.layer_compressor import CompressedModel, LayerCompressor
from tflm_sparsesep.compression.layers import CompressibleLayer
from tflm_sparsesep.compression.measurer import Measurer
from tflm_sparsesep.compression.parallel import one_thread
from tflm_sparsesep.compression.silent_channels import silent_count
from tflm_sparsesep.compression.trial_cache import (
    Entry,
    TrialCache,
    digest_of,
    model_entry,
    model_of,
    options_entry,
    options_of,
)
from tflm_sparsesep.converters.cost.choose_layout import Prefer
from tflm_sparsesep.converters.errors import ModelError
from tflm_sparsesep.converters.factorize.gram import Matrix
from tflm_sparsesep.converters.layers.convolution import is_convolution
from tflm_sparsesep.converters.layers.matrix import is_matrix_operator
from tflm_sparsesep.converters.layers.quantized import check_operator
from tflm_sparsesep.converters.rewrite import (
    RewriteResult,
    check,
)
from tflm_sparsesep.converters.tflite import editor
from tflm_sparsesep.converters.tflite.editor import Model

Array = npt.NDArray[Any]
Forms = tuple[Factorization, ...]

# Builders that a process keeps: workers may serve several searches.
_MOST_BUILDERS = 2


@dataclass(frozen=True)
class Trial:
    """A compressed model.

    Attributes:
        point: its quality and sizes.
        forms: of each layer.
        effort: of the fits.
        tflite: the file before rewriting.
        rewritten: the file after it.
    """

    point: Point
    forms: Forms
    effort: int
    tflite: bytes
    rewritten: RewriteResult


@dataclass(frozen=True)
class TrialJob:
    """A model, samples, and what to count for.

    Attributes:
        data: an int8 .tflite file, which quality is relative to.
        dataset: samples; a fourth is held out to measure the quality.
        labels: the class of each sample, or None.
        target: a name of `targets.TARGETS`.
        name: what errors call the model.
        cache_dir: of results; None keeps none.
        prefer: the preference among layouts (`choose_layout`).
        silenced: `data` without channels that are silent on the samples (`silent_channels`), which
            is factorized in its place; None where there are none.
    """

    data: bytes
    dataset: Sequence[Array]
    labels: Array | None
    target: str
    name: str
    cache_dir: Path | None = None
    prefer: Prefer | None = None
    silenced: bytes | None = None

    @functools.cached_property
    def key(self) -> str:
        """What tells this job from others."""
        return digest_of(self.name, str(self.cache_dir), *self._context)

    def cache(self) -> TrialCache:
        """Return the cache of its results."""
        return TrialCache(self.cache_dir, *self._context)

    @property
    def _context(self) -> tuple[bytes | str | Array | None, ...]:
        return (self.data, self.silenced, self.target, self.prefer, self.labels, *self.dataset)


class TrialBuilder:
    """Builds and measures combinations of factorizations of one model.

    Raises:
        ModelError: the model cannot be compressed.
        ConfigError: samples or labels do not fit.
    """

    def __init__(self, job: TrialJob) -> None:
        self._cache = job.cache()
        _check(editor.read(job.data, name=job.name))
        how: dict[str, Any] = {"name": job.name, "prefer": job.prefer}
        self._measurer = Measurer(job.data, job.dataset, job.labels, job.target, **how)
        self._is_silenced = job.silenced is not None
        self._compressor = LayerCompressor(
            job.silenced or job.data,
            self._measurer.fitting,
            target=job.target,
            cache=self._cache,
            **how,
        )
        self.layers = self._compressor.layers

    def options(self, layer: int) -> list[Option]:
        """Return what a layer can become; the first option is to stay as it is."""

        def look() -> Entry:
            return options_entry(
                self._compressor.options(layer, self._measurer.measuring, self._wanted_scores)
            )

        return options_of(self._cache.recall({"layer": layer}, look))

    def trial(self, forms: Forms, level: int, effort: int) -> Trial:
        """Return the model with each layer in its form."""

        def compute() -> Entry:
            trial = self._try(forms, level, effort)
            return model_entry(trial.tflite, trial.rewritten, [trial.point])

        setting = {"forms": [vars(form) for form in forms], "effort": effort}
        tflite, rewritten, (point,) = model_of(self._cache.recall(setting, compute))
        # Another search may have come to these factorizations at another level.
        return Trial(replace(point, level=level), forms, effort, tflite, rewritten)

    def measured(self, tflite: bytes) -> Point:
        """Return the point of another form of the model, before rewriting."""
        built = CompressedModel(tflite, editor.read(tflite), {})
        return self._measurer.measure(built, (), 0)[0]

    @functools.cached_property
    def _wanted_scores(self) -> list[Matrix]:
        return self._compressor.original.scores(self._measurer.measuring)

    def _try(self, forms: Forms, level: int, effort: int) -> Trial:
        built = self._compressor.build(forms, effort=effort)
        names = tuple(map(self._described, self.layers, forms))
        point, rewritten = self._measurer.measure(built, names, level)
        return Trial(point, forms, effort, built.tflite, rewritten)

    def _described(self, layer: CompressibleLayer, form: Factorization) -> str:
        """Return what a layer becomes, for a person."""
        silent = silent_count(layer) if self._is_silenced else 0
        without = f" without {silent} silent channels" if silent else ""
        return f"{layer.name}: {form}{without}"


@dataclass(frozen=True)
class BuilderCall:
    """Calls methods of a job's builder, with matrix products on one thread.

    Their last bits depend on the number of threads. It can be pickled; the process that runs it
    keeps the builder for the next call.
    """

    job: TrialJob

    def __call__(self, call: tuple[Callable[..., Any], tuple[Any, ...]]) -> Any:
        """Return what a method returns for some arguments."""
        method, arguments = call
        with one_thread():
            return method(builder_of(self.job), *arguments)


_builders: OrderedDict[str, TrialBuilder] = OrderedDict()


def builder_of(job: TrialJob) -> TrialBuilder:
    """Return the builder of a job, made once in this process."""
    found = _builders.get(job.key)
    if found is None:
        found = _builders[job.key] = TrialBuilder(job)
        while len(_builders) > _MOST_BUILDERS:
            _builders.popitem(last=False)
    return found


def _check(model: Model) -> None:
    """Raise ModelError for a model that `rewrite` refuses."""
    try:
        check(model)
        for op in model.operators:
            if is_matrix_operator(op) or is_convolution(op):
                check_operator(op)
    except ModelError as error:
        raise ModelError(f"{model.name}: {error}") from None
