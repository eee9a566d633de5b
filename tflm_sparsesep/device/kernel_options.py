"""The options of `bench-kernels` as measurements: what users write, checked and read."""

from __future__ import annotations

from collections.abc import Sequence

from tflm_sparsesep.converters.blob.pack_sparse_conv import ConvWindow
from tflm_sparsesep.converters.blob.separable_format import Padding
from tflm_sparsesep.converters.errors import ConfigError
from tflm_sparsesep.device.conv_bench import bench_conv_kernels
from tflm_sparsesep.device.depthwise_bench import bench_blocks, bench_depthwise
from tflm_sparsesep.device.kernel_bench import bench_kernels
from tflm_sparsesep.device.kernel_figures import KernelFigures

OPERATORS = ("fully_connected", "conv2d", "depthwise", "separable-block")


def measure(
    target: str,
    *,
    op: str,
    shape: str,
    image: str,
    stride: int,
    padding: str,
    zeros: float,
    pattern: str | None,
    batch: int,
    input_zeros: float,
) -> Sequence[KernelFigures]:
    """Return the figures of every kernel, fastest first.

    Args:
        target: an emulated core.
        op: one of OPERATORS; those of the other have no effect.
        shape: COLSxROWS, TAPSxTAPSxINPUTSxOUTPUTS of a convolution or a block, or
            TAPSxTAPSxCHANNELS of a depthwise convolution.
        image, stride, padding: of a convolution.
        zeros, pattern: as for `bench_kernels`.
        batch, input_zeros: of a fully-connected layer.

    Raises:
        ConfigError: an option is not accepted.
        ToolMissingError: QEMU or the Arm compiler is missing.
    """
    if op not in OPERATORS:
        raise ConfigError(f"op {op!r} is unknown; accepted: {', '.join(OPERATORS)}")
    if op == "fully_connected":
        cols, rows = _sizes("shape", shape, "COLSxROWS", "784x300")
        return bench_kernels(
            target,
            rows=rows,
            cols=cols,
            zeros=zeros,
            pattern=pattern,
            batch=batch,
            input_zeros=input_zeros,
        )
    return _measure_convolution(target, op, shape, image, stride, padding, zeros, pattern)


def _measure_convolution(
    target: str,
    op: str,
    shape: str,
    image: str,
    stride: int,
    padding: str,
    zeros: float,
    pattern: str | None,
) -> Sequence[KernelFigures]:
    height, width = _sizes("input", image, "HEIGHTxWIDTH", "8x8")
    if op == "depthwise":
        down, right, channels = _sizes("shape", shape, "TAPSxTAPSxCHANNELS", "3x3x64")
        window = _window((down, right), channels, stride, padding)
        return bench_depthwise(target, window, image=(height, width))
    sizes = _sizes("shape", shape, "TAPSxTAPSxINPUTSxOUTPUTS", "3x3x64x64")
    down, right, channels, units = sizes
    bench = bench_conv_kernels if op == "conv2d" else bench_blocks
    return bench(
        target,
        _window((down, right), channels, stride, padding),
        units=units,
        image=(height, width),
        zeros=zeros,
        pattern=pattern,
    )


def _window(kernel: tuple[int, int], channels: int, stride: int, padding: str) -> ConvWindow:
    names = [name.lower() for name in Padding.__members__]
    if padding not in names:
        raise ConfigError(f"padding {padding!r} is unknown; accepted: {', '.join(names)}")
    try:
        return ConvWindow(kernel, channels, (stride, stride), padding=Padding[padding.upper()])
    except ValueError as error:
        raise ConfigError(str(error)) from None


def _sizes(name: str, text: str, form: str, example: str) -> list[int]:
    numbers = text.split("x")
    if len(numbers) != form.count("x") + 1 or not all(n.isdecimal() for n in numbers):
        raise ConfigError(f"{name} {text!r} is unknown; accepted: {form}, such as {example}")
    return [int(n) for n in numbers]
