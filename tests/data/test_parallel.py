import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from seq2seq.config import ConfigurationError
from seq2seq.data import parallel
from seq2seq.data.parallel import count_processes, in_order


def double(number: int) -> int:
    return 2 * number


def own_process(_: int) -> int:
    return os.getpid()


def fall(number: int) -> int:
    if number == 11:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def refuse(number: int) -> int:
    if number == 11:
        raise ConfigurationError("There is no 11.")
    return number


def test_results_come_in_order_and_few_chunks_are_read_ahead() -> None:
    taken = []

    def chunks() -> Iterator[int]:
        for number in range(40):
            taken.append(number)
            yield number

    results = in_order(double, chunks(), 2)
    for number, result in enumerate(results):
        assert result == 2 * number
        assert len(taken) - number < 9
    assert len(taken) == 40


def test_little_work_and_work_for_one_process_are_done_here() -> None:
    assert set(in_order(own_process, range(8), 2)) == {os.getpid()}
    assert set(in_order(own_process, range(30), 1)) == {os.getpid()}
    others = list(in_order(own_process, range(10), 2))[8:]
    assert os.getpid() not in others


def test_a_killed_process_is_an_error_that_says_what_to_do() -> None:
    with pytest.raises(
        ConfigurationError, match=r"corpus has died: it was killed, perhaps for want of mem"
    ):
        list(in_order(fall, range(20), 2))


def test_an_error_of_a_process_is_an_error_here() -> None:
    with pytest.raises(ConfigurationError, match=r"^There is no 11\.$"):
        list(in_order(refuse, range(20), 2))


ORPHANS = """
import os, signal, sys
from test_parallel import own_process
from seq2seq.data.parallel import count_processes, in_order
if __name__ == "__main__":
    results = in_order(own_process, range(100), 2)
    print(*sorted({next(results) for _ in range(20)} - {os.getpid()}), flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_processes_end_with_the_one_that_started_them(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(ORPHANS)
    paths = [str(Path(__file__).parent), str(Path(parallel.__file__).parents[2])]
    with open(tmp_path / "output", "w") as output:
        finished = subprocess.run(
            [sys.executable, str(script)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
            stdout=output,
            check=False,
        )
    assert finished.returncode == -signal.SIGKILL
    children = [int(process) for process in (tmp_path / "output").read_text().split()]
    assert children
    until = time.monotonic() + 30
    while running := [child for child in children if is_running(child)]:
        if time.monotonic() > until:
            for child in running:
                os.kill(child, signal.SIGKILL)
        assert time.monotonic() <= until
        time.sleep(0.02)


def is_running(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"  # nobody may be there to take note of its end


def test_processes_are_as_many_as_threads_or_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3, 5, 6}, raising=False)
    assert [count_processes(threads) for threads in (None, 1, 2, 99)] == [3, 1, 2, 16]
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 5)
    assert count_processes(None) == 5
