"""The processors that code and figures are made for, as data.

A target says how gcc compiles for a core, what the core can do, and which emulated board runs
that code. Nothing here knows QEMU beyond two names; the emulation does the rest.
"""

from __future__ import annotations

from dataclasses import dataclass

from tflm_sparsesep.converters.errors import ConfigError


@dataclass(frozen=True)
class Target:
    """One processor.

    Attributes:
        name: what users write, such as "cortex-m4".
        gcc_flags: what selects core, FPU and calling convention; empty for the host.
        qemu_machine: the emulated board that runs code of this target; None for the host.
            Cortex-M0 code runs on a Cortex-M3, whose instructions are a superset, because QEMU's
            only board with an M0 core (microbit) has 16 KiB of RAM.
        has_dsp: the DSP extension of Armv7E-M and Armv8-M (SMLAD and friends).
        has_mve: the M-profile vector extension (Helium).
        unaligned_access: words and halfwords may sit at any address.
        other_machines: further boards that run this code, less roomy than `qemu_machine`.
        cost_unit: what the cost models count.
    """

    name: str
    gcc_flags: tuple[str, ...]
    qemu_machine: str | None
    has_dsp: bool = False
    has_mve: bool = False
    unaligned_access: bool = True
    other_machines: tuple[str, ...] = ()
    cost_unit: str = "instructions"

    @property
    def isa(self) -> str | None:
        """The kernels that the target runs: "mve", "dsp", "v7m" or "v6m"; None for the host."""
        if not self.gcc_flags:
            return None
        if self.has_mve:
            return "mve"
        if self.has_dsp:
            return "dsp"
        return "v7m" if self.unaligned_access else "v6m"


def _soft_float(cpu: str) -> tuple[str, ...]:
    return (f"-mcpu={cpu}", "-mthumb", "-mfloat-abi=soft")


def _hard_float(cpu: str) -> tuple[str, ...]:
    return (f"-mcpu={cpu}", "-mthumb", "-mfloat-abi=hard", "-mfpu=auto")


TARGETS: dict[str, Target] = {
    target.name: target
    for target in (
        Target(
            "cortex-m0",
            _soft_float("cortex-m0"),
            "mps2-an385",
            unaligned_access=False,
            other_machines=("microbit",),
        ),
        Target("cortex-m3", _soft_float("cortex-m3"), "mps2-an385"),
        Target("cortex-m4", _hard_float("cortex-m4"), "mps2-an386", has_dsp=True),
        Target("cortex-m7", _hard_float("cortex-m7"), "mps2-an500", has_dsp=True),
        Target("cortex-m33", _hard_float("cortex-m33"), "mps2-an505", has_dsp=True),
        Target("cortex-m55", _hard_float("cortex-m55"), "mps3-an547", has_dsp=True, has_mve=True),
        Target("host", (), None, cost_unit="ns"),
    )
}


def get_target(name: str) -> Target:
    """The target called `name`.

    Raises:
        ConfigError: no target has that name; the message lists those that exist.

    Example:
        >>> get_target("cortex-m4").has_dsp
        True
    """
    if not isinstance(name, str) or name not in TARGETS:
        raise ConfigError(f"target {name!r} is unknown; accepted: {', '.join(TARGETS)}")
    return TARGETS[name]
