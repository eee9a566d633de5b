"""The emulated Cortex-M: exact counts, right outputs, and an error for everything that fails."""

from __future__ import annotations

import dataclasses
import struct
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest

from tests.support.layers import reference
from tflm_sparsesep.converters.blob.format import IndexEncoding, Layout
from tflm_sparsesep.converters.blob.pack import pack
from tflm_sparsesep.converters.errors import ConfigError, DeviceError, ToolMissingError
from tflm_sparsesep.converters.targets import TARGETS
from tflm_sparsesep.device import build_cache, emulation, toolchain
from tflm_sparsesep.device.layer_job import ExternalFlash, LayerJob
from tflm_sparsesep.device.synthetic_layers import LayerCase, random_case

CORES = [name for name, target in TARGETS.items() if target.qemu_machine]
MISSING = [tool.install for tool in toolchain.find_tools().values() if tool.path is None]
Test = TypeVar("Test", bound=Callable[..., None])


def needs_qemu(test: Test) -> Test:
    """Mark a test that builds images and emulates cores: it is slow, and wants tools."""
    wants_tools = pytest.mark.skipif(bool(MISSING), reason="; ".join(MISSING) or "tools found")
    marked: Test = pytest.mark.slow(wants_tools(test))
    return marked


# One worker, so that each image is built once.
pytestmark = pytest.mark.xdist_group("emulation")

OP = "SPARSE_FULLY_CONNECTED"
BYTE = np.zeros((1, 1), np.int8)

# firmware/misbehave.h
UNDEFINED, BAD_ADDRESS, UNALIGNED, STACK_OVERFLOW, HANG, OVERRUN, FAIL = range(7)


def run_case(
    target: str, case: LayerCase[Any], *, board: str | None = None, blob: bytes | None = None
) -> emulation.LayerRun:
    """Runs `case` with one input vector per evaluation."""
    blob = blob or pack(case.layer, Layout(IndexEncoding.U16))
    rows = case.layer.weights.shape[0]
    options = case.options.to_bytes()
    inputs = case.inputs[:, None, :]
    return emulation.run_layer(target, OP, options, blob, inputs, (1, rows), board=board)


def misbehave(
    target: str, how: int, *, timeout: float = 30, board: str | None = None
) -> emulation.LayerRun:
    return emulation.run_layer(
        target, "MISBEHAVE", bytes([how]), b"", BYTE, (1,), timeout=timeout, board=board
    )


@needs_qemu
@pytest.mark.parametrize("core", CORES)
def test_instructions_are_counted_exactly(core: str) -> None:
    emulation.check_counter(core, loops=1)
    emulation.check_counter(core, loops=12345)


@needs_qemu
def test_instructions_are_counted_exactly_on_a_true_armv6m_core() -> None:
    emulation.check_counter("cortex-m0", board="microbit")


@needs_qemu
def test_a_wrong_count_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    # Cortex-M4 executes 1205 instructions that a Cortex-M0 has not: as if they were miscounted.
    wrong = dataclasses.replace(TARGETS["cortex-m4"], name="cortex-m0", other_machines=())
    monkeypatch.setitem(TARGETS, "cortex-m0", wrong)
    with pytest.raises(DeviceError, match="cannot be trusted"):
        emulation.check_counter("cortex-m0")


@needs_qemu
def test_classes_add_up_to_the_assembly_of_counter_check() -> None:
    loops = 50
    run = emulation.run_layer(
        "cortex-m55", "COUNTER_CHECK", struct.pack("<I", loops), b"", BYTE, (1,)
    )
    assert sum(run.classes.values()) == sum(run.instructions)
    assert run.classes["load"] == 2
    assert run.classes["store"] == loops
    assert run.classes["multiply"] == loops
    assert run.classes["vector"] == loops
    # The measured call, BNE and LE each round, DLS, BX.
    assert run.classes["branch"] == 1 + 2 * loops + 2


