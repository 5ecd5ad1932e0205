"""What is asked of a file before it is read whole, whoever made it."""

import stat
from pathlib import Path

from seq2seq.config import ConfigurationError


def check_file(file: Path, *, most_bytes: int) -> None:
    """Refuses what would be read for ever, or would fill the memory; opens nothing.

    A link to a file counts as that file.

    Raises:
        FileNotFoundError: If there is no such file.
        ConfigurationError: If it is a folder, a pipe, a device or the like, larger than
            `most_bytes`, or cannot be looked at.
    """
    try:
        status = file.stat()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise FileNotFoundError(f"There is no file {file}.") from error
    except OSError as error:  # such as links in a circle
        raise ConfigurationError(f"{file} cannot be read: {error.strerror}.") from error
    if not stat.S_ISREG(status.st_mode):
        kind = "a folder" if stat.S_ISDIR(status.st_mode) else "a device or a pipe"
        raise ConfigurationError(f"{file} is {kind}, but must be a file.")
    if status.st_size > most_bytes:
        raise ConfigurationError(
            f"{file} is too large: it has {status.st_size:,} bytes, but may have {most_bytes:,}."
        )
