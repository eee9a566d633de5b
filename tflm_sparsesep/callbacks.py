"""`ProximalL1`: sparse weights out of an unchanged `model.fit`.

This module imports Keras (8 s with TensorFlow); `import tflm_sparsesep` does not.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from numbers import Integral, Real
from typing import Any

from tflm_sparsesep.converters.errors import ConfigError, ToolMissingError

try:
    import keras
except ImportError as error:
    raise ToolMissingError(
        f"ProximalL1 needs Keras 3 and TensorFlow ({error}): pip install 'tflm-sparsesep[keras]'"
    ) from error

from tflm_sparsesep import proximal
from tflm_sparsesep.sparsifiable import find_kernels, innermost
from tflm_sparsesep.train_step import ProximalStep, TrainStepHook

# Shares of the epochs for the first and the last phase where the user gives none: 2 and 6 of 20.
_WARMUP_SHARE = 0.1
_DEBIAS_SHARE = 0.3


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

    With `zeros`, the penalty is on the number of nonzeros, and its level follows from the goal:
    every 32 steps the weights with the lowest |w| * sqrt(D), all layers ranked together, are set
    to 0, a share that rises over the sparsifying phase up to the goal. In between they can grow
    back. This lands on the goal and keeps more accuracy than L1, which shrinks all weights.

    When weights change: in the compiled train step, and, with `zeros`, also before each
    validation and at each epoch's end, so that metrics, checkpoints and early stopping see the
    sparse model. Biases, normalisations and other layers are never touched. The model, its
    optimizer and what `save` writes are those of a plain `fit`.

    What other callbacks see: `logs["zeros"]`, the fraction of zeros over all kernels made sparse,
    at each epoch's end (in History, and for callbacks that come after this one). Callbacks that
    restore weights (`EarlyStopping(restore_best_weights=True)`) should start with the debias
    phase (`start_from_epoch`): an earlier epoch is less sparse.

    Args:
        strength: weight of the L1 penalty, >= 0. Give either this or `zeros`.
        zeros: the fraction of zeros to reach over all kernels made sparse, in (0, 1).
        preconditioned: use the second moment of Adam, AdamW, Nadam or RMSprop. Other optimizers
            need False.
        layers: names of the layers to make sparse; None takes all Dense, Conv1D and Conv2D.
        exclude: names of layers to leave dense.
        warmup_epochs: epochs of plain training first; None takes a tenth of all epochs.
        debias_epochs: epochs on the fixed support last; None takes three tenths of all epochs.

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
        preconditioned: bool = True,
        layers: Sequence[str] | None = None,
        exclude: Sequence[str] = (),
        warmup_epochs: int | None = None,
        debias_epochs: int | None = None,
    ) -> None:
        super().__init__()
        if (strength is None) == (zeros is None):
            raise ConfigError(
                f"strength={strength!r} and zeros={zeros!r} were given; accepted: exactly one"
            )
        self.strength = _check_number("strength", strength, lambda s: s >= 0, ">= 0")
        self.zeros = _check_number("zeros", zeros, lambda z: 0 < z < 1, "between 0 and 1")
        self.preconditioned = preconditioned
        self.layers = _check_names("layers", layers)
        self.exclude = _check_names("exclude", exclude) or ()
        self.warmup_epochs = _check_epochs("warmup_epochs", warmup_epochs)
        self.debias_epochs = _check_epochs("debias_epochs", debias_epochs)
        self._hook: TrainStepHook | None = None

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Checks the settings against model and fit, and hooks into the train step."""
        model = self.model
        if keras.backend.backend() != "tensorflow":
            raise ConfigError(
                f"Keras runs on {keras.backend.backend()}; ProximalL1 accepts TensorFlow only"
            )
        if not getattr(model, "compiled", False) or model.optimizer is None:
            raise ConfigError(
                f"model {model.name!r} is not compiled with an optimizer: call model.compile first"
            )
        self._plan(int((self.params or {}).get("epochs") or 1))
        optimizer = innermost(model.optimizer)
        if optimizer.use_ema and self._debias_start == self._epochs:
            raise ConfigError(
                "the optimizer has use_ema=True, whose averages at the end of fit are not sparse; "
                "accepted: debias_epochs of at least 1, or use_ema=False"
            )
        kernels = find_kernels(model, self.layers, self.exclude)
        if not model.optimizer.built:
            model.optimizer.build(model.trainable_variables)
        self._step = ProximalStep(model, kernels, preconditioned=self.preconditioned)
        self._hook = TrainStepHook(model, self._step.wrap)
        self._last_epoch_updates = 1
        self._debiasing = False

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Sets what the train step does in this epoch."""
        self._updates_before_epoch = self._step.updates()
        if epoch >= self._debias_start:
            if not self._debiasing:
                self._begin_debias()
        elif epoch >= self._warmup_end:
            if self.strength is not None:
                self._step.set_strength(self.strength)
            else:
                self._ramp(epoch)

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Makes the validation inside fit see the sparse model."""
        self._project()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Publishes `zeros`."""
        self._project()
        self._last_epoch_updates = self._step.updates() - self._updates_before_epoch
        if logs is not None:
            logs["zeros"] = self._step.zeros()

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Takes the hook out of the model."""
        # Whoever wrote weights since the last step (averages of the optimizer, restored weights)
        # did not know the support.
        self._step.project()
        if self._hook is not None:
            self._hook.remove()
            self._hook = None

    def _project(self) -> None:
        # L1 needs no projection: its zeros are in the weights after every step.
        # Without an active hook this is an evaluation outside of fit.
        if self.zeros is not None and self._hook is not None and self._hook.active:
            self._step.project()

    def _ramp(self, epoch: int) -> None:
        """Raises the share of zeros over this epoch, linearly along the cubic ramp."""
        assert self.zeros is not None
        length = self._debias_start - self._warmup_end
        begin, end = (
            self.zeros * proximal.ramp((e - self._warmup_end) / length) for e in (epoch, epoch + 1)
        )
        self._step.set_zeros(end, begin=begin, updates=self._updates_per_epoch())

    def _updates_per_epoch(self) -> int:
        """Steps of the optimizer in an epoch; 1 in the first epoch of data of unknown length."""
        steps = (self.params or {}).get("steps")
        if steps is None:
            return self._last_epoch_updates
        return int(steps) // (innermost(self.model.optimizer).gradient_accumulation_steps or 1)

    def _begin_debias(self) -> None:
        if self.zeros is not None:
            # Changes nothing after a full sparsifying phase; brings a resumed fit to the goal.
            self._step.set_zeros(self.zeros)
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


def _check_number(
    name: str, value: float | None, accept: Callable[[float], bool], accepted: str
) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value):
        raise ConfigError(f"{name}={value!r} is no finite number; accepted: {accepted}")
    if not accept(float(value)):
        raise ConfigError(f"{name}={value!r}; accepted: a number {accepted}")
    return float(value)


def _check_epochs(name: str, value: int | None) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, Integral) or value < 0:
        raise ConfigError(f"{name}={value!r}; accepted: a whole number of epochs >= 0, or None")
    return int(value)


def _check_names(name: str, value: Sequence[str] | None) -> tuple[str, ...] | None:
    if value is None:
        return None
    if isinstance(value, str) or not all(isinstance(item, str) for item in value):
        raise ConfigError(f"{name}={value!r}; accepted: a list of layer names")
    return tuple(value)
