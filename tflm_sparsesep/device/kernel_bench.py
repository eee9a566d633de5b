"""`bench-kernels`: every kernel that runs on a target, on random layers of one shape."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np

from tflm_sparsesep.converters.blob.format import Layout, ValueType
from tflm_sparsesep.converters.blob.layouts import layouts_for
from tflm_sparsesep.converters.blob.pack import FloatWeights, FullyConnectedWeights, pack
from tflm_sparsesep.converters.cost import cycles, fully_connected, pointwise_conv
from tflm_sparsesep.converters.errors import ConfigError
from tflm_sparsesep.converters.op_names import SPARSE_FULLY_CONNECTED
from tflm_sparsesep.converters.targets import get_target
from tflm_sparsesep.device import emulation, toolchain
from tflm_sparsesep.device.synthetic_layers import LayerCase, random_case, random_float_case

_PALETTE = 16
_SEED = 0


@dataclass(frozen=True)
class KernelFigures:
    """One kernel on one random layer.

    Instructions are executed ones per inference, requantization and everything else between call
    and return included; dense ones are CMSIS-NN's (`converters/cost`). `estimated_cycles` are
    estimated by a model (`converters/cost/cycles.py`), not measured. `blob_bytes` is all that the
    layer takes in flash, header, bias and requantization included. `code_bytes` is the kernel
    alone. `input_zeros` is the share of inputs that equal the input's zero point.
    """

    variant: str
    pattern: str
    index: str
    value: str
    target: str
    rows: int
    cols: int
    batch: int
    zeros: float
    input_zeros: float
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


def bench_kernels(
    target: str,
    *,
    rows: int,
    cols: int,
    zeros: float,
    pattern: str | None = None,
    batch: int = 1,
    input_zeros: float = 0.0,
) -> list[KernelFigures]:
    """Measure every layout's kernel on `target`, fastest first.

    Args:
        target: an emulated core.
        rows: output units.
        cols: input units.
        zeros: share of zero weights, in blocks of each layout's pattern.
        pattern: only layouts of this one, such as "1x4".
        batch: vectors per inference; more than one is compared with a dense 1x1 convolution.
        input_zeros: share of inputs equal to the input's zero point.

    Raises:
        ConfigError: an argument is not accepted.
        ToolMissingError: QEMU or the Arm compiler is missing.
    """
    check_arguments(target, rows=rows, cols=cols, zeros=zeros, batch=batch, input_zeros=input_zeros)
    available = layouts_for(target)
    layouts = [layout for layout in available if pattern in (None, layout.pattern)]
    if not layouts:
        accepted = ", ".join(dict.fromkeys(layout.pattern for layout in available))
        raise ConfigError(f"pattern {pattern!r} is unknown; accepted: {accepted}")
    figures = [
        _measure(
            target,
            layout,
            random_layer(layout, rows, cols, zeros=zeros, batch=batch, input_zeros=input_zeros),
            input_zeros=input_zeros,
        )
        for layout in layouts
    ]
    return sorted(figures, key=lambda f: f.instructions)


def check_arguments(
    target: str,
    *,
    rows: int,
    cols: int,
    zeros: float,
    batch: int = 1,
    input_zeros: float = 0.0,
) -> None:
    """Raise ConfigError for arguments that no kernel can be measured with."""
    toolchain.board_of(get_target(target))
    for name, share in (("zeros", zeros), ("input zeros", input_zeros)):
        if not 0.0 <= share <= 1.0:
            raise ConfigError(f"{name} is {share}, accepted: a share between 0 and 1")
    if min(rows, cols, batch) < 1:
        raise ConfigError(f"shape {cols}x{rows}, batch {batch}: accepted: 1 and more")


def random_layer(
    layout: Layout, rows: int, cols: int, *, zeros: float, batch: int, input_zeros: float
) -> LayerCase[FullyConnectedWeights] | LayerCase[FloatWeights]:
    """Draw a layer whose zeros come in blocks of `layout`, of the type that it stores.

    Its activation limits are those of int8, so that layers of all shapes do the same work. The
    other arguments are those of `random_case`.
    """
    rng = np.random.default_rng(_SEED)
    block = (layout.block_rows, layout.block_cols)
    if layout.value_type is ValueType.FLOAT32:
        return random_float_case(
            rng, rows, cols, zeros=zeros, batch=batch, block=block, input_zeros=input_zeros
        )
    palette = _PALETTE if layout.value_type is ValueType.PALETTE4 else None
    case = random_case(
        rng,
        rows,
        cols,
        zeros=zeros,
        batch=batch,
        block=block,
        input_zeros=input_zeros,
        palette=palette,
    )
    options = dataclasses.replace(case.options, activation_min=-128, activation_max=127)
    return dataclasses.replace(case, options=options)


def _measure(
    target: str, layout: Layout, case: LayerCase[Any], *, input_zeros: float
) -> KernelFigures:
    rows, cols = case.layer.weights.shape
    batch = len(case.inputs)
    blob = pack(case.layer, layout)
    run = emulation.run_layer(
        target,
        SPARSE_FULLY_CONNECTED,
        case.options.to_bytes(),
        blob,
        case.inputs[None],
        (batch, rows),
    )
    dtype = case.layer.weights.dtype.name
    if batch > 1 and dtype == "int8":
        dense = pointwise_conv.dense_instructions(target, rows, cols, batch)
    else:
        dense = fully_connected.dense_instructions(target, rows, cols, batch, dtype=dtype)
    nonzeros = int(np.count_nonzero(case.layer.weights))
    instructions = run.instructions[0]
    return KernelFigures(
        variant=run.kernel,
        pattern=layout.pattern,
        index=layout.index,
        value=layout.value_type.name.lower(),
        target=target,
        rows=rows,
        cols=cols,
        batch=batch,
        zeros=round(1.0 - nonzeros / (rows * cols), 4),
        input_zeros=input_zeros,
        nonzeros=nonzeros,
        blob_bytes=len(blob),
        bytes_per_nonzero=round(len(blob) / max(nonzeros, 1), 3),
        instructions=instructions,
        instructions_per_nonzero=round(instructions / max(nonzeros * batch, 1), 3),
        dense_instructions=dense,
        speedup=round(dense / instructions, 3),
        estimated_cycles=cycles.estimate_cycles(target, run.classes),
        scratch_bytes=run.scratch_bytes,
        code_bytes=run.kernel_code_bytes,
        flags=run.flags,
    )
