"""Profiles of hypothesis, what `make quick` imports, and skips where there is no tflite-micro."""

from __future__ import annotations

import gc
import importlib.util
import os
import re
from collections.abc import Generator
from pathlib import Path

import hypothesis
import pytest

from tflm_sparsesep.converters.errors import ToolMissingError

# `make test` draws the same examples each time, `make soak` others, and more of them.
hypothesis.settings.register_profile("test", deadline=None, derandomize=True, database=None)
hypothesis.settings.register_profile("soak", deadline=None, max_examples=2000, print_blob=True)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "test"))

HAS_TFLM = importlib.util.find_spec("tflite_micro") is not None

_ALL_SLOW = re.compile(r"^pytestmark = (\[[^]]*)?pytest\.mark\.slow\b", re.MULTILINE)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave modules of slow tests out of `make quick`: importing TensorFlow takes as long as it."""
    if config.option.markexpr != "not slow" or collection_path.suffix != ".py":
        return None
    return True if _ALL_SLOW.search(collection_path.read_text()) else None


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Spare the garbage collector what lives as long as the process: a million objects."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.enable()


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
