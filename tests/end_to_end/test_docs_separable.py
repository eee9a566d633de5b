"""The Python of docs/separable_conv.md, run as it stands."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "separable_conv.md"

CHECKS = """
assert [layer.op for layer in result.layers if layer.rewritten] == ["SEPARABLE_CONV_2D"]
expected = pair.predict(x[:5], verbose=0)
error = np.abs(ts.run(result.tflite, x[:5], dequantize=True)[0] - expected).max()
# Inputs, weights and what is between are rounded: each adds noise of about 1% of the outputs'
# standard deviation (steps of 8 deviations / 255, uniform errors), together 1.7%, at most 4 times
# that in 16,000 outputs, whose range is about 4 deviations; their own rounding adds 0.2%. Twice
# that, as the noise is only estimated.
assert error < 2 * (0.017 + 0.002) * np.ptp(expected)
print("example ran")
"""


@pytest.mark.slow
@pytest.mark.xdist_group("tensorflow")
def test_example_runs_as_it_stands() -> None:
    (example,) = re.findall(r"```python\n(import .*?)```", PAGE.read_text(), re.DOTALL)
    done = subprocess.run([sys.executable, "-c", example + CHECKS], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "example ran" in done.stdout
