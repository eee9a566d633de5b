"""Find gcc and QEMU, and build the firmware and the counting plugin into a cache.

Nothing is compiled at install time: the first figure for a target builds its image (about two
seconds), later ones reuse it. A cache entry is named by a hash of every source, every flag and
the compiler, so it never goes stale.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from tflm_sparsesep.converters.errors import ConfigError, DeviceError, ToolMissingError
from tflm_sparsesep.converters.selected_variants import DEFINE, HEADER_NAME, variants_header
from tflm_sparsesep.converters.targets import TARGETS, Target, get_target
from tflm_sparsesep.runtime import files
from tflm_sparsesep.sources import device_kernels, source_dir

FIRMWARE_DIR = Path(__file__).resolve().parent / "firmware"

CACHE_VARIABLE = "TFLM_SPARSESEP_CACHE"
COMPILE_TIMEOUT_SECONDS = 120

_CHECKSUMS = "sha256sums"  # in each cache entry

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


def cache_dir() -> Path:
    """Return where built images are kept: $TFLM_SPARSESEP_CACHE, or the user's cache directory."""
    override = os.environ.get(CACHE_VARIABLE)
    if override:
        return Path(override)
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "tflm-sparsesep"


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
        defines: preprocessor macros, "NAME" or "NAME=VALUE".
        variants: names of the fully-connected kernels to link; none links all.

    Raises:
        ConfigError: the board does not run the target's code, or no such optimization.
        ToolMissingError, DeviceError: as for `build_image`.
    """
    core = get_target(target)
    board = board_of(core, board)
    if optimization not in OPTIMIZATIONS:
        raise ConfigError(
            f"optimization {optimization!r} is unknown; accepted: {', '.join(OPTIMIZATIONS)}"
        )
    root = source_dir()
    defines = (*defines, *((DEFINE,) if variants else ()))
    flags = (*compile_flags(core, optimization), *(f"-D{define}" for define in defines))
    return build_image(
        core_sources=[*device_kernels(core.isa), *sorted((root / "custom_ops/core").glob("*.c"))],
        runner_sources=sorted(FIRMWARE_DIR.glob("*.c")),
        include_dirs=(root / "kernels/include", root / "kernels", root / "custom_ops"),
        flags=flags,
        board=board,
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
    *,
    core_sources: Sequence[Path],
    runner_sources: Sequence[Path],
    include_dirs: Sequence[Path],
    flags: Sequence[str],
    board: str,
    generated: Mapping[str, str] = MappingProxyType({}),
) -> Path:
    """Compile and link a bare-metal image for a key of `BOARD_SCRIPTS`, or find it in the cache.

    Core sources go into an archive of their own, so that the linker script can tell their bytes
    from the runner's. `generated` holds the text of generated headers by name.

    Raises:
        ToolMissingError: no arm-none-eabi-gcc.
        DeviceError: the compiler failed.
    """
    compiler = _require_arm_compiler()
    script = FIRMWARE_DIR / "boards" / BOARD_SCRIPTS[board]
    include_flags = [f"-I{directory}" for directory in (*include_dirs, FIRMWARE_DIR)]
    headers = [header for folder in (*include_dirs, FIRMWARE_DIR) for header in _headers(folder)]
    inputs = [*core_sources, *runner_sources, *headers, *script.parent.glob("*.ld")]

    def build(directory: Path) -> None:
        include_flags.append(f"-I{directory}")
        for name, text in generated.items():
            (directory / name).write_text(text)
        compile_flags = [*flags, *include_flags]
        objects = _compile_all(compiler, core_sources, compile_flags, directory / "core")
        archive = directory / "libsparsesep.a"
        ar = str(compiler.path).removesuffix("gcc") + "ar"
        run_tool([ar, "rcs", str(archive), *objects], what="arm-none-eabi-ar")
        runner = _compile_all(compiler, runner_sources, compile_flags, directory / "runner")
        link = [str(compiler.path), *flags, *_LINK_FLAGS, f"-T{script}", f"-L{script.parent}"]
        image = str(directory / "firmware.elf")
        run_tool([*link, *runner, str(archive), "-o", image], what=f"linking for {board}")

    version = str(compiler.version)
    key = _hash(inputs, (version, board, *flags, *_LINK_FLAGS, *generated, *generated.values()))
    return _cached(f"firmware-{key}", build) / "firmware.elf"


@functools.cache
def kernel_text_bytes(target: Target, variant: str, optimization: str) -> int:
    """Return the bytes of code and constants in one kernel variant's file, compiled anew."""
    compiler = _require_arm_compiler()
    root = source_dir()
    # A file of portable C may hold all block patterns of a family.
    families = (variant, variant.partition("_")[2])
    operators = ("fully_connected", "separable_conv", "depthwise")
    names = (f"{op}_{name}.c" for name in families for op in operators)
    source = next(path for name in names for path in (root / "kernels").rglob(name))
    include = (f"-I{root / folder}" for folder in ("kernels", "kernels/include"))
    flags = [*compile_flags(target, optimization), *include]
    with tempfile.TemporaryDirectory(prefix="tflm-sparsesep-") as directory:
        compiled = _compile(compiler, source, flags, Path(directory) / "kernel.o")
        size = str(compiler.path).removesuffix("gcc") + "size"
        table = run_tool([size, compiled], what="arm-none-eabi-size")
    return int(table.splitlines()[1].split()[0])


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
    key = _hash(inputs, (str(compiler.version), *flags))
    return _cached(f"plugin-{key}", build) / "count_instructions.so"


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


