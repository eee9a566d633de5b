"""The processors that the converter supports.

A target holds the gcc flags of a core, its instruction set extensions, and the emulated boards that
run its code. `generic` is any other core (RISC-V, Xtensa, ...), which runs portable C.
"""

from __future__ import annotations

from dataclasses import dataclass

from tflm_sparsesep.converters.errors import ConfigError


@dataclass(frozen=True)
class Target:
    """One processor.

    Attributes:
        name: as users write it, such as "cortex-m4".
        gcc_flags: core, FPU and calling convention; empty for the host and `generic`.
        qemu_machine: the emulated board that runs code of this target; None for the host and
            `generic`.
            Cortex-M0 code runs on a Cortex-M3, whose instructions are a superset, because QEMU's
            only board with an M0 core (microbit) has 16 KiB of RAM.
        has_dsp: the core has the DSP extension of Armv7E-M and Armv8-M (SMLAD, ...).
        has_mve: the core has the M-profile vector extension (Helium).
        unaligned_access: the core loads and stores words and halfwords at any address.
        other_machines: other boards that run this code, with less memory than `qemu_machine`.
        cost_unit: the unit of the cost models.
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
        """The instruction set of the kernels; None for the host, which has those of all.

        "mve", "dsp", "v7m", "v6m", or "generic" for portable C.
        """
        if not self.gcc_flags:
            return "generic" if self.name == "generic" else None
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
        Target("generic", (), None),
        Target("host", (), None, cost_unit="ns"),
    )
}


def get_target(name: str) -> Target:
    """Return the target called `name`.

    Raises:
        ConfigError: no target has that name; the message lists all names.

    Example:
        >>> get_target("cortex-m4").has_dsp
        True
    """
    if not isinstance(name, str) or name not in TARGETS:
        raise ConfigError(f"target {name!r} is unknown; accepted: {', '.join(TARGETS)}")
    return TARGETS[name]
