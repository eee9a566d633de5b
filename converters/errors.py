"""The errors a user of tflm-sparsesep may meet.

Every class derives from `SparseSepError`, so `except SparseSepError` catches all that the
project raises on purpose; each also derives from the built-in exception a caller would expect.
A message is one line: what was received, what is accepted, and where.
"""

from __future__ import annotations


class SparseSepError(Exception):
    """Base of every error that tflm-sparsesep raises on purpose."""


class ModelError(SparseSepError, ValueError):
    """The bytes are not a .tflite model, are damaged, or use what is not supported."""


class ConfigError(SparseSepError, ValueError):
    """An argument or option has a value that is not accepted."""


class ToolMissingError(SparseSepError, RuntimeError):
    """A tool or runtime is absent; the message ends with the line that installs it."""


class DeviceError(SparseSepError, RuntimeError):
    """A runtime, an emulator or a device failed while running a model."""
