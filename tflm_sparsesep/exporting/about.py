"""What manifests say about a library."""

from __future__ import annotations

import importlib.metadata
import re

URL = "https://pypi.org/project/tflm-sparsesep/"
AUTHOR = "The tflm-sparsesep authors"


def version() -> str:
    """Return the version of this package as three numbers, which every registry accepts."""
    numbers = re.findall(r"\d+", importlib.metadata.version("tflm-sparsesep"))
    return ".".join([*numbers, "0", "0"][:3])


def sentence(name: str, target: str) -> str:
    """Return one line about a library."""
    return f"The model {name} with sparse kernels for {target}, for TensorFlow Lite Micro."
