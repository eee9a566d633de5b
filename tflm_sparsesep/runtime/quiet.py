"""Keep TensorFlow's log output off the terminal."""

from __future__ import annotations

import contextlib
import io
import os
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Drop what is printed, warned about and logged inside the block; errors still propagate.

    TensorFlow's C++ parts write to file descriptor 2, whatever Python's `sys.stderr` is. So the
    descriptor itself points to the null device meanwhile, for the whole process.
    """
    sys.stderr.flush()
    saved = os.dup(2)
    with Path(os.devnull).open("w") as null:
        os.dup2(null.fileno(), 2)
    try:
        with (
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
