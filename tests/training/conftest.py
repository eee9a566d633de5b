"""Fixtures that several test files of the callbacks share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture
def mixed_float16() -> Iterator[None]:
    """Compile models for mixed precision, with loss scaling around the optimizer."""
    import keras

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    yield
    keras.config.set_dtype_policy(before)