def _headers(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix in (".h", ".inc"))


def _compile_all(
    compiler: Tool, sources: Sequence[Path], flags: Sequence[str], prefix: Path
) -> list[str]:
    """Return the objects of `sources`, whose paths begin with `prefix`; all CPUs compile."""
    outputs = [prefix.with_name(f"{prefix.name}_{source.stem}.o") for source in sources]
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        jobs = [
            threads.submit(_compile, compiler, source, flags, output)
            for source, output in zip(sources, outputs, strict=True)
        ]
        return [job.result() for job in jobs]


def _compile(compiler: Tool, source: Path, flags: Sequence[str], output: Path) -> str:
    command = [str(compiler.path), *flags, "-c", str(source), "-o", str(output)]
    run_tool(command, what=f"compiling {source.name}")
    return str(output)


def _hash(files: Iterable[Path], words: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for word in words:
        digest.update(word.encode() + b"\0")
    for file in files:
        digest.update(file.name.encode() + b"\0" + hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()[:32]


def _cached(name: str, build: Callable[[Path], None]) -> Path:
    """Return cache entry `name`; `build` makes it in a private directory, then it is renamed.

    An entry that is not what was built, after a full disk for instance, is built anew.
    """
    entry = cache_dir() / name
    if _is_intact(entry):
        return entry
    try:
        entry.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=entry.parent, ignore_cleanup_errors=True) as work:
            built = Path(work) / name
            built.mkdir()
            build(built)
            (built / _CHECKSUMS).write_text(_checksums(built))
            if not _is_intact(entry):
                with contextlib.suppress(OSError):
                    entry.rename(Path(work) / "damaged")
            try:
                built.rename(entry)
            except OSError:
                # Another process was faster: its entry has the same contents.
                if not _is_intact(entry):
                    raise
    except OSError as error:
        raise ConfigError(
            f"cannot write the cache {entry.parent}: {error.strerror}; set {CACHE_VARIABLE} to a "
            "directory that can be written"
        ) from error
    return entry


def _checksums(entry: Path) -> str:
    """Return a line for each file of a cache entry, but for the file that holds these lines."""
    paths = sorted(path for path in entry.iterdir() if path.name != _CHECKSUMS)
    hashes = (hashlib.sha256(files.read_regular(path)).hexdigest() for path in paths)
    return "".join(f"{found}  {path.name}\n" for found, path in zip(hashes, paths, strict=True))


def _is_intact(entry: Path) -> bool:
    try:
        return files.read_regular(entry / _CHECKSUMS).decode() == _checksums(entry)
    except (OSError, UnicodeDecodeError):
        return False
