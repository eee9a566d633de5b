"""A network that compresses well, and samples of few hidden causes for it."""

from __future__ import annotations

import itertools
import math

import numpy as np

import tflm_sparsesep as ts
from tests.support.models.dense_models import FullyConnectedLayer, fully_connected_chain
from tflm_sparsesep.runtime.output_quality import sqnr_db

SIZES = (96, 48, 40)
INPUT_SCALE = 0.03


def latent_samples(count: int, seed: int) -> np.ndarray:
    """Return float32 [count, 96] that 10 numbers each explain, but for a little noise."""
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(7).normal(size=(10, SIZES[0])) / math.sqrt(10)
    x = rng.normal(size=(count, 10)) @ mixing + 0.05 * rng.normal(size=(count, SIZES[0]))
    return x.astype(np.float32)


def mlp() -> bytes:
    """Return 96 -> 48 -> 40, RELU between, with scales that fit `latent_samples`."""
    rng = np.random.default_rng(3)
    x, layers = latent_samples(400, seed=0).astype(float), []
    for i, (cols, rows) in enumerate(itertools.pairwise(SIZES)):
        weights = rng.normal(size=(rows, cols)) / math.sqrt(cols)
        scales = (np.abs(weights).max(axis=1) / 127).astype(np.float32)
        last = i == len(SIZES) - 2
        x = x @ weights.T if last else np.maximum(x @ weights.T, 0)
        output_scale = float(np.abs(x).max()) / (127 if last else 255)
        layers.append(
            FullyConnectedLayer(
                np.rint(weights / scales[:, None]).astype(np.int8),
                np.zeros(rows, np.int32),
                scales,
                output_scale,
                0 if last else -128,
                "NONE" if last else "RELU",
            )
        )
    return fully_connected_chain(
        layers, input_shape=(1, SIZES[0]), input_scale=INPUT_SCALE, input_zero_point=0
    )


def tflm_sqnr(original: bytes, compressed: bytes, x: np.ndarray) -> float:
    """Return the SQNR in dB of what TFLM computes with `compressed` for samples `x`."""
    outputs = [ts.run(m, x, runtime="tflm", dequantize=True)[0] for m in (original, compressed)]
    return sqnr_db([outputs[0].astype(float)], [outputs[1].astype(float)])
