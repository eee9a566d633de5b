"""What a method gets and what it gives back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import data
import numpy as np
import training
from models import MODELS, Model
from settings import Setting
from training import Recipe


@dataclass(frozen=True)
class Job:
    """One training of a setting.

    options: what was chosen on the validation split for the method. validation: train without
    that split, and judge on it. dataset: in place of the network's own.
    """

    setting: Setting
    recipe: Recipe
    options: Mapping[str, Any] = field(default_factory=dict)
    validation: bool = False
    dataset: str | None = None

    @property
    def spec(self) -> Model:
        """The network."""
        model = MODELS[self.setting.model]
        return model if self.dataset is None else replace(model, dataset=self.dataset)

    @property
    def data(self) -> data.Data:
        """Its data, shaped for its input."""
        raw = data.load(self.spec.dataset, validation=self.validation)
        shape = (-1, *self.spec.input_shape)
        return data.Data(
            raw.x_train.reshape(shape), raw.y_train, raw.x_test.reshape(shape), raw.y_test
        )

    @property
    def goal(self) -> float:
        """Fraction of zeros asked for."""
        assert self.setting.zeros_goal is not None
        return self.setting.zeros_goal

    def new_model(self) -> Any:
        """The network with the initial weights of the seed, the same for all methods."""
        import keras

        keras.backend.clear_session()
        keras.utils.set_random_seed(self.setting.seed)
        return self.spec.build(keras)

    def fit(self, model: Any, callbacks: Sequence[Any] = ()) -> float:
        """Trains by the common recipe, gives CPU seconds."""
        import keras

        x, y = self.data.x_train, self.data.y_train
        return training.fit(keras, model, x, y, self.recipe, self.setting.seed, callbacks=callbacks)


@dataclass(frozen=True)
class Trained:
    """A trained Keras 3 model. seconds: CPU time of its training. notes: for the run's line."""

    model: Any
    seconds: float
    notes: Mapping[str, Any] = field(default_factory=dict)


def kernels(model: Any) -> list[Any]:
    """The variables that zeros are counted in."""
    return [layer.kernel for layer in model.layers if hasattr(layer, "kernel")]


def zeros(model: Any) -> float:
    """The fraction of zeros over all kernels."""
    values = [np.asarray(kernel) for kernel in kernels(model)]
    return sum(int(np.sum(v == 0)) for v in values) / sum(v.size for v in values)
