"""The phases of a sparse fit: warm-up, sparsifying, debias, and rounding within debias."""

from __future__ import annotations

from dataclasses import dataclass

from tflm_sparsesep.converters.errors import ConfigError

# Default shares of the epochs for the first and the last phase: 2 and 6 of 20.
_WARMUP_SHARE = 0.1
_DEBIAS_SHARE = 0.3


@dataclass(frozen=True)
class Phases:
    """The first epoch of each phase.

    Attributes:
        sparsify: end of the warm-up, which begins at epoch 0.
        debias: end of sparsifying; `epochs` without a debias phase.
        rounding: the first epoch with rounded weights; `epochs` without rounding.
        epochs: all epochs of the fit.
    """

    sparsify: int
    debias: int
    rounding: int
    epochs: int

    @classmethod
    def of(
        cls,
        epochs: int,
        *,
        warmup_epochs: int | None = None,
        debias_epochs: int | None = None,
        values: str | None = None,
        value_epochs: int | None = None,
    ) -> Phases:
        """Lay out the phases of a fit; None takes the default.

        Raises:
            ConfigError: no epoch is left to sparsify, or to round.

        Example:
            >>> Phases.of(20, values="int8")
            Phases(sparsify=2, debias=14, rounding=14, epochs=20)
        """
        warmup = int(_WARMUP_SHARE * epochs) if warmup_epochs is None else warmup_epochs
        debias = debias_epochs
        if debias is None:
            debias = max(0, min(round(_DEBIAS_SHARE * epochs), epochs - warmup - 1))
        if warmup + debias >= epochs:
            raise ConfigError(
                f"warmup_epochs={warmup} and debias_epochs={debias} leave none of fit's {epochs} "
                "epoch(s) to make weights sparse; accepted: together fewer than all epochs"
            )
        rounding = 0
        if values is not None:
            rounding = value_epochs or max(debias, 1)
        if rounding > debias:
            raise ConfigError(
                f"values={values!r} takes {rounding} of fit's {epochs} epoch(s), "
                f"debias_epochs is {debias}; accepted: at most the epochs of the debias phase"
            )
        return cls(warmup, epochs - debias, epochs - rounding, epochs)

    def progress(self, epoch: int) -> float:
        """Return the share of the sparsifying phase that is over when `epoch` begins."""
        return (epoch - self.sparsify) / (self.debias - self.sparsify)
