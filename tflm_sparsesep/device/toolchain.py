"""Find gcc and QEMU, and build the firmware and the counting plugin into a cache.

Nothing is compiled at install time: the first figure for a target builds its image (about two
seconds), later ones reuse it.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from tflm_sparsesep.converters.errors import ConfigError, DeviceError, ToolMissingError
from tflm_sparsesep.converters.selected_variants import DEFINE, HEADER_NAME, variants_header
from tflm_sparsesep.converters.targets import TARGETS, Target, get_target
from tflm_sparsesep.device.build_cache import cached, hash_of
from tflm_sparsesep.sources import device_kernels, source_dir

FIRMWARE_DIR = Path(__file__).resolve().parent / "firmware"

COMPILE_TIMEOUT_SECONDS = 120

# Linker script of each emulated board.
BOARD_SCRIPTS = {
    "mps2-an385": "mps2.ld",
    "mps2-an386": "mps2.ld",
    "mps2-an500": "mps2.ld",
    "mps2-an505": "mps2-an505.ld",
    "mps3-an547": "mps3-an547.ld",
    "microbit": "microbit.ld",
}

_LANGUAGE_FLAGS = ("-std=c11", "-masm-syntax-unified", "-ffunction-sections", "-fdata-sections")
# newlib for what the compiler itself calls: memcpy and the like.
_LINK_FLAGS = ("-nostartfiles", "-Wl,--gc-sections", "-Wl,--no-warn-rwx-segments")

OPTIMIZATIONS = ("-O0", "-O1", "-O2", "-O3", "-Os")

_INSTALL_LINES = {
    "qemu-system-arm": "sudo apt install qemu-system-arm",
    "arm-none-eabi-gcc": "sudo apt install gcc-arm-none-eabi libnewlib-arm-none-eabi",
    "cc": "sudo apt install gcc libc6-dev",
}


@dataclass(frozen=True)
class Tool:
    """A program that emulation needs.

    Attributes:
        name: its command.
        path: where it was found; None if it is missing.
        version: such as "7.2.22"; None if it is missing or unknown.
        install: the command that installs it.
    """

    name: str
    path: Path | None
    version: str | None
    install: str


@dataclass(frozen=True)
class CoreSources:
    """What an archive is built from: the part of an image whose bytes are counted.

    Attributes:
        paths: C files.
        include_dirs: folders of their headers.
        flags: of gcc, for the runner too.
        generated: texts of generated headers by name.
    """

    paths: Sequence[Path]
    include_dirs: Sequence[Path]
    flags: Sequence[str]
    generated: Mapping[str, str] = field(default_factory=dict)

    def inputs(self) -> list[Path]:
        """Return the files that the archive depends on."""
        return [*self.paths, *(path for folder in self.include_dirs for path in _headers(folder))]

    def words(self) -> tuple[str, ...]:
        """Return what else it depends on."""
        version = str(require_tool("arm-none-eabi-gcc").version)
        return (version, *self.flags, *self.generated, *self.generated.values())


def find_tools() -> dict[str, Tool]:
    """Look for QEMU, the Arm compiler and the host compiler (for the plugin) on PATH, by name."""
    return {name: _find_tool(name) for name in _INSTALL_LINES}


def require_tool(name: str) -> Tool:
    """Return the tool `name`. Raises ToolMissingError if it is not on PATH."""
    tool = _find_tool(name)
    if tool.path is None:
        raise ToolMissingError(f"{name} was not found on PATH; {tool.install}")
    return tool


def _find_tool(name: str) -> Tool:
    found = shutil.which(name)
    path = Path(found) if found else None
    return Tool(name, path, _version(path) if path else None, _INSTALL_LINES[name])


@functools.cache
def _version(path: Path) -> str | None:
    try:
        text = run_tool([str(path), "--version"], what=f"{path} --version")
    except DeviceError:
        return None
    # "QEMU emulator version 7.2.22 (Debian ...)", "arm-none-eabi-gcc (15:12.2.rel1-1) 12.2.1 2022"
    match = re.search(r"(?:version|\)) (\d+(?:\.\d+)+)", text)
    return match.group(1) if match else None


def run_tool(command: Sequence[str], *, what: str, cwd: Path | None = None) -> str:
    """Run a compiler-like tool and return its standard output.

    Raises:
        DeviceError: it failed or took too long; carries the first line that says "error".
    """
    try:
        done = subprocess.run(
            command, cwd=cwd, capture_output=True, text=True, timeout=COMPILE_TIMEOUT_SECONDS
        )
    except subprocess.TimeoutExpired:
        raise DeviceError(f"{what} took more than {COMPILE_TIMEOUT_SECONDS} s") from None
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        reason = next((line for line in lines if "error" in line.lower()), "no message")
        raise DeviceError(f"{what} failed with exit code {done.returncode}: {reason.strip()}")
    return done.stdout


def build_firmware(
    target: str,
    *,
    board: str | None = None,
    optimization: str = "-O2",
    defines: Sequence[str] = (),
    variants: Sequence[str] = (),
) -> Path:
    """Build the firmware of `target`: kernels, op core and the bare-metal runner, as an ELF file.

    Args:
        target: the core to compile for, a name of `targets.TARGETS`.
        board: an emulated board of the target; None takes its default.
        optimization: flag of gcc, one of `OPTIMIZATIONS`.
        defines: preprocessor macros of the runner, "NAME" or "NAME=VALUE".
        variants: names of the fully-connected kernels to link; none links all.

    Raises:
        ConfigError: the board does not run the target's code, or no such optimization.
        ToolMissingError, DeviceError: as for `build_image`.
    """
    board = board_of(get_target(target), board)
    return build_image(
        _core_of(target, optimization, variants),
        runner_sources=sorted(FIRMWARE_DIR.glob("*.c")),
        runner_flags=[f"-D{define}" for define in defines],
        board=board,
    )


def build_core(target: str, *, optimization: str = "-O2", variants: Sequence[str] = ()) -> Path:
    """Compile kernels and op core for `target` into an archive, which its images share.

    The arguments and errors are those of `build_firmware`.
    """
    board_of(get_target(target))
    return _build_archive(_core_of(target, optimization, variants))


def _core_of(target: str, optimization: str, variants: Sequence[str]) -> CoreSources:
    core, root = get_target(target), source_dir()
    if optimization not in OPTIMIZATIONS:
        raise ConfigError(
            f"optimization {optimization!r} is unknown; accepted: {', '.join(OPTIMIZATIONS)}"
        )
    selection = (f"-D{DEFINE}",) if variants else ()
    return CoreSources(
        paths=[*device_kernels(core.isa), *sorted((root / "custom_ops/core").glob("*.c"))],
        include_dirs=(root / "kernels/include", root / "kernels", root / "custom_ops"),
        flags=(*compile_flags(core, optimization), *selection),
        generated={HEADER_NAME: variants_header(variants, target=target)} if variants else {},
    )


def board_of(target: Target, board: str | None = None) -> str:
    """Return the emulated board that runs code of `target`: `board`, or the target's default.

    Raises:
        ConfigError: that board does not run the code, or nothing emulates the target.
    """
    if target.qemu_machine is None:
        emulated = ", ".join(name for name, other in TARGETS.items() if other.qemu_machine)
        raise ConfigError(f"target {target.name!r} is not emulated; accepted: {emulated}")
    boards = (target.qemu_machine, *target.other_machines)
    if board is not None and board not in boards:
        raise ConfigError(
            f"board {board!r} does not run {target.name} code; accepted: {', '.join(boards)}"
        )
    return board or target.qemu_machine


def compile_flags(target: Target, optimization: str) -> tuple[str, ...]:
    """Return the flags of gcc for code whose instruction counts are published."""
    return (*target.gcc_flags, optimization, *_LANGUAGE_FLAGS)


def build_image(
    core: CoreSources,
    *,
    runner_sources: Sequence[Path],
    board: str,
    runner_flags: Sequence[str] = (),
) -> Path:
    """Compile and link a bare-metal image for a key of `BOARD_SCRIPTS`, or find it in the cache.

    The core is an archive of its own, so that the linker script can tell its bytes from the
    runner's; images that differ in the board or the runner share it.

    Raises:
        ToolMissingError: no arm-none-eabi-gcc.
        DeviceError: the compiler failed.
    """
    compiler = _require_arm_compiler()
    script = FIRMWARE_DIR / "boards" / BOARD_SCRIPTS[board]
    folders = (*core.include_dirs, FIRMWARE_DIR)

    def build(directory: Path) -> None:
        link = [str(compiler.path), *core.flags, *_LINK_FLAGS, f"-T{script}", f"-L{script.parent}"]
        flags = [*core.flags, *runner_flags, *(f"-I{folder}" for folder in folders)]
        with _objects(compiler, runner_sources, flags, core.generated) as objects:
            image = str(directory / "firmware.elf")
            archive = str(_build_archive(core))
            run_tool([*link, *objects, archive, "-o", image], what=f"linking for {board}")

    inputs = [*runner_sources, *_headers(FIRMWARE_DIR), *script.parent.glob("*.ld")]
    key = hash_of([*core.inputs(), *inputs], (*core.words(), board, *_LINK_FLAGS, *runner_flags))
    return cached(f"firmware-{key}", build) / "firmware.elf"


def _build_archive(core: CoreSources) -> Path:
    def build(directory: Path) -> None:
        compiler, archive = _require_arm_compiler(), str(directory / "libsparsesep.a")
        flags = [*core.flags, *(f"-I{folder}" for folder in core.include_dirs)]
        with _objects(compiler, core.paths, flags, core.generated) as objects:
            run_tool([_binary_tool("ar"), "rcs", archive, *objects], what="arm-none-eabi-ar")

    return cached(f"core-{hash_of(core.inputs(), core.words())}", build) / "libsparsesep.a"


@functools.cache
def text_bytes(archive: Path) -> dict[str, int]:
    """Return the bytes of code and constants of each object in an archive that was built here."""
    table = run_tool([_binary_tool("size"), str(archive)], what="arm-none-eabi-size")
    # text data bss dec hex name.o (ex libsparsesep.a)
    rows = [line.split() for line in table.splitlines()[1:]]
    return {row[5].removesuffix(".o"): int(row[0]) for row in rows}


def kernel_text_bytes(archive: Path, variant: str) -> int:
    """Return the bytes of code and constants in one kernel variant's file."""
    # A file of portable C may hold all block patterns of a family.
    families = (variant, variant.partition("_")[2])
    operators = ("fully_connected", "separable_conv", "depthwise")
    names = (f"{op}_{name}" for name in families for op in operators)
    sizes = text_bytes(archive)
    return next(sizes[name] for name in names if name in sizes)


