"""Files that appear whole or not at all, whoever is interrupted or looks meanwhile."""

import contextlib
import errno
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_WRITE_ERRORS = _FULL | {errno.EROFS}  # most of these name no file
_PART = ".part"


@contextmanager
def replacing(
    *paths: Path, check: Callable[..., object] | None = None, beside: Path | None = None
) -> Iterator[list[Path]]:
    """Yields temporary paths to write to, which take the places of `paths` when all are written.

    What stands there now stays until then, or if anything fails; its permissions are kept.

    Args:
        paths: All in one folder. The temporary files have the same names, in a folder of their own
            beside them.
        check: Called with the temporary paths when they are on the disk, to read them back; what
            it raises keeps them from their places.
        beside: Another folder of the same file system for the temporary files, which stay in it if
            the process is killed.

    Raises:
        OSError: If a file cannot be written, as on a full disk; it names the file's place.
    """
    folder = paths[0].parent
    scratch: Path | None = None
    try:
        scratch = Path(tempfile.mkdtemp(prefix=".", suffix=_PART, dir=beside or folder))
        parts = [scratch / path.name for path in paths]
        yield parts
        for part in parts:
            _flush_to_disk(part)
        if check is not None:
            check(*parts)
        for part, path in zip(parts, paths, strict=True):
            if path.exists():
                shutil.copymode(path, part)
            os.replace(part, path)
        _flush_folder(folder)
    except OSError as error:
        _name_place(error, paths)
        raise
    finally:
        if scratch is not None:
            shutil.rmtree(scratch, ignore_errors=True)


def remove_parts(folder: Path) -> None:
    """Deletes what killed processes left of `replacing`, in a folder that nobody else writes to."""
    for scratch in folder.glob(f".*{_PART}"):
        shutil.rmtree(scratch, ignore_errors=True)


def append(path: Path, text: str) -> None:
    """Adds text to the end of a file, or nothing at all if that fails."""
    size = path.stat().st_size if path.exists() else 0
    try:
        with open(path, "ab") as file:
            file.write(text.encode())
    except OSError as error:
        with contextlib.suppress(OSError):
            os.truncate(path, size)
        _name_place(error, [path])
        raise


def explain_write_error(error: OSError, place: Path) -> str:
    """Says what cannot be written and what to do about it: a sentence without full stop.

    Args:
        place: What is named if the error names no file.
    """
    file = error.filename if isinstance(error.filename, str) else place
    mend = "free space there" if error.errno in _FULL else "mend that"
    return f"{file} cannot be written: {error.strerror or error}; {mend}"


def is_write_error(error: OSError) -> bool:
    """Whether an error comes from writing, whatever file it names."""
    return error.errno in _WRITE_ERRORS


def _flush_to_disk(path: Path) -> None:
    """Without it, a power cut soon after the move could leave an empty file in the place."""
    with open(path, "r+b") as file:
        try:
            os.fsync(file.fileno())
        except OSError as error:
            error.filename = str(path)
            raise
        if hasattr(os, "posix_fadvise"):  # what is read back comes from the disk then
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _flush_folder(folder: Path) -> None:
    """Without it, a power cut could bring the old names back, some of them only."""
    with contextlib.suppress(OSError):  # the files are there; some systems cannot sync folders
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _name_place(error: OSError, paths: Sequence[Path]) -> None:
    """Lets an error name the place of the file, as its temporary name is gone by then."""
    place = paths[0] if len(paths) == 1 else paths[0].parent
    if error.filename is None and is_write_error(error):
        error.filename = str(place)
    elif isinstance(error.filename, str | os.PathLike):
        failed = Path(error.filename)
        if failed.name.endswith(_PART):
            error.filename = str(place)
        elif failed.parent.name.endswith(_PART):
            error.filename = str(paths[0].with_name(failed.name))
