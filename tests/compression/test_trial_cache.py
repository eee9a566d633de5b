"""The cache of trials: exact, whole or absent, and never mistaken for another's."""

from __future__ import annotations

import itertools
import math
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tflm_sparsesep.compression.trial_cache import Entry, TrialCache, cache_directory

ENTRY = Entry(
    {"sqnr_db": 0.1 + 0.2, "best": math.inf, "drop": None, "forms": ["a", 1]},
    {"tflite": bytes(range(256)), "empty": b"", "last": b"\0\n"},
)


def never() -> Entry:
    raise AssertionError("computed again")


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_a_second_cache_returns_exactly_what_the_first_kept(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "folder"
    setting = {"level": 3, "forms": ["sparse", [4, 4], 0.25]}
    first = TrialCache(folder, b"model", np.arange(6.0))
    assert first.get(setting) is None
    assert first.recall(setting, lambda: ENTRY) == ENTRY
    assert TrialCache(folder, b"model", np.arange(6.0)).recall(setting, never) == ENTRY
    assert len(files(folder)) == 1


def test_all_that_a_result_depends_on_tells_entries_apart(tmp_path: Path) -> None:
    x = np.arange(6, dtype=np.float32)
    contexts: list[tuple[Any, ...]] = [
        (b"model", x, "cortex-m4"),
        (b"model", x, "cortex-m0"),
        (b"mode", x, "cortex-m4"),
        (b"model", x.astype(np.float64), "cortex-m4"),
        (b"model", x.reshape(2, 3), "cortex-m4"),
        (b"model", -x, "cortex-m4"),
        (b"model", None, "cortex-m4"),
        (b"model", x, b"cortex-m4"),
        (b"model", x, "cortex-", "m4"),
    ]
    settings = [{"level": 1}, {"level": 2}, {"level": 1, "effort": 2}, {}]
    number = itertools.count()
    for context in contexts:
        for setting in settings:
            TrialCache(tmp_path, *context).put(setting, Entry({"n": next(number)}))
    number = itertools.count()
    for context in contexts:
        for setting in settings:
            found = TrialCache(tmp_path, *context).get(setting)
            assert found == Entry({"n": next(number)})


def test_the_order_of_a_settings_names_does_not_matter(tmp_path: Path) -> None:
    cache = TrialCache(tmp_path, b"")
    cache.put({"a": 1, "b": 2}, ENTRY)
    assert cache.get({"b": 2, "a": 1}) == ENTRY


def test_samples_in_another_memory_order_are_the_same_samples(tmp_path: Path) -> None:
    x = np.arange(12).reshape(3, 4)
    TrialCache(tmp_path, x).put({}, ENTRY)
    assert TrialCache(tmp_path, np.asfortranarray(x)).get({}) == ENTRY


@pytest.mark.parametrize("damage", ["byte", "cut", "empty", "longer", "other"])
def test_a_damaged_entry_is_computed_again(tmp_path: Path, damage: str) -> None:
    cache = TrialCache(tmp_path, b"model")
    cache.put({}, ENTRY)
    (path,) = files(tmp_path)
    data = path.read_bytes()
    spoilt = {
        "byte": [data[:n] + bytes([data[n] ^ 1]) + data[n + 1 :] for n in range(len(data))],
        "cut": [data[:n] for n in range(1, len(data))],
        "empty": [b""],
        "longer": [data + b"\0"],
        "other": [b"TFL3 of some other program"],
    }[damage]
    for content in spoilt:
        path.write_bytes(content)
        assert cache.get({}) is None
        assert files(tmp_path) == []
    assert cache.recall({}, lambda: ENTRY) == ENTRY
    assert cache.recall({}, never) == ENTRY


def test_an_interrupted_computation_leaves_nothing(tmp_path: Path) -> None:
    def interrupted() -> Entry:
        raise KeyboardInterrupt

    cache = TrialCache(tmp_path, b"model")
    with pytest.raises(KeyboardInterrupt):
        cache.recall({}, interrupted)
    assert files(tmp_path) == []


# Writes two entries and dies within the second: at the start, in the middle, before it appears, or
# after that.
WRITER = """
import os, signal, sys
from pathlib import Path
from tflm_sparsesep.compression import trial_cache
from tflm_sparsesep.compression.trial_cache import Entry, TrialCache
cache, moment = TrialCache(Path(sys.argv[1]), b"model"), sys.argv[2]
cache.put({"n": 0}, Entry({"n": 0}, {"blob": bytes(300_000)}))

def die():
    os.kill(os.getpid(), signal.SIGKILL)

class HalfWritten:
    def __init__(self, handle, mode):
        self.file = open(handle, mode)
    def __enter__(self):
        return self
    def __exit__(self, *_):
        self.file.close()
    def write(self, data):
        if moment == "start":
            die()
        self.file.write(data[: len(data) // 2] if moment == "middle" else data)
        self.file.flush()
        if moment == "middle":
            die()

replace = Path.replace
def replace_or_die(*paths):
    if moment == "before":
        die()
    replace(*paths)
    die()

trial_cache.os.fdopen, Path.replace = HalfWritten, replace_or_die
cache.put({"n": 1}, Entry({"n": 1}, {"blob": bytes([1]) * 300_000}))
"""


@pytest.mark.parametrize("moment", ["start", "middle", "before", "after"])
def test_a_killed_writer_leaves_whole_entries_only(tmp_path: Path, moment: str) -> None:
    done = subprocess.run([sys.executable, "-c", WRITER, tmp_path, moment], timeout=300)
    assert done.returncode == -signal.SIGKILL
    cache = TrialCache(tmp_path, b"model")
    before = files(tmp_path)
    assert cache.get({"n": 0}) == Entry({"n": 0}, {"blob": bytes(300_000)})
    second = Entry({"n": 1}, {"blob": bytes([1]) * 300_000})
    assert cache.get({"n": 1}) == (second if moment == "after" else None)
    assert files(tmp_path) == before  # none was found damaged and deleted
    leftovers = list(tmp_path.glob("*.writing"))
    assert len(leftovers) == (moment != "after")
    for leftover in leftovers:
        os.utime(leftover, (0, 0))
    TrialCache(tmp_path, b"model")
    assert list(tmp_path.glob("*.writing")) == []


def test_the_entries_not_used_for_longest_go_first(tmp_path: Path) -> None:
    cache = TrialCache(tmp_path, b"model")
    for n in range(4):
        cache.put({"n": n}, Entry({}, {"blob": bytes(1000)}))
    for age, path in enumerate(files(tmp_path)):
        os.utime(path, (1000 + age, 1000 + age))
    assert cache.get({"n": 0}) is not None  # used now
    size = files(tmp_path)[0].stat().st_size
    cache = TrialCache(tmp_path, b"model", largest_total=2 * size)
    assert len(files(tmp_path)) == 2
    assert cache.get({"n": 0}) is not None


def test_without_a_usable_directory_all_is_computed(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    for directory in (None, tmp_path / "file", tmp_path / "file" / "below"):
        cache = TrialCache(directory, b"model")
        assert cache.recall({}, lambda: ENTRY) == ENTRY
        assert cache.get({}) is None
    assert [path.name for path in files(tmp_path)] == ["file"]


def test_the_directory_is_the_users(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TFLM_SPARSESEP_CACHE", str(tmp_path / "ours"))
    assert cache_directory() == tmp_path / "ours" / "trials"
    monkeypatch.delenv("TFLM_SPARSESEP_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_directory() == tmp_path / "tflm-sparsesep" / "trials"


def test_pipes_and_devices_in_the_folder_are_no_entries(tmp_path: Path) -> None:
    cache = TrialCache(tmp_path, b"")
    cache.put({}, ENTRY)
    (path,) = files(tmp_path)
    path.unlink()
    os.mkfifo(path)
    assert cache.recall({}, lambda: ENTRY) == ENTRY
    assert cache.recall({}, never) == ENTRY
    path.unlink()
    path.symlink_to("/dev/zero")
    assert cache.recall({}, lambda: ENTRY) == ENTRY
    assert cache.recall({}, never) == ENTRY
