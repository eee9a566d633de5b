"""Whether a model fits on a board, before any work."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from tflm_sparsesep.converters.boards import Board
from tflm_sparsesep.converters.tflite import arena, editor

_FLOAT_BYTES = 4


@dataclass(frozen=True)
class BoardFit:
    """The memory that an int8 model takes, and what a board has.

    Attributes:
        board: the board.
        flash_bytes: of the file; of a Keras model, of its weights.
        best_case_bytes: the same if every layer takes its best case.
        ram_bytes: the least arena for activations; None for a Keras model.
    """

    board: Board
    flash_bytes: int
    best_case_bytes: int
    ram_bytes: int | None

    @property
    def fits(self) -> bool:
        """True if the dense model fits; TFLM and the firmware are not counted."""
        ram = self.ram_bytes or 0
        return self.flash_bytes <= self.board.flash_bytes and ram <= self.board.ram_bytes

    def __str__(self) -> str:
        ram = "not known before quantization" if self.ram_bytes is None else f"{self.ram_bytes:,}"
        return (
            f"{'fits' if self.fits else 'does not fit'} {self.board.name} ({self.board.chip}): "
            f"flash {self.flash_bytes:,} of {self.board.flash_bytes:,} "
            f"(best case {self.best_case_bytes:,}), RAM {ram} of {self.board.ram_bytes:,} bytes; "
            "TFLM and the firmware are not counted"
        )

    def to_json(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {**dataclasses.asdict(self), "fits": self.fits}


def fit_of(data: bytes | None, dense_bytes: int, best_case_bytes: int, board: Board) -> BoardFit:
    """Weigh a model against a board.

    Args:
        data: the bytes of a .tflite file, or None for a Keras model.
        dense_bytes, best_case_bytes: of its weights in int8, before and in the best case.
        board: the board.
    """
    saved = dense_bytes - best_case_bytes
    if data is None:
        return BoardFit(board, dense_bytes, best_case_bytes, None)
    from tflm_sparsesep.quantize_tflite import is_float

    model = editor.read(data)
    flash, ram = len(data), arena.peak_bytes(model.subgraphs[0])
    if is_float(model):
        flash += dense_bytes - sum(buffer.data.size for buffer in model.buffers)
        ram //= _FLOAT_BYTES
    return BoardFit(board, flash, flash - saved, ram)
