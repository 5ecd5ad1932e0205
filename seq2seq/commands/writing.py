"""Where commands put what they draw."""

import re
import tempfile

from seq2seq.config import ConfigurationError
from seq2seq.lines import find_place, open_output, reason

# What XML 1.0 forbids, which a sentence may hold: https://www.w3.org/TR/xml/#charsets
_NO_LETTERS = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def check_output(output: str) -> None:
    """Refuses a place where nothing can be written, before the work is done.

    Raises:
        ConfigurationError: If it is a folder, or no file can be made in its own folder.
    """
    place = find_place(output)
    if place is None:
        return
    try:
        tempfile.TemporaryFile(dir=place.parent).close()
    except OSError as error:
        raise ConfigurationError(f"{output} cannot be written: {reason(error)}.") from error


def write_figure(output: str, figure: str, what: str = "picture") -> None:
    """Writes a figure or a page, and says where it is; what is no letter becomes U+FFFD."""
    with open_output(output) as file:
        file.write(_NO_LETTERS.sub("\ufffd", figure).encode())
    print(f"{what}: {output}")
