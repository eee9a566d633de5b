"""How exact must a layer of MLPerf Tiny's anomaly detector be, for 20 dB of the outputs?

    python benchmarks/compression/anomaly_limits.py

changes one layer of `ad01_int8.tflite` at a time, all others stay as they are: it rounds once in
place of twice (nothing else is inexact), and it multiplies in as few directions as keep 20 dB about
the mean, fitted to the calibration inputs. Bytes are those of the weights between channels that the
inputs use, as int8 and at their entropy, which no lossless code gets below. Layers are computed in
NumPy, as TFLM computes them; the script checks that. Writes the table of README.md.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import real_inputs
import tables

from tflm_sparsesep.converters.blob.format import FullyConnectedOptions
from tflm_sparsesep.converters.blob.pack import FullyConnectedWeights
from tflm_sparsesep.converters.layers.matrix import read_matrix_layer
from tflm_sparsesep.converters.tflite import editor
from tflm_sparsesep.converters.tflite.editor import Operator
from tflm_sparsesep.runtime.output_quality import sqnr_db
from tflm_sparsesep.runtime.samples import split_inputs
from tflm_sparsesep.runtime.tflm_interpreter import TflmInterpreter

MODEL = real_inputs.SHARED / "models/ad01_int8.tflite"
WANTED_DB = 20.0

Values = npt.NDArray[np.int64]
Reals = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Layer:
    """One fully-connected layer; activations are int8 values as int64[n, channels]."""

    numbers: FullyConnectedWeights
    options: FullyConnectedOptions

    @classmethod
    def of(cls, op: Operator) -> Layer:
        layer = read_matrix_layer(op)
        if not isinstance(layer.weights, FullyConnectedWeights):
            raise TypeError(f"{op.op_name} is float; accepted: int8")
        return cls(layer.weights, layer.options)

    @property
    def weights(self) -> Values:
        return self.numbers.weights.astype(np.int64)

    @property
    def factors(self) -> Reals:
        """What a sum is multiplied by, in steps of the output."""
        shifts = self.numbers.shift.astype(np.int64)
        return self.numbers.multiplier * 2.0 ** (shifts - 31)

    def sums(self, x: Values) -> Values:
        return x @ self.weights.T + self.numbers.folded_bias()

    def exact(self, x: Values) -> Values:
        """Return the outputs as TFLM rounds them: the high half of a product, then a shift."""
        product = self.sums(x) * self.numbers.multiplier
        high = np.where(product >= 0, (product + (1 << 30)) >> 31, -((-product + (1 << 30)) >> 31))
        right = -self.numbers.shift.astype(np.int64)
        half = np.where(right > 0, 1 << np.maximum(right - 1, 0), 0)
        return self._limited(np.where(high >= 0, (high + half) >> right, -((half - high) >> right)))

    def rounded_once(self, x: Values) -> Values:
        return self._limited(np.rint(self.sums(x) * self.factors).astype(np.int64))

    def in_directions(self, rank: int, x: Values, calibration: Values) -> Values:
        """Return the outputs for sums that keep the `rank` main directions of the calibration's."""
        wanted = self.sums(calibration) * self.factors
        mean = wanted.mean(axis=0)
        directions = np.linalg.svd(wanted - mean, full_matrices=False)[2][:rank]
        kept = mean + (self.sums(x) * self.factors - mean) @ directions.T @ directions
        return self._limited(np.rint(kept).astype(np.int64))

    def _limited(self, steps: Values) -> Values:
        shifted = steps + self.options.output_zero_point
        return np.clip(shifted, self.options.activation_min, self.options.activation_max)


def main() -> None:
    data = MODEL.read_bytes()
    model = editor.read(data)
    layers = [Layer.of(op) for op in model.subgraphs[0].operators]
    fitted, judged = (
        split_inputs(x, model.subgraphs[0].inputs)[0][:, 0] for x in real_inputs.split("ad01_int8")
    )
    calibration, activations = (_forward(layers, x.astype(np.int64)) for x in (fitted, judged))
    interpreter = TflmInterpreter(data, model)
    in_tflm = [interpreter.invoke([x[None]])[0][0] for x in judged]
    if not np.array_equal(np.stack(in_tflm), activations[-1]):
        raise RuntimeError("the outputs differ from TFLM's")
    rows = [_row(layers, k, calibration, activations) for k in range(len(layers))]
    tables.write_anomaly_limits(rows)
    print(tables.anomaly_limits_table(rows))


def _forward(layers: list[Layer], x: Values) -> list[Values]:
    """Return the input and the outputs of all layers."""
    found = [x]
    for layer in layers:
        found.append(layer.exact(found[-1]))
    return found


def _row(
    layers: list[Layer], k: int, calibration: list[Values], activations: list[Values]
) -> dict[str, Any]:
    layer, x = layers[k], activations[k]

    def quality(y: Values) -> float:
        return sqnr_db([activations[-1]], [_forward(layers[k + 1 :], y)[-1]])

    ranks = range(1, 1 + min(layer.weights.shape))
    used = _used(calibration[k], activations[k]), _used(calibration[k + 1], activations[k + 1])
    weights = layer.weights[np.ix_(used[1], used[0])]
    return {
        "layer": k + 1,
        "shape": layer.weights.shape,
        "rounded_once_db": quality(layer.rounded_once(x)),
        "rank": next(
            (r for r in ranks if quality(layer.in_directions(r, x, calibration[k])) >= WANTED_DB),
            None,
        ),
        "used": weights.shape,
        "bytes": weights.size,
        "entropy_bytes": math.ceil(_entropy(weights) * weights.size / 8),
    }


def _used(*activations: Values) -> npt.NDArray[np.bool_]:
    """Return True for channels that are not always the same."""
    every = np.concatenate(activations)
    used: npt.NDArray[np.bool_] = every.max(axis=0) > every.min(axis=0)
    return used


def _entropy(values: Values) -> float:
    """Return bits a value."""
    shares = np.unique(values, return_counts=True)[1] / values.size
    return float(-(shares * np.log2(shares)).sum())


if __name__ == "__main__":
    main()
