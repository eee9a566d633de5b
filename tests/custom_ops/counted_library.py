"""What count_allocations.c, preloaded, counts."""

from __future__ import annotations

import ctypes
from pathlib import Path


def counter(name: str) -> ctypes.c_int:
    """One of its numbers: live, calls, fail_at."""
    return ctypes.c_int.in_dll(ctypes.CDLL(None), f"counted_{name}")


def count_allocations_of(library: str) -> None:
    """Count what the library's code allocates from now on."""
    ctypes.CDLL(library)
    for line in Path("/proc/self/maps").read_text().splitlines():
        addresses, access, *_, path = line.split(maxsplit=5) if line.count(" ") > 5 else [""] * 3
        if "x" in access and Path(path.strip()) == Path(library).resolve():
            start, end = (int(number, 16) for number in addresses.split("-"))
            ctypes.c_size_t.in_dll(ctypes.CDLL(None), "counted_start").value = start
            ctypes.c_size_t.in_dll(ctypes.CDLL(None), "counted_end").value = end
            return
    raise LookupError(f"{library} is not mapped")
