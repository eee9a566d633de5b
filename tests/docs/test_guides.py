"""The guides of the site: our commands print what a page shows, the others are those of an export.

Blocks marked `console` hold lines `$ command`, continued after a backslash, each followed by what
the command prints. In that, `...` stands for anything.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.models.shared_models import SHARED_MODELS, TABLE, needs_shared_models

DOCS = Path(__file__).parents[2] / "docs"
MODEL = "kws_ref_model.tflite"
# Pages that end in an export, whose README has the commands of the platform.
EXPORTS = ("cmake", "arduino", "esp_idf", "zephyr", "platformio", "cmsis_pack")
GUIDES = ("index.md", *(f"platforms/{name}.md" for name in (*EXPORTS, "linux")))
# What needs neither the network nor a tool of the platform.
OURS = ("tflm-sparsesep ", "python -c ")

_BLOCK = re.compile(r"```console\n(.*?)```", re.DOTALL)

pytestmark = [pytest.mark.slow, needs_shared_models]


@dataclass(frozen=True)
class Step:
    command: str
    printed: str

    def prints(self, text: str) -> bool:
        parts = map(re.escape, self.printed.split("..."))
        return re.fullmatch(".*".join(parts), text.strip()) is not None


def steps(page: str) -> list[Step]:
    """The commands of all console blocks of a page, in order."""
    found = []
    for block in _BLOCK.findall((DOCS / page).read_text()):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, printed = re.sub(r"\\\n\s*", "", part).partition("\n")
            found.append(Step(command.strip(), printed.strip()))
    return found


def run(command: str, folder: Path) -> str:
    """What a shell in `folder` prints, with the commands of this environment first."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    # Shells do not export the width of their terminal: lines of a pipe are not wrapped.
    inherited = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        cwd=folder,
        env={**inherited, "PATH": path},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def commands_of_readme(path: Path) -> list[str]:
    blocks = re.findall(r"^```(\w*)\n(.*?)^```", path.read_text(), re.DOTALL | re.MULTILINE)
    lines = "".join(text for language, text in blocks if not language).replace("\\\n", "")
    return [" ".join(line.split()) for line in lines.splitlines()]


@pytest.mark.parametrize("page", GUIDES)
def test_the_commands_print_what_the_guide_shows(page: str, tmp_path: Path) -> None:
    shutil.copy(SHARED_MODELS / MODEL, tmp_path)
    ours = [step for step in steps(page) if step.command.startswith(OURS)]
    assert len(ours) >= 2
    for step in ours:
        printed = run(step.command, tmp_path)
        assert step.prints(printed), f"{step.command}\n{printed}"
    if Path(page).stem in EXPORTS:
        (readme,) = tmp_path.glob("kws*/README.md")
        known = [" ".join(step.command.split()) for step in steps(page)]
        assert _alone(commands_of_readme(readme), readme.parent.name) <= set(known)


def _alone(commands: list[str], folder: str) -> set[str]:
    """The commands that build and run an export, with the folder's name in place of a stand-in."""
    return {
        command.replace("path/to/this-folder", folder).replace("this-folder", folder)
        for command in commands
        if not command.startswith("mv ") and command != f"cd {folder}/examples/example"
    } - {"cd examples/example"}


@pytest.mark.parametrize("page", GUIDES)
def test_a_guide_takes_at_most_twelve_commands(page: str) -> None:
    assert len(steps(page)) <= 12


@pytest.mark.parametrize("page", GUIDES)
def test_the_model_is_the_one_that_the_tests_know(page: str) -> None:
    (row,) = [row for row in TABLE["models"] if row["name"] == MODEL]
    (fetch,) = [step.command for step in steps(page) if step.command.startswith("curl ")]
    assert fetch.endswith(f"mlcommons/tiny/master/{row['path']}")
