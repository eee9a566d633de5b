"""`validate`: how far a rewritten model is from the dense one, on samples."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tflm_sparsesep.converters.errors import ConfigError
from tflm_sparsesep.runtime.class_labels import accuracy, checked_labels
from tflm_sparsesep.runtime.output_quality import plain_sqnr_db, sqnr_db
from tflm_sparsesep.runtime.representative_dataset import Samples
from tflm_sparsesep.runtimes import run

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class OutputQuality:
    """One output of two models, in real numbers.

    Attributes:
        output: its position.
        sqnr_db: signal to quantization noise ratio: the variance of the dense output about its mean
            over samples, element by element, over the power of the difference; inf where nothing
            differs, nan for one sample that differs.
        plain_sqnr_db: the same with the power of the dense output, its mean included.
        largest_error: of one element.
        differing: the fraction of elements that differ.
    """

    output: int
    sqnr_db: float
    plain_sqnr_db: float
    largest_error: float
    differing: float


@dataclass(frozen=True)
class Validation:
    """Result of `validate`.

    Attributes:
        runtime: that ran both models.
        samples: how many.
        outputs: the quality of each output.
        dense_accuracy, sparse_accuracy: fractions of samples whose label is the largest element of
            the first output; None without labels.
    """

    runtime: str
    samples: int
    outputs: list[OutputQuality]
    dense_accuracy: float | None
    sparse_accuracy: float | None

    @property
    def drop(self) -> float | None:
        """Accuracy that was lost, in points; None without labels."""
        if self.dense_accuracy is None or self.sparse_accuracy is None:
            return None
        return 100 * (self.dense_accuracy - self.sparse_accuracy)

    def violations(
        self, *, min_sqnr: float | None = None, max_drop: float | None = None
    ) -> list[str]:
        """Say in one line each which limits are exceeded.

        Args:
            min_sqnr: of every output, in dB.
            max_drop: points of accuracy.

        Raises:
            ConfigError: a limit that is not finite, `max_drop` without labels, or `min_sqnr` with
                one sample.
        """
        for name, limit in (("min_sqnr", min_sqnr), ("max_drop", max_drop)):
            if limit is not None and not math.isfinite(limit):
                raise ConfigError(f"{name} is {limit}; accepted: a finite number")
        if max_drop is not None and self.drop is None:
            raise ConfigError("max_drop is given without labels; accepted: one label per sample")
        if min_sqnr is not None and any(math.isnan(one.sqnr_db) for one in self.outputs):
            raise ConfigError(
                "min_sqnr is given with 1 sample; accepted: at least 2, as SQNR is about the mean "
                "over samples"
            )
        found = [
            f"output {one.output}: SQNR {one.sqnr_db:.1f} dB about the mean, asked for: "
            f"{min_sqnr:g}"
            for one in self.outputs
            if min_sqnr is not None and one.sqnr_db < min_sqnr
        ]
        if max_drop is not None and self.drop is not None and self.drop > max_drop:
            found.append(f"accuracy drops by {self.drop:.2f} points, asked for: {max_drop:g}")
        return found

    def to_json(self) -> dict[str, Any]:
        """Return plain values for JSON; an SQNR that is infinite, or nan, becomes null."""
        found = dataclasses.asdict(self) | {"accuracy_drop": self.drop}
        for one in found["outputs"]:
            for key in ("sqnr_db", "plain_sqnr_db"):
                one[key] = one[key] if math.isfinite(one[key]) else None
        return found


def validate(
    dense: Any,
    sparse: Any,
    data: Samples,
    *,
    labels: Array | None = None,
    runtime: str = "tflm",
) -> Validation:
    """Run two models on the same samples and compare their outputs.

        quality = ts.validate("dense.tflite", "sparse.tflite", x_test, labels=y_test)
        assert not quality.violations(min_sqnr=30, max_drop=0.5)

    Args:
        dense: the model before, as for `run`.
        sparse: the model after, as for `run`.
        data: samples as for `run`.
        labels: the class of each sample, int[n].
        runtime: that of `run`.

    Raises:
        ModelError: a model is not intact.
        ConfigError: the outputs of the models have different shapes or are not finite, or an
            argument is not accepted.
        ToolMissingError: the runtime is not installed.
        DeviceError: the runtime refuses a model.
    """
    wanted, found = (run(one, data, runtime=runtime, dequantize=True) for one in (dense, sparse))
    shapes = [[list(array.shape) for array in arrays] for arrays in (wanted, found)]
    if shapes[0] != shapes[1]:
        raise ConfigError(
            f"the outputs have shapes {shapes[0]} and {shapes[1]}; accepted: two forms of one model"
        )
    for model, arrays in (("dense", wanted), ("sparse", found)):
        _check_finite(model, arrays)
    samples = len(wanted[0])
    if labels is not None:
        scores = wanted[0].size // samples
        labels = checked_labels(labels, samples=samples, classes=scores)
    return Validation(
        runtime=runtime,
        samples=samples,
        outputs=[_quality(n, *pair) for n, pair in enumerate(zip(wanted, found, strict=True))],
        dense_accuracy=None if labels is None else accuracy(wanted[0], labels),
        sparse_accuracy=None if labels is None else accuracy(found[0], labels),
    )


def _quality(number: int, wanted: Array, found: Array) -> OutputQuality:
    before, after = wanted.astype(np.float64), found.astype(np.float64)
    error = np.abs(after - before)
    return OutputQuality(
        number,
        sqnr_db([before], [after]),
        plain_sqnr_db([before], [after]),
        float(np.max(error, initial=0.0)),
        float(np.mean(error != 0)),
    )


def _check_finite(model: str, outputs: list[Array]) -> None:
    for number, array in enumerate(outputs):
        is_bad = ~np.isfinite(array.reshape(len(array), -1)).all(axis=1)
        if is_bad.any():
            raise ConfigError(
                f"output {number} of the {model} model holds NaN or infinity, first for sample "
                f"{int(is_bad.argmax())}; accepted: samples that give finite outputs"
            )
