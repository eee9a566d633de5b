"""The worked example of docs/training.md and the examples in docstrings run as they stand."""

from __future__ import annotations

import doctest
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("tensorflow")]

PAGE = Path(__file__).parents[2] / "docs" / "training.md"

CHECKS = """
assert 0.9 <= history["zeros"][-1] < 0.902
assert history["accuracy"][-1] > 0.95
assert rows[-1].name == "head" and rows[-1].zeros == 0
assert all(layer.rewritten for layer in result.layers[:2])
print("example ran")
"""

# Modules with examples that need neither a model nor a fit.
WITH_EXAMPLES = (
    "auto_pattern",
    "callback_arguments",
    "packed_estimate",
    "palette",
    "patterns",
    "phases",
    "proximal",
    "target_band",
    "weight_grid",
)


def test_worked_example_runs_as_it_stands() -> None:
    (example,) = re.findall(r"```python\n(import .*?)```", PAGE.read_text(), re.DOTALL)
    done = subprocess.run([sys.executable, "-c", example + CHECKS], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "example ran" in done.stdout


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_examples_in_docstrings(name: str) -> None:
    result = doctest.testmod(importlib.import_module(f"tflm_sparsesep.training.{name}"))
    assert result.attempted > 0
    assert result.failed == 0
