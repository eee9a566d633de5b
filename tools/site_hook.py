"""A hook of mkdocs: links out of docs/, and notebooks.

Pages are also read in the repository, where `../benchmarks/mobile/README.md` is a link. On the site
it leads to `repo_url`, where one is set; else the path is shown as text. A line
`<!-- notebook: FILE -->` becomes the cells of a notebook and what they printed.
"""

from __future__ import annotations

import json
import posixpath
import re
from pathlib import Path
from typing import Any

_LINK = re.compile(r"(?<!!)\[([^\]]+)\]\(((?:\.\./)+[^)#]+)(#[^)]*)?\)")
_NOTEBOOK = re.compile(r"<!-- notebook: (\S+) -->")


def on_page_markdown(markdown: str, *, page: Any, config: Any, **_: Any) -> str:
    """Return the text of a page for the site."""
    folder = Path(page.file.abs_src_path).parent
    markdown = _NOTEBOOK.sub(lambda found: notebook_text(folder / found[1]), markdown)
    return outer_links(markdown, page.file.src_uri, config.repo_url)


def outer_links(markdown: str, page: str, repository: str | None) -> str:
    """Return the text of `page`, a path below docs/, with links that work on the site."""

    def replace(found: re.Match[str]) -> str:
        text, link, anchor = found.groups()
        path = posixpath.normpath(posixpath.join("docs", posixpath.dirname(page), link))
        if path.startswith("docs/"):
            return found[0]
        if repository:
            return f"[{text}]({repository.rstrip('/')}/blob/main/{path}{anchor or ''})"
        return text if text.strip("`").rstrip("/") == path.rstrip("/") else f"{text} (`{path}`)"

    return _LINK.sub(replace, markdown)


def notebook_text(path: Path) -> str:
    """Return the cells of a notebook and their outputs as Markdown."""
    parts = []
    for cell in json.loads(path.read_text())["cells"]:
        source = "".join(cell["source"])
        parts.append(source if cell["cell_type"] == "markdown" else f"```python\n{source}\n```")
        for output in cell.get("outputs", ()):
            parts.append(f"```text\n{''.join(output['text']).rstrip()}\n```")
    return "\n\n".join(parts)
