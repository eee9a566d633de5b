"""Sparse and separable neural networks for TensorFlow Lite Micro.

model.fit(x, y, callbacks=[ts.ProximalL1(zeros=0.92)])
result = ts.convert(model, representative_dataset=x[:200], target="cortex-m4")
outputs = ts.run(result.tflite, inputs, runtime="tflm")
figures = ts.benchmark(result.tflite, target="cortex-m4", inputs=x[:1])
"""

from __future__ import annotations

import importlib
import importlib.metadata
from typing import TYPE_CHECKING, Any

from tflm_sparsesep.benchmark import LayerFigures, benchmark
from tflm_sparsesep.compress import CompressResult, compress
from tflm_sparsesep.compression.budget_search import Budget
from tflm_sparsesep.convert import ConvertResult, convert
from tflm_sparsesep.converters.decisions import LayerDecision
from tflm_sparsesep.converters.errors import (
    ConfigError,
    DeviceError,
    ModelError,
    SparseSepError,
    ToolMissingError,
)
from tflm_sparsesep.export import ExportResult, export
from tflm_sparsesep.html_report import html_report
from tflm_sparsesep.inspection import annotate, inspect, node_data, variants
from tflm_sparsesep.litert import litert_environment, litert_runtime_path
from tflm_sparsesep.plan import plan
from tflm_sparsesep.planning.gains import LayerPlan, Plan
from tflm_sparsesep.runtime.delegate import delegate_path
from tflm_sparsesep.runtimes import run
from tflm_sparsesep.sources import source_dir
from tflm_sparsesep.validate import OutputQuality, Validation, validate

if TYPE_CHECKING:
    from tflm_sparsesep.training.keep_zeros import KeepZeros
    from tflm_sparsesep.training.proximal_l1 import ProximalL1, Sparsify
    from tflm_sparsesep.training.sparsity_report import plot_masks, sparsity_summary

__all__ = [
    "Budget",
    "CompressResult",
    "ConfigError",
    "ConvertResult",
    "DeviceError",
    "ExportResult",
    "KeepZeros",
    "LayerDecision",
    "LayerFigures",
    "LayerPlan",
    "ModelError",
    "OutputQuality",
    "Plan",
    "ProximalL1",
    "SparseSepError",
    "Sparsify",
    "ToolMissingError",
    "Validation",
    "annotate",
    "benchmark",
    "compress",
    "convert",
    "delegate_path",
    "export",
    "html_report",
    "inspect",
    "litert_environment",
    "litert_runtime_path",
    "node_data",
    "plan",
    "plot_masks",
    "run",
    "source_dir",
    "sparsity_summary",
    "validate",
    "variants",
]

__version__ = importlib.metadata.version("tflm-sparsesep")


# Names that need Keras, whose import takes eight seconds with TensorFlow, and their modules.
_KERAS_NAMES = {
    "KeepZeros": "training.keep_zeros",
    "ProximalL1": "training.proximal_l1",
    "Sparsify": "training.proximal_l1",
    "plot_masks": "training.sparsity_report",
    "sparsity_summary": "training.sparsity_report",
}


def __getattr__(name: str) -> Any:
    """Import what needs Keras when it is first used."""
    if name in _KERAS_NAMES:
        _check_keras(name)
        return getattr(importlib.import_module(f"{__name__}.{_KERAS_NAMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _check_keras(name: str) -> None:
    """Raise ToolMissingError if Keras, which `name` needs, is not installed."""
    try:
        import keras  # noqa: F401
    except ImportError as error:
        raise ToolMissingError(
            f"{name} needs Keras 3 and TensorFlow ({error}): pip install 'tflm-sparsesep[keras]'"
        ) from error
