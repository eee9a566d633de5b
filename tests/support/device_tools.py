"""Marks for tests that want the tools for emulated Cortex-M, which `make setup` installs."""

from __future__ import annotations

import shutil

import pytest

needs_arm_compiler = pytest.mark.skipif(
    not shutil.which("arm-none-eabi-gcc"),
    reason="no arm-none-eabi-gcc: run `tflm-sparsesep doctor`",
)
needs_clang = pytest.mark.skipif(
    not (shutil.which("clang") and shutil.which("arm-none-eabi-gcc")),
    reason="no clang, or no arm-none-eabi-gcc for its C library: apt-get install clang",
)
needs_emulator = pytest.mark.skipif(
    not (shutil.which("qemu-system-arm") and shutil.which("arm-none-eabi-gcc")),
    reason="no qemu-system-arm or no arm-none-eabi-gcc: run `tflm-sparsesep doctor`",
)
