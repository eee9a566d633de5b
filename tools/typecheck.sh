#!/bin/sh
# mypy over the package as it is installed: `converters/` inside `tflm_sparsesep/`.
set -eu
root=$(pwd)
view=build/typecheck
rm -rf "$view"
mkdir -p "$view/tflm_sparsesep"
ln -s "$root"/tflm_sparsesep/*.py "$root/converters" "$view/tflm_sparsesep/"
cd "$view"
"$root/.venv/bin/mypy" --config-file "$root/pyproject.toml" -p tflm_sparsesep
"$root/.venv/bin/mypy" --config-file "$root/pyproject.toml" "$root"/benchmarks/*/*.py
