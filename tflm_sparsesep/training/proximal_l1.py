"""`ProximalL1`: train sparse weights with an unchanged `model.fit`.

This module imports Keras (8 s with TensorFlow); `import tflm_sparsesep` does not.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
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
    check_penalty,
    check_values,
)
from tflm_sparsesep.training.device_layer import DeviceLayer
from tflm_sparsesep.training.distillation import Distillation
from tflm_sparsesep.training.keras_model import check_keras_model
from tflm_sparsesep.training.layer_selection import Layers, Selection
from tflm_sparsesep.training.other_layers import fixed_instructions
from tflm_sparsesep.training.packed_estimate import model_cost
from tflm_sparsesep.training.patterns import AUTO, PATTERNS, check_pattern
from tflm_sparsesep.training.phases import Phases
from tflm_sparsesep.training.preconditioner import innermost
from tflm_sparsesep.training.removed_channels import readers
from tflm_sparsesep.training.sparsity_controller import Snapshot, SparsityController
from tflm_sparsesep.training.train_step import ProximalStep
from tflm_sparsesep.training.train_step_hook import (
    TrainStep,
    TrainStepHook,
    UntilBuilt,
    check_fit,
    warn_of_savers_before,
)
from tflm_sparsesep.training.trained_layer import TrainedLayer, is_built, select_layers
from tflm_sparsesep.training.weight_grid import WeightGrid, with_palettes

# The fraction of zeros that pattern="auto" assumes if the goal does not say.
_TYPICAL_ZEROS = 0.9


class ProximalL1(keras.callbacks.Callback):  # type: ignore[misc]
    """Sparsify the kernels of Dense, Conv1D and Conv2D layers during `model.fit`.

    `fit` has three phases: warm-up (plain training), sparsifying, and debias, in which zero weights
    stay 0 and the others are trained without penalty.

    With `strength`, each optimizer step is followed by the proximal step of strength * |w|, as in
    Lee and Lee (Compressed Learning of Deep Neural Networks for OpenCL-Capable Embedded Systems,
    Applied Sciences 2019, arXiv:1905.07931):

        w <- sign(w) * max(|w| - threshold, 0),    threshold = learning_rate * strength / D

    w is a kernel [..., inputs, outputs] after the optimizer's full step. D has the same shape; it
    is the optimizer's second moment, sqrt(v_hat) + epsilon (ProxGen, NeurIPS 2021), or 1 with
    `preconditioned=False`, the form of the paper. The resulting fraction of zeros depends on data,
    learning rate and epochs: LeNet-300-100 on Fashion-MNIST, 20 epochs of Adam from 3e-3, reaches
    93% with 3e-4, or 88% with 0.15 and `preconditioned=False`.

    With a goal (`zeros`, `flash_bytes`, `instructions`), every 32nd step is followed by a proximal
    step whose strength follows from the goal: it leaves as many zeros as are due, a fraction that
    rises over the sparsifying phase. Weights can grow back in between. By default the penalty is
    then on the number of nonzeros, which keeps more accuracy than L1, which shrinks all weights.
    Bytes and instructions are turned into fractions of zeros by quantizing the present weights and
    asking the cost model, at the beginning of each epoch and in the debias phase. Weights are
    ranked across layers by score against cost on the device (`packed_estimate.price`), and layers
    that zeros would not make smaller and faster keep their weights. If the estimate exceeds the
    budget in the debias phase, more weights become 0.

    With `values`, the last epochs round weights after each step to the values that the device will
    store, so that metrics are those of the converted weights. Gradients are taken at the rounded
    weights, and the rounding error is added to the next step (straight-through). Rounding is the
    converter's, int8 with one scale per output, and covers all trainable Dense and convolutional
    kernels, dense ones included. Zeros stay, and the smallest weights may round to 0. Activations
    are rounded by the conversion alone.

    Weights change in the compiled train step and, with a goal, also before each validation and at
    the end of each epoch, so that metrics, checkpoints and early stopping see the sparse model.
    Biases, normalization and other layers never change. The model, its optimizer and the files that
    `save` writes are those of a plain `fit`.

    At the end of each epoch, History and the callbacks after this one see `logs["zeros"]`, the
    fraction of zeros over all sparsified kernels, `logs["zeros/<layer>"]` of each, and
    `logs["estimated_bytes"]` of the packed model. Callbacks that restore weights
    (`EarlyStopping(restore_best_weights=True)`) should start with the debias phase
    (`start_from_epoch`), because earlier epochs are less sparse.

    Args:
        strength: weight of the penalty, >= 0. Give exactly one of the first four arguments, or
            `flash_bytes` and `instructions` together.
        zeros: fraction of zeros to reach over all sparsified kernels, in (0, 1).
        flash_bytes: budget in bytes for weights, biases and requantization of all Dense and
            convolutional layers, as int8 and packed by `convert`. The result is within 3% below it,
            or further if the best layout changes at exactly that sparsity and no other layer can
            compensate.
        instructions: budget for the instructions of one inference, as `convert` estimates them for
            the model. The result is within 5% below it, likewise, or further where `convert` finds
            channels that it can remove.
        target: the core to estimate for, a name of `converters.targets.TARGETS`.
        prefer: the preference among layouts; give `convert` the same.
        pattern: the weights that are kept or pruned together: "1x1", "1x4", "4x1", "2x4", "4x4",
            "1x16" (outputs x inputs), "row" (all of one output), "column" (all of one input), or
            "auto", the cheapest of "1x1", "1x4" and "4x1" on the target for each layer.
        penalty: "l0", "l1/2", "l2/3" or "l1"; by default "l1" with a strength, "l0" with a goal.
        preconditioned: use the second moment of Adam, AdamW, Nadam or RMSprop. Other optimizers
            require False.
        layers: names of the layers to sparsify; None takes all Dense, Conv1D and Conv2D. Or a
            mapping from names to goals (a strength if the common goal is one, else a fraction of
            zeros; True for the common goal; None to stay dense). A name may be a regular
            expression. Depthwise convolutions take part only if they are named.
        exclude: names or regular expressions of layers that stay dense.
        warmup_epochs: epochs of plain training first; None takes a tenth of all epochs.
        debias_epochs: epochs on the fixed support last; None takes three tenths of all epochs.
        values: the values that weights are rounded to in the last epochs. "int8"; "palette", which
            is int8 with at most 16 values for each layer with a sparse kernel and the pattern
            "1x1", "row" or "column", for the palette layouts; or None for no rounding.
        value_epochs: the number of those epochs; None takes the whole debias phase, the maximum.
        teacher: a Keras model with the same outputs, for instance the dense one, whose outputs are
            further targets; or the model itself, which then learns from what it was when `fit`
            began. With a teacher, `fit` needs no labels.

    Raises:
        ConfigError: in the constructor, an argument is not accepted; when `fit` begins, before the
            first step, an argument does not suit the model, its optimizer or the number of epochs.

    Example:
        >>> model.compile("adam", "sparse_categorical_crossentropy")  # doctest: +SKIP
        >>> model.fit(x, y, epochs=20, callbacks=[ts.ProximalL1(zeros=0.92)])  # doctest: +SKIP
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
        teacher: Any = None,
    ) -> None:
        super().__init__()
        self.goal = Goal.of(
            strength=strength, zeros=zeros, flash_bytes=flash_bytes, instructions=instructions
        )
        self.pattern = check_pattern(pattern, (*PATTERNS, AUTO))
        self.penalty = check_penalty(penalty) or ("l1" if self.goal.kind == "strength" else "l0")
        self.preconditioned = preconditioned
        self.target = get_target(target).name
        self.prefer = check_preference(prefer)
        self._selection = Selection.of(layers, exclude, *accepted_goals(self.goal.kind))
        self.warmup_epochs = check_epochs("warmup_epochs", warmup_epochs)
        self.debias_epochs = check_epochs("debias_epochs", debias_epochs)
        self.value_epochs = check_epochs("value_epochs", value_epochs)
        self.values = check_values(values, self.value_epochs)
        self.teacher = teacher
        self._hook: TrainStepHook | None = None

    def set_model(self, model: Any) -> None:
        """Check that `model` is one of Keras 3: the fit of Keras 2 fails on its callbacks."""
        check_keras_model(model)
        super().set_model(model)

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Check the arguments against model and fit, and hook into the train step.

        A model that is not built waits for the first batch.
        """
        check_fit(self.model, type(self).__name__)
        warn_of_savers_before(self)
        self._waiting = not is_built(self.model)
        if self._waiting:
            UntilBuilt(self.model, self._start_late)
        else:
            self._start()

    def _start_late(self) -> None:
        self._waiting = False
        self._start()
        self.on_epoch_begin(self._epoch)

    def _start(self) -> None:
        model = self.model
        self._phases = Phases.of(
            int((self.params or {}).get("epochs") or 1),
            warmup_epochs=self.warmup_epochs,
            debias_epochs=self.debias_epochs,
            values=self.values,
            value_epochs=self.value_epochs,
        )
        if innermost(model.optimizer).use_ema and self._phases.debias == self._phases.epochs:
            raise ConfigError(
                "the optimizer has use_ema=True, whose averages at the end of fit are not sparse; "
                "accepted: debias_epochs of at least 1, or use_ema=False"
            )
        layers = select_layers(model, self._selection, self._pattern_of)
        self._layers = with_palettes(layers) if self.values == "palette" else layers
        self._readers = readers(model, self._layers)
        self._controller = None
        if self.goal.kind == "budgets":
            self._controller = SparsityController(
                self.goal.budgets,
                self._layers,
                self.target,
                self.prefer,
                self.penalty,
                self._readers,
                fixed_instructions(model, self.target),
            )
        if not model.optimizer.built:
            model.optimizer.build(model.trainable_variables)
        self._grid = None
        if self.values is not None:
            rounded = [x for x in self._layers if x.trainable]
            self._grid = WeightGrid(rounded, model.distribute_strategy)
        self._step = ProximalStep(
            model,
            [x for x in self._layers if x.selected],
            penalty=self.penalty,
            preconditioned=self.preconditioned,
            watched=[x for x in self._layers if x.packable] if self._controller else (),
            grid=self._grid,
            apart=self._controller is not None,
        )
        self._hook = TrainStepHook(model, self._wrapper())
        self._last_epoch_updates = 1
        self._debiasing = self._rounding = False
        self._fitted_at = -1

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Set what the train step does in this epoch."""
        self._epoch = epoch
        if self._waiting:
            return
        self._updates_before_epoch = self._step.updates()
        self._step.restart_measurement()
        if epoch >= self._phases.debias:
            if not self._debiasing:
                self._begin_debias(epoch)
            if self._grid is not None and epoch >= self._phases.rounding and not self._rounding:
                self._grid.activate()
                self._step.project()
                self._rounding = True
        elif epoch >= self._phases.sparsify:
            if self.goal.kind == "strength":
                self._step.set_strength(self.goal.value)
            else:
                self._ramp(epoch)

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Let the validation inside fit see the sparse model."""
        self._project()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Publish `zeros`, `zeros/<layer>` and `estimated_bytes`."""
        self._project()
        self._last_epoch_updates = self._step.updates() - self._updates_before_epoch
        if logs is not None:
            zeros = self._step.zeros()
            logs["zeros"] = sum(zeros.values()) / sum(layer.size for layer in zeros)
            for layer, count in zeros.items():
                logs[f"zeros/{layer.name}"] = count / layer.size
            logs["estimated_bytes"] = self._estimated_bytes()

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Remove the hook from the model; warn if its weights are not those of the last epoch."""
        # Other writers since the last step (averages of the optimizer, restored weights) ignore
        # the support.
        self._fitted_at = -1
        if self._grid is not None:
            self._grid.forget()
        self._project()
        if self._hook is not None:
            self._warn_of_early_end()
            self._hook.remove()
            self._hook = None

    def _warn_of_early_end(self) -> None:
        """Warn if the fit ended before the last phase: the model is dense, or nearly so."""
        if self._debiasing or self._epoch + 1 >= self._phases.epochs:
            return
        zeros = self._step.zeros()
        share = sum(zeros.values()) / sum(layer.size for layer in zeros)
        warnings.warn(
            f"fit ended after epoch {self._epoch + 1} of {self._phases.epochs}, before the debias "
            f"phase: {share:.1%} of the weights are zero. Weights are sparse from epoch "
            f"{self._phases.debias + 1} on: give EarlyStopping "
            f"start_from_epoch={self._phases.debias}, and restore no earlier weights",
            stacklevel=2,
        )

    def _wrapper(self) -> Callable[[TrainStep], TrainStep]:
        """Return what is put around the train step: the proximal step, after the teacher's loss."""
        step = self._step
        if self.teacher is None:
            return step.wrap
        taught = Distillation(self.model, self.teacher)
        return lambda train_step: step.wrap(taught.wrap(train_step))

    def _project(self) -> None:
        # Without an active hook this is an evaluation outside of fit.
        if self._hook is None or not self._hook.active:
            return
        # L1 needs no projection before the debias phase: every step leaves zeros.
        if self.goal.kind != "strength" or self._debiasing:
            self._step.project()
        if self._debiasing or self._epoch + 1 == self._phases.epochs:
            self._fit_budget()

    def _fit_budget(self) -> None:
        """Prune weights for good until the estimate is within the budget, if there is one."""
        if self._controller is not None and self._fitted_at != self._step.updates():
            self._step.freeze_support(self._controller.supports(self._snapshot()))
            self._fitted_at = self._step.updates()

    def _pattern_of(self, layer: DeviceLayer, goal: float | None) -> str:
        if self.pattern != AUTO:
            return self.pattern
        if not layer.has_kernel:
            return "1x1"
        zeros = _TYPICAL_ZEROS
        if self.goal.kind != "strength" and goal is not None:
            zeros = goal
        elif self.goal.kind == "zeros":
            zeros = self.goal.value
        return choose_pattern(layer, zeros, self.target)

    def _ramp(self, epoch: int) -> None:
        """Raise the zeros due over this epoch, linearly along the cubic ramp."""
        progress = self._phases.progress(epoch)
        begin, end = proximal.ramp(progress), proximal.ramp(self._phases.progress(epoch + 1))
        zeros: float | Mapping[TrainedLayer, float] = self.goal.value
        if self._controller is not None:
            zeros = self._controller.zeros(self._snapshot(), progress=progress)
        self._step.set_zeros(zeros, begin=begin, end=end, updates=self._updates_per_epoch())

    def _snapshot(self) -> Snapshot:
        return Snapshot(
            weights={x: x.weights() for x in self._step.layers},
            scores=self._step.scores(),
            input_zeros=self._step.input_zeros(),
        )

    def _estimated_bytes(self) -> int:
        kernels = {x: x.weights() for x in self._layers if x.packable}
        zeros = self._step.input_zeros()
        return model_cost(
            self._layers,
            kernels,
            self.target,
            prefer=self.prefer,
            input_zeros=zeros,
            readers=self._readers,
        ).bytes

    def _updates_per_epoch(self) -> int:
        """Return the optimizer's steps per epoch; 1 in the first epoch of data of unknown size."""
        steps = (self.params or {}).get("steps")
        if steps is None:
            return self._last_epoch_updates
        return int(steps) // (innermost(self.model.optimizer).gradient_accumulation_steps or 1)

    def _begin_debias(self, epoch: int) -> None:
        if self.goal.kind == "zeros":
            # Only a resumed fit is not there yet.
            self._step.set_zeros(self.goal.value)
            self._step.project()
        self._step.freeze_support()
        # Activations, and with them the best layouts, settle on the fixed support: the budget is
        # met at the end of the first epoch if weights can be trained after it.
        if epoch + 1 == self._phases.epochs:
            self._fit_budget()
        self._debiasing = True


Sparsify = ProximalL1  # the same for any goal and penalty
