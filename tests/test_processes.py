import os
import signal
import subprocess
import sys

import pytest

from seq2seq.processes import count_cores, how_killed, signals_later, signals_now


def test_cores_are_counted_where_the_system_does_not_say_which(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3, 5, 6}, raising=False)
    assert count_cores() == 3
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert count_cores() == 1


def test_a_killed_process_is_described_by_its_signal():
    assert how_killed(-signal.SIGKILL) == "was killed by SIGKILL"


def test_signals_wait_in_a_process_that_is_starting():
    program = (
        "import os, signal\n"
        "from seq2seq.processes import signals_now\n"
        "os.kill(os.getpid(), signal.SIGINT)\n"
        "print('not yet', flush=True)\n"
        "signal.signal(signal.SIGINT, lambda *_: print('now'))\n"
        "signals_now()\n"
    )
    with pytest.raises(KeyboardInterrupt), signals_later():
        child = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
        os.kill(os.getpid(), signal.SIGINT)
        heard = child.stdout
    assert heard == "not yet\nnow\n"
    signals_now()  # changes nothing here
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)
