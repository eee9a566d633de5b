"""The errors that tflm-sparsesep raises.

`except SparseSepError` catches all of them. Each class also derives from the built-in exception
that a caller expects. A message is one line: the received value, the accepted values, and where.
"""

from __future__ import annotations


class SparseSepError(Exception):
    """Base of every error that tflm-sparsesep raises on purpose."""


class ModelError(SparseSepError, ValueError):
    """The bytes are not a .tflite model, are damaged, or use an unsupported feature."""


class ConfigError(SparseSepError, ValueError):
    """An argument or option has an invalid value."""


class ToolMissingError(SparseSepError, RuntimeError):
    """A tool or runtime is missing; the message ends with the command that installs it."""


class DeviceError(SparseSepError, RuntimeError):
    """A runtime, an emulator or a device failed while it ran a model."""
