"""Locks between processes: one holder at a time, who is named, and whose death ends the lock."""

import contextlib
import errno
import os
import re
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from seq2seq.config import ConfigurationError

_HELD = {errno.EAGAIN, errno.EWOULDBLOCK, errno.EACCES, errno.EDEADLK}
_HOLDER_BYTES = 300
# A link in the place of the lock would have another file emptied.
_OPEN = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)


@contextmanager
def locked(path: Path, in_use: str) -> Iterator[None]:
    """Holds the lock of a file, which exists as long as somebody holds it.

    The file that a killed process left locks nobody out: the system's lock ended with the process.

    Args:
        path: The lock file; its folder must be there.
        in_use: What is to be said if another process holds the lock, without a full stop; that
            process is named behind it.

    Raises:
        ConfigurationError: If another process holds the lock, the file cannot be made, or the file
            system has no locks.
    """
    descriptor = _open_locked(path, in_use)
    try:
        with contextlib.suppress(OSError):  # on a full disk the holder has no name
            os.ftruncate(descriptor, 0)
            os.write(descriptor, f"process {os.getpid()} on {socket.gethostname()}\n".encode())
        yield
    finally:
        if _is_at(path, descriptor):  # otherwise it is another one's
            path.unlink(missing_ok=True)
        os.close(descriptor)


def _open_locked(path: Path, in_use: str) -> int:
    """A descriptor of the lock file that holds its lock."""
    while True:
        try:
            descriptor = os.open(path, _OPEN, 0o666)
        except OSError as error:
            raise ConfigurationError(f"{path} cannot be written: {error.strerror}.") from error
        try:
            _lock(descriptor)
        except OSError as error:
            holder = _holder(descriptor)
            os.close(descriptor)
            if error.errno in _HELD:
                raise ConfigurationError(f"{in_use}{holder}.") from error
            raise ConfigurationError(
                f"{path} cannot be locked, as the file system has no locks ({error.strerror}); "
                f"use a folder on another one."
            ) from error
        # Whoever held the lock a moment ago deleted the file: others would lock a new one.
        if _is_at(path, descriptor):
            return descriptor
        os.close(descriptor)


def _lock(descriptor: int) -> None:
    """Takes an exclusive lock that ends with the process, or raises an OSError at once."""
    if sys.platform == "win32":
        import msvcrt

        os.lseek(descriptor, _HOLDER_BYTES, os.SEEK_SET)  # nobody could read a locked byte
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        os.lseek(descriptor, 0, os.SEEK_SET)
    else:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _holder(descriptor: int) -> str:
    """Who wrote the lock file, in brackets; nothing if it does not say."""
    text = os.read(descriptor, _HOLDER_BYTES).decode(errors="replace")
    match = re.fullmatch(r"(process \d+ on [\w.-]+)\n", text)
    return f" ({match[1]})" if match else ""


def _is_at(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
