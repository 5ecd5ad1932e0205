import dataclasses
import functools
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from tiny_translator import SOURCES

from seq2seq import bulk
from seq2seq.bulk import Rank, find_rank, translate_as_rank, translate_in_processes
from seq2seq.config import ConfigurationError
from seq2seq.line_translator import Job, Listener, TranslationInterrupted
from seq2seq.loading import Loading
from seq2seq.partial_output import Shard
from seq2seq.translator import Translator

LINES = [f"line {number}" for number in range(1, 12)]
JOB, ALONE = Job("capitals", "text", Loading("cpu", "float32", 1), {}), Rank()
CAPITALS = "".join(f"{line.upper()}\n" for line in LINES)


class Capitals:
    """Stands in for a loaded model, which is slow to load: writes lines in capitals."""

    window_size = 4

    def __init__(self, job, listener):
        self.job, self.listener = job, listener
        self.counts = Counter()

    def translate(self, lines, first):
        _count_moment()
        self.counts["cut"] += 1
        return "".join(f"{line.upper()}\n" for line in lines).encode()

    def settings(self):
        return {"model": self.job.model, "window_size": self.window_size}


def _count_moment():
    """Replaced where a process is to be killed."""


@pytest.fixture
def capitals(monkeypatch, tmp_path):
    """Runs a translation by capitals in this process."""
    monkeypatch.setattr(bulk, "LineTranslator", Capitals)
    (tmp_path / "in").write_text("".join(f"{line}\n" for line in LINES))

    def run(*, job=JOB, rank=ALONE, resume=True, said=None):
        listener = Listener() if said is None else Listener(say=said.append)
        with open(tmp_path / "in", "rb", buffering=0) as file:
            return translate_as_rank(
                job, file, tmp_path / "out", rank, resume=resume, listener=listener
            )

    return run


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_one_process_translates_a_file(capitals, tmp_path):
    assert capitals()["cut"] == 3
    assert (tmp_path / "out").read_text() == CAPITALS
    assert names(tmp_path) == ["in", "out"]


def killed_at(moment, work):
    """Calls `work` in a process of its own that is killed at a moment; returns if it came to it."""
    process = multiprocessing.get_context("fork").Process(target=_die_at, args=(moment, work))
    process.start()
    process.join()
    assert process.exitcode in (0, -signal.SIGKILL)
    return process.exitcode != 0


def _die_at(moment, work):
    moments = iter(range(moment + 1))

    def count(function, *args, **options):
        if next(moments) == moment:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*args, **options)

    global _count_moment
    _count_moment = functools.partial(count, lambda: None)
    for name in ("fsync", "replace", "mkdir", "unlink", "rmdir"):
        setattr(os, name, functools.partial(count, getattr(os, name)))
    work()


def test_a_process_killed_at_any_moment_loses_no_line(capitals, tmp_path):
    moment = 0
    while killed_at(moment, lambda: capitals(resume=False)):
        said = []
        assert capitals(said=said)["cut"] == 3
        assert (tmp_path / "out").read_text() == CAPITALS
        assert names(tmp_path) == ["in", "out"], f"killed at moment {moment}"
        (tmp_path / "out").unlink()
        moment += 1
    assert moment > 30
    assert (tmp_path / "out").read_text() == CAPITALS


def test_what_is_done_is_not_done_again(capitals, tmp_path, monkeypatch):
    done = []
    translate = Capitals.translate

    def interrupted(self, lines, first):
        done.append(first)
        if first == 9 and len(done) == 3:
            raise KeyboardInterrupt
        return translate(self, lines, first)

    monkeypatch.setattr(Capitals, "translate", interrupted)
    with pytest.raises(
        TranslationInterrupted, match="interrupted; `--resume` goes on after line 8"
    ):
        capitals()
    said = []
    capitals(said=said)
    assert done == [1, 5, 9, 9]
    assert said == ["goes on after line 8."]
    assert (tmp_path / "out").read_text() == CAPITALS


def test_it_is_said_what_becomes_of_what_is_there(capitals, monkeypatch):
    said = []
    capitals(said=said)
    assert said == ["has nothing to go on from and begins with line 1."]
    said.clear()
    assert killed_at(12, capitals)
    capitals(said=said, resume=False)
    assert said == ["replaces what is there; `--resume` would have gone on from it."]


@pytest.mark.parametrize("count", [2, 3, 7])
def test_ranks_write_what_one_process_writes(capitals, tmp_path, monkeypatch, count):
    others = [Rank(index, count) for index in range(1, count)]
    monkeypatch.setattr("time.sleep", lambda _: capitals(rank=others.pop(), resume=False))
    counts = capitals(rank=Rank(0, count), resume=False)
    assert not others
    assert counts["cut"] == 3, "the first rank counts for all"
    assert (tmp_path / "out").read_text() == CAPITALS
    assert names(tmp_path) == ["in", "out"]


