"""The order of callbacks in a fit, which Keras tells none of them."""

from __future__ import annotations

import gc
import itertools
import warnings
from typing import Any

import keras

_SAVERS = (keras.callbacks.BackupAndRestore, keras.callbacks.ModelCheckpoint)


def warn_of_savers_before(callback: Any) -> None:
    """Warn if a callback that saves the model at the end of an epoch is listed before `callback`.

    It saves the weights before `callback` has set their zeros, and what it restores trains on to
    other weights.
    """
    lists = [found for found in gc.get_referrers(callback) if isinstance(found, list)]
    before = [itertools.takewhile(lambda other: other is not callback, found) for found in lists]
    savers = {
        type(other).__name__ for found in before for other in found if isinstance(other, _SAVERS)
    }
    for name in sorted(savers):
        mine = type(callback).__name__
        warnings.warn(
            f"{name} is listed before {mine}: it saves weights before {mine} sets their zeros, and "
            f"what it restores trains on to other weights; list {name} after {mine}",
            stacklevel=2,
        )