@needs_qemu
@pytest.mark.parametrize("core", CORES)
def test_a_sparse_layer_equals_the_reference(core: str) -> None:
    case = random_case(np.random.default_rng(7), 31, 53, zeros=0.8, batch=5)
    run = run_case(core, case)
    np.testing.assert_array_equal(run.outputs[:, 0], reference(case))
    # Coarse: a nonzero takes a load and a multiply at the least, and with its share of the row's
    # requantization (about 40 instructions per 11 nonzeros) far less than 40 instructions.
    nonzeros = np.count_nonzero(case.layer.weights)
    assert all(2 * nonzeros < count < 40 * nonzeros for count in run.instructions)
    assert 1000 < run.code_bytes < 32768
    assert 0 < run.persistent_bytes <= 64
    assert run.scratch_bytes < 4096


@needs_qemu
def test_the_same_input_costs_the_same_wherever_it_comes() -> None:
    case = random_case(np.random.default_rng(8), 17, 40, zeros=0.7)
    repeated = dataclasses.replace(case, inputs=np.repeat(case.inputs, 100, axis=0))
    run = run_case("cortex-m4", repeated)
    assert len(run.instructions) == 100
    assert set(run.instructions) == set(run_case("cortex-m4", case).instructions)


@needs_qemu
def test_a_batch_is_one_evaluation() -> None:
    case = random_case(np.random.default_rng(9), 11, 23, zeros=0.5, batch=6)
    run = emulation.run_layer(
        "cortex-m33",
        OP,
        case.options.to_bytes(),
        pack(case.layer, Layout(IndexEncoding.DELTA8)),
        case.inputs.reshape(1, 2, 3, 23),
        (2, 3, 11),
    )
    assert run.outputs.shape == (1, 2, 3, 11)
    np.testing.assert_array_equal(run.outputs.reshape(6, 11), reference(case))
    assert len(run.instructions) == 1


def u16_job(case: LayerCase[Any], blob: bytes | None = None) -> LayerJob:
    rows, layout = case.layer.weights.shape[0], Layout(IndexEncoding.U16)
    blob = pack(case.layer, layout) if blob is None else blob
    return LayerJob(OP, case.options.to_bytes(), blob, case.inputs[:, None, :], (1, rows))


@needs_qemu
def test_layers_of_one_start_run_as_they_do_alone() -> None:
    rng = np.random.default_rng(13)
    cases = [random_case(rng, 9 * n, 50 - 7 * n, zeros=0.6, batch=n) for n in (3, 1, 4)]
    together = emulation.run_layers("cortex-m4", [u16_job(case) for case in cases])
    for case, run in zip(cases, together, strict=True):
        alone = run_case("cortex-m4", case)
        np.testing.assert_array_equal(run.outputs, alone.outputs)
        np.testing.assert_array_equal(run.outputs[:, 0], reference(case))
        assert dataclasses.replace(run, outputs=alone.outputs) == alone


@needs_qemu
def test_the_layer_that_fails_is_named() -> None:
    case = random_case(np.random.default_rng(14), 5, 9, zeros=0.5)
    jobs = [u16_job(case), u16_job(case, b"x"), u16_job(case)]
    with pytest.raises(DeviceError, match=rf"{OP} \(layer 2 of 3\) on .* failed in prepare: \w+"):
        emulation.run_layers("cortex-m4", jobs)
    jobs[1] = LayerJob("MISBEHAVE", bytes([UNDEFINED]), b"", BYTE, (1,))
    with pytest.raises(DeviceError, match=r"3 layers on cortex-m4 .* fault at pc=0x"):
        emulation.run_layers("cortex-m4", jobs)


def test_layers_with_and_without_external_memory_do_not_share_a_start() -> None:
    plain = LayerJob(OP, b"", b"", BYTE, (1,))
    paged = dataclasses.replace(plain, flash=ExternalFlash(b""))
    for jobs in ([], [plain, paged]):
        with pytest.raises(ConfigError, match="accepted: one or more layers"):
            emulation.run_layers("cortex-m4", jobs)


@needs_qemu
def test_cortex_m0_code_counts_the_same_on_a_true_armv6m_core() -> None:
    case = random_case(np.random.default_rng(10), 13, 37, zeros=0.8, batch=3)
    usual, true_core = run_case("cortex-m0", case), run_case("cortex-m0", case, board="microbit")
    np.testing.assert_array_equal(true_core.outputs, usual.outputs)
    assert true_core.instructions == usual.instructions
    assert (usual.board, true_core.board) == ("mps2-an385", "microbit")


