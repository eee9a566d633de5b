"""Measured costs, one JSON file for each kind of kernel; each file states where it is from."""

from __future__ import annotations

import functools
import importlib.resources
import json
from typing import Any


@functools.cache
def load(name: str) -> dict[str, Any]:
    """Return the contents of the file `name` of this folder."""
    data: dict[str, Any] = json.loads(
        importlib.resources.files(__package__).joinpath(name).read_text()
    )
    return data
