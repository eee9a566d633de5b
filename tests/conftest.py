"""Skips of machines that tflite-micro has no wheel for."""

from __future__ import annotations

import importlib.util
from collections.abc import Generator

import pytest

from tflm_sparsesep.converters.errors import ToolMissingError

HAS_TFLM = importlib.util.find_spec("tflite_micro") is not None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup() -> Generator[None, object, object]:
    """Skip a test whose fixtures need the absent TFLM interpreter."""
    return (yield from _skip_without_tflm())


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Generator[None, object, object]:
    """Skip a test that needs the absent TFLM interpreter."""
    return (yield from _skip_without_tflm())


def _skip_without_tflm() -> Generator[None, object, object]:
    try:
        return (yield)
    except ToolMissingError as error:
        if HAS_TFLM or "TFLM runtime" not in str(error):
            raise
        pytest.skip(str(error))