def build_plugin() -> Path:
    """Build the instruction counter as a shared library for the QEMU on PATH."""
    compiler = require_tool("cc")
    api = plugin_api(require_tool("qemu-system-arm").version)
    sources = sorted((FIRMWARE_DIR / "plugin").glob("*.c"))
    flags = ("-std=c11", "-O2", "-fPIC", "-shared", "-fvisibility=hidden", f"-DPLUGIN_API={api}")

    def build(directory: Path) -> None:
        library = str(directory / "count_instructions.so")
        command = [str(compiler.path), *flags, *map(str, sources), "-o", library]
        run_tool(command, what="compiling the QEMU plugin")

    inputs = [*sources, *_headers(FIRMWARE_DIR / "plugin")]
    key = hash_of(inputs, (str(compiler.version), *flags))
    return cached(f"plugin-{key}", build) / "count_instructions.so"


def plugin_api(qemu_version: str | None) -> int:
    """Return the plugin interface of a QEMU: it changed in 9.0 and 9.1 (qemu_plugin_api.h)."""
    if qemu_version is None:
        return 1
    release = tuple(int(part) for part in qemu_version.split(".")[:2])
    if release >= (9, 1):
        return 3
    return 2 if release >= (9, 0) else 1


def _require_arm_compiler() -> Tool:
    compiler = require_tool("arm-none-eabi-gcc")
    command = [str(compiler.path), "-print-file-name=libc.a"]
    library = run_tool(command, what="arm-none-eabi-gcc").strip()
    if not Path(library).is_absolute():
        raise ToolMissingError(f"{compiler.path} has no C library (newlib); {compiler.install}")
    return compiler


