"""Run the cells of a notebook in order, and write what they print into the notebook.

python tools/run_notebook.py docs/recipes/first_model.ipynb
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any


def run(notebook: dict[str, Any]) -> None:
    """Replace the outputs of all cells. Files that cells write go to a folder that is removed."""
    names: dict[str, Any] = {"__name__": "__main__"}
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            for number, cell in enumerate(cells, 1):
                printed = io.StringIO()
                with contextlib.redirect_stdout(printed):
                    exec(compile("".join(cell["source"]), f"cell {number}", "exec"), names)
                cell["execution_count"] = number
                cell["outputs"] = [_stream(printed.getvalue())] if printed.getvalue() else []
        finally:
            os.chdir(before)


def _stream(text: str) -> dict[str, Any]:
    lines = text.splitlines(keepends=True)
    return {"name": "stdout", "output_type": "stream", "text": lines}


if __name__ == "__main__":
    path = Path(sys.argv[1])
    found = json.loads(path.read_text())
    run(found)
    path.write_text(json.dumps(found, indent=1) + "\n")
