"""The worked example of docs/compression.md, run as it stands."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "compression.md"

CHECKS = """
assert len(result.tflite) <= 12_000 and len(final.tflite) <= len(result.tflite)
forms = {form.rsplit(": ", 1)[-1].split()[0] for form in result.point.forms}
assert forms - {"dense"}, forms
(scores,) = ts.run(result.tflite, x, runtime="tflm", progress=False)
before = np.mean(scores.argmax(axis=1) == y)
(scores,) = ts.run(final.tflite, x, runtime="tflm", progress=False)
after = np.mean(scores.argmax(axis=1) == y)
print(forms, len(result.tflite), len(final.tflite), before, after)
assert after >= before
print("example ran")
"""


@pytest.mark.slow
@pytest.mark.xdist_group("tensorflow")
def test_worked_example_runs_as_it_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TFLM_SPARSESEP_CACHE", str(tmp_path))
    (example,) = re.findall(r"```python\n(import .*?)```", PAGE.read_text(), re.DOTALL)
    done = subprocess.run([sys.executable, "-c", example + CHECKS], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    assert "example ran" in done.stdout
