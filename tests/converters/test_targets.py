"""The table of targets."""

from __future__ import annotations

import pytest

from tflm_sparsesep.converters.errors import ConfigError
from tflm_sparsesep.converters.targets import TARGETS, get_target


def test_every_promised_target_exists_under_its_name() -> None:
    promised = [
        "cortex-m0",
        "cortex-m3",
        "cortex-m4",
        "cortex-m7",
        "cortex-m33",
        "cortex-m55",
        "generic",
        "host",
    ]
    assert list(TARGETS) == promised
    assert [get_target(name).name for name in promised] == promised


def test_extensions_follow_the_architecture() -> None:
    assert [name for name, target in TARGETS.items() if target.has_mve] == ["cortex-m55"]
    assert not get_target("cortex-m3").has_dsp
    assert [name for name, target in TARGETS.items() if not target.unaligned_access] == [
        "cortex-m0"
    ]


@pytest.mark.parametrize("name", ["cortex-m5", "", "Cortex-M4", None, 4])
def test_unknown_target_is_refused_with_the_accepted_names(name: object) -> None:
    with pytest.raises(ConfigError, match=r"cortex-m0, .*cortex-m55, generic, host") as caught:
        get_target(name)  # type: ignore[arg-type]
    assert repr(name) in str(caught.value)
