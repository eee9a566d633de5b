"""Arguments that the constructor of `ProximalL1` refuses."""

from __future__ import annotations

import math
from typing import Any

import pytest

from tflm_sparsesep.converters.errors import ConfigError
from tflm_sparsesep.training.callback_arguments import Goal
from tflm_sparsesep.training.proximal_l1 import ProximalL1

# TensorFlow costs 8 s to import.
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("tensorflow")]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "exactly one"),
        ({"strength": 0.1, "zeros": 0.9}, "exactly one"),
        ({"flash_bytes": 1, "zeros": 0.9}, "exactly one"),
        ({"flash_bytes": 1, "instructions": 1, "zeros": 0.9}, "or flash_bytes and instructions"),
        ({"flash_bytes": 1, "instructions": 0}, "instructions=0"),
        ({"strength": -0.1}, "strength=-0.1"),
        ({"strength": math.nan}, "strength=nan"),
        ({"strength": "much"}, "strength='much'"),
        ({"zeros": 0}, "zeros=0"),
        ({"zeros": 1.0}, "zeros=1.0"),
        ({"zeros": 90}, "zeros=90"),
        ({"zeros": True}, "zeros=True"),
        ({"flash_bytes": 0}, "flash_bytes=0"),
        ({"instructions": -1}, "instructions=-1"),
        ({"instructions": "few"}, "instructions='few'"),
        ({"zeros": 0.9, "target": "cortex-m99"}, "cortex-m99"),
        ({"zeros": 0.9, "prefer": "size"}, "prefer='size'"),
        ({"zeros": 0.9, "penalty": "l2"}, "penalty='l2'"),
        ({"zeros": 0.9, "debias_epochs": -1}, "debias_epochs=-1"),
        ({"zeros": 0.9, "warmup_epochs": 1.5}, "warmup_epochs=1.5"),
        ({"zeros": 0.9, "layers": "first"}, "layers='first'"),
        ({"zeros": 0.9, "exclude": [3]}, r"exclude=\[3\]"),
        ({"zeros": 0.5, "values": "int4"}, "values='int4'"),
        ({"zeros": 0.5, "values": 8}, "values=8"),
        ({"zeros": 0.5, "value_epochs": 2}, "value_epochs=2 without values"),
        ({"zeros": 0.5, "values": "int8", "value_epochs": 0}, "value_epochs=0"),
        ({"zeros": 0.5, "values": "int8", "value_epochs": 1.5}, "value_epochs=1.5"),
        ({"zeros": 0.5, "values": "int8", "value_epochs": -1}, "value_epochs=-1"),
    ],
    ids=str,
)
def test_refused_in_the_constructor(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as error:
        ProximalL1(**arguments)
    assert "accepted" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("given", "goal"),
    [
        ({"strength": 0.1}, Goal("strength", 0.1)),
        ({"zeros": 0.9}, Goal("zeros", 0.9)),
        ({"flash_bytes": 1}, Goal("budgets", budgets={"flash_bytes": 1})),
        ({"instructions": 9e6}, Goal("budgets", budgets={"instructions": 9_000_000})),
        (
            {"instructions": 9, "flash_bytes": 1},
            Goal("budgets", budgets={"flash_bytes": 1, "instructions": 9}),
        ),
    ],
)
def test_the_goal_is_what_was_given(given: dict[str, Any], goal: Goal) -> None:
    kinds = dict.fromkeys(("strength", "zeros", "flash_bytes", "instructions"))
    assert Goal.of(**{**kinds, **given}) == goal
