"""Fill the files of `templates/`, in which `@NAME@` stands for a value."""

from __future__ import annotations

import re
from pathlib import Path

_FOLDER = Path(__file__).resolve().parent / "templates"
_FIELD = re.compile(r"@([A-Z_]+)@")


def fill(template: str, **values: object) -> str:
    """Return the text of a template with `@NAME@` replaced by the value of `name`.

    Raises:
        KeyError: a value is missing.
    """
    text = (_FOLDER / template).read_text()
    return _FIELD.sub(lambda field: str(values[field[1].lower()]), text)