@needs_qemu
def test_a_layer_of_two_megabytes_fits_except_on_the_microbit() -> None:
    case = random_case(np.random.default_rng(11), 1024, 2048, zeros=0.7)
    blob = pack(case.layer, Layout(IndexEncoding.U16))
    assert len(blob) > 1_800_000
    for core in ("cortex-m3", "cortex-m33", "cortex-m55"):
        run = run_case(core, case, blob=blob)
        np.testing.assert_array_equal(run.outputs[:, 0], reference(case))
    with pytest.raises(DeviceError, match=r"microbit.* do not fit into RAM"):
        run_case("cortex-m0", case, board="microbit", blob=blob)


@needs_qemu
@pytest.mark.parametrize("core", CORES)
@pytest.mark.parametrize("how", [UNDEFINED, BAD_ADDRESS])
def test_a_crash_is_an_error(core: str, how: int) -> None:
    with pytest.raises(DeviceError, match=f"MISBEHAVE on {core}.* exit code 3: fault at pc=0x"):
        misbehave(core, how)


@needs_qemu
def test_a_stack_overflow_is_named_on_every_board() -> None:
    for core in CORES:
        with pytest.raises(DeviceError, match="stack overflow: sp=0x"):
            misbehave(core, STACK_OVERFLOW)
    with pytest.raises(DeviceError, match="stack overflow: sp=0x"):
        misbehave("cortex-m0", STACK_OVERFLOW, board="microbit")


@needs_qemu
def test_an_unaligned_load_faults_in_cortex_m0_code_only() -> None:
    with pytest.raises(DeviceError, match="fault"):
        misbehave("cortex-m0", UNALIGNED)
    for core in CORES[1:]:
        misbehave(core, UNALIGNED)


@needs_qemu
def test_a_write_behind_a_buffer_is_an_error() -> None:
    with pytest.raises(DeviceError, match="overrun: wrote behind the end"):
        misbehave("cortex-m4", OVERRUN)


@needs_qemu
def test_a_failing_eval_is_an_error() -> None:
    with pytest.raises(DeviceError, match=r"failed in eval: \w+"):
        misbehave("cortex-m4", FAIL)


@needs_qemu
def test_a_hang_ends_at_the_timeout_and_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    toolchain.build_firmware("cortex-m3")
    toolchain.build_plugin()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(DeviceError, match="did not finish within 1 s"):
        misbehave("cortex-m3", HANG, timeout=1)
    assert list(tmp_path.iterdir()) == []


@needs_qemu
def test_corrupt_weights_and_options_are_refused_in_prepare() -> None:
    case = random_case(np.random.default_rng(12), 5, 9, zeros=0.5)
    blob = pack(case.layer, Layout(IndexEncoding.U16))
    index_out_of_range = blob[:-40] + b"\xff" * 40
    for hostile in (b"", b"\0", blob[:60], blob[:-1], b"x" + blob[1:], index_out_of_range):
        with pytest.raises(DeviceError, match=r"failed in prepare: \w+"):
            emulation.run_layer(
                "cortex-m4", OP, case.options.to_bytes(), hostile, case.inputs[None], (1, 5)
            )
    for options in (b"", case.options.to_bytes()[:-1], b"\xff" * 20):
        with pytest.raises(DeviceError, match=r"failed in prepare: \w+"):
            emulation.run_layer("cortex-m4", OP, options, blob, case.inputs[None], (1, 5))
    with pytest.raises(DeviceError, match=r"failed in prepare: \w+"):
        emulation.run_layer(
            "cortex-m4", OP, case.options.to_bytes(), blob, case.inputs[None], (1, 6)
        )


