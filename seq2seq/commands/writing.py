"""Where commands put what they draw."""

import re
import tempfile
from collections.abc import Sequence

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


def write_figure(
    output: str, figure: str, what: str = "picture", *, told: Sequence[str] = ()
) -> None:
    """Writes a figure or a page, and says where it is; what is no letter becomes U+FFFD.

    Args:
        told: Lines that are printed before that, when the figure is in its place: it stays there
            also if nobody reads them to their end.
    """
    with open_output(output) as file:
        file.write(_NO_LETTERS.sub("\ufffd", figure).encode())
    print("\n".join([*told, f"{what}: {output}"]))
