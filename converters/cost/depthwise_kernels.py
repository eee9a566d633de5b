"""Instructions of the depthwise kernels of `kernels/depthwise_conv/` on a target.

They are a sum of terms. `data/depthwise_kernels.json` holds the coefficients, the command that
measures them again, and the error on shapes outside the fit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from tflm_sparsesep.converters.blob.pack_depthwise import packed_bytes
from tflm_sparsesep.converters.cost.cost import Cost
from tflm_sparsesep.converters.cost.data import load
from tflm_sparsesep.converters.cost.depthwise_conv import DepthwiseShape
from tflm_sparsesep.converters.targets import get_target

FILE = "depthwise_kernels.json"
# Of kernels/depthwise_conv/depthwise.h: lines after which strips start anew.
_SWEEP = 16
_VECTOR = 16
_QUAD = 4


@dataclass(frozen=True)
class _Kernel:
    """A variant.

    Attributes:
        name: as the list of variants names it.
        channels: gathered at once.
        outputs: computed at once.
    """

    name: str
    channels: int
    outputs: int


_GENERAL = _Kernel("depthwise_scalar", channels=4, outputs=1)
_HELIUM = _Kernel("depthwise_mve", channels=8, outputs=4)
_DSP = _Kernel("depthwise_dsp", channels=4, outputs=2)
_3X3 = {
    "v6m": _Kernel("depthwise_3x3_v6m", channels=4, outputs=4),
    "v7m": _Kernel("depthwise_3x3_v7m", channels=4, outputs=2),
    "dsp": _Kernel("depthwise_3x3_dsp", channels=4, outputs=2),
}

_STEP_TERMS = (
    *("per_step", "per_output", "per_strided_step", "per_strided_output", "per_vector"),
    *("per_four_pairs", "per_shared_step", "per_shared_four_pairs"),
)


@dataclass(frozen=True)
class DepthwiseRun:
    """A layer as kernels see it.

    Attributes:
        shape: of the convolution.
        bounded: its accumulators are (FLAG_BOUNDED).
        narrow: its activation limits are narrower than int8.
    """

    shape: DepthwiseShape
    bounded: bool = True
    narrow: bool = False


def variant_name(target: str, run: DepthwiseRun) -> str:
    """Return the kernel that runs a layer on a target, as its list of variants names it."""
    return _kernel(target, run).name


def instructions(target: str, run: DepthwiseRun, parts: tuple[int, ...] = ()) -> int:
    """Return the instructions of one inference, in `parts` of so many lines, or in one."""
    kernels = load(FILE)["targets"][target]
    coefficients: dict[str, float] = kernels[variant_name(target, run)]["instructions"]
    terms = depthwise_terms(target, run, parts)
    return round(sum(value * terms[name] for name, value in coefficients.items()))


def packed_cost(target: str, shape: DepthwiseShape) -> Cost:
    """Return the cost of a layer in our kernels, with weights and limits as they mostly are."""
    size = packed_bytes(shape.units, math.prod(shape.kernel))
    return Cost(size, instructions(target, DepthwiseRun(shape)))


def depthwise_terms(
    target: str, run: DepthwiseRun, parts: tuple[int, ...] = ()
) -> dict[str, float]:
    """Return the terms of a kernel's instructions, by the name of the coefficient."""
    kernel, shape = _kernel(target, run), run.shape
    line = _Line.of(shape, parts)
    window, outputs = math.prod(shape.kernel), shape.batch * shape.units * line.count
    # Four units are clamped at once.
    rest = shape.channels % kernel.channels
    together = kernel.channels if shape.multiplier == 1 else shape.multiplier
    rest_outputs = outputs * rest / shape.channels if together == _QUAD else outputs
    return {
        **_gather_terms(kernel, shape, line, calls=shape.batch * max(1, len(parts))),
        **_step_terms(kernel, shape, line),
        "per_four_products": outputs * (window // 4) if kernel is _GENERAL else 0,
        "per_product": outputs * (window % 4) if kernel is _GENERAL else 0,
        "per_output_of_fours": outputs if kernel is _GENERAL and window >= 4 else 0,
        "per_output_of_rest": outputs if kernel is _GENERAL and window % 4 else 0,
        "per_clamped_output": outputs - rest_outputs if run.narrow else 0,
        "per_clamped_rest_output": rest_outputs if run.narrow else 0,
        "per_unbounded_output": 0 if run.bounded else outputs,
    }


def _gather_terms(
    kernel: _Kernel, shape: DepthwiseShape, line: _Line, *, calls: int
) -> dict[str, float]:
    """Return the terms of tables of weights and of strips."""
    batch, window = shape.batch, math.prod(shape.kernel)
    whole, rest = divmod(shape.channels, kernel.channels)
    groups = whole + (rest > 0)
    # Some kernels gather a whole group at once, Helium also what is left.
    channels = {_GENERAL: shape.channels, _DSP: shape.channels, _HELIUM: groups}.get(kernel, whole)
    rests = rest if kernel in _3X3.values() else 0
    each = kernel in (_GENERAL, _DSP)
    is_3x3 = shape.kernel == (3, 3)
    return {
        "per_call": calls,
        "per_group": groups * calls,
        "per_unit": calls * shape.units,
        "per_packed_column": 0 if is_3x3 else calls * shape.units * line.window_columns,
        "per_packed_tap": 0 if is_3x3 else calls * shape.units * window,
        "per_line": batch * line.lines * (groups if shape.multiplier == 1 else shape.channels),
        "per_row": batch * groups * line.puts,
        "per_channel_row": batch * channels * line.puts if each else 0,
        "per_pixel": batch * channels * line.pixels,
        "per_padding": batch * channels * line.padding,
        "per_rest_column": batch * rests * (line.pixels + line.padding),
    }


def _step_terms(kernel: _Kernel, shape: DepthwiseShape, line: _Line) -> dict[str, float]:
    """Return the terms of a few outputs of a unit at once, by the stride along a line.

    Helium steps from window to window of 3x3 taps for free, and takes windows of several vectors
    in another loop. The DSP extension takes two units of a channel at once.
    """
    window, lines = math.prod(shape.kernel), shape.batch * shape.units * line.lines
    steps, outputs = lines * -(-line.outputs // kernel.outputs), lines * line.outputs
    terms = dict.fromkeys(_STEP_TERMS, 0.0) | {"per_unit_line": lines}
    strided = "strided_" if line.stride > 1 else ""
    if kernel is _HELIUM:
        vectors = -(-window // _VECTOR)
        is_free = line.taps * line.columns in (3, 6)
        if vectors > 1:
            return terms | {"per_output": steps, "per_vector": steps * vectors}
        return terms | {"per_step" if is_free else "per_strided_step": steps}
    if kernel is _DSP:
        fours, pairs = -(-window // 4), shape.multiplier // 2
        shared = steps * pairs / shape.multiplier
        single = steps - 2 * shared
        return terms | {
            "per_four_pairs": single * fours,
            "per_shared_step": shared,
            "per_shared_four_pairs": shared * fours,
            f"per_{strided}step": single,
            f"per_{strided}output": outputs,
        }
    return terms | {f"per_{strided}step": steps, f"per_{strided}output": outputs}


@dataclass(frozen=True)
class _Line:
    """How run_depthwise.c walks over an image.

    Attributes:
        lines: of outputs; each is for all channels.
        outputs: of a line.
        stride: along a line.
        taps: across the line.
        columns: from window to window.
        window_columns: of a window.
        puts: calls that gather a row, or a column of a window, for a few channels.
        pixels, padding: columns that they gather, of the image and around it.
    """

    lines: int
    outputs: int
    stride: int
    taps: int
    columns: int
    window_columns: int
    puts: int
    pixels: int
    padding: int

    @property
    def count(self) -> int:
        """Outputs of a unit."""
        return self.lines * self.outputs

    @classmethod
    def of(cls, shape: DepthwiseShape, parts: tuple[int, ...]) -> _Line:
        along = 0 if shape.output[0] > shape.output[1] else 1
        across = 1 - along
        lines, outputs = shape.output[across], shape.output[along]
        taps, stride = shape.kernel[across], shape.strides[across]
        reuses = shape.dilation[across] == 1 and stride < taps
        inside = total = 0
        starts = [first for count in parts or (lines,) for first in range(count)]
        for line, since_start in enumerate(starts):
            first = taps - stride if reuses and since_start % _SWEEP else 0
            for tap in range(first, taps):
                at = line * stride + tap * shape.dilation[across] - shape.padding[across]
                inside += 0 <= at < shape.image[across]
                total += 1
        is_dilated = shape.dilation[along] > 1
        if is_dilated:
            columns = outputs * shape.kernel[along]
            pixels = shape.seen[along]
        else:
            columns = (outputs - 1) * shape.strides[along] + shape.kernel[along]
            pixels = min(shape.image[along], columns - shape.padding[along])
        return cls(
            lines,
            outputs,
            shape.strides[along],
            taps,
            shape.kernel[along] if is_dilated else shape.strides[along],
            shape.kernel[along],
            total * columns if is_dilated else total,
            inside * pixels,
            total * columns - inside * pixels,
        )


def _kernel(target: str, run: DepthwiseRun) -> _Kernel:
    isa, shape = get_target(target).isa, run.shape
    if not run.bounded or isa is None:
        return _GENERAL
    if isa == "mve":
        return _HELIUM
    is_3x3 = shape.kernel == (3, 3) and shape.dilation == (1, 1) and max(shape.strides) <= 2
    if is_3x3 and isa in _3X3:
        return _3X3[isa]
    return _DSP if isa == "dsp" else _GENERAL
