"""Profiles of hypothesis, and skips of machines that tflite-micro has no wheel for."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Generator

import hypothesis
import pytest

from tflm_sparsesep.converters.errors import ToolMissingError

# `make test` draws the same examples each time, `make soak` others, and more of them.
hypothesis.settings.register_profile("test", deadline=None, derandomize=True, database=None)
hypothesis.settings.register_profile("soak", deadline=None, max_examples=2000, print_blob=True)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "test"))

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
