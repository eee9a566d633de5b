"""Sparse layers of `compress` whose weights take 16 values."""

from __future__ import annotations

import numpy as np
import pytest

import tflm_sparsesep as ts
from tests.support.models.latent_models import latent_samples, mlp, tflm_sqnr
from tests.support.tensors import quantization_of, values_of
from tflm_sparsesep.compression.factorization import Factorization
from tflm_sparsesep.compression.layer_compressor import LayerCompressor
from tflm_sparsesep.compression.palette_rounding import round_to_palette
from tflm_sparsesep.compression.segments import real_outputs
from tflm_sparsesep.converters.factorize.gram import accumulate
from tflm_sparsesep.converters.layers import real as real_layer
from tflm_sparsesep.converters.tflite import editor
from tflm_sparsesep.converters.tflite.editor import Operator
from tflm_sparsesep.runtime.output_quality import sqnr_db
from tflm_sparsesep.training.palette import to_palette

pytestmark = pytest.mark.slow

SIZES = (600, 400)


@pytest.fixture(scope="module")
def dense() -> bytes:
    return mlp()


@pytest.fixture(scope="module")
def x() -> np.ndarray:
    samples = latent_samples(400, seed=0)
    return np.clip(np.rint(samples / 0.03), -128, 127).astype(np.int8)[:, None]


def built(dense: bytes, x: np.ndarray, *, palette: bool, effort: int) -> bytes:
    compressor = LayerCompressor(dense, [x[:300]], target="cortex-m4", name="mlp")
    forms = [Factorization("sparse", size=size, palette=palette) for size in SIZES]
    return compressor.build(forms, effort=effort).tflite


@pytest.mark.parametrize("effort", [1, 2])
def test_weights_take_16_values_at_little_noise(dense: bytes, x: np.ndarray, effort: int) -> None:
    plain, few = (built(dense, x, palette=p, effort=effort) for p in (False, True))
    values = [np.unique(_weights(op)) for op in editor.read(few).operators]
    assert all(len(v[v != 0]) <= 16 for v in values)
    assert max(len(np.unique(_weights(op))) for op in editor.read(plain).operators) > 17
    wanted = real_outputs(dense, [x[300:]])
    quality = [sqnr_db(wanted, real_outputs(m, [x[300:]])) for m in (plain, few)]
    # 8 magnitudes leave about 2% of the weights' power as noise, part of it made up for: below
    # what leaving out most of the weights costs, so at most a doubling of the noise.
    assert quality[1] > quality[0] - 3
    # And the file as converted takes fewer bytes, with the same outputs in TFLM.
    files = [ts.convert(m, prefer="flash").tflite for m in (plain, few)]
    assert len(files[1]) < 0.9 * len(files[0])
    real = 0.03 * x[300:].astype(np.float32)[:, 0]
    assert tflm_sqnr(dense, files[1], real) == pytest.approx(quality[1], abs=0.1)


def test_later_weights_make_up_for_rounding(dense: bytes, x: np.ndarray) -> None:
    """Against rounding each weight to the nearest value of the same palette."""
    (op, _) = editor.read(dense).operators
    inputs = 0.03 * x[:, 0].astype(float)
    gram = accumulate([inputs]).damped(1e-2)
    before = real_layer.read(op).weights
    simple, careful = Operator(op.builtin_code, op.inputs, op.outputs, options=op.options), op
    weights = simple.weights
    scales = np.asarray(quantization_of(weights).scales, np.float64)
    rounded = to_palette(values_of(weights), scales) * scales[:, None]
    round_to_palette(careful, gram)
    after = real_layer.read(careful)
    assert gram.error(after.weights - before) < 0.6 * gram.error(rounded - before)
    assert np.all(after.weights[before == 0] == 0)
    # The bias takes up the mean: outputs are right on average, to half a step of the bias's scale.
    outputs = inputs @ (after.weights - before).T + after.bias - real_layer.read(simple).bias
    step = 0.03 * scales
    np.testing.assert_allclose(outputs.mean(axis=0), 0, atol=float(step.max()))


def _weights(op: Operator) -> np.ndarray:
    array = op.weights.array
    assert array is not None
    return array
