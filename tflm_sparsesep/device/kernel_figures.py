"""The figures of `bench-kernels`: one kernel on one random layer."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tflm_sparsesep.converters.blob.format import Layout, ValueType
from tflm_sparsesep.converters.blob.layouts import layouts_for
from tflm_sparsesep.converters.cost import cycles
from tflm_sparsesep.converters.errors import ConfigError
from tflm_sparsesep.device.emulation import LayerRun


@dataclass(frozen=True, kw_only=True)
class KernelFigures:
    """One kernel on one random layer.

    Attributes:
        variant: the kernel.
        pattern, index, value: of its layout.
        target: the core.
        zeros: fraction of zero weights.
        nonzeros: the other weights.
        blob_bytes: all that the layer takes in flash: header, bias and requantization too.
        instructions: executed per inference, all between call and return.
        instructions_per_nonzero: and input vector or output pixel.
        dense_instructions: of CMSIS-NN (`converters/cost`).
        estimated_cycles: of a model (`converters/cost/cycles.py`), not measured.
        scratch_bytes: of the arena, during the layer.
        code_bytes: of the kernel alone.
        flags: of the compiler.
    """

    variant: str
    pattern: str
    index: str
    value: str
    target: str
    zeros: float
    nonzeros: int
    blob_bytes: int
    bytes_per_nonzero: float
    instructions: int
    instructions_per_nonzero: float
    dense_instructions: int
    speedup: float
    estimated_cycles: int
    scratch_bytes: int
    code_bytes: int
    flags: str

    def to_json(self) -> dict[str, Any]:
        """Return the fields as plain values."""
        return dataclasses.asdict(self)


@dataclass(frozen=True, kw_only=True)
class MatrixFigures(KernelFigures):
    """A fully-connected layer; `input_zeros` is the fraction of inputs at their zero_point."""

    rows: int
    cols: int
    batch: int
    input_zeros: float

    def __str__(self) -> str:
        return f"{self.cols}->{self.rows}, {self.zeros:.1%} zeros, batch {self.batch}"


@dataclass(frozen=True, kw_only=True)
class ConvFigures(KernelFigures):
    """A convolution: taps x taps x channels (x output channels), height x width of both images."""

    shape: str
    inputs: str
    outputs: str

    def __str__(self) -> str:
        return f"{self.shape} on {self.inputs}, {self.zeros:.1%} zeros"


def common_figures(
    target: str,
    run: LayerRun,
    layout: dict[str, str],
    weights: npt.NDArray[Any],
    *,
    vectors: int,
    blob_bytes: int,
    dense_instructions: int,
) -> dict[str, Any]:
    """Return the fields of `KernelFigures`.

    Args:
        target: the core.
        run: of the kernel.
        layout: its pattern, index and value (`layout_names`).
        weights: of the layer.
        vectors: input vectors or output pixels of one inference.
        blob_bytes: as the field.
        dense_instructions: as the field.
    """
    nonzeros, instructions = int(np.count_nonzero(weights)), run.instructions[0]
    return {
        **layout,
        "variant": run.kernel,
        "target": target,
        "zeros": round(1.0 - nonzeros / weights.size, 4),
        "nonzeros": nonzeros,
        "blob_bytes": blob_bytes,
        "bytes_per_nonzero": round(blob_bytes / max(nonzeros, 1), 3),
        "instructions": instructions,
        "instructions_per_nonzero": round(instructions / max(nonzeros * vectors, 1), 3),
        "dense_instructions": dense_instructions,
        "speedup": round(dense_instructions / instructions, 3),
        "estimated_cycles": cycles.estimate_cycles(target, run.classes),
        "scratch_bytes": run.scratch_bytes,
        "code_bytes": run.kernel_code_bytes,
        "flags": run.flags,
    }


def layout_names(layout: Layout) -> dict[str, str]:
    """Return the names of a layout's parts."""
    value = layout.value_type.name.lower()
    return {"pattern": layout.pattern, "index": layout.index, "value": value}


def select_layouts(target: str, pattern: str | None, *, floats: bool) -> list[Layout]:
    """Return the layouts of a target, of one pattern if it is given; raise ConfigError for none."""
    available = [x for x in layouts_for(target) if floats or x.value_type is not ValueType.FLOAT32]
    layouts = [layout for layout in available if pattern in (None, layout.pattern)]
    if not layouts:
        accepted = ", ".join(dict.fromkeys(layout.pattern for layout in available))
        raise ConfigError(f"pattern {pattern!r} is unknown; accepted: {accepted}")
    return layouts
