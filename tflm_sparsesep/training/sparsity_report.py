"""`sparsity_summary` and `plot_masks`: which weights of a model are zero, and what that saves.

This module imports Keras (8 s with TensorFlow); `import tflm_sparsesep` does not.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

from tflm_sparsesep.converters.cost.cost import PackedCost
from tflm_sparsesep.converters.errors import ConfigError, ModelError, ToolMissingError
from tflm_sparsesep.converters.targets import get_target
from tflm_sparsesep.training.device_layer import DeviceLayer
from tflm_sparsesep.training.packed_estimate import PackedEstimate, as_matrix

try:
    from keras import ops
except ImportError as error:
    raise ToolMissingError(
        f"a summary of a Keras model needs Keras 3 and TensorFlow ({error}): "
        "pip install 'tflm-sparsesep[keras]'"
    ) from error

from tflm_sparsesep.training.sparsifiable import kernels_of

_DOTS_PER_INCH = 150
_WIDTH_INCHES = 8.0


@dataclass(frozen=True)
class LayerSparsity:
    """One layer of a model as it is now.

    Attributes:
        name: of the layer.
        shape: of its kernel, as Keras stores it.
        zeros: share of its weights that are 0.
        dense_bytes, packed_bytes: int8 weights and int32 biases as stored, dense and as the
            converter would store them (the same where it would leave the layer dense).
        dense_instructions, packed_instructions: of one inference, estimated; None for layers
            that no sparse kernel exists for.
        layout: pattern and index of the packed form; None where the layer stays dense.
    """

    name: str
    shape: tuple[int, ...]
    zeros: float
    dense_bytes: int
    packed_bytes: int
    dense_instructions: int | None
    packed_instructions: int | None
    layout: str | None


def sparsity_summary(
    model: Any, *, target: str = "cortex-m4", console: Console | None = None
) -> list[LayerSparsity]:
    """Prints a table of a model's zeros and their estimated gain, and returns its rows.

    Args:
        model: a built Keras model; its Dense and convolutional layers make the rows.
        target: the core to estimate for, a name of `targets.TARGETS`.
        console: where to print; the terminal by default.

    Raises:
        ConfigError: unknown target.
        ModelError: the model has no such layers, or they have no weights yet.

    Example:
        >>> ts.sparsity_summary(model, target="cortex-m4")  # doctest: +SKIP
    """
    estimate = PackedEstimate(get_target(target).name)
    rows = [
        _row(layer, _array(kernel), estimate, target) for layer, kernel in _described_kernels(model)
    ]
    (console or Console()).print(_table(rows, target))
    return rows


def plot_masks(model: Any, path: str | Path) -> Path:
    """Draws where the weights of each layer are not zero, one picture for the model.

    Rows of a layer's part are outputs, columns inputs (with the taps of a convolution side by
    side), as the packer sees them. Dark is a weight, white a zero.

    Args:
        model: a built Keras model.
        path: the file to write; its ending is the format (.png, .svg, .pdf).

    Returns:
        The path.

    Raises:
        ConfigError: the file cannot be written.
        ModelError: the model has no Dense or convolutional layers with weights.
        ToolMissingError: matplotlib is not installed.

    Example:
        >>> ts.plot_masks(model, "masks.png")  # doctest: +SKIP
    """
    kernels = _described_kernels(model)
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ToolMissingError(
            f"plot_masks needs matplotlib ({error}): pip install matplotlib"
        ) from error
    masks = [(layer, _mask(_array(kernel))) for layer, kernel in kernels]
    heights = [min(max(_WIDTH_INCHES * len(m) / m.shape[1], 0.5), 6.0) for _, m in masks]
    figure = Figure(figsize=(_WIDTH_INCHES, sum(heights) + 0.6 * len(heights)), layout="tight")
    axes = figure.subplots(len(masks), squeeze=False, height_ratios=heights)[:, 0]
    for axis, (layer, mask) in zip(axes, masks, strict=True):
        axis.imshow(mask, cmap="gray_r", vmin=0, vmax=1, aspect="auto", interpolation="nearest")
        axis.set_title(f"{layer.name}: {1 - mask.mean():.1%} zeros", fontsize=9, loc="left")
        axis.tick_params(labelsize=7)
    try:
        figure.savefig(path, dpi=_DOTS_PER_INCH)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: the picture cannot be written: {error}") from None
    return Path(path)


def _described_kernels(model: Any) -> list[tuple[DeviceLayer, Any]]:
    kernels = kernels_of(model)
    if not kernels:
        raise ModelError(
            f"model {getattr(model, 'name', model)!r} has no Dense or convolutional layer with "
            "weights; accepted: a Keras model that has been built"
        )
    return kernels


def _array(kernel: Any) -> npt.NDArray[Any]:
    values: npt.NDArray[Any] = ops.convert_to_numpy(kernel)
    return values


def _row(
    layer: DeviceLayer, kernel: npt.NDArray[Any], estimate: PackedEstimate, target: str
) -> LayerSparsity:
    if layer.has_kernel:
        found = estimate.layer(layer, as_matrix(kernel))
    else:
        found = estimate.layer(layer, kernel)
    layout = found.layout if isinstance(found, PackedCost) else None
    return LayerSparsity(
        name=layer.name,
        shape=kernel.shape,
        zeros=float(np.mean(kernel == 0)),
        dense_bytes=layer.dense_bytes,
        packed_bytes=found.bytes,
        dense_instructions=layer.dense_instructions(target) if layer.has_kernel else None,
        packed_instructions=found.instructions if layer.has_kernel else None,
        layout=None if layout is None else f"{layout.pattern} {layout.index}",
    )


def _mask(kernel: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """[outputs, taps * inputs]: True for weights that are not 0."""
    mask: npt.NDArray[np.bool_] = kernel.reshape(-1, kernel.shape[-1]).T != 0
    return mask


def _table(rows: list[LayerSparsity], target: str) -> Table:
    sizes = [math.prod(row.shape) for row in rows]
    zeros = sum(row.zeros * size for row, size in zip(rows, sizes, strict=True)) / sum(sizes)
    dense = sum(row.dense_instructions or 0 for row in rows)
    packed = sum(row.packed_instructions or 0 for row in rows)
    dense_bytes, packed_bytes = (
        sum(row.dense_bytes for row in rows),
        sum(row.packed_bytes for row in rows),
    )
    table = Table(title=f"Zeros and what they save on {target} (estimates)", show_footer=True)
    for heading, footer in (
        ("layer", "total"),
        ("kernel", f"{sum(sizes):,}"),
        ("zeros", f"{zeros:.1%}"),
        ("bytes dense", f"{dense_bytes:,}"),
        ("packed", f"{packed_bytes:,}"),
        ("instr. dense", f"{dense:,}"),
        ("packed", f"{packed:,}"),
        ("layout", ""),
    ):
        left = heading in ("layer", "layout")
        table.add_column(heading, footer, justify="left" if left else "right")
    for row in rows:
        table.add_row(
            row.name,
            "x".join(map(str, row.shape)),
            f"{row.zeros:.1%}",
            f"{row.dense_bytes:,}",
            f"{row.packed_bytes:,}",
            "-" if row.dense_instructions is None else f"{row.dense_instructions:,}",
            "-" if row.packed_instructions is None else f"{row.packed_instructions:,}",
            row.layout or "dense",
        )
    return table
