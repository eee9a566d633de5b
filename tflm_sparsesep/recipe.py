"""Recipes: how `convert` or `compress` made a file, so that it can be made again.

A recipe lies beside the model that it describes, as `NAME.recipe.json`. It is JSON, which is also
YAML 1.2, so that this package needs no YAML parser. Inputs are named by their paths from the
recipe's folder and their hashes.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tflm_sparsesep.converters.errors import ConfigError

FORMAT = 1
_OPTIONS: dict[str, dict[str, type | tuple[type, ...]]] = {
    "convert": {"target": str, "prefer": str, "page_bytes": int, "annotate": bool},
    "compress": {
        "target": str,
        "budget": dict,
        "prefer": str,
        "finetune": int,
        "annotate": bool,
    },
}
# What computes a result; another version of these may round differently.
_PACKAGES = ("tflm-sparsesep", "ai-edge-litert", "numpy", "scipy", "tensorflow", "tflite-micro")


@dataclass(frozen=True)
class Recipe:
    """How a model was made.

    Attributes:
        command: "convert" or "compress".
        inputs: files by their role: "model", and "data" and "labels" where given.
        options: plain values by name.
        results: SHA-256 of each file that was made, by its role; empty before it is made.
        made_with: versions by package, "python" and "machine" included; empty before, too.
    """

    command: str
    inputs: dict[str, Path]
    options: dict[str, Any]
    results: dict[str, str]
    made_with: dict[str, str]

    @classmethod
    def of(cls, command: str, options: dict[str, Any], **inputs: Path | None) -> Recipe:
        """Return a recipe that has not been followed yet; options and inputs may be None."""
        return cls(
            command,
            {role: path for role, path in inputs.items() if path is not None},
            {name: value for name, value in options.items() if value not in (None, {})},
            {},
            {},
        )

    def to_bytes(self, folder: Path, results: dict[str, bytes]) -> bytes:
        """Return the file that says that this recipe made `results`, for a folder."""
        inputs = {
            role: {"path": os.path.relpath(path, folder), "sha256": _hash(path.read_bytes())}
            for role, path in self.inputs.items()
        }
        document = {
            "recipe": FORMAT,
            "command": self.command,
            "inputs": inputs,
            "options": self.options,
            "results": {role: _hash(data) for role, data in results.items()},
            "made_with": versions(),
        }
        return (json.dumps(document, indent=1) + "\n").encode()

    def check(self, results: dict[str, bytes]) -> None:
        """Check that the results are those of the recipe.

        Raises:
            ConfigError: one is not; the message names the versions that differ.
        """
        for role, wanted in self.results.items():
            found = _hash(results[role])
            if found != wanted:
                now = versions()
                changed = [
                    f"{name} {now.get(name, 'none')} (recipe: {self.made_with.get(name, 'none')})"
                    for name in sorted({*now, *self.made_with})
                    if now.get(name) != self.made_with.get(name)
                ]
                raise ConfigError(
                    f"the {role} has SHA-256 {found}, the recipe's is {wanted}; "
                    f"differences: {', '.join(changed) or 'none of the versions'}"
                )


def recipe_path(output: Path) -> Path:
    """Return where the recipe of a model lies."""
    return output.with_suffix(".recipe.json")


def read_recipe(path: Path, command: str) -> Recipe:
    """Return the recipe in a file, and check that its inputs are those that it was made from.

    Raises:
        ConfigError: it is no recipe for `command`, or an input is absent or has changed.
    """
    try:
        document = json.loads(path.read_bytes())
        if document["recipe"] != FORMAT or document["command"] != command:
            raise ConfigError(
                f"{path}: recipe {document['recipe']!r} for {document['command']!r}, accepted: "
                f"recipe {FORMAT} for {command!r}"
            )
        inputs = {role: path.parent / given["path"] for role, given in document["inputs"].items()}
        hashes = {role: str(given["sha256"]) for role, given in document["inputs"].items()}
        found = Recipe(
            command,
            inputs,
            _checked_options(path, command, document["options"]),
            dict(document["results"]),
            dict(document["made_with"]),
        )
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        if isinstance(error, ConfigError):
            raise
        raise ConfigError(f"{path}: not a recipe that `{command}` wrote: {error!r}") from None
    if "model" not in found.inputs:
        raise ConfigError(f"{path}: the inputs lack the model, accepted: a recipe with one")
    for role, source in found.inputs.items():
        _check_input(path, role, source, hashes[role])
    return found


def _checked_options(path: Path, command: str, options: dict[str, Any]) -> dict[str, Any]:
    accepted = _OPTIONS[command]
    for name, value in options.items():
        if name not in accepted or not isinstance(value, accepted[name]):
            raise ConfigError(
                f"{path}: option {name!r} is {value!r}; accepted: {', '.join(accepted)}, as "
                f"`{command}` writes them"
            )
    return dict(options)


def _check_input(recipe: Path, role: str, source: Path, wanted: str) -> None:
    try:
        found = _hash(source.read_bytes())
    except OSError as error:
        raise ConfigError(f"{recipe}: {role} {source} cannot be read: {error.strerror}") from None
    if found != wanted:
        raise ConfigError(
            f"{recipe}: {role} {source} has SHA-256 {found}, accepted: {wanted}, of which the "
            "result was made"
        )


def versions() -> dict[str, str]:
    """Return what a result may depend on, by name."""
    found = {"python": platform.python_version(), "machine": platform.machine()}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
