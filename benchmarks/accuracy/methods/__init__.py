"""The methods that are compared, one file each: a function from `Job` to `Trained`."""

from __future__ import annotations

from collections.abc import Callable

from jobs import Job, Trained

from methods import dense, l1_threshold, lee_lee, ours, tfmot

TRAIN: dict[str, Callable[[Job], Trained]] = {
    "dense": dense.train,
    "tfmot": tfmot.train,
    "lee_lee": lee_lee.train,
    "lee_lee_debias": lee_lee.train_with_debias,
    "l1_threshold": l1_threshold.train,
    "ours": ours.train,
}
