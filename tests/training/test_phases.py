"""The epochs of each phase of a fit."""

from __future__ import annotations

from typing import Any

import pytest

from tflm_sparsesep.converters.errors import ConfigError
from tflm_sparsesep.training.phases import Phases


@pytest.mark.parametrize(
    ("epochs", "options", "expected"),
    [
        (20, {}, (2, 14, 20)),
        (10, {}, (1, 7, 10)),
        (2, {}, (0, 1, 2)),
        (1, {}, (0, 1, 1)),  # no room for debiasing
        (10, {"warmup_epochs": 0, "debias_epochs": 0}, (0, 10, 10)),
        (10, {"warmup_epochs": 2, "debias_epochs": 7}, (2, 3, 10)),
        (20, {"values": "int8"}, (2, 14, 14)),
        (20, {"values": "int8", "value_epochs": 2}, (2, 14, 18)),
    ],
    ids=str,
)
def test_first_epochs_of_phases(
    epochs: int, options: dict[str, Any], expected: tuple[int, int, int]
) -> None:
    phases = Phases.of(epochs, **options)
    assert (phases.sparsify, phases.debias, phases.rounding) == expected
    assert phases.epochs == epochs
    assert phases.progress(phases.sparsify) == 0
    assert phases.progress(phases.debias) == 1


@pytest.mark.parametrize(
    ("epochs", "options", "message"),
    [
        (4, {"warmup_epochs": 2, "debias_epochs": 2}, "warmup_epochs=2 and debias_epochs=2"),
        (4, {"warmup_epochs": 4}, "warmup_epochs=4"),
        (4, {"values": "int8", "debias_epochs": 2, "value_epochs": 3}, "takes 3 of .* 4 .* is 2"),
        (4, {"values": "int8", "debias_epochs": 0}, "takes 1 of .* debias_epochs is 0"),
    ],
    ids=str,
)
def test_phases_that_do_not_fit_are_refused(
    epochs: int, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message) as error:
        Phases.of(epochs, **options)
    assert "accepted" in str(error.value)
    assert "\n" not in str(error.value)
