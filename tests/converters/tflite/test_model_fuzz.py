"""Thousands of damaged models: each is read and rebuilt, or refused with a ModelError."""

from __future__ import annotations

import time
from collections import Counter

import numpy as np
import pytest

from tests.converters.tflite.mutations import BYTE_MUTATIONS
from tests.support.models import dense_models
from tests.support.models.shared_models import shared_model
from tests.support.sweeps import more, seed_of
from tflm_sparsesep.converters.errors import ModelError
from tflm_sparsesep.converters.tflite import editor

# CPU seconds that one file may take. Typical are some milliseconds; what the verifier lets pass
# at most (four times the file plus 64 kB, in objects of 8 bytes) takes about one second.
LIMIT_SECONDS = 10.0
# A rebuilt file may unfold bytes that were shared in the damaged one: same bound, plus vtables.
MAX_GROWTH, GROWTH_SLACK = 16, 1 << 20


def small_models() -> list[bytes]:
    rng = np.random.default_rng(0)
    weights = rng.integers(-127, 128, (6, 10)).astype(np.int8)
    layer = dense_models.FullyConnectedLayer(
        weights, np.arange(6, dtype=np.int32), rng.uniform(0.01, 0.02, 6), 0.5, 2, "RELU"
    )
    head = dense_models.FullyConnectedLayer(weights[:3, :6], None, 0.02, 0.5, -7)
    per_tensor = dense_models.fully_connected_chain(
        [layer, head], input_shape=[1, 10], input_scale=0.1, input_zero_point=0
    )
    conv = dense_models.conv_1x1_model(
        weights,
        np.arange(6, dtype=np.int32),
        input_shape=[1, 2, 2, 10],
        input_scale=0.1,
        input_zero_point=0,
        weight_scales=rng.uniform(0.01, 0.02, 6),
        output_scale=0.5,
        output_zero_point=0,
    )
    floats = dense_models.float_fully_connected_model(
        weights.astype(np.float32), None, input_shape=[2, 10], activation="RELU6"
    )
    return [per_tensor, conv, floats, with_extras(per_tensor)]


def with_extras(data: bytes) -> bytes:
    """The same model with a second subgraph, metadata and a signature to damage."""
    model = editor.read(data)
    main = model.subgraphs[0]
    model.subgraphs.append(editor.Subgraph("again", inputs=main.inputs, outputs=main.outputs))
    model.set_metadata("OfflineMemoryAllocation", bytes(12) + bytes(range(40)))
    alias = [("x", main.inputs[0])]
    model.signatures = [editor.Signature("serve", main, alias, alias)]
    return editor.write(model)


def outcome(data: bytes) -> str:
    """Read and rebuild damaged bytes; what happened. Anything but a ModelError escapes."""
    try:
        model = editor.read(data, name="damaged.tflite")
    except ModelError as error:
        message = str(error)
        one_line = message.startswith("damaged.tflite: ") and "\n" not in message
        return "refused" if one_line else f"bad message {message!r}"
    built = editor.write(model)
    assert len(built) < MAX_GROWTH * len(data) + GROWTH_SLACK
    assert editor.write(editor.read(built)) == built
    editor.prune_unused(model)
    editor.read(editor.write(model))
    return "rebuilt"


def fuzz(models: list[bytes], rounds: int, seed: int) -> Counter[str]:
    """Damage each model in each way `rounds` times, with seeds that name the failing case."""
    outcomes: Counter[str] = Counter()
    for index, model in enumerate(models):
        for kind, mutation in enumerate(BYTE_MUTATIONS):
            for i in range(rounds):
                case = (seed, index, kind, i)
                damaged = bytes(mutation(bytearray(model), np.random.default_rng(case)))
                started = time.process_time()
                try:
                    outcomes[outcome(damaged)] += 1
                except Exception as error:
                    raise AssertionError(f"case {case}, {mutation.__name__}: {error!r}") from error
                assert time.process_time() - started < LIMIT_SECONDS, case
    return outcomes


@pytest.mark.sweep
def test_damaged_small_models() -> None:
    rounds = more(40)
    outcomes = fuzz(small_models(), rounds, seed_of(1))
    total = 4 * len(BYTE_MUTATIONS) * rounds
    assert outcomes["refused"] + outcomes["rebuilt"] == total
    # Both ways must occur: most damage is found, damage to weights and names cannot be.
    assert outcomes["refused"] > 0.4 * total
    assert outcomes["rebuilt"] > 0.1 * total


@pytest.mark.sweep
def test_damaged_keyword_spotter() -> None:
    rounds = more(20)
    outcomes = fuzz([shared_model("kws_ref_model.tflite")], rounds, seed_of(2))
    total = rounds * len(BYTE_MUTATIONS)
    assert outcomes["refused"] + outcomes["rebuilt"] == total
    assert min(outcomes["refused"], outcomes["rebuilt"]) > 0.07 * total


@pytest.mark.parametrize("length", [0, 1, 3, 4, 7, 8, 11, 12, 16, 20, 100, 1000])
def test_noise_of_any_length(length: int) -> None:
    for seed in range(5):
        noise = np.random.default_rng((3, length, seed)).bytes(length)
        assert outcome(noise) == "refused"
