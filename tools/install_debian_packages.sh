#!/bin/sh
# Installs the Debian packages that the project uses and that are missing here.
# Without root or passwordless sudo it prints the line to run and succeeds:
# everything but the parts that need these tools works without them.
set -eu

packages="gcc g++ clang libc6-dev gcc-arm-none-eabi libnewlib-arm-none-eabi
  libstdc++-arm-none-eabi-newlib qemu-system-arm dataset-fashion-mnist gcc-aarch64-linux-gnu
  libc6-dev-arm64-cross libstdc++6-arm64-cross qemu-user qemu-system-misc
  gcc-riscv64-unknown-elf picolibc-riscv64-unknown-elf pocl-opencl-icd ocl-icd-libopencl1 clinfo"

command -v dpkg-query >/dev/null || {
  echo "Not a Debian system: install an Arm embedded gcc and qemu-system-arm yourself."
  exit 0
}

missing=""
for package in $packages; do
  state=$(dpkg-query -W -f '${Status}' "$package" 2>/dev/null || true)
  [ "$state" = "install ok installed" ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" = 0 ]; then
  as_root=""
elif sudo -n true 2>/dev/null; then
  as_root="sudo"
else
  echo "Missing Debian packages; without them there are no Cortex-M figures. Install with:"
  echo "  sudo apt-get install -y$missing"
  exit 0
fi

echo "Installing:$missing"
$as_root apt-get update -qq
# shellcheck disable=SC2086 # a list of words
DEBIAN_FRONTEND=noninteractive $as_root apt-get install -y -qq --no-install-recommends $missing >/dev/null
