"""`KeepZeros`: train a sparse model without losing its zeros.

This module imports Keras (8 s with TensorFlow); `import tflm_sparsesep` does not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from tflm_sparsesep.converters.errors import ConfigError
from tflm_sparsesep.training.keras_model import check_keras_model
from tflm_sparsesep.training.layer_selection import Layers, Selection
from tflm_sparsesep.training.train_step import ProximalStep
from tflm_sparsesep.training.train_step_hook import TrainStepHook, UntilBuilt, check_fit
from tflm_sparsesep.training.trained_layer import is_built, select_layers
from tflm_sparsesep.training.weight_grid import WeightGrid, with_present_palettes

_VALUES = ("int8",)


class KeepZeros(keras.callbacks.Callback):  # type: ignore[misc]
    """Keep weights that are 0 when `fit` begins at exactly 0, and train all others as usual.

    Each optimizer step is followed by a projection on the support, inside the compiled train step:

        w <- w where w was nonzero at the beginning of fit, else +0.0

    so that averages and momentum of the optimizer do not bring weights back. This is the debias
    phase of `ProximalL1` ("debiasing" in Lee and Lee, Applied Sciences 2019, arXiv:1905.07931). It
    suits models whose zeros come from elsewhere, such as `CompressResult.to_keras`. It covers the
    kernels of Dense, Conv1D and Conv2D layers, [..., inputs, outputs].

    A sparse layer whose int8 weights take no more than 8 magnitudes, as `compress` makes some,
    keeps to 8: each step rounds to its palette (`weight_grid.WeightGrid`), so that the packer can
    store it in 4 bits per weight again.

    At the end of each epoch, `logs["zeros"]` is the fraction of zeros over these kernels.

    Args:
        layers: the layers to cover, as for `ProximalL1` but without goals; by default all.
        exclude: names or regular expressions of layers that are trained without constraint.
        values: "int8" also rounds all other weights after each step to the values that the
            converted file will hold, as `ProximalL1(values="int8")` does in its last epochs; None
            does not.

    Raises:
        ConfigError: in the constructor, an argument is not accepted; when `fit` begins, before the
            first step, the model is not compiled or has no such layer.

    Example:
        >>> small = ts.compress(model, ...).to_keras(model)  # doctest: +SKIP
        >>> small.compile("adam", "sparse_categorical_crossentropy")  # doctest: +SKIP
        >>> small.fit(x, y, epochs=3, callbacks=[ts.KeepZeros()])  # doctest: +SKIP
    """

    def __init__(
        self, *, layers: Layers = None, exclude: Sequence[str] = (), values: str | None = None
    ) -> None:
        super().__init__()
        if values is not None and values not in _VALUES:
            raise ConfigError(f"values={values!r}; accepted: {', '.join(_VALUES)}, or None")
        # A goal has no meaning here: all nonzeros stay.
        self._selection = Selection.of(layers, exclude, lambda _: False, "of layers, without goals")
        self.values = values
        self._hook: TrainStepHook | None = None

    def set_model(self, model: Any) -> None:
        """Check that `model` is one of Keras 3: the fit of Keras 2 fails on its callbacks."""
        check_keras_model(model)
        super().set_model(model)

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Take the present support and hook into the train step, once the model is built."""
        check_fit(self.model, type(self).__name__)
        if is_built(self.model):
            self._start()
        else:
            UntilBuilt(self.model, self._start)

    def _start(self) -> None:
        model = self.model
        layers = with_present_palettes(select_layers(model, self._selection))
        if not model.optimizer.built:
            model.optimizer.build(model.trainable_variables)
        rounded = [x for x in layers if x.palette or (self.values is not None and x.trainable)]
        self._grid = WeightGrid(rounded, model.distribute_strategy) if rounded else None
        if self._grid is not None:
            self._grid.activate()
        selected = [x for x in layers if x.selected]
        self._step = ProximalStep(
            model, selected, penalty="l0", preconditioned=False, grid=self._grid
        )
        self._step.freeze_support()
        self._hook = TrainStepHook(model, self._step.wrap)

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Let the validation inside fit see the sparse model."""
        self._project()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Publish `zeros`."""
        self._project()
        if logs is not None:
            zeros = self._step.zeros()
            logs["zeros"] = sum(zeros.values()) / sum(x.size for x in zeros)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Remove the hook from the model."""
        # Other writers since the last step, such as the optimizer's averages, ignore the support.
        if self._grid is not None:
            self._grid.forget()
        self._project()
        if self._hook is not None:
            self._hook.remove()
            self._hook = None

    def _project(self) -> None:
        # Without an active hook this is an evaluation outside of fit.
        if self._hook is not None and self._hook.active:
            self._step.project()