@needs_qemu
def test_an_operator_without_firmware_is_refused() -> None:
    with pytest.raises(DeviceError, match=r"NO_SUCH_OP on cortex-m4.* no such operator"):
        emulation.run_layer("cortex-m4", "NO_SUCH_OP", b"", b"", BYTE, (1,))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"target": "host"}, "'host' is not emulated; accepted: cortex-m0"),
        ({"target": "z80"}, "'z80' is unknown"),
        ({"op_name": ""}, "0 bytes; accepted: 1 to 31"),
        ({"op_name": "X" * 32}, "32 bytes; accepted: 1 to 31"),
        ({"inputs": np.zeros((1, 2))}, "dtype float64; accepted: int8, float32"),
        ({"inputs": np.zeros((0, 2), np.int8)}, r"shape \(0, 2\)"),
        ({"inputs": np.zeros(3, np.int8)}, r"shape \(3,\)"),
        ({"output_shape": ()}, "1 to 6 positive dimensions"),
        ({"output_shape": (1, -2)}, "1 to 6 positive dimensions"),
        ({"optimization": "-O9"}, "'-O9' is unknown; accepted: -O0"),
        ({"board": "microbit"}, "'microbit' does not run cortex-m4 code"),
    ],
)
def test_arguments_that_no_layer_has_are_refused(arguments: dict[str, Any], message: str) -> None:
    accepted: dict[str, Any] = {
        "target": "cortex-m4",
        "op_name": OP,
        "options": b"",
        "blob": b"",
        "inputs": BYTE,
        "output_shape": (1,),
    }
    with pytest.raises(ConfigError, match=message):
        emulation.run_layer(**{**accepted, **arguments})


def test_missing_tools_are_named_with_the_line_that_installs_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolMissingError, match=r"arm-none-eabi-gcc .*apt install gcc-arm-none"):
        toolchain.build_firmware("cortex-m4")
    with pytest.raises(ToolMissingError, match=r"cc .*apt install gcc"):
        toolchain.build_plugin()
    with pytest.raises(ToolMissingError, match=r"apt install qemu-system-arm$"):
        toolchain.require_tool("qemu-system-arm")
    tools = toolchain.find_tools()
    assert all(tool.path is None and tool.version is None for tool in tools.values())


@needs_qemu
def test_a_qemu_that_takes_no_plugin_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    not_a_plugin = tmp_path / "plugin.so"
    not_a_plugin.write_text("text")
    monkeypatch.setattr(toolchain, "build_plugin", lambda: not_a_plugin)
    with pytest.raises(ToolMissingError, match=r"TCG plugins is needed; .*qemu-system-arm$"):
        emulation.check_counter("cortex-m4")


@needs_qemu
def test_images_are_built_once_per_flags(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(build_cache.CACHE_VARIABLE, str(tmp_path))
    first = toolchain.build_firmware("cortex-m4")
    built = first.stat().st_mtime_ns
    assert toolchain.build_firmware("cortex-m4") == first
    assert first.stat().st_mtime_ns == built
    assert first.parent.parent == tmp_path
    assert toolchain.build_firmware("cortex-m4", optimization="-O0") != first
    assert toolchain.build_firmware("cortex-m4", defines=("X=1",)) != first
    # Nothing half-built stays: three images, and the kernels of two flags.
    kinds = [path.name.partition("-")[0] for path in tmp_path.iterdir()]
    assert sorted(kinds) == ["core", "core", *["firmware"] * 3]


@needs_qemu
def test_a_source_that_does_not_compile_is_an_error_and_leaves_no_entry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(build_cache.CACHE_VARIABLE, str(tmp_path))
    with pytest.raises(DeviceError, match=r"compiling \w+\.c failed .*error"):
        toolchain.build_firmware("cortex-m4", defines=("int=",))
    assert list(tmp_path.iterdir()) == []


@needs_qemu
def test_a_cache_that_cannot_be_written_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "file"
    file.write_text("not a directory")
    monkeypatch.setenv(build_cache.CACHE_VARIABLE, str(file))
    with pytest.raises(ConfigError, match=f"cannot write the cache .*{build_cache.CACHE_VARIABLE}"):
        toolchain.build_firmware("cortex-m4")


@pytest.mark.parametrize(
    ("version", "api"),
    [(None, 1), ("6.2.0", 1), ("7.2.22", 1), ("8.2.2", 1), ("9.0.4", 2), ("9.1", 3), ("10.0.2", 3)],
)
def test_plugin_interface_follows_the_qemu_release(version: str | None, api: int) -> None:
    assert toolchain.plugin_api(version) == api
