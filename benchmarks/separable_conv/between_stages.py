"""What int8 between the stages of a separated convolution costs in accuracy, against int16.

    python benchmarks/separable_conv/between_stages.py

A 5x5 convolution 20->50 whose weights have a decaying spectrum is separated by SVD into 10
channels, then quantised as TFLite does it: int8 inputs, int8 weights per output channel, one scale
for what is between the stages. Printed is the signal-to-noise ratio of the output against the
separated convolution in float64, for two ways to spread the singular values over the stages.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
CHANNELS, UNITS, KERNEL, MIDDLE = 20, 50, 5, 10


def stages(images: Array, down: Array, right: Array, bits: int | None) -> Array:
    """Both stages without padding; `bits` is what is kept between them, None for float64."""
    size = images.shape[1] - KERNEL + 1
    middle = sum(
        np.einsum("byxc,ck->byxk", images[:, i : i + size], down[i]) for i in range(KERNEL)
    )
    if bits is not None:
        middle = quantized(np.asarray(middle), bits)
    between = np.asarray(middle)
    return np.asarray(
        sum(
            np.einsum("byxk,kn->byxn", between[:, :, i : i + size], right[i]) for i in range(KERNEL)
        )
    )


def quantized(values: Array, bits: int) -> Array:
    """Rounded to 2^bits steps between the least and the greatest value."""
    step = (values.max() - values.min()) / (2**bits - 1)
    rounded: Array = np.round(values / step) * step
    return rounded


def per_channel(weights: Array) -> Array:
    """int8 with one scale for each output channel, the last dimension."""
    scales = np.abs(weights).max(axis=(0, 1)) / 127
    rounded: Array = np.round(weights / scales) * scales
    return rounded


def sqnr_db(exact: Array, approximate: Array) -> float:
    noise = np.mean((exact - approximate) ** 2)
    return float(10 * np.log10(np.mean(exact**2) / noise))


def main() -> None:
    rng = np.random.default_rng(0)
    u, _, vt = np.linalg.svd(rng.normal(size=(KERNEL * CHANNELS, KERNEL * UNITS)), False)
    singular = np.exp(-np.arange(MIDDLE) / 4)
    images = np.maximum(rng.normal(size=(4, 12, 12, CHANNELS)), 0)
    for name, share in (("all in the vertical stage", 1.0), ("square roots in both", 0.5)):
        down = (u[:, :MIDDLE] * singular**share).reshape(KERNEL, CHANNELS, MIDDLE)
        spread = vt[:MIDDLE] * singular[:, None] ** (1 - share)
        right = spread.reshape(MIDDLE, KERNEL, UNITS).transpose(1, 0, 2)
        exact = stages(images, down, right, None)
        for bits in (8, 16):
            found = stages(quantized(images, 8), per_channel(down), per_channel(right), bits)
            ratio = sqnr_db(exact, quantized(found, 8))
            print(f"singular values {name:26} int{bits:<2} between: {ratio:.1f} dB")


if __name__ == "__main__":
    main()
