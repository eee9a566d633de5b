"""The errors that tflm-sparsesep raises.

`except SparseSepError` catches all of them. Each class also derives from the built-in exception
that a caller expects. A message is one line: the received value, the accepted values, and where.
"""

from __future__ import annotations


def printable(text: str) -> str:
    r"""Return `text` with what a terminal would obey, or not show, as escapes.

    Names in files are anybody's text: with line ends, escape sequences, reversed directions and
    bytes that are no UTF-8.

    Example:
        >>> printable("a\x1b[2J\u202eb")
        'a\\x1b[2J\\u202eb'
    """
    if text.isprintable():
        return text
    parts = (c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return "".join(parts)


class SparseSepError(Exception):
    """Base of every error that tflm-sparsesep raises on purpose.

    Its message is `printable`.
    """

    def __init__(self, message: str) -> None:
        super().__init__(printable(message))


class ModelError(SparseSepError, ValueError):
    """The bytes are not a .tflite model, are damaged, or use an unsupported feature."""


class ConfigError(SparseSepError, ValueError):
    """An argument or option has an invalid value."""


class ToolMissingError(SparseSepError, RuntimeError):
    """A tool or runtime is missing; the message ends with the command that installs it."""


class DeviceError(SparseSepError, RuntimeError):
    """A runtime, an emulator or a device failed while it ran a model."""
