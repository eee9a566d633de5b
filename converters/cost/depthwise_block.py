"""Instructions of a depthwise and a pointwise convolution as one operator on a target.

They are those of the depthwise kernel on the lines of a rolling buffer, of the pointwise kernel on
its pixels, and of what is around them: a sum of terms with coefficients in
`data/depthwise_kernels.json`.
"""

from __future__ import annotations

from collections.abc import Callable

from tflm_sparsesep.converters.cost import depthwise_kernels
from tflm_sparsesep.converters.cost.data import load
from tflm_sparsesep.converters.cost.depthwise_kernels import DepthwiseRun

# Of kernels/depthwise_conv/run_depthwise_block.c.
_MOST_LINES = 4


def buffers(run: DepthwiseRun) -> list[tuple[int, int]]:
    """Return the sizes of the rolling buffers of an image: lines, and outputs of a line."""
    height, width = run.shape.output
    lines, outputs = (width, height) if _goes_down(run) else (height, width)
    count = -(-lines // _MOST_LINES)
    rolling = -(-lines // count)
    return [(min(rolling, lines - first), outputs) for first in range(0, lines, rolling)]


def instructions(
    target: str, run: DepthwiseRun, units: int, pointwise: Callable[[int], int]
) -> int:
    """Return the instructions of one inference.

    Args:
        target: a name of `targets.TARGETS`.
        run: the depthwise convolution.
        units: output channels of the pointwise one.
        pointwise: what its kernel takes for a number of pixels.
    """
    around = block_terms(run, units)
    kernels = load(depthwise_kernels.FILE)["targets"][target]
    coefficients: dict[str, float] = kernels["block"]["instructions"]
    rest = sum(value * around[name] for name, value in coefficients.items())
    return kernel_instructions(target, run, pointwise) + round(rest)


def kernel_instructions(target: str, run: DepthwiseRun, pointwise: Callable[[int], int]) -> int:
    """Return what the two kernels alone take of `instructions`."""
    sizes = buffers(run)
    depthwise = depthwise_kernels.instructions(target, run, tuple(lines for lines, _ in sizes))
    if _goes_down(run):  # a line at a time
        sizes = [(1, n) for lines, n in sizes for _ in range(lines)]
    return depthwise + run.shape.batch * sum(pointwise(lines * n) for lines, n in sizes)


def _goes_down(run: DepthwiseRun) -> bool:
    height, width = run.shape.output
    return height > width


def block_terms(run: DepthwiseRun, units: int) -> dict[str, float]:
    """Return the terms of what is around the two kernels, by the name of the coefficient."""
    sizes, batch = buffers(run), run.shape.batch
    height, width = run.shape.output
    copied = batch * height * width if _goes_down(run) else 0
    return {
        "per_call": 1,
        "per_buffer": batch * len(sizes),
        "per_copied_pixel": copied,
        "per_copied_byte": copied * units,
    }
