"""Goals in bytes and instructions, compared with the converted model."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

import tflm_sparsesep as ts
from tests.support.models.keras_models import deep_model, fit
from tflm_sparsesep.converters.blob.format import IndexEncoding
from tflm_sparsesep.converters.cost.cost import PackedCost
from tflm_sparsesep.converters.errors import ConfigError
from tflm_sparsesep.training.layer_selection import Selection
from tflm_sparsesep.training.packed_estimate import layer_cost
from tflm_sparsesep.training.sparsity_controller import Snapshot, SparsityController
from tflm_sparsesep.training.trained_layer import select_layers

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("tensorflow")]

SEED = 0
RNG = np.random.default_rng(SEED)
# Half of the inputs are zero, as the pixels of Fashion-MNIST.
IMAGES = np.maximum(RNG.normal(size=(1024, 784)), 0).astype(np.float32)
LABELS = np.argmax(IMAGES[:, :200] @ RNG.normal(size=(200, 10)), axis=1)


def lenet_300_100() -> Any:
    keras.utils.set_random_seed(0)
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((784,)),
            layers.Dense(300, "relu"),
            layers.Dense(100, "relu"),
            layers.Dense(10, "softmax"),
        ]
    )
    model.compile(keras.optimizers.Adam(3e-3), "sparse_categorical_crossentropy")
    return model


def cost(result: ts.ConvertResult, kind: str) -> int:
    """Bytes of the layers of a converted model, or its instructions."""
    if kind == "flash_bytes":
        return sum((x.packed_bytes if x.rewritten else x.dense_bytes) or 0 for x in result.layers)
    return result.instructions


@pytest.mark.parametrize("goal", [{"flash_bytes": 32_768}, {"instructions": 100_000}], ids=str)
def test_lands_below_the_budget(goal: dict[str, Any]) -> None:
    keras.backend.clear_session()
    model = lenet_300_100()
    logs = model.fit(
        IMAGES, LABELS, batch_size=32, epochs=5, verbose=0, callbacks=[ts.ProximalL1(**goal)]
    ).history
    result = ts.convert(model, representative_dataset=IMAGES[:50], target="cortex-m4")
    ((kind, budget),) = goal.items()
    found = cost(result, kind)
    # The tolerance of the goals: at most 3% below for bytes, 5% for instructions, and what hidden
    # channels (below) execute, which is another 7%.
    assert (0.97 if kind == "flash_bytes" else 0.88) * budget <= found <= budget
    # Activations, and with them the best layout, differ between a batch and the calibration data;
    # and a RELU hides channels that only the converter, which knows biases and scales, removes. A
    # near tie of two layouts of the second layer then makes 6% of all bytes.
    assert logs["estimated_bytes"][-1] == pytest.approx(cost(result, "flash_bytes"), rel=0.06)


def conv_net() -> Any:
    """A strided, a square and a dilated convolution, and a shortcut of stride 2."""
    keras.utils.set_random_seed(0)
    layers = keras.layers
    image = keras.Input((16, 16, 4))
    x = layers.Conv2D(16, 3, padding="same", strides=2, activation="relu")(image)
    y = layers.Conv2D(32, 3, padding="same", strides=2, activation="relu")(x)
    y = layers.Conv2D(32, 3, padding="same", dilation_rate=2)(y)
    x = layers.Add()([y, layers.Conv2D(32, 1, strides=2)(x)])
    x = layers.GlobalAveragePooling2D()(layers.ReLU()(x))
    model = keras.Model(image, layers.Dense(4, "softmax")(x))
    model.compile(keras.optimizers.Adam(3e-3), "sparse_categorical_crossentropy")
    return model


@pytest.mark.parametrize("pattern", ["1x1", "4x4"])
@pytest.mark.parametrize("goal", [{"flash_bytes": 6_000}, {"instructions": 250_000}], ids=str)
def test_convolutions_count(goal: dict[str, Any], pattern: str) -> None:
    keras.backend.clear_session()
    x = np.random.default_rng(SEED).normal(size=(256, 16, 16, 4)).astype(np.float32)
    y = np.argmax(x.mean(axis=(1, 2)), axis=1)
    model, callback = conv_net(), ts.ProximalL1(**goal, pattern=pattern)
    model.fit(x, y, batch_size=32, epochs=5, verbose=0, callbacks=[callback])
    result = ts.convert(model, representative_dataset=x[:50], target="cortex-m4")
    assert sum(layer.op == "CONV_2D" for layer in result.layers if layer.rewritten) >= 2
    ((kind, budget),) = goal.items()
    assert 0.9 * budget <= cost(result, kind) <= budget


def two_scales() -> tuple[Any, Any, Any]:
    """A convolution at many pixels, one at few, and a head too small to be sparse; samples."""
    keras.utils.set_random_seed(0)
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((16, 16, 16)),
            layers.Conv2D(16, 3, padding="same", activation="relu", name="early"),
            layers.AveragePooling2D(4),
            layers.Conv2D(64, 3, padding="same", activation="relu", name="late"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(4, "softmax", name="head"),
        ]
    )
    model.compile(keras.optimizers.Adam(3e-3), "sparse_categorical_crossentropy")
    x = np.random.default_rng(SEED).normal(size=(128, 16, 16, 16)).astype(np.float32)
    return model, x, np.argmax(x[..., :4].mean(axis=(1, 2)), axis=1)


def sparse_two_scales(**goal: Any) -> tuple[dict[str, float], Any]:
    model, x, y = two_scales()
    callback = ts.ProximalL1(**goal, pattern="4x4")
    logs = model.fit(x, y, batch_size=32, epochs=5, verbose=0, callbacks=[callback]).history
    zeros = {name: logs[f"zeros/{name}"][-1] for name in ("early", "late", "head")}
    return zeros, ts.convert(model, representative_dataset=x[:20], target="cortex-m4")


@pytest.mark.parametrize("penalty", ["l0", "l1"])
def test_weights_are_pruned_where_they_cost_most(penalty: str) -> None:
    layers = select_layers(two_scales()[0], Selection.of(None, (), lambda _: True, ""))
    rng = np.random.default_rng(SEED)
    weights = {x: rng.normal(size=x.kernel.shape).astype(np.float32) for x in layers}
    scores = {x: np.abs(values) for x, values in weights.items()}
    zeros = {}
    for budgets in ({"flash_bytes": 5_000}, {"instructions": 700_000}):
        controller = SparsityController(budgets, layers, "cortex-m4", penalty=penalty)
        kept = controller.supports(Snapshot(weights, scores, {}))
        for kind in budgets:
            zeros[kind] = {x.name: 1 - float(np.mean(kept[x])) for x in layers}
    # A weight of `early` takes instructions at 256 pixels, one of `late` at 16; bytes are the same.
    assert zeros["flash_bytes"]["early"] == pytest.approx(zeros["flash_bytes"]["late"], abs=0.1)
    assert zeros["instructions"]["early"] > zeros["instructions"]["late"] + 0.4
    # It would not pay at the zeros that are left to it: it keeps its weights.
    assert zeros["instructions"]["head"] == 0


def test_layers_that_keep_all_blocks_keep_their_weights() -> None:
    """Packed without an index, a layer is faster than TFLM's; but its zeros are stored."""
    layers = select_layers(two_scales()[0], Selection.of(None, (), lambda _: True, ""))
    rng = np.random.default_rng(SEED)
    weights = {x: rng.normal(size=x.kernel.shape).astype(np.float32) for x in layers}
    scores = {x: np.abs(values) for x, values in weights.items()}
    costs = {x.name: layer_cost(x, weights[x], "cortex-m4") for x in layers}
    for name in ("early", "late"):
        found = costs[name]
        assert isinstance(found, PackedCost)
        assert found.layout.index_encoding is IndexEncoding.DENSE
    whole = sum(cost.bytes for cost in costs.values())
    controller = SparsityController({"flash_bytes": whole - 200}, layers, "cortex-m4")
    kept = controller.supports(Snapshot(weights, scores, {}))
    zeros = {x.name: 1 - float(np.mean(kept[x])) for x in layers}
    # The zeros of one layer meet the budget; some of the other would save nothing.
    assert zeros["early"] > 0.4
    assert zeros["late"] == 0


