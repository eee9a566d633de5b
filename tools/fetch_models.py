"""Fetch the third-party models that tests use, and check them against the table of tests/support.

    python tools/fetch_models.py FOLDER [--source URL]

Models that FOLDER already holds are kept. Exit status 1 names what could not be fetched.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import urllib.request
from pathlib import Path

TABLE = json.loads(
    (Path(__file__).parents[1] / "tests/support/models/shared_models.json").read_text()
)
SOURCE = TABLE["repository"].replace("github.com", "raw.githubusercontent.com")
TIMEOUT_SECONDS = 20


def fetch(row: dict[str, str], source: str) -> bytes:
    """Return the content of one model. Raises OSError if it is absent or another file."""
    url = f"{source}/{TABLE['commit']}/{row['path']}"
    with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS) as response:
        data: bytes = response.read()
    digest = hashlib.sha256(data).hexdigest()
    if digest != row["sha256"]:
        raise OSError(f"SHA-256 is {digest}, expected {row['sha256']} ({url})")
    return data


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--source", default=SOURCE, help="URL of the repository's files")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    failed = 0
    for row in TABLE["models"]:
        path = arguments.folder / row["name"]
        if path.is_file():
            continue
        try:
            path.write_bytes(fetch(row, arguments.source))
        except OSError as error:
            print(f"{row['name']}: {error}", file=sys.stderr)
            failed += 1
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