def test_ranks_part_subtitles_between_sentences(capitals, tmp_path, monkeypatch):
    texts = ["a", "b\nc.", "d", "e", "f.", "g."]
    cues = [f"1\n00:00:01,000 --> 00:00:02,000\n{text}\n\n" for text in texts]
    (tmp_path / "in").write_text("".join(cues))
    run = functools.partial(capitals, job=dataclasses.replace(JOB, format="srt"))
    windows = []

    def translate(self, lines, first):
        windows.append((first, len(lines)))
        return "".join(f"{line.upper()}\n" for line in lines).encode()

    monkeypatch.setattr(Capitals, "translate", translate)
    monkeypatch.setattr("time.sleep", lambda _: run(rank=Rank(1, 2)))
    run(rank=Rank(0, 2))
    assert sorted(windows) == [(1, 9), (10, 8), (18, 4), (22, 4)], "the second is late"
    assert (tmp_path / "out").read_text() == "".join(cues).upper()


def test_the_first_rank_waits_for_the_others(capitals, tmp_path, monkeypatch):
    waits = []

    def sleep(seconds):
        waits.append(seconds)
        if len(waits) == 3:
            capitals(rank=Rank(1, 2))

    monkeypatch.setattr("time.sleep", sleep)
    capitals(rank=Rank(0, 2))
    assert len(waits) == 3
    assert (tmp_path / "out").read_text() == CAPITALS


class Slept(Exception):
    """In place of waiting."""


def test_a_rank_touches_nothing_before_the_first_one_has_the_output(
    capitals, tmp_path, monkeypatch
):
    def sleep(seconds):
        capitals(rank=Rank(1, 2, start="first"))
        monkeypatch.setattr("time.sleep", wait)
        record = (tmp_path / ".out.partial" / "done-2.json").read_bytes()
        for index, error in enumerate([ConfigurationError, Slept]):  # another start at once
            with pytest.raises(error):
                capitals(rank=Rank(index, 2, start="second"), resume=False)
        assert (tmp_path / ".out.partial" / "done-2.json").read_bytes() == record

    def wait(seconds):
        raise Slept

    monkeypatch.setattr("time.sleep", sleep)
    capitals(rank=Rank(0, 2, start="first"))
    assert (tmp_path / "out").read_text() == CAPITALS


def test_a_rank_does_not_wait_for_ever(capitals, monkeypatch):
    clock = iter(range(0, 10_000, 1000))
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    monkeypatch.setattr("time.sleep", lambda _: None)
    with pytest.raises(ConfigurationError, match="process 2 of 2 has waited in vain"):
        capitals(rank=Rank(1, 2))


def test_ranks_with_other_lines_are_told_so(capitals, tmp_path, monkeypatch):
    def sleep(seconds):
        monkeypatch.setattr("time.sleep", stop)
        (tmp_path / "in").write_text("other\n")
        capitals(rank=Rank(1, 2))

    def stop(seconds):
        raise AssertionError("it waits for ever")

    monkeypatch.setattr("time.sleep", sleep)
    with pytest.raises(
        ConfigurationError, match="the input or the settings of process 2 differ from those of the"
    ):
        capitals(rank=Rank(0, 2))


def test_after_a_full_disk_at_the_end_ranks_may_come_late(capitals, tmp_path, monkeypatch):
    def fail(*args):
        raise OSError(28, "No space left on device", str(tmp_path / "out"))

    monkeypatch.setattr("time.sleep", lambda _: capitals(rank=Rank(1, 2)))
    with monkeypatch.context() as patched:
        patched.setattr("seq2seq.partial_output._join", fail)
        with pytest.raises(ConfigurationError, match="all lines are translated"):
            capitals(rank=Rank(0, 2))
    monkeypatch.setattr(Capitals, "translate", None)  # nothing is left to do
    late = []
    monkeypatch.setattr("time.sleep", lambda _: late.append(capitals(rank=Rank(1, 2))))
    capitals(rank=Rank(0, 2))
    assert len(late) == 1
    assert (tmp_path / "out").read_text() == CAPITALS
    assert names(tmp_path) == ["in", "out"]


def test_tasks_of_slurm_are_no_ranks(monkeypatch, tmp_path):
    monkeypatch.setenv("SLURM_STEP_ID", "0")
    monkeypatch.setenv("SLURM_NTASKS", "2")
    monkeypatch.delenv("RANK", raising=False)

    def check(output=tmp_path / "out"):
        bulk.check_processes(ALONE, 1, is_resumed=False, input=None, output=output)

    with pytest.raises(
        ConfigurationError, match=r"SLURM has started 2 tasks.* one task with `devices`, or torchr"
    ):
        check()
    check(output=None)
    monkeypatch.setenv("RANK", "0")
    check()
    monkeypatch.delenv("RANK")
    monkeypatch.setenv("SLURM_NTASKS", "1")
    check()
    monkeypatch.setenv("SLURM_NTASKS", "2")
    monkeypatch.delenv("SLURM_STEP_ID")  # in a batch script
    check()


