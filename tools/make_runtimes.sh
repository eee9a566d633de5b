#!/bin/sh
# Makes build/runtimes: other versions of the runtimes, each in an environment of its own, which
# tests load the operators and the delegate into. A version without a wheel for this Python is
# reported and left out; its tests are skipped with the same reason.
set -eu
python=${1:-.venv/bin/python}
base=build/runtimes
mkdir -p "$base"

give_up() { # NAME
  echo "$1: cannot be installed for this Python and machine; tests that need it are skipped."
  rm -rf "${base:?}/$1"
}

environment() { # NAME PACKAGE...
  name=$1
  shift
  [ ! -e "$base/$name/done" ] || return 0
  "$python" -m venv --clear "$base/$name"
  if "$base/$name/bin/pip" install --quiet --only-binary :all: "$@"; then
    touch "$base/$name/done"
  else
    give_up "$name"
  fi
}

# Its wheel holds TensorFlow Lite's C library, as apps link it.
c_library() { # MACHINE
  name=c-library-$1
  [ ! -e "$base/$name/done" ] || return 0
  if "$python" -m pip download --quiet --no-deps --only-binary :all: \
    --platform "manylinux_2_35_$1" --dest "$base/$name" pymicro-wakeword==2.5.0; then
    "$python" -m zipfile -e "$base/$name"/pymicro_wakeword-*.whl "$base/$name"
    touch "$base/$name/done"
  else
    give_up "$name"
  fi
}

environment litert-2.0.3 ai-edge-litert==2.0.3
environment tflite-runtime-2.14.0 tflite-runtime==2.14.0 "numpy<2"
# The last generation with TfLite's global types, and one with TFLM's own opaque ones.
installed=$("$python" -c \
  'import importlib.metadata as m; print(m.version("tflite-micro"))' 2>/dev/null || true)
for version in 0.dev20260930204519 0.dev20261023182759; do
  [ "$installed" = "$version" ] || environment "tflite-micro-$version" "tflite-micro==$version"
done
c_library "$(uname -m)"
c_library aarch64
