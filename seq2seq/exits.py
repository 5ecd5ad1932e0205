"""How a command ends: an exit code, and at most one line on standard error."""

import contextlib
import io
import os
import sys
from collections.abc import Callable
from typing import Any

from seq2seq.out_of_memory import is_out_of_memory

FAILURE, INTERRUPTED, CLOSED_PIPE = 2, 130, 141  # the last two as a shell counts signals


def run_command(command: Callable[[], Any]) -> int:
    """Calls `command`; turns a user's mistake into one sentence and 2, an interruption into 130.

    A closed pipe, as by `| head`, ends quietly. Other errors are bugs and pass.
    """
    if sys.stderr is None:  # closed by the caller; `print` would take standard output instead
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115 -- open to the end
    if sys.stdout is None:
        return _fail("standard output is closed; redirect it to a file or to /dev/null.")
    write_utf8()
    try:
        command()
        sys.stdout.flush()
    except KeyboardInterrupt:
        return _fail("interrupted.", INTERRUPTED)
    except BrokenPipeError:
        _end_output()
        return CLOSED_PIPE
    except SystemExit as error:  # after --help
        return error.code if isinstance(error.code, int) else 0
    except OSError as error:
        _end_output()
        file = "" if error.filename is None else f"{error.filename}: "
        return _fail(f"{file}{error.strerror or error}".rstrip(".") + ".")
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        return _fail("memory does not suffice; smaller batches, or a smaller beam, need less.")
    except ValueError as error:
        # The package's own errors speak to users.
        if not type(error).__module__.startswith("seq2seq."):
            raise
        return _fail(str(error), getattr(error, "exit_code", FAILURE))
    return 0


def write_utf8() -> None:
    """Lets both standard streams take any text, whatever the locale."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")


def _end_output() -> None:
    """Writes what is left in the buffer, or drops it if that fails.

    It would fail again when the interpreter ends, with lines of its own.
    """
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _fail(message: str, code: int = FAILURE) -> int:
    # A name in a message may hold what a terminal obeys.
    shown = (char if char.isprintable() else repr(char)[1:-1] for char in " ".join(message.split()))
    with contextlib.suppress(OSError):  # it may be a file on a full disk
        print("seq2seq:", "".join(shown), file=sys.stderr, flush=True)
    return code
