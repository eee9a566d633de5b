#!/bin/sh
# mypy over the package as it is installed: `converters/` inside `tflm_sparsesep/`.
set -eu
root=$(pwd)
view=build/typecheck
rm -rf "$view"
mkdir -p "$view/tflm_sparsesep"
ln -s "$root"/tflm_sparsesep/*.py "$root/tflm_sparsesep/opencl" "$root/converters" "$view/tflm_sparsesep/"
cd "$view"
"$root/.venv/bin/mypy" --config-file "$root/pyproject.toml" -p tflm_sparsesep
# One by one: benchmarks are scripts, and several have the same name. Some train the networks of
# benchmarks/accuracy.
export MYPYPATH="$root/benchmarks/accuracy"
for script in "$root"/benchmarks/*/*.py; do
  "$root/.venv/bin/mypy" --config-file "$root/pyproject.toml" "$script"
done
