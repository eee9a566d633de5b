"""What the site makes of pages and notebooks, and that the notebook runs."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import tflm_sparsesep as ts
from tests.support.scripts import load_script

ROOT = Path(__file__).parents[2]
NOTEBOOK = ROOT / "docs/recipes/first_model.ipynb"
REPOSITORY = "https://example.org/code"


@pytest.fixture(scope="module")
def hook() -> ModuleType:
    return load_script("tools/site_hook.py")


@pytest.mark.parametrize(
    ("text", "page", "repository", "expected"),
    [
        ("[a](../LICENSE)", "x.md", REPOSITORY, f"[a]({REPOSITORY}/blob/main/LICENSE)"),
        ("[a](../b/c.md#d)", "x.md", REPOSITORY, f"[a]({REPOSITORY}/blob/main/b/c.md#d)"),
        ("[a](../b/c.md#d)", "x.md", None, "a (`b/c.md`)"),
        ("[`b/c.h`](../b/c.h)", "x.md", None, "`b/c.h`"),
        ("[a](../export.md)", "platforms/x.md", REPOSITORY, "[a](../export.md)"),
        ("[a](export.md) ![b](../c.svg)", "x.md", None, "[a](export.md) ![b](../c.svg)"),
    ],
)
def test_links_out_of_the_pages(
    hook: ModuleType, text: str, page: str, repository: str | None, expected: str
) -> None:
    assert hook.outer_links(text, page, repository) == expected


def test_links_out_of_the_pages_lead_to_files() -> None:
    for page in (ROOT / "docs").rglob("*.md"):
        for link in re.findall(r"\]\(((?:\.\./)+[^)#]+)", page.read_text()):
            assert (page.parent / link).exists(), f"{page}: {link}"


def test_a_notebook_becomes_text(hook: ModuleType, tmp_path: Path) -> None:
    cells = [
        {"cell_type": "markdown", "source": ["# A\n", "b"]},
        {"cell_type": "code", "source": ["print(1)"], "outputs": [{"text": ["1\n"]}]},
    ]
    path = tmp_path / "x.ipynb"
    path.write_text(json.dumps({"cells": cells}))
    assert hook.notebook_text(path) == "# A\nb\n\n```python\nprint(1)\n```\n\n```text\n1\n```"


def test_every_public_name_is_in_the_reference() -> None:
    page = (ROOT / "docs/api.md").read_text()
    named = {line.rsplit(".", 1)[-1] for line in page.splitlines() if line.startswith("::: ")}
    errors = {name for name in ts.__all__ if name.endswith("Error") or name == "ToolMissingError"}
    aliases = {"Sparsify"}
    assert set(ts.__all__) - errors - aliases <= named
    assert "::: tflm_sparsesep.converters.errors" in page


@pytest.mark.slow
@pytest.mark.xdist_group("tensorflow")
def test_the_notebook_prints_what_it_shows(tmp_path: Path) -> None:
    copy = tmp_path / "notebook.ipynb"
    copy.write_bytes(NOTEBOOK.read_bytes())
    command = [sys.executable, str(ROOT / "tools/run_notebook.py"), str(copy)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    assert json.loads(copy.read_text()) == json.loads(NOTEBOOK.read_text())
