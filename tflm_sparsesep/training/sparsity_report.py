"""`sparsity_summary` and `plot_masks`: the zeros of a model and their gain on the device.

This module imports Keras (8 s with TensorFlow); `import tflm_sparsesep` does not.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from tflm_sparsesep.converters.cost.cost import Cost, PackedCost
from tflm_sparsesep.converters.errors import ConfigError, ModelError, ToolMissingError
from tflm_sparsesep.converters.targets import get_target
from tflm_sparsesep.table_cells import add_row
from tflm_sparsesep.training.packed_estimate import layer_cost
from tflm_sparsesep.training.removed_channels import readers, without_removed
from tflm_sparsesep.training.trained_layer import TrainedLayer, layers_of

_DOTS_PER_INCH = 150
_WIDTH_INCHES = 8.0


@dataclass(frozen=True)
class LayerSparsity:
    """One layer of a model.

    Attributes:
        name: the Keras name; the path if several layers have that name.
        shape: the shape of the kernel, as Keras stores it.
        zeros: the fraction of weights that are 0.
        dense_bytes: bytes of int8 weights and int32 biases in the dense operator.
        packed_bytes: bytes as the converter would store the layer; the same if it stays dense, less
            the channels that nothing reads or that have no weights.
        dense_instructions: instructions of one inference in the dense operator, estimated; None
            if no sparse kernel exists for the layer.
        packed_instructions: the same for the converted layer.
        layout: pattern and index encoding of the packed layer; None if it stays dense.
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
    """Print a table of a model's zeros and their estimated gain, and return its rows.

    Args:
        model: a built Keras model; each Dense or convolutional layer is a row.
        target: the core to estimate for, a name of `targets.TARGETS`.
        console: the console to print to; by default the terminal.

    Returns:
        One `LayerSparsity` per layer: bytes as stored, instructions of one inference.

    Raises:
        ConfigError: the target is unknown.
        ModelError: the model has no such layers, or they have no weights yet.

    Example:
        >>> ts.sparsity_summary(model, target="cortex-m4")  # doctest: +SKIP
    """
    name = get_target(target).name
    layers = _layers(model, name)
    left = without_removed({x: x.weights() for x in layers}, readers(model, layers))
    rows = [_row(layer, layer_cost(*left[layer], name), name) for layer in layers]
    (console or Console()).print(_table(rows, target))
    return rows


def plot_masks(model: Any, path: str | Path) -> Path:
    """Plot the nonzero weights of each layer in one picture.

    The plot of a layer has outputs as rows and inputs as columns (the taps of a convolution side by
    side), as the packer sees them. Weights are dark, zeros white.

    Args:
        model: a built Keras model.
        path: the file to write; its suffix gives the format (.png, .svg, .pdf).

    Returns:
        `path` as a `Path`.

    Raises:
        ConfigError: the file cannot be written.
        ModelError: the model has no Dense or convolutional layer with weights.
        ToolMissingError: matplotlib is not installed.

    Example:
        >>> ts.plot_masks(model, "masks.png")  # doctest: +SKIP
    """
    layers = _layers(model)
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ToolMissingError(
            f"plot_masks needs matplotlib ({error}): pip install matplotlib"
        ) from error
    masks = [(layer, layer.device.matrix(layer.weights()) != 0) for layer in layers]
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


def _layers(model: Any, target: str = "cortex-m4") -> list[TrainedLayer]:
    layers = layers_of(model)
    if not layers:
        raise ModelError(
            f"model {getattr(model, 'name', model)!r} has no Dense or convolutional layer with "
            "weights; accepted: a Keras model that has been built"
        )
    return layers


def _row(layer: TrainedLayer, found: Cost, target: str) -> LayerSparsity:
    kernel, dense = layer.weights(), layer.device.dense(target)
    has_kernel = layer.device.has_kernel
    layout = found.layout if isinstance(found, PackedCost) else None
    return LayerSparsity(
        name=layer.name,
        shape=kernel.shape,
        zeros=float(np.mean(kernel == 0)),
        dense_bytes=dense.bytes,
        packed_bytes=found.bytes,
        dense_instructions=dense.instructions if has_kernel else None,
        packed_instructions=found.instructions if has_kernel else None,
        layout=None if layout is None else f"{layout.pattern} {layout.index}",
    )


def _table(rows: list[LayerSparsity], target: str) -> Table:
    sizes = [math.prod(row.shape) for row in rows]
    zeros = sum(row.zeros * size for row, size in zip(rows, sizes, strict=True)) / sum(sizes)
    dense = sum(row.dense_instructions or 0 for row in rows)
    packed = sum(row.packed_instructions or 0 for row in rows)
    table = Table(title=f"Zeros and their estimated gain on {target}", show_footer=True)
    for heading, footer in (
        ("layer", "total"),
        ("kernel", f"{sum(sizes):,}"),
        ("zeros", f"{zeros:.1%}"),
        ("bytes dense", f"{sum(row.dense_bytes for row in rows):,}"),
        ("packed", f"{sum(row.packed_bytes for row in rows):,}"),
        ("instr. dense", f"{dense:,}"),
        ("packed", f"{packed:,}"),
        ("layout", ""),
    ):
        left = heading in ("layer", "layout")
        table.add_column(heading, footer, justify="left" if left else "right")
    for row in rows:
        add_row(
            table,
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
