import os
import signal
import subprocess
import sys

import pytest

from seq2seq.processes import count_cores, how_killed


def test_cores_are_counted_where_the_system_does_not_say_which(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3, 5, 6}, raising=False)
    assert count_cores() == 3
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert count_cores() == 1


def test_a_killed_process_is_described_by_its_signal():
    assert how_killed(-signal.SIGKILL) == "was killed by SIGKILL"


def test_signals_wait_in_a_process_that_is_starting():
    heard = _run(
        "import os, signal\n"
        "from seq2seq.processes import signals_now\n"
        "os.kill(os.getpid(), signal.SIGINT)\n"
        "print('not yet', flush=True)\n"
        "signal.signal(signal.SIGINT, lambda *_: print('now'))\n"
        "signals_now()\n",
        started_by="with signals_later():\n    subprocess.run([sys.executable, '-c', program])\n",
    )
    assert heard == ["not yet", "now"]


@pytest.mark.parametrize("has_thread", [False, True])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["int", "term"])
def test_signals_wait_while_a_process_is_started(number, has_thread):
    # The system gives a signal that one thread blocks to any other one.
    thread = "threading.Thread(target=threading.Event().wait, daemon=True).start()\n"
    heard = _run(
        f"signal.signal({int(number)}, lambda *_: print('now'))\n"
        f"{thread if has_thread else ''}"
        "with signals_later():\n"
        f"    os.kill(os.getpid(), {int(number)})\n"
        "    time.sleep(0.1)\n"
        "    print('not yet')\n"
        "print('after')\n"
        f"os.kill(os.getpid(), {int(number)})\n"
        "time.sleep(0.1)\n"
    )
    assert heard == ["not yet", "now", "after", "now"]


def test_signals_wait_in_a_thread_that_starts_processes():
    heard = _run(
        "def start():\n"
        "    with signals_later():\n"
        "        print('started')\n"
        "worker = threading.Thread(target=start)\n"
        "worker.start()\n"
        "worker.join()\n"
    )
    assert heard == ["started"]


def _run(program, started_by="exec(program)\n"):
    """The lines that a program prints in a process of its own, whose signals are its own, too."""
    imports = (
        "import os, signal, subprocess, sys, threading, time\n"
        "from seq2seq.processes import signals_later\n"
    )
    text = f"{imports}program = {program!r}\n{started_by}"
    command = [sys.executable, "-c", text]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