def test_layers_that_would_not_pay_keep_their_weights_through_the_fit() -> None:
    zeros, result = sparse_two_scales(instructions=700_000)
    assert zeros["head"] == 0
    assert 0.95 * 700_000 <= cost(result, "instructions") <= 700_000


def test_two_budgets_hold_together() -> None:
    budgets = {"flash_bytes": 4_500, "instructions": 400_000}
    zeros, result = sparse_two_scales(**budgets)
    spent = {kind: cost(result, kind) / budget for kind, budget in budgets.items()}
    assert max(spent.values()) <= 1
    # Prices of equal parts left 11% of the instructions, and no weight of `early`.
    assert min(spent.values()) >= 0.95
    assert zeros["early"] < 0.98


def test_a_budget_that_is_met_does_not_disturb_the_other() -> None:
    loose = {"flash_bytes": 4_500, "instructions": 5_000_000}
    alone, both = sparse_two_scales(flash_bytes=4_500)[1], sparse_two_scales(**loose)[1]
    assert cost(both, "flash_bytes") <= 4_500
    assert cost(both, "flash_bytes") == pytest.approx(cost(alone, "flash_bytes"), rel=0.1)
    with pytest.raises(ConfigError, match="instructions=1,000 is out of reach"):
        sparse_two_scales(flash_bytes=4_500, instructions=1_000)
    with pytest.raises(ConfigError, match="flash_bytes=90,000 is out of reach"):
        sparse_two_scales(flash_bytes=90_000, instructions=9_000_000)


