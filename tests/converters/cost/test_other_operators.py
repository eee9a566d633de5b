"""The cost of operators without weights: near what was counted in TFLM, outside the fit, too."""

from __future__ import annotations

import pytest

from tests.support.dense_counts import held_out_errors, worst
from tflm_sparsesep.converters.cost.data import load
from tflm_sparsesep.converters.cost.other_operators import OtherOperator, instructions, total
from tflm_sparsesep.converters.targets import TARGETS

DEVICES = [name for name in TARGETS if TARGETS[name].qemu_machine]
OPERATORS = load("other_operators.json")["operators"]
# memset and memcpy take other ways by the alignment of each row; the exponentials of a softmax take
# longer by the bits of their arguments.
LIMITS = dict.fromkeys(OPERATORS, 0.05) | {"PAD": 0.1, "SOFTMAX": 0.055}


def estimate(kind: str, target: str, sizes: list[int]) -> int:
    found = instructions(target, OtherOperator(kind, tuple(sizes)))
    assert found is not None
    return found


@pytest.mark.parametrize("target", DEVICES)
@pytest.mark.parametrize("kind", OPERATORS)
def test_sizes_outside_the_fit_are_near_their_counts(kind: str, target: str) -> None:
    data = OPERATORS[kind]
    errors = held_out_errors(data, target, lambda target, sizes: estimate(kind, target, sizes))
    assert len(errors) > 5
    assert worst(errors) == data["held_out"]["errors"][target]
    assert worst(errors) < LIMITS[kind]


@pytest.mark.parametrize("target", DEVICES)
@pytest.mark.parametrize("kind", OPERATORS)
def test_measured_sizes_are_near_their_counts(kind: str, target: str) -> None:
    data = OPERATORS[kind]
    for sizes, count in zip(data["shapes"], data["targets"][target], strict=True):
        assert estimate(kind, target, sizes) == pytest.approx(count, rel=LIMITS[kind])


def test_the_operators_of_unknown_cost_are_named_once() -> None:
    known, unknown = OtherOperator("SOFTMAX", (1, 10)), OtherOperator("TANH")
    count, names = total("cortex-m4", [unknown, known, known, unknown])
    assert count == 2 * estimate("SOFTMAX", "cortex-m4", [1, 10])
    assert names == ["TANH"]
    assert total("host", [known]) == (0, ["SOFTMAX"])
    assert total("generic", [known]) == total("cortex-m3", [known])
