"""Shares of zero activations, measured in TFLM, and what the converter makes of them."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.models.dense_models import FullyConnectedLayer, fully_connected_chain
from tflm_sparsesep.convert import convert
from tflm_sparsesep.converters.errors import ConfigError, DeviceError
from tflm_sparsesep.converters.tflite import editor
from tflm_sparsesep.converters.tflite.editor import Operator, Tensor
from tflm_sparsesep.runtime.activations import input_sparsity_tflm
from tflm_sparsesep.runtimes import run


def chain() -> bytes:
    """300 -> 200 (RELU, about half its outputs 0) -> 100."""
    rng = np.random.default_rng(0)
    layers = []
    for rows, cols in ((200, 300), (100, 200)):
        weights = rng.integers(-127, 128, (rows, cols)).astype(np.int8)
        weights[rng.random(weights.shape) < 0.9] = 0
        layers.append(FullyConnectedLayer(weights, None, 0.01, 0.1, -128, "RELU"))
    return fully_connected_chain(layers, input_shape=(1, 300), input_scale=0.02, input_zero_point=4)


@pytest.fixture(scope="module")
def samples() -> np.ndarray:
    inputs = np.random.default_rng(1).integers(-128, 128, (80, 300)).astype(np.int8)
    inputs[:, :210] = 4
    return inputs


def test_shares_are_those_of_the_first_samples(samples: np.ndarray) -> None:
    pytest.importorskip("tflite_micro", reason="no tflite-micro: pip install tflite-micro")
    shares = input_sparsity_tflm(chain(), [samples])
    assert list(shares) == ["input", "fc0"]
    expected = np.mean(samples[:50] == 4)
    assert shares["input"] == pytest.approx(expected)
    assert 0.3 < shares["fc0"] < 0.7


@pytest.mark.parametrize("batched", [True, False])
def test_a_generator_function_serves_as_well(samples: np.ndarray, batched: bool) -> None:
    lists = [[sample[None] if batched else sample] for sample in samples]
    found = convert(chain(), representative_dataset=lambda: iter(lists))
    assert found == convert(chain(), representative_dataset=samples)


def test_without_samples_nothing_is_assumed() -> None:
    assert input_sparsity_tflm(chain(), []) == {}


@pytest.mark.parametrize("target", ["host", "cortex-m4"])
def test_where_tflm_lacks_an_operator_nothing_is_assumed(samples: np.ndarray, target: str) -> None:
    model = editor.read(chain())
    main = model.subgraphs[0]
    (last,) = main.outputs
    unknown = Tensor("unknown", last.shape, last.type, quantization=last.quantization)
    main.operators.append(Operator.custom("NO_SUCH_OP", [last], [unknown]))
    main.outputs = [unknown]
    data = editor.write(model)
    with pytest.raises(DeviceError, match="NO_SUCH_OP"):
        run(data, samples[:1])
    assert input_sparsity_tflm(data, [samples]) == {}
    given = convert(data, representative_dataset=samples, target=target)
    assert given == convert(data, target=target)
    assert any(layer.rewritten for layer in given.layers) == (target != "host")
    with pytest.raises(ConfigError, match=r"accepted: \[n, 300\]"):
        convert(data, representative_dataset=samples[:, 1:])


def test_converting_with_samples_keeps_the_outputs(samples: np.ndarray) -> None:
    result = convert(chain(), representative_dataset=samples, target="cortex-m4")
    blind = convert(chain(), target="cortex-m4")
    assert all(layer.rewritten for layer in result.layers)
    known, unknown = (
        sum(layer.sparse_instructions or 0 for layer in found.layers) for found in (result, blind)
    )
    assert 0 < known <= unknown
    np.testing.assert_array_equal(run(result.tflite, samples)[0], run(chain(), samples)[0])
