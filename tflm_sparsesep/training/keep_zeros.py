"""`KeepZeros`: a model that is sparse already is trained on, and stays so.

This module imports Keras (8 s with TensorFlow); `import tflm_sparsesep` does not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from tflm_sparsesep.converters.errors import ConfigError
from tflm_sparsesep.training.layer_selection import Layers, Selection
from tflm_sparsesep.training.sparsifiable import check_fit, find_kernels
from tflm_sparsesep.training.train_step import ProximalStep, TrainStepHook
from tflm_sparsesep.training.weight_grid import WeightGrid, grid_kernels, kernels_of_few_values

_VALUES = ("int8",)


class KeepZeros(keras.callbacks.Callback):  # type: ignore[misc]
    """Weights that are 0 when `fit` begins stay exactly 0; all others are trained as ever.

    It is the debias phase of `ProximalL1`, for the kernels of Dense, Conv1D and Conv2D layers: for
    models whose zeros come from elsewhere, such as `CompressResult.to_keras`. Every step of the
    optimizer is followed by a projection on the support, within the compiled train step, so that
    averages and momentum of the optimizer do not bring weights back.

    A layer whose int8 weights take no more than 8 magnitudes, as `compress` makes some, keeps to 8:
    each step rounds to the palette that it had (`weight_grid.WeightGrid`), so that the packer can
    store it in 4 bits a weight again.

    At each epoch's end it publishes `logs["zeros"]`, the fraction of zeros over these kernels.

    Args:
        layers, exclude: which layers, as for `ProximalL1`; by default all of them.
        values: "int8" also rounds all other weights after each step to what the converted file will
            hold, as `ProximalL1(values="int8")` does in its last epochs; None does not.

    Raises:
        ConfigError: when made, for a value that is not accepted; when `fit` begins, before the
            first step, for a model that is not compiled, or has no such layer.

    Example:
        >>> small = ts.compress(model, ...).to_keras(model)  # doctest: +SKIP
        >>> small.compile("adam", "sparse_categorical_crossentropy")  # doctest: +SKIP
        >>> small.fit(x, y, epochs=3, callbacks=[KeepZeros()])  # doctest: +SKIP
    """

    def __init__(
        self, *, layers: Layers = None, exclude: Sequence[str] = (), values: str | None = None
    ) -> None:
        super().__init__()
        if values is not None and values not in _VALUES:
            raise ConfigError(f"values={values!r}; accepted: {', '.join(_VALUES)}, or None")
        # Goals are of no use here: what is not 0 stays.
        self._selection = Selection.of(layers, exclude, lambda _: False, "of layers, without goals")
        self.values = values
        self._hook: TrainStepHook | None = None

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Takes the support as it is now and hooks into the train step."""
        model = self.model
        check_fit(model, type(self).__name__)
        kernels = find_kernels(model, self._selection)
        if not model.optimizer.built:
            model.optimizer.build(model.trainable_variables)
        grid = None
        palettes = kernels_of_few_values(kernels)
        if self.values is not None or palettes:
            on_grid = grid_kernels(model, palettes)
            if self.values is None:
                on_grid = [k for k in on_grid if k.palette]
            grid = WeightGrid(on_grid, model.distribute_strategy)
            grid.activate()
        self._grid = grid
        self._step = ProximalStep(model, kernels, penalty="l0", preconditioned=False, grid=grid)
        self._step.freeze_support()
        self._hook = TrainStepHook(model, self._step.wrap)

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Makes the validation inside fit see the sparse model."""
        self._project()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Publishes `zeros`."""
        self._project()
        if logs is not None:
            logs["zeros"] = sum(self._step.zeros()) / sum(self._step.sizes())

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Takes the hook out of the model."""
        # Whoever wrote weights since the last step, such as averages of the optimizer.
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
