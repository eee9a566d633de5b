"""Files end in one line, whole or not at all, and only files are replaced."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest

from tflm_sparsesep.converters.errors import ConfigError, ModelError
from tflm_sparsesep.converters.tflite import editor
from tflm_sparsesep.runtime import files

DEVICES = [Path(name) for name in ("/dev/zero", "/dev/urandom", "/dev/null")]


def test_unreadable_files(tmp_path: Path) -> None:
    for path, reason in ((tmp_path / "no.tflite", "No such file"), (tmp_path, "Is a directory")):
        with pytest.raises(ModelError, match=f"^{path}: cannot be read: {reason}"):
            files.read_model(path)


@pytest.mark.parametrize("device", DEVICES)
def test_a_device_is_no_model(device: Path) -> None:
    with pytest.raises(ModelError, match=r"not a \.tflite file"):
        editor.read(files.read_model(device))
    with pytest.raises(ConfigError, match=f"{device}: "):
        files.read_array(device)


def fifo(folder: Path) -> Path:
    path = folder / "fifo"
    os.mkfifo(path)
    return path


def test_a_model_comes_through_a_pipe(tmp_path: Path) -> None:
    path, data = fifo(tmp_path), b"\x1c\0\0\0TFL3" + bytes(100_000)
    writer = threading.Thread(target=path.write_bytes, args=(data,))
    writer.start()
    assert files.read_model(path) == data
    writer.join()


def test_devices_and_pipes_are_written_into(tmp_path: Path) -> None:
    before = Path("/dev/null").stat()
    files.write_atomically(Path("/dev/null"), b"content")
    link = tmp_path / "link"
    link.symlink_to("/dev/null")
    files.write_atomically(link, b"content")
    assert Path("/dev/null").stat().st_ino == before.st_ino
    assert stat.S_ISCHR(link.stat().st_mode)
    path, found = fifo(tmp_path), []
    reader = threading.Thread(target=lambda: found.append(path.read_bytes()))
    reader.start()
    while not found:
        try:
            files.write_atomically(path, bytes(100_000))
        except ConfigError:  # the reader has not opened it yet
            continue
        reader.join()
    assert found == [bytes(100_000)]
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["fifo", "link"]


def test_a_pipe_without_a_reader_and_a_full_device_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="fifo: cannot be written: No such device"):
        files.write_atomically(fifo(tmp_path), b"content")
    with pytest.raises(ConfigError, match="/dev/full: cannot be written: No space left"):
        files.write_atomically(Path("/dev/full"), b"content")


def test_a_link_stays_and_its_file_is_replaced(tmp_path: Path) -> None:
    target, link = tmp_path / "folder" / "file", tmp_path / "link"
    target.parent.mkdir()
    link.symlink_to(target)
    files.write_atomically(link, b"new")
    assert target.read_bytes() == b"new"
    assert link.is_symlink()


@pytest.mark.parametrize("existing", [True, False])
@pytest.mark.parametrize("failing", [0, 1])
def test_all_files_or_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, existing: bool, failing: int
) -> None:
    paths = [tmp_path / "first", tmp_path / "second"]
    if existing:
        for path in paths:
            path.write_bytes(b"old")
    replace = Path.replace

    def fail(self: Path, target: Path) -> Path:
        if target == paths[failing] and self.read_bytes() == b"new":
            raise PermissionError(13, "Permission denied")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(ConfigError, match=f"{paths[failing].name}: cannot be written: Permission"):
        files.write_all([(path, b"new") for path in paths])
    left = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert left == ({"first": b"old", "second": b"old"} if existing else {})
    monkeypatch.undo()
    files.write_all([(path, b"new") for path in paths])
    left = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert left == {"first": b"new", "second": b"new"}


def test_a_full_device_leaves_the_other_file(tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.write_bytes(b"old")
    with pytest.raises(ConfigError, match="/dev/full"):
        files.write_all([(model, b"new"), (Path("/dev/full"), b"new")])
    assert model.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["model"]


def test_two_paths_of_one_file_are_refused(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to("file")
    with pytest.raises(ConfigError, match="one file, accepted: different ones"):
        files.check_writable(tmp_path / "file", link)
    files.check_writable(Path("/dev/null"), Path("/dev/null"))
