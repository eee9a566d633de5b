"""Recipes: written beside each result, and the same bytes when they are followed."""

from __future__ import annotations

import contextlib
import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest

from tests.support.models.latent_models import latent_samples, mlp
from tflm_sparsesep.cli import main


def run(*arguments: str | Path) -> tuple[int, str]:
    """The exit code of a command, and its last line on stderr."""
    errors, code = io.StringIO(), 0
    with (
        patch.object(sys, "argv", ["tflm-sparsesep", *map(str, arguments)]),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(errors),
    ):
        try:
            main()
        except SystemExit as end:
            code = int(end.code or 0)
    return code, errors.getvalue().strip().rsplit("\n", 1)[-1]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TFLM_SPARSESEP_CACHE", str(tmp_path / "cache"))
    (tmp_path / "in").mkdir()
    (tmp_path / "in/dense.tflite").write_bytes(mlp())
    np.save(tmp_path / "in/x.npy", latent_samples(200, seed=0))
    return tmp_path


COMPRESS = ("compress", "--target", "cortex-m55", "--data", "in/x.npy", "--min-sqnr", "15")
COMMANDS: dict[str, tuple[str, ...]] = {
    "convert": ("convert", "--target", "cortex-m0", "--prefer", "flash", "--annotate"),
    "compress": COMPRESS,
    "finetune": (*COMPRESS, "--finetune", "--epochs", "3"),
}


@pytest.mark.slow
@pytest.mark.xdist_group("tensorflow")
@pytest.mark.parametrize("name", COMMANDS)
def test_a_recipe_makes_the_same_bytes(
    folder: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    command, *options = COMMANDS[name]
    assert run(command, "in/dense.tflite", "-o", "small.tflite", *options) == (0, "")
    recipe = json.loads(Path("small.recipe.json").read_text())
    assert recipe["command"] == command
    assert recipe["options"]["target"] == options[1]
    assert recipe["options"].get("finetune") == (3 if name == "finetune" else None)
    # The paths in a recipe start at its folder, wherever it is used from.
    (folder / "elsewhere").mkdir()
    monkeypatch.chdir(folder / "elsewhere")
    uncached = ("--no-cache",) if command == "compress" else ()
    done = run(command, "--recipe", "../small.recipe.json", "-o", "again.tflite", *uncached)
    assert done == (0, "")
    assert Path("again.tflite").read_bytes() == (folder / "small.tflite").read_bytes()
    again = json.loads(Path("again.recipe.json").read_text())
    assert again["results"] == recipe["results"]
    assert again["inputs"]["model"]["path"] == "../in/dense.tflite"


@pytest.fixture
def recipe(folder: Path) -> Path:
    assert run("convert", folder / "in/dense.tflite", "-o", folder / "small.tflite")[0] == 0
    return folder / "small.recipe.json"


def test_a_changed_input_is_refused(folder: Path, recipe: Path) -> None:
    (folder / "in/dense.tflite").write_bytes(mlp() + b"x")
    code, error = run("convert", "--recipe", recipe, "-o", folder / "again.tflite")
    assert code == 2
    assert "in/dense.tflite has SHA-256" in error
    (folder / "in/dense.tflite").unlink()
    code, error = run("convert", "--recipe", recipe, "-o", folder / "again.tflite")
    assert code == 2
    assert "in/dense.tflite cannot be read: No such file or directory" in error
    assert not list(folder.glob("again*"))


def test_another_result_is_refused_and_names_the_versions(folder: Path, recipe: Path) -> None:
    document = json.loads(recipe.read_text())
    document["results"]["tflite"] = "0" * 64
    document["made_with"]["numpy"] = "1.0"
    recipe.write_text(json.dumps(document))
    code, error = run("convert", "--recipe", recipe, "-o", folder / "again.tflite")
    assert code == 2
    assert f"numpy {np.__version__} (recipe: 1.0)" in error
    assert not list(folder.glob("again*"))


Change = Callable[[dict[str, Any]], None]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda recipe: recipe.update(command="compress"), "for 'compress', accepted"),
        (lambda recipe: recipe.update(recipe=2), "recipe 2 for 'convert', accepted"),
        (lambda recipe: recipe["options"].update(page_bytes="9"), "'page_bytes' is '9'; accepted"),
        (lambda recipe: recipe["options"].update(speed=1), "'speed' is 1; accepted"),
        (lambda recipe: recipe.pop("inputs"), "not a recipe"),
        (lambda recipe: recipe.update(inputs=["x"]), "not a recipe"),
        (lambda recipe: recipe["inputs"].pop("model"), "the inputs lack the model"),
    ],
)
def test_other_documents_are_refused(
    folder: Path, recipe: Path, change: Change, reason: str
) -> None:
    document = json.loads(recipe.read_text())
    change(document)
    recipe.write_text(json.dumps(document))
    code, error = run("convert", "--recipe", recipe, "-o", folder / "again.tflite")
    assert code == 2
    assert reason in error


def test_no_recipe_and_no_json(folder: Path) -> None:
    (folder / "bad.json").write_bytes(b"\xff{")
    for path, reason in (("bad.json", "not a recipe"), ("none.json", "cannot be read")):
        code, error = run("compress", "--recipe", folder / path, "-o", folder / "again.tflite")
        assert code == 2
        assert reason in error


@pytest.mark.parametrize("other", [["in/dense.tflite"], ["--target", "cortex-m0"]])
def test_a_recipe_sets_everything(recipe: Path, other: list[str]) -> None:
    output = recipe.with_name("again.tflite")
    code, error = run("convert", *other, "--recipe", recipe, "-o", output)
    assert code == 2
    assert "accepted: --recipe, which sets them" in error
    code, error = run("convert", "-o", output)
    assert code == 2
    assert "MODEL is missing" in error


def test_a_recipe_is_not_overwritten_by_its_own_result(recipe: Path) -> None:
    before = recipe.read_bytes()
    code, error = run("convert", "--recipe", recipe, "-o", recipe.with_name("small.tflite"))
    assert code == 2
    assert "is an input of this command" in error
    assert recipe.read_bytes() == before


def test_pages_need_their_file_again(folder: Path) -> None:
    pages = ("--page-bytes", "600", "--external", folder / "pages.bin")
    assert run("convert", folder / "in/dense.tflite", "-o", folder / "s.tflite", *pages)[0] == 0
    command = ("convert", "--recipe", folder / "s.recipe.json", "-o", folder / "t.tflite")
    assert "--page-bytes and --external go together" in run(*command)[1]
    assert run(*command, "--external", folder / "again.bin") == (0, "")
    for name, other in (("s.tflite", "t.tflite"), ("pages.bin", "again.bin")):
        assert (folder / name).read_bytes() == (folder / other).read_bytes()


def test_what_cannot_be_made_again_gets_no_recipe(folder: Path) -> None:
    assert run("convert", folder / "in/dense.tflite", "-o", "/dev/null")[0] == 0
    assert not list(folder.glob("*.recipe.json"))
