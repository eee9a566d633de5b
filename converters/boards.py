"""Boards that users know by name: their core, flash and RAM.

docs/plan.md names the public source of each size.
"""

from __future__ import annotations

from dataclasses import dataclass

from tflm_sparsesep.converters.errors import ConfigError

_KIB, _MIB = 1 << 10, 1 << 20


@dataclass(frozen=True)
class Board:
    """One board.

    Attributes:
        name: as users write it; that of Arduino, Zephyr or the vendor.
        chip: its microcontroller.
        target: the name of its core in `targets.TARGETS`.
        flash_bytes: all of its program memory; of boards that exist in several sizes the smallest.
        ram_bytes: the largest piece of RAM that an application gets for static data, because an
            arena is one piece.
    """

    name: str
    chip: str
    target: str
    flash_bytes: int
    ram_bytes: int


BOARDS: dict[str, Board] = {
    board.name: board
    for board in (
        Board("nano33ble", "nRF52840", "cortex-m4", 1 * _MIB, 256 * _KIB),
        Board("nrf52840dk", "nRF52840", "cortex-m4", 1 * _MIB, 256 * _KIB),
        Board("nrf5340dk", "nRF5340", "cortex-m33", 1 * _MIB, 448 * _KIB),
        Board("microbit", "nRF51822", "cortex-m0", 256 * _KIB, 16 * _KIB),
        Board("microbit_v2", "nRF52833", "cortex-m4", 512 * _KIB, 128 * _KIB),
        Board("pico", "RP2040", "cortex-m0", 2 * _MIB, 264 * _KIB),
        Board("pico2", "RP2350", "cortex-m33", 4 * _MIB, 520 * _KIB),
        Board("nucleo_f446re", "STM32F446RE", "cortex-m4", 512 * _KIB, 128 * _KIB),
        Board("stm32f746g_disco", "STM32F746NG", "cortex-m7", 1 * _MIB, 256 * _KIB),
        Board("nucleo_h743zi", "STM32H743ZI", "cortex-m7", 2 * _MIB, 512 * _KIB),
        Board("esp32", "ESP32", "generic", 4 * _MIB, 160 * _KIB),
        Board("esp32c3", "ESP32-C3", "generic", 4 * _MIB, 320 * _KIB),
        Board("esp32s3", "ESP32-S3", "generic", 4 * _MIB, 416 * _KIB),
    )
}


def get_board(name: str) -> Board:
    """Return the board called `name`.

    Raises:
        ConfigError: no board has that name; the message lists all names.
    """
    if not isinstance(name, str) or name not in BOARDS:
        raise ConfigError(f"board {name!r} is unknown; accepted: {', '.join(BOARDS)}")
    return BOARDS[name]
