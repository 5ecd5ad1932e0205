"""Runs commands as processes of their own, with a clock and an eye on their memory."""

import os
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent
LOOK_EVERY = 0.005  # seconds
SEQ2SEQ = [sys.executable, "-m", "seq2seq"]


@dataclass(frozen=True)
class Finished:
    """What became of a command."""

    output: str
    seconds: float
    peak_megabytes: float
    """The most anonymous memory that the process itself held: files that are mapped, such as
    libraries, do not count. 0 where /proc does not tell."""
    errors: str = ""
    """What it wrote to its standard error."""
    children_megabytes: float = 0.0
    """The most that its own child processes held together."""


def run(command: list[str], *, threads: int, lines: str = "") -> Finished:
    """Runs a command to its end.

    Args:
        lines: What it reads from its standard input.

    Raises:
        SystemExit: If the command fails; its errors are the message.
    """
    paths = [str(FOLDER.parent), str(FOLDER), os.environ.get("PYTHONPATH", "")]
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": str(threads),
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
    }
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as output:
        with tempfile.TemporaryFile() as errors:
            given.write(lines.encode())
            given.seek(0)
            started = time.perf_counter()
            process = subprocess.Popen(
                command, stdin=given, stdout=output, stderr=errors, env=environment
            )
            peak, peak_of_children = _watch(process)
            seconds = time.perf_counter() - started
            errors.seek(0)
            said = errors.read().decode()
            if process.returncode:
                raise SystemExit(f"{' '.join(command)} failed:\n{said}")
        output.seek(0)
        return Finished(output.read().decode(), seconds, peak, said, peak_of_children)


def _watch(process: subprocess.Popen[bytes]) -> tuple[float, float]:
    """Waits for the end; the most anonymous memory of it and of its children, in megabytes."""
    peak = peak_of_children = 0.0
    while True:
        peak = max(peak, _anonymous_megabytes(process.pid))
        children = sum(map(_anonymous_megabytes, _children(process.pid)))
        peak_of_children = max(peak_of_children, children)
        try:
            process.wait(LOOK_EVERY)
            return peak, peak_of_children
        except subprocess.TimeoutExpired:
            pass


def _children(pid: int) -> list[int]:
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except OSError:  # it has just ended, or there is no /proc
        return []
    return [int(child) for child in children.split()]


def _anonymous_megabytes(pid: int) -> float:
    try:
        match = re.search(r"RssAnon:\s*(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    except OSError:  # it has just ended, or there is no /proc
        return 0.0
    return int(match[1]) / 1000 if match else 0.0
