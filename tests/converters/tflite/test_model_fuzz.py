"""Thousands of damaged models: each is read and rebuilt, or refused with a ModelError."""

from __future__ import annotations

import time
from collections import Counter

import numpy as np
import pytest

from tests.converters.tflite.mutations import BYTE_MUTATIONS
from tests.converters.tflite.reader_fuzzer import outcome, small_models
from tests.support.models.shared_models import shared_model
from tests.support.sweeps import more, seed_of

# CPU seconds that one file may take. Typical are some milliseconds; what the verifier lets pass
# at most (four times the file plus 64 kB, in objects of 8 bytes) takes about one second.
LIMIT_SECONDS = 10.0


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