def _binary_tool(name: str) -> str:
    """Return the path of a tool of the Arm compiler's binutils, such as "ar".

    The compiler knows its own: what is found on PATH as the compiler may be a link to ccache, in a
    folder that holds no binutils.

    Raises:
        ToolMissingError: neither the compiler nor PATH has it.
    """
    compiler = require_tool("arm-none-eabi-gcc")
    command = [str(compiler.path), f"-print-prog-name={name}"]
    known = run_tool(command, what=compiler.name).strip()
    # gcc prints the bare name of a program that it looks for on PATH.
    found = known if Path(known).is_absolute() else shutil.which(f"arm-none-eabi-{name}")
    if found is None:
        raise ToolMissingError(
            f"{compiler.path} has no {name}, and arm-none-eabi-{name} was not found on PATH; "
            "sudo apt install binutils-arm-none-eabi"
        )
    return found


def _headers(folder: Path) -> list[Path]:
    return sorted(
        Path(directory, name)
        for directory, _, names in os.walk(folder)
        for name in names
        if name.endswith((".h", ".inc"))
    )


@contextlib.contextmanager
def _objects(
    compiler: Tool, sources: Sequence[Path], flags: Sequence[str], generated: Mapping[str, str]
) -> Iterator[list[str]]:
    """Yield the objects of `sources`, which last as long as the context; all CPUs compile."""
    with tempfile.TemporaryDirectory(prefix="tflm-sparsesep-") as name:
        directory = Path(name)
        for header, text in generated.items():
            (directory / header).write_text(text)
        with ThreadPoolExecutor(os.cpu_count()) as threads:
            jobs = [
                threads.submit(
                    _compile,
                    compiler,
                    source,
                    [*flags, f"-I{directory}"],
                    directory / f"{source.stem}.o",
                )
                for source in sources
            ]
            yield [job.result() for job in jobs]


def _compile(compiler: Tool, source: Path, flags: Sequence[str], output: Path) -> str:
    command = [str(compiler.path), *flags, "-c", str(source), "-o", str(output)]
    run_tool(command, what=f"compiling {source.name}")
    return str(output)
