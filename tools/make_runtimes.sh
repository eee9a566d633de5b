#!/bin/sh
# Makes build/runtimes: older runtimes that tests load the delegate into, each
# in an environment of its own. Tests skip those that are not there.
set -eu
python=${1:-.venv/bin/python}
base=build/runtimes
mkdir -p "$base"

environment() { # NAME PACKAGE...
  name=$1
  shift
  [ -e "$base/$name/done" ] && return
  "$python" -m venv "$base/$name"
  "$base/$name/bin/pip" install --quiet "$@"
  touch "$base/$name/done"
}

environment litert-2.0.3 ai-edge-litert==2.0.3
environment tflite-runtime-2.14.0 tflite-runtime==2.14.0 "numpy<2"

# Its wheel holds TensorFlow Lite's C library, as apps link it.
c_library() { # NAME PLATFORM
  [ -e "$base/$1/done" ] && return
  "$python" -m pip download --quiet --no-deps --only-binary :all: --platform "$2" \
    --dest "$base/$1" pymicro-wakeword==2.5.0
  "$python" -m zipfile -e "$base/$1"/pymicro_wakeword-*.whl "$base/$1"
  touch "$base/$1/done"
}

c_library c-library manylinux_2_35_x86_64
c_library c-library-arm64 manylinux_2_35_aarch64
