"""What a release on PyPI needs and the repository does not: links that work anywhere.

The README is also the page on PyPI, where links to files of the repository lead nowhere. Given the
URL of the repository, they and pictures lead there; without, links become text and pictures go.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

# With its caption, the line or lines in italics below.
_PICTURE = re.compile(r"^!\[([^\]]*)\]\((?!https?://)([^)]+)\)\n+(\*[^*]+\*\n+)?", re.MULTILINE)
_LINK = re.compile(r"(?<!!)\[([^\]]+)\]\((?!https?://|#)([^)#]+)(#[^)]*)?\)")


def readme(text: str, repository: str | None) -> str:
    """Return the README for PyPI."""
    if repository is None:
        return _LINK.sub(r"\1", _PICTURE.sub("", text))
    base = repository.rstrip("/")
    text = _PICTURE.sub(rf"![\1]({base}/raw/main/\2)\n\n\3", text)
    return _LINK.sub(
        lambda found: f"[{found[1]}]({base}/blob/main/{found[2]}{found[3] or ''})", text
    )


def project(text: str, repository: str | None) -> str:
    """Return pyproject.toml with the URLs of the project."""
    if repository is None:
        return text
    base = repository.rstrip("/")
    urls = {
        "Homepage": base,
        "Issues": f"{base}/issues",
        "Changelog": f"{base}/blob/main/CHANGELOG.md",
    }
    lines = "".join(f'{name} = "{url}"\n' for name, url in urls.items())
    return text.replace("[project.scripts]\n", f"[project.urls]\n{lines}\n[project.scripts]\n", 1)


def copy_for_release(root: Path, target: Path, repository: str | None) -> None:
    """Copy the files of a checkout, with the README and pyproject.toml of a release."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=root, check=True, capture_output=True, text=True
    ).stdout
    for name in filter(None, listed.split("\0")):
        source, copy = root / name, target / name
        if not source.is_symlink() and not source.is_file():
            continue  # deleted, not yet committed
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, copy, follow_symlinks=False)
    for name, change in (("README.md", readme), ("pyproject.toml", project)):
        (target / name).write_text(change((root / name).read_text(), repository))