@pytest.mark.parametrize(("pattern", "budget"), [("1x1", 7_800), ("4x1", 5_500)])
def test_a_layers_own_goal_holds_beside_a_budget(pattern: str, budget: int) -> None:
    keras.utils.set_random_seed(0)
    dense = keras.layers.Dense
    model = keras.Sequential(
        [keras.Input((12,)), dense(128, "relu"), dense(128, name="own"), dense(3, name="last")]
    )
    model.compile("adam", "mse")
    callback = ts.ProximalL1(flash_bytes=budget, layers={"own": 0.875}, pattern=pattern)
    logs = fit(model, callback, 6, steps=32).history
    assert logs["zeros/own"][-1] == 0.875
    # Small layers gain and lose their sparse form as a whole: bytes jump.
    assert 0.8 * budget <= logs["estimated_bytes"][-1] <= budget


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"flash_bytes": 3_000}, r"flash_bytes=3,000 is out of reach.*accepted: \d,\d+ .* to 27"),
        ({"flash_bytes": 300_000}, "flash_bytes=300,000 is out of reach"),
        ({"instructions": 5_000}, "instructions=5,000 is out of reach.*cortex-m4"),
        ({"instructions": 900_000}, "instructions=900,000 is out of reach.*cortex-m4"),
        ({"flash_bytes": 32_768, "layers": {"dense_1": 0.1}}, "flash_bytes=32,768 is out of"),
        ({"flash_bytes": 32_768, "layers": {".*": 0.9}}, "at least one layer without its own goal"),
    ],
    ids=str,
)
def test_budgets_out_of_reach_are_refused(arguments: dict[str, Any], message: str) -> None:
    keras.backend.clear_session()  # names of layers count from "dense" again
    model = lenet_300_100()
    weights = model.get_weights()
    with pytest.raises(ConfigError, match=message) as error:
        model.fit(IMAGES, LABELS, epochs=4, verbose=0, callbacks=[ts.ProximalL1(**arguments)])
    assert "accepted" in str(error.value)
    assert "\n" not in str(error.value)
    for a, b in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_pattern_auto_follows_layer_and_target() -> None:
    keras.backend.clear_session()
    model = lenet_300_100()
    callback = ts.ProximalL1(zeros=0.95, pattern="auto")
    model.fit(IMAGES[:64], LABELS[:64], epochs=2, verbose=0, callbacks=[callback])
    kernels = [layer.kernel.numpy() for layer in model.layers if layer.weights]
    # The large layer in blocks of four outputs; the last has too few inputs left for blocks.
    blocks = (kernels[0] != 0).reshape(784, 75, 4)
    assert set(np.unique(blocks.sum(axis=2))) == {0, 4}
    alone = (kernels[2][:, :8] != 0).reshape(100, 2, 4)
    assert set(np.unique(alone.sum(axis=2))) - {0, 4}


@pytest.mark.parametrize("penalty", ["l0", "l1/2", "l2/3", "l1"])
def test_goal_is_reached_with_each_penalty(penalty: str) -> None:
    model = deep_model()
    fit(model, ts.ProximalL1(zeros=0.75, penalty=penalty), 6, steps=8)
    kernels = [layer.kernel.numpy() for layer in model.layers if hasattr(layer, "kernel")]
    assert sum(np.count_nonzero(k == 0) for k in kernels) == 0.75 * 344
