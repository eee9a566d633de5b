"""`ProximalL1`: sparse weights out of an unchanged `model.fit`.

This module imports Keras (8 s with TensorFlow); `import tflm_sparsesep` does not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from tflm_sparsesep.converters.cost.choose_layout import Prefer, check_preference
from tflm_sparsesep.converters.errors import ConfigError
from tflm_sparsesep.converters.targets import get_target
from tflm_sparsesep.training import proximal
from tflm_sparsesep.training.auto_pattern import choose_pattern
from tflm_sparsesep.training.callback_arguments import (
    Goal,
    accepted_goals,
    check_epochs,
    check_values,
)
from tflm_sparsesep.training.device_layer import DeviceLayer
from tflm_sparsesep.training.layer_selection import Layers, Selection
from tflm_sparsesep.training.packed_estimate import PackedEstimate, as_matrix
from tflm_sparsesep.training.patterns import AUTO, PATTERNS, check_pattern
from tflm_sparsesep.training.sparsifiable import (
    SparseKernel,
    check_fit,
    find_kernels,
    innermost,
    kernels_of,
)
from tflm_sparsesep.training.sparsity_controller import SparsityController
from tflm_sparsesep.training.train_step import ProximalStep, TrainStepHook
from tflm_sparsesep.training.weight_grid import WeightGrid, grid_kernels, palette_kernels

# Shares of the epochs for the first and the last phase where the user gives none: 2 and 6 of 20.
_WARMUP_SHARE = 0.1
_DEBIAS_SHARE = 0.3
# What pattern="auto" assumes where no fraction of zeros is asked for.
_TYPICAL_ZEROS = 0.9


class ProximalL1(keras.callbacks.Callback):  # type: ignore[misc]
    """Makes the kernels of Dense, Conv1D and Conv2D layers sparse while they are trained.

    `fit` has three phases: warm-up (plain training), sparsifying, and debias, in which the
    weights that are 0 stay 0 and the others go on training without penalty.

    With `strength`, every step is followed by the proximal step of the penalty strength * |w|,
    as in Lee and Lee (2019): w <- sign(w) * max(|w| - threshold, 0) after the optimizer's full
    step, threshold = learning_rate * strength / D. D is the optimizer's second moment,
    sqrt(v_hat) + epsilon (ProxGen), or 1 with `preconditioned=False`, which is the paper's form.
    The zeros that come out depend on data, rate and epochs: LeNet-300-100 on Fashion-MNIST, 20
    epochs of Adam from 3e-3, gets 93% with 3e-4, or 88% with 0.15 and `preconditioned=False`.

    With a goal (`zeros`, `flash_bytes`, `instructions`), every 32 steps are followed by a proximal
    step whose strength is found from the goal: the one that leaves as many zeros as are due, a
    share that rises over the sparsifying phase. In between weights can grow back. The penalty is
    then on the number of nonzeros unless told otherwise, which keeps more accuracy than L1, which
    shrinks all weights. Bytes and instructions become a fraction of zeros by packing the actual
    weights and asking the cost model, when an epoch begins and in the debias phase. Should the
    estimate leave the budget in the debias phase, more weights become 0.

    With `values`, weights are rounded to what the device will store, after each step of the last
    epochs, so that metrics are those of the weights after conversion: gradients are taken at the
    rounded weights, and what rounding takes off is added to the next step (straight-through).
    Rounding is as the converter's, int8 with one scale for each output, and covers all trainable
    Dense and convolutional kernels, dense ones too. Zeros stay, and the smallest weights may be
    rounded to 0. Activations are still rounded by the conversion alone.

    When weights change: in the compiled train step, and, with a goal, also before each
    validation and at each epoch's end, so that metrics, checkpoints and early stopping see the
    sparse model. Biases, normalisations and other layers are never touched. The model, its
    optimizer and what `save` writes are those of a plain `fit`.

    What other callbacks see, at each epoch's end (in History, and in callbacks that come after
    this one): `logs["zeros"]`, the fraction of zeros over all kernels made sparse,
    `logs["zeros/<layer>"]` of each, and `logs["estimated_bytes"]` of the packed model. Callbacks
    that restore weights (`EarlyStopping(restore_best_weights=True)`) should start with the debias
    phase (`start_from_epoch`): an earlier epoch is less sparse.

    Args:
        strength: weight of the penalty, >= 0. Give exactly one of the first four.
        zeros: the fraction of zeros to reach over all kernels made sparse, in (0, 1).
        flash_bytes: the bytes that weights, biases and requantisation of all Dense and
            convolutional layers may take, as int8 and packed by `convert`. Lands within 3%
            below, or further where the best layout changes at just that point and no other layer
            can make up for it.
        instructions: those that `convert` may estimate for one inference of the layers that have
            sparse kernels: Dense, 1x1 convolutions, and those along one axis without padding.
            Lands within 5% below, likewise.
        target: the core that estimates are for, a name of `converters.targets.TARGETS`.
        prefer: what estimates choose layouts by; the same as will be given to `convert`.
        pattern: which weights are kept or dropped together: "1x1", "1x4", "4x1", "2x4", "4x4",
            "1x16" (outputs x inputs), "row" (all of one output), "column" (all of one input), or
            "auto", the cheapest of "1x1", "1x4" and "4x1" on the target for each layer.
        penalty: "l0", "l1/2", "l2/3" or "l1"; by default "l1" for a strength, "l0" for a goal.
        preconditioned: use the second moment of Adam, AdamW, Nadam or RMSprop. Other optimizers
            need False.
        layers: names of the layers to make sparse; None takes all Dense, Conv1D and Conv2D. Or a
            mapping from names to goals of their own (a strength where that of all is one, else a
            fraction of zeros; True for the goal of all; None to stay dense). Each name may be a
            regular expression. Depthwise convolutions take part only where they are named.
        exclude: names of layers to leave dense, or regular expressions.
        warmup_epochs: epochs of plain training first; None takes a tenth of all epochs.
        debias_epochs: epochs on the fixed support last; None takes three tenths of all epochs.
        values: what weights are rounded to in the last epochs. "int8"; "palette", which is int8 of
            which each layer with a sparse kernel whose pattern is "1x1", "row" or
            "column" takes 16 values, so that the palette layout can store it; or None, not at all.
        value_epochs: how many those last epochs are; None takes the whole debias phase, which is
            the most.

    Raises:
        ConfigError: when made, for a value that is not accepted; when `fit` begins, before the
            first step, for what does not suit the model, its optimizer or the number of epochs.

    Example:
        >>> model.compile("adam", "sparse_categorical_crossentropy")  # doctest: +SKIP
        >>> model.fit(x, y, epochs=20, callbacks=[ProximalL1(zeros=0.92)])  # doctest: +SKIP
    """

    def __init__(
        self,
        strength: float | None = None,
        *,
        zeros: float | None = None,
        flash_bytes: int | None = None,
        instructions: int | None = None,
        target: str = "cortex-m4",
        prefer: Prefer | None = None,
        pattern: str = "1x1",
        penalty: str | None = None,
        preconditioned: bool = True,
        layers: Layers = None,
        exclude: Sequence[str] = (),
        warmup_epochs: int | None = None,
        debias_epochs: int | None = None,
        values: str | None = None,
        value_epochs: int | None = None,
    ) -> None:
        super().__init__()
        self.goal = Goal.of(
            strength=strength, zeros=zeros, flash_bytes=flash_bytes, instructions=instructions
        )
        self.pattern = check_pattern(pattern, (*PATTERNS, AUTO))
        self.penalty = _check_penalty(penalty) or ("l1" if self.goal.kind == "strength" else "l0")
        self.preconditioned = preconditioned
        self.target = get_target(target).name
        self.prefer = check_preference(prefer)
        self._selection = Selection.of(layers, exclude, *accepted_goals(self.goal.kind))
        self.warmup_epochs = check_epochs("warmup_epochs", warmup_epochs)
        self.debias_epochs = check_epochs("debias_epochs", debias_epochs)
        self.value_epochs = check_epochs("value_epochs", value_epochs)
        self.values = check_values(values, self.value_epochs)
        self._hook: TrainStepHook | None = None

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Checks the settings against model and fit, and hooks into the train step."""
        model = self.model
        check_fit(model, type(self).__name__)
        self._plan(int((self.params or {}).get("epochs") or 1))
        optimizer = innermost(model.optimizer)
        if optimizer.use_ema and self._debias_start == self._epochs:
            raise ConfigError(
                "the optimizer has use_ema=True, whose averages at the end of fit are not sparse; "
                "accepted: debias_epochs of at least 1, or use_ema=False"
            )
        kernels = find_kernels(model, self._selection, self._pattern_of)
        self._layers = [layer for layer, _ in kernels_of(model, kernels)]
        palettes = palette_kernels(kernels) if self.values == "palette" else []
        self._estimate = PackedEstimate(self.target, [k.name for k in palettes], prefer=self.prefer)
        self._controller = self._make_controller(kernels)
        if not model.optimizer.built:
            model.optimizer.build(model.trainable_variables)
        packable = {layer.name for layer in self._layers if layer.has_kernel}
        self._grid = None
        if self.values is not None:
            self._grid = WeightGrid(grid_kernels(model, palettes), model.distribute_strategy)
        self._step = ProximalStep(
            model,
            kernels,
            penalty=self.penalty,
            preconditioned=self.preconditioned,
            watched=[k.layer for k in kernels if k.name in packable] if self._controller else (),
            grid=self._grid,
        )
        self._hook = TrainStepHook(model, self._step.wrap)
        self._last_epoch_updates = 1
        self._debiasing = self._rounding = False
        self._landed_at = -1

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Sets what the train step does in this epoch."""
        self._epoch = epoch
        self._updates_before_epoch = self._step.updates()
        self._step.measure_anew()
        if epoch >= self._debias_start:
            if not self._debiasing:
                self._begin_debias(epoch)
            if self._grid is not None and epoch >= self._value_start and not self._rounding:
                self._grid.activate()
                self._step.project()
                self._rounding = True
        elif epoch >= self._warmup_end:
            if self.goal.kind == "strength":
                self._step.set_strength(self.goal.value)
            else:
                self._ramp(epoch)

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Makes the validation inside fit see the sparse model."""
        self._project()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Publishes `zeros`, `zeros/<layer>` and `estimated_bytes`."""
        self._project()
        self._last_epoch_updates = self._step.updates() - self._updates_before_epoch
        if logs is not None:
            zeros, sizes = self._step.zeros(), self._step.sizes()
            logs["zeros"] = sum(zeros) / sum(sizes)
            for k, count, size in zip(self._step.kernels, zeros, sizes, strict=True):
                logs[f"zeros/{k.name}"] = count / size
            logs["estimated_bytes"] = self._estimated_bytes()

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Takes the hook out of the model."""
        # Whoever wrote weights since the last step (averages of the optimizer, restored weights)
        # did not know the support.
        self._landed_at = -1
        if self._grid is not None:
            self._grid.forget()
        self._project()
        if self._hook is not None:
            self._hook.remove()
            self._hook = None

    def _project(self) -> None:
        # Without an active hook this is an evaluation outside of fit.
        if self._hook is None or not self._hook.active:
            return
        # L1 needs no projection before the debias phase: every step leaves zeros.
        if self.goal.kind != "strength" or self._debiasing:
            self._step.project()
        if self.goal.is_budget and (self._debiasing or self._epoch + 1 == self._epochs):
            self._land()

    def _land(self) -> None:
        """Sets weights to 0, for good, until the estimate is in the budget."""
        if self._controller is not None and self._landed_at != self._step.updates():
            self._step.freeze_support(self._controller.supports(*self._measurements()))
            self._landed_at = self._step.updates()

    def _pattern_of(self, layer: Any, goal: float | None) -> str:
        if self.pattern != AUTO:
            return self.pattern
        device_layer = DeviceLayer.of(layer)
        if not device_layer.has_kernel or device_layer.taps > 1:
            return "1x1"
        zeros = _TYPICAL_ZEROS
        if self.goal.kind != "strength" and goal is not None:
            zeros = goal
        elif self.goal.kind == "zeros":
            zeros = self.goal.value
        return choose_pattern(device_layer.rows, device_layer.cols, zeros, self.target)

    def _ramp(self, epoch: int) -> None:
        """Raises the share of zeros over this epoch, linearly along the cubic ramp."""
        length = self._debias_start - self._warmup_end
        begin, end = (proximal.ramp((e - self._warmup_end) / length) for e in (epoch, epoch + 1))
        zeros = self._zeros_wanted((epoch - self._warmup_end) / length)
        self._step.set_zeros(zeros, begin=begin, end=end, updates=self._updates_per_epoch())

    def _zeros_wanted(self, progress: float) -> float:
        """The fraction of zeros to end with, as far as is known now."""
        if self._controller is None:
            return self.goal.value
        return self._controller.zeros(*self._measurements(), progress=progress)

    def _measurements(self) -> tuple[dict[str, Any], dict[str, Any], dict[str, float]]:
        """Kernels, their scores, and the shares of zero inputs, by the names of layers."""
        names = [k.name for k in self._step.kernels]
        weights = [keras.ops.convert_to_numpy(k.kernel) for k in self._step.kernels]
        return (
            dict(zip(names, weights, strict=True)),
            dict(zip(names, self._step.scores(), strict=True)),
            self._step.input_zeros(),
        )

    def _make_controller(self, kernels: Sequence[SparseKernel]) -> SparsityController | None:
        if not self.goal.is_budget:
            return None
        return SparsityController(
            self.goal.kind,
            int(self.goal.value),
            self._estimate,
            self._layers,
            {k.name: k.blocks for k in kernels},
            {k.name: k.goal for k in kernels if k.goal is not None},
        )

    def _estimated_bytes(self) -> int:
        packable = {layer.name for layer in self._layers if layer.has_kernel}
        matrices = {
            k.name: as_matrix(keras.ops.convert_to_numpy(k.kernel))
            for k in self._step.kernels
            if k.name in packable
        }
        return self._estimate.total(
            self._layers, matrices, input_zeros=self._step.input_zeros()
        ).bytes

    def _updates_per_epoch(self) -> int:
        """Steps of the optimizer in an epoch; 1 in the first epoch of data of unknown length."""
        steps = (self.params or {}).get("steps")
        if steps is None:
            return self._last_epoch_updates
        return int(steps) // (innermost(self.model.optimizer).gradient_accumulation_steps or 1)

    def _begin_debias(self, epoch: int) -> None:
        if self.goal.is_budget:
            # Activations, and with them the best layouts, settle on the fixed support: the landing
            # is at the end of the first epoch if weights can be trained after it.
            self._step.freeze_support()
            if epoch + 1 == self._epochs:
                self._land()
        else:
            if self.goal.kind == "zeros":
                # Only a resumed fit is not there yet.
                self._step.set_zeros(self.goal.value)
                self._step.project()
            self._step.freeze_support()
        self._debiasing = True

    def _plan(self, epochs: int) -> None:
        """Lays the phases out: warm-up in [0, warmup_end), debias in [debias_start, epochs)."""
        warmup = self.warmup_epochs
        if warmup is None:
            warmup = int(_WARMUP_SHARE * epochs)
        debias = self.debias_epochs
        if debias is None:
            debias = max(0, min(round(_DEBIAS_SHARE * epochs), epochs - warmup - 1))
        if warmup + debias >= epochs:
            raise ConfigError(
                f"warmup_epochs={warmup} and debias_epochs={debias} leave none of fit's {epochs} "
                "epoch(s) to make weights sparse; accepted: together fewer than all epochs"
            )
        self._warmup_end, self._debias_start, self._epochs = warmup, epochs - debias, epochs
        if self.values is None:
            return
        rounding = self.value_epochs or max(debias, 1)
        if rounding > debias:
            raise ConfigError(
                f"values={self.values!r} takes {rounding} of fit's {epochs} epoch(s), "
                f"debias_epochs is {debias}; accepted: at most the epochs of the debias phase"
            )
        self._value_start = epochs - rounding


# The same under a name that says what it does for whatever goal and penalty.
Sparsify = ProximalL1


def _check_penalty(penalty: str | None) -> str | None:
    if penalty is not None and penalty not in proximal.PENALTIES:
        raise ConfigError(f"penalty={penalty!r}; accepted: {', '.join(proximal.PENALTIES)}")
    return penalty
