"""examples/optuna: two processes, one study."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples/optuna/study.py"


@pytest.mark.slow
@pytest.mark.xdist_group("tensorflow")
def test_two_processes_share_a_study(tmp_path: Path) -> None:
    optuna = pytest.importorskip("optuna", reason="no Optuna: pip install optuna")
    pytest.importorskip("sklearn", reason="no scikit-learn: pip install scikit-learn")
    command = [sys.executable, str(EXAMPLE), "--storage", "study.log", "--trials", "2"]
    processes = [
        subprocess.Popen(
            [*command, "--epochs", "3"],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    outputs = [process.communicate(timeout=500) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    assert "instructions on cortex-m4: {'zeros'" in outputs[0][0]
    backend = optuna.storages.journal.JournalFileBackend(str(tmp_path / "study.log"))
    study = optuna.load_study(study_name=None, storage=optuna.storages.JournalStorage(backend))
    assert len(study.trials) == 4
    assert all(len(trial.values) == 2 for trial in study.trials)
