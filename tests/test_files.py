import os
import stat

import pytest

from seq2seq.files import remove_parts, replacing


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
        raise OSError("disk full")
    assert [path.read_text() for path in paths] == ["old", "old"]
    assert names(tmp_path) == ["a", "b"]


def test_nothing_is_moved_before_all_is_on_the_disk(tmp_path, monkeypatch):
    flushed = []

    def fsync(descriptor):
        flushed.append(os.fstat(descriptor).st_ino)
        if len(flushed) == 2:
            raise OSError("disk full")

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
    for name in (".last.ckpt.123.part", "last.ckpt", "mine.part"):
        (tmp_path / name).write_text("")
    remove_parts(tmp_path)
    assert names(tmp_path) == ["last.ckpt", "mine.part"]
