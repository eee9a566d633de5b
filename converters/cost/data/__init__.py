"""Measured costs, one JSON file for each kind of kernel; each file states where it is from.

Target `generic` has the costs of Cortex-M3: the portable kernels use no more than that core has,
products of 32 bits and one load at a time. Compilers and cores differ, so they are an estimate.
"""

from __future__ import annotations

import functools
import importlib.resources
import json
from typing import Any

_LIKE_GENERIC = "cortex-m3"


@functools.cache
def load(name: str) -> dict[str, Any]:
    """Return the contents of the file `name` of this folder."""
    data: dict[str, Any] = json.loads(
        importlib.resources.files(__package__).joinpath(name).read_text()
    )
    return _with_generic(data)


def _with_generic(table: dict[str, Any]) -> dict[str, Any]:
    """Return a table in which `generic` has what each part says of `_LIKE_GENERIC`."""
    found = {
        name: _with_generic(part) if isinstance(part, dict) else part
        for name, part in table.items()
    }
    return found | ({"generic": found[_LIKE_GENERIC]} if _LIKE_GENERIC in found else {})
