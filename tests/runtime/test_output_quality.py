"""SQNR about the mean of each output over samples, and plain."""

from __future__ import annotations

import doctest
import math

import numpy as np
import pytest

from tflm_sparsesep.runtime import output_quality
from tflm_sparsesep.runtime.output_quality import plain_sqnr_db, sqnr_db


def test_a_constant_adds_to_the_plain_ratio_only() -> None:
    rng = np.random.default_rng(0)
    wanted = rng.normal(size=(200, 3, 5))
    found = wanted + 0.1 * rng.normal(size=wanted.shape)
    offset = 100 * rng.normal(size=(3, 5))
    before = sqnr_db([wanted], [found])
    assert before == pytest.approx(20, abs=0.5)
    assert sqnr_db([wanted + offset], [found + offset]) == pytest.approx(before)
    assert plain_sqnr_db([wanted + offset], [found + offset]) > before + 30


def test_a_shift_of_the_outputs_is_noise() -> None:
    wanted = np.array([[0.0], [2.0]])
    assert sqnr_db([wanted], [wanted + 1]) == pytest.approx(0)


def test_outputs_are_taken_together() -> None:
    first, second = np.array([[0.0], [2.0]]), np.array([[0.0], [20.0]])
    # Signal 2 + 200, noise 2.
    found = sqnr_db([first, second], [first, second + 1])
    assert found == pytest.approx(10 * math.log10(202 / 2))


def test_ends() -> None:
    varies, constant = np.array([[1.0], [2.0]]), np.array([[5.0], [5.0]])
    assert sqnr_db([varies], [varies]) == math.inf
    assert sqnr_db([constant], [constant]) == math.inf
    assert sqnr_db([constant], [varies]) == -math.inf
    assert math.isfinite(plain_sqnr_db([constant], [varies]))
    assert math.isnan(sqnr_db([varies[:1]], [varies[1:]]))
    assert sqnr_db([varies[:1]], [varies[:1]]) == math.inf


def test_examples() -> None:
    result = doctest.testmod(output_quality)
    assert result.attempted > 0
    assert result.failed == 0
