import os
import re
import signal
import subprocess
import sys

import pytest

from seq2seq.config import ConfigurationError
from seq2seq.locks import locked

IN_USE = "The run folder runs/x is in use by another training"


@pytest.fixture
def lock(tmp_path):
    return tmp_path / ".lock"


@pytest.fixture
def holder(lock):
    """A process that holds the lock until it is killed."""
    program = (
        "import pathlib, sys, time\n"
        "from seq2seq.locks import locked\n"
        "with locked(pathlib.Path(sys.argv[1]), 'mine'):\n"
        "    print('locked', flush=True)\n"
        "    time.sleep(600)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(lock)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "locked\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_the_holder_is_named_and_its_death_ends_the_lock(lock, holder):
    message = rf"^{IN_USE} \(process {holder.pid} on [\w.-]+\)\.$"
    with pytest.raises(ConfigurationError, match=message), locked(lock, IN_USE):
        pytest.fail("two hold the lock")
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert lock.exists()  # as nobody was left to remove it
    with locked(lock, IN_USE):
        assert lock.read_text().startswith(f"process {os.getpid()} on ")
    assert not lock.exists()


def test_a_second_lock_in_the_same_process_is_refused_every_time(lock):
    with locked(lock, IN_USE):
        for _ in range(2):
            with pytest.raises(ConfigurationError, match=IN_USE), locked(lock, IN_USE):
                pytest.fail("two hold the lock")
    with locked(lock, IN_USE):
        pass


@pytest.mark.parametrize("content", ["", "process 1", "\0" * 500, "process 1 on a\nb\n"])
def test_a_lock_file_that_does_not_say_who_holds_it(lock, content):
    with locked(lock, IN_USE):
        lock.write_text(content)
        with pytest.raises(ConfigurationError, match=f"^{IN_USE}\\.$"), locked(lock, IN_USE):
            pytest.fail("two hold the lock")


@pytest.mark.parametrize("another_came", [True, False])
def test_a_lock_on_a_deleted_file_is_none(lock, monkeypatch, another_came):
    calls = []

    def flock(descriptor, operation):
        """Before the file is locked, its owner deletes it and somebody else may make a new one."""
        calls.append(os.fstat(descriptor).st_ino)
        if len(calls) == 1:
            lock.rename(lock.with_name("deleted"))
            if another_came:
                lock.touch()

    monkeypatch.setattr("fcntl.flock", flock)
    with locked(lock, IN_USE):
        assert len(calls) == 2
        assert calls[1] == lock.stat().st_ino


def test_a_file_system_without_locks_is_named(lock, monkeypatch):
    def flock(descriptor, operation):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr("fcntl.flock", flock)
    message = rf"{re.escape(str(lock))} cannot be locked, as the file system has no locks \(Oper"
    with pytest.raises(ConfigurationError, match=message), locked(lock, IN_USE):
        pytest.fail("locked")


def test_a_full_disk_takes_the_name_and_not_the_lock(lock, monkeypatch):
    def write(descriptor, data):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", write)
        message = f"^{IN_USE}\\.$"
        with (
            locked(lock, IN_USE),
            pytest.raises(ConfigurationError, match=message),
            locked(lock, IN_USE),
        ):
            pytest.fail("two hold the lock")


def test_a_lock_that_cannot_be_made_is_named(tmp_path):
    lock = tmp_path / "none" / ".lock"
    message = "none/.lock cannot be written: No such file or directory"
    with pytest.raises(ConfigurationError, match=message), locked(lock, IN_USE):
        pytest.fail("locked")


def test_a_link_in_the_place_of_the_lock_is_not_followed(lock, tmp_path):
    precious = tmp_path / "precious"
    precious.write_text("mine")
    lock.symlink_to(precious)
    with pytest.raises(ConfigurationError, match="cannot be written"), locked(lock, IN_USE):
        pytest.fail("locked")
    assert precious.read_text() == "mine"


def test_an_error_within_ends_the_lock(lock):
    with pytest.raises(ValueError, match="mistake"), locked(lock, IN_USE):
        raise ValueError("mistake")
    with locked(lock, IN_USE):
        pass


def test_the_lock_of_who_came_after_a_deletion_stays(lock):
    with locked(lock, IN_USE):
        lock.unlink()
        lock.write_text("of another one")
    assert lock.read_text() == "of another one"
