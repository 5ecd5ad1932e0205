import errno
import os
import resource
import stat
from pathlib import Path

import pytest

from seq2seq.files import append, explain_write_error, remove_parts, replacing


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_takes_its_place_when_all_is_written(tmp_path):
    path = tmp_path / "scores.json"
    path.write_text("old")
    with replacing(path) as (part,):
        part.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert names(tmp_path) == ["scores.json"]


def test_a_failing_write_leaves_the_old_files_and_no_other(tmp_path):
    paths = [tmp_path / "a", tmp_path / "b"]
    for path in paths:
        path.write_text("old")
    with pytest.raises(OSError, match="disk full"), replacing(*paths) as parts:
        parts[0].write_text("new")
        parts[1].write_text("half")
        raise OSError(errno.ENOSPC, "disk full")
    assert [path.read_text() for path in paths] == ["old", "old"]
    assert names(tmp_path) == ["a", "b"]


def test_nothing_is_moved_before_all_is_on_the_disk(tmp_path, monkeypatch):
    flushed = []

    def fsync(descriptor):
        flushed.append(os.fstat(descriptor).st_ino)
        if len(flushed) == 2:
            raise OSError(errno.ENOSPC, "disk full")

    monkeypatch.setattr(os, "fsync", fsync)
    inodes = []
    with (
        pytest.raises(OSError, match="disk full"),
        replacing(tmp_path / "a", tmp_path / "b") as parts,
    ):
        for part in parts:
            part.write_text("new")
            inodes.append(part.stat().st_ino)
    assert flushed == inodes
    assert names(tmp_path) == []


def test_permissions_are_kept(tmp_path):
    path = tmp_path / "output.en"
    path.write_text("old")
    path.chmod(0o640)
    with replacing(path) as (part,):
        part.write_text("new")
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_what_a_killed_process_left_is_removed_and_nothing_else(tmp_path):
    for name in ("last.ckpt", "mine.part"):
        (tmp_path / name).write_text("")
    (tmp_path / ".k3x9.part").mkdir()
    (tmp_path / ".k3x9.part" / "last.ckpt").write_text("half")
    remove_parts(tmp_path)
    assert names(tmp_path) == ["last.ckpt", "mine.part"]


def test_what_does_not_read_back_takes_no_place(tmp_path):
    path = tmp_path / "last.ckpt"
    path.write_text("old")

    def check(part):
        assert part.name == "last.ckpt"
        if part.read_text() != "new":
            raise ValueError("damaged")

    with pytest.raises(ValueError, match="damaged"), replacing(path, check=check) as (part,):
        part.write_text("half")
    assert path.read_text() == "old"
    with replacing(path, check=check) as (part,):
        part.write_text("new")
    assert path.read_text() == "new"
    assert names(tmp_path) == ["last.ckpt"]


def test_it_is_read_back_from_the_disk_and_moved_then(tmp_path, monkeypatch):
    events, fsync, replace = [], os.fsync, os.replace

    def record(descriptor):
        fsync(descriptor)
        events.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")

    def move(source, target):
        events.append("move")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", record)
    monkeypatch.setattr(os, "replace", move)
    paths = [tmp_path / "a", tmp_path / "b"]
    with replacing(*paths, check=lambda *parts: events.append("check")) as parts:
        for part in parts:
            part.write_text("new")
    assert events == ["file", "file", "check", "move", "move", "folder"]


def test_a_file_system_that_cannot_sync_folders(tmp_path, monkeypatch):
    fsync = os.fsync

    def refuse(descriptor):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "Invalid argument")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", refuse)
    with replacing(tmp_path / "a") as (part,):
        part.write_text("new")
    assert (tmp_path / "a").read_text() == "new"


@pytest.mark.parametrize(
    ("number", "filename", "named"),
    [
        (errno.ENOSPC, None, "a"),  # the system names no file
        (errno.EIO, None, None),  # it may come from what is read
        (errno.EIO, "{part}", "a"),
        (errno.EACCES, "{folder}", "a"),
        (errno.ENOENT, "/elsewhere", "/elsewhere"),
    ],
)
def test_an_error_names_the_place_and_not_what_is_gone(tmp_path, number, filename, named):
    with pytest.raises(OSError) as info, replacing(tmp_path / "a") as (part,):
        error = OSError(number, os.strerror(number))
        if filename is not None:
            error.filename = filename.format(part=part, folder=part.parent)
        raise error
    expected = named if named in (None, "/elsewhere") else str(tmp_path / named)
    assert info.value.filename == expected


def test_a_folder_that_is_missing_is_an_error_of_the_file(tmp_path):
    with pytest.raises(FileNotFoundError) as info, replacing(tmp_path / "no" / "a"):
        pytest.fail("there is nowhere to write")
    assert info.value.filename == str(tmp_path / "no" / "a")


def test_of_several_files_the_one_that_failed_is_named(tmp_path):
    with pytest.raises(OSError) as info, replacing(tmp_path / "a", tmp_path / "b") as parts:
        parts[0].write_text("new")
        parts[1].mkdir()
        parts[1].write_text("new")
    assert info.value.filename == str(tmp_path / "b")
    assert names(tmp_path) == []


def test_text_is_added_whole_or_not_at_all(tmp_path):
    path = tmp_path / "samples.txt"
    append(path, "first\n")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large") as info:
            append(path, "second\n")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert info.value.filename == str(path)
    assert path.read_text() == "first\n"
    append(path, "second\n")
    assert path.read_text() == "first\nsecond\n"


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            OSError(errno.ENOSPC, "No space left on device", "/runs/x/last.ckpt"),
            "/runs/x/last.ckpt cannot be written: No space left on device; free space there",
        ),
        (OSError(errno.EROFS, "Read-only file system"), "here cannot be written: Read-only file"),
        (OSError("odd"), "here cannot be written: odd; mend that"),
    ],
)
def test_a_write_error_is_explained_with_the_mend(error, message):
    assert explain_write_error(error, Path("here")).startswith(message)
