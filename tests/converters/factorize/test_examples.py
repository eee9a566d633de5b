"""The worked examples in docstrings."""

from __future__ import annotations

import doctest
import importlib

import pytest

MODULES = (
    "chain",
    "dictionary",
    "gram",
    "joint_refit",
    "low_rank",
    "separation",
    "sparse_refit",
    "support_search",
)


@pytest.mark.parametrize("name", MODULES)
def test_examples(name: str) -> None:
    module = importlib.import_module(f"tflm_sparsesep.converters.factorize.{name}")
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0