def test_an_error_of_the_system_in_a_started_process_is_a_sentence(capitals, tmp_path, monkeypatch):
    def fail(self):
        raise PermissionError(13, "Permission denied", "model/recipe.yaml")

    monkeypatch.setattr(Capitals, "settings", fail)
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    arguments = (JOB, str(tmp_path / "in"), tmp_path / "out", Rank(0, 2), False, sender)
    process = context.Process(target=bulk._run_worker, args=arguments)
    process.start()
    process.join()
    assert process.exitcode == 0
    assert receiver.recv() == ("fail", ("model/recipe.yaml: permission denied.",))


def test_the_environment_of_torchrun_tells_the_rank(monkeypatch):
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    assert find_rank() == Rank(0, 1)
    monkeypatch.setenv("RANK", "5")
    assert find_rank() == Rank(0, 1)
    monkeypatch.setenv("WORLD_SIZE", "8")
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert find_rank() == Rank(5, 8, 1)
    monkeypatch.setenv("MASTER_ADDR", "here")
    monkeypatch.setenv("MASTER_PORT", "1234")
    assert find_rank() == Rank(5, 8, 1, "here 1234")
    monkeypatch.setenv("RANK", "-1")
    assert find_rank() == Rank(0, 1)


def test_a_full_disk_at_the_end_loses_nothing(capitals, tmp_path, monkeypatch):
    def fail(*args):
        raise OSError(28, "No space left on device", str(tmp_path / "out"))

    with monkeypatch.context() as patched:
        patched.setattr("seq2seq.partial_output._copy", fail)
        with pytest.raises(
            ConfigurationError, match="out: no space left on device; all lines are translated"
        ):
            capitals()
    capitals()
    assert (tmp_path / "out").read_text() == CAPITALS


def test_processes_of_which_some_are_killed_write_what_one_process_writes(tiny_directory, tmp_path):
    sources = [SOURCES[number * 5 % 12] for number in range(140)]
    sources[96:128] = [f"{source} {source} {source}" for source in sources[96:128]]  # slow ones
    (tmp_path / "in").write_text("".join(f"{source}\n" for source in sources))
    job = dataclasses.replace(JOB, model=str(tiny_directory), search={"batch_size": 2})
    begun, said, described = Counter(), [], []

    def begin(first, last):
        begun[first] += 1
        if first == 97 and begun[first] <= 3:
            (process,) = [
                p for p in multiprocessing.active_children() if p.name == "process 2 of 2"
            ]
            os.kill(process.pid, signal.SIGSTOP)
            while not ((record := Shard(tmp_path / "out", 0).read()) and record.is_finished):
                time.sleep(0.01)
            with pytest.raises(ConfigurationError, match="out is being written by another"):
                run(resume=False)
            os.kill(process.pid, signal.SIGKILL)

    def run(resume=True):
        listener = Listener(said.append, begin, describe=described.append)
        with open(tmp_path / "in", "rb", buffering=0) as source_file:
            return translate_in_processes(
                job, source_file, tmp_path / "out", 2, resume=resume, listener=listener
            )

    with pytest.raises(
        ConfigurationError,
        match="process 2 of 2 was killed by SIGKILL in lines 97 to 128, 3 times on end",
    ):
        run()
    message = "process 2 of 2 was killed by SIGKILL in lines 97 to 128; it is started again"
    assert sum(sentence.startswith(message) for sentence in said) == 2
    assert said.count("process 2 of 2 goes on after line 64.") == 2
    assert len(described) == 1
    assert begun[33] == 1, "what is done is not done again"
    assert not multiprocessing.active_children()
    run()
    translations = Translator.load(tiny_directory, "cpu").translate(sources, batch_size=2)
    expected = "".join(f"{translation.text}\n" for translation in translations)
    assert (tmp_path / "out").read_text() == expected
    assert names(tmp_path) == ["in", "out"]
    assert (begun[33], begun[97]) == (1, 4)


@pytest.mark.slow
def test_torchrun_starts_a_killed_rank_again(tiny_directory, tmp_path, environment):
    sources = [SOURCES[number * 5 % 12] for number in range(600)]
    (tmp_path / "in").write_text("".join(f"{source}\n" for source in sources))
    torchrun = "torch.distributed.run --standalone --nproc_per_node 2 --max-restarts 2 -m seq2seq"
    options = f"--input {tmp_path}/in --output {tmp_path}/out --batch_size 2 --resume"
    agent = subprocess.Popen(
        [sys.executable, "-m", *torchrun.split(), "translate", tiny_directory, *options.split()],
        env=environment,
        stderr=subprocess.PIPE,
    )
    record = tmp_path / ".out.partial" / "done-2.json"
    while not record.exists():
        assert agent.poll() is None
        time.sleep(0.01)
    children = Path(f"/proc/{agent.pid}/task/{agent.pid}/children").read_text().split()
    ranks = [pid for pid in children if b"translate" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    assert len(ranks) == 2
    os.kill(int(ranks[1]), signal.SIGKILL)
    _, err = agent.communicate(timeout=300)
    assert agent.returncode == 0
    assert b"process 1 of 2 goes on after line" in err
    translations = Translator.load(tiny_directory, "cpu").translate(sources, batch_size=2)
    expected = "".join(f"{translation.text}\n" for translation in translations)
    assert (tmp_path / "out").read_text() == expected
    assert names(tmp_path) == ["in", "out"]
