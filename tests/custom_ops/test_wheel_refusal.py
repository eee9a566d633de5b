"""The wheel adapter against wheels that differ from what it knows: it refuses, never crashes."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tflm_sparsesep.converters import native

FAKE_WHEEL = Path(__file__).with_name("fake_wheel.cc")
# Prints "registered prepared": the registerer's answer, then fake_prepare's. A process of its
# own, because a crash is what the adapter must not do.
SCRIPT = """
import ctypes, sys
adapter = ctypes.CDLL(sys.argv[1])
adapter.SparseSepRegisterer.restype = ctypes.c_bool
adapter.SparseSepRegisterer.argtypes = [ctypes.c_void_p]
fake = ctypes.CDLL(sys.argv[2])
fake.fake_new_resolver.restype = ctypes.c_void_p
resolver = fake.fake_new_resolver()
registered = adapter.SparseSepRegisterer(resolver)
fake.fake_prepare.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
print(registered, fake.fake_prepare(resolver, b"SPARSE_FULLY_CONNECTED"))
"""
NO_SUCH_OP, PREPARE_REFUSED = -1, 1


def run_fake_wheel(folder: Path, *macros: str) -> tuple[bool, int, str]:
    """Whether the adapter registered, what Prepare of its op gave, and what was printed."""
    compiler = shutil.which("c++") or shutil.which("g++")
    if compiler is None:
        pytest.skip("no C++ compiler: sudo apt install g++")
    library = folder / "libfake_wheel.so"
    command = [compiler, "-std=c++17", "-shared", "-fPIC", *(f"-D{m}" for m in macros)]
    subprocess.run([*command, str(FAKE_WHEEL), "-o", str(library)], check=True)
    adapter = native.library_path("libsparsesep_tflm_wheel.so")
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(adapter), str(library)], capture_output=True, text=True
    )
    assert done.returncode == 0, f"status {done.returncode}: {done.stderr}"
    registered, prepared = done.stdout.split()
    return registered == "True", int(prepared), done.stderr


def test_known_layout_registers(tmp_path: Path) -> None:
    registered, prepared, printed = run_fake_wheel(tmp_path)
    assert registered
    # The fake calls Prepare without options and tensors: the op core's own refusal.
    assert prepared == PREPARE_REFUSED
    assert printed.startswith("SPARSE_FULLY_CONNECTED: ")
    assert "elsewhere" not in printed


@pytest.mark.parametrize(
    ("macro", "reason"),
    [
        ("RESOLVER_CLASS=OtherResolver", "no PythonOpsResolver"),
        ("RESOLVER_SIZE=5000", "unknown base class"),
        ("METHODS_ARE_REORDERED", "unknown methods"),
        ("RESOLVER_HAS_NEW_FIELD", "resolver has an unknown layout"),
        ("REGISTRATION_HAS_NEW_FIELD", "resolver has an unknown layout"),
        ("REGISTRATION_IS_REORDERED", "registrations have an unknown layout"),
        ("TENSOR_HAS_NEW_FIELD", "tensors have an unknown layout"),
        ("TYPES_ARE_RENUMBERED", "tensors have an unknown layout"),
        ("GET_SCRATCH_IS_MISSING", "does not export"),
        ("RESOLVER_SIZE=2", "resolver is full"),
    ],
)
def test_unknown_layouts_are_refused(tmp_path: Path, macro: str, reason: str) -> None:
    registered, prepared, printed = run_fake_wheel(tmp_path, macro)
    assert not registered
    assert prepared == NO_SUCH_OP
    assert printed.startswith("sparsesep: this tflite-micro is not supported: ")
    assert reason in printed


def test_unknown_node_layout_is_refused_in_prepare(tmp_path: Path) -> None:
    registered, prepared, printed = run_fake_wheel(tmp_path, "NODE_HAS_NEW_FIELD")
    assert registered
    assert prepared == PREPARE_REFUSED
    assert "keeps the operator's data elsewhere" in printed


def test_what_is_no_resolver_is_refused() -> None:
    script = """
import ctypes, sys
adapter = ctypes.CDLL(sys.argv[1])
adapter.SparseSepRegisterer.restype = ctypes.c_bool
adapter.SparseSepRegisterer.argtypes = [ctypes.c_void_p]
in_libc = ctypes.cast(ctypes.CDLL(None).strlen, ctypes.c_void_p).value
for vtable in (0, 8, 2**47 - 8, in_libc):
    words = (ctypes.c_void_p * 64)(vtable)
    assert adapter.SparseSepRegisterer(ctypes.addressof(words)) is False
assert adapter.SparseSepRegisterer(None) is False
"""
    adapter = native.library_path("libsparsesep_tflm_wheel.so")
    done = subprocess.run(
        [sys.executable, "-c", script, str(adapter)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("this tflite-micro is not supported") == 5
