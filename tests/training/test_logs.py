import csv
import errno
import io
import sys

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from seq2seq.training import logs
from seq2seq.training.logs import BoardLog, TableLog, make_loggers, say

FULL = OSError(errno.ENOSPC, "No space left on device")


def fail(*args, **kwargs):
    raise FULL


@pytest.fixture
def file(tmp_path):
    return tmp_path / "logs" / "metrics.csv"


def rows(file):
    with open(file, newline="") as table:
        return [{name: cell for name, cell in row.items() if cell} for row in csv.DictReader(table)]


def test_columns_may_come_later(file):
    log = TableLog(file, last_step=0)
    log.log_metrics({"loss": 2.5}, 1)
    log.save()
    log.log_metrics({"loss": 2.25}, 2)
    log.save()
    log.log_metrics({"dev_bleu": 7.0}, 2)
    log.save()
    log.save()
    assert rows(file) == [
        {"step": "1", "loss": "2.5"},
        {"step": "2", "loss": "2.25"},
        {"step": "2", "dev_bleu": "7.0"},
    ]


def test_a_resumed_log_goes_on_after_its_step(file):
    log = TableLog(file, last_step=0)
    for step in (1, 2, 3):
        log.log_metrics({"loss": 0.5}, step)
    log.save()
    resumed = TableLog(file, last_step=2)
    assert len(rows(file)) == 3  # a process that is killed now has lost nothing
    resumed.log_metrics({"loss": 0.25}, 3)
    resumed.finalize("success")
    assert [(row["step"], row["loss"]) for row in rows(file)] == [
        ("1", "0.5"),
        ("2", "0.5"),
        ("3", "0.25"),
    ]


def test_a_new_run_takes_nothing_of_what_was_there(file):
    file.parent.mkdir()
    file.write_text("step,loss\n1,2.0\n")
    log = TableLog(file, last_step=0)
    log.log_metrics({"loss": 1.0}, 1)
    log.save()
    assert rows(file) == [{"step": "1", "loss": "1.0"}]


@pytest.mark.parametrize("end", ["3", "3,", "3,0.", ",7.0", "x,y", "\0", "3,0.5,7"])
def test_what_a_killed_process_half_wrote_is_left_out(file, end):
    file.parent.mkdir()
    file.write_text(f"step,loss\n1,2.0\n2,1.5\n{end}")
    log = TableLog(file, last_step=2)
    log.log_metrics({"loss": 1.0}, 3)
    log.save()
    assert [row["step"] for row in rows(file)] == ["1", "2", "3"]


@pytest.mark.parametrize("columns", [{"loss": 1.5}, {"dev_bleu": 1.5}])
def test_rows_that_a_full_disk_does_not_take_come_later(file, monkeypatch, capsys, columns):
    log = TableLog(file, last_step=0)
    log.log_metrics({"loss": 2.0}, 1)
    log.save()
    log.log_metrics(columns, 2)
    with monkeypatch.context() as patch:
        patch.setattr(logs, "append", fail)
        patch.setattr(logs, "replacing", fail)
        log.save()
    assert capsys.readouterr().err == (
        f"{file} cannot be written: No space left on device; free space there; training goes on.\n"
    )
    assert rows(file) == [{"step": "1", "loss": "2.0"}]
    log.log_metrics({"loss": 1.0}, 3)
    log.save()
    assert [row["step"] for row in rows(file)] == ["1", "2", "3"]


def read_board(folder):
    board = EventAccumulator(str(folder))
    board.Reload()
    return [(event.step, event.value) for event in board.Scalars("loss")]


def test_the_board_ends_where_it_cannot_be_written_and_says_so_once(tmp_path, monkeypatch, capsys):
    log = BoardLog(tmp_path, name="tensorboard", version="")
    log.log_metrics({"loss": 2.0}, 1)
    log.save()
    with monkeypatch.context() as patch:
        patch.setattr(type(log.experiment), "add_scalar", fail)
        log.log_metrics({"loss": 1.0}, 2)
    log.log_metrics({"loss": 0.5}, 3)
    log.save()
    log.finalize("success")
    message = "tensorboard cannot be written: No space left on device; free space there; training"
    assert capsys.readouterr().err.count(message) == 1
    assert read_board(tmp_path / "tensorboard") == [(1, 2.0)]
    resumed = make_loggers(tmp_path, last_step=1)[1]
    resumed.log_metrics({"loss": 1.0}, 2)
    resumed.finalize("success")
    assert read_board(tmp_path / "tensorboard") == [(1, 2.0), (2, 1.0)]


def test_a_mistake_is_not_taken_for_a_full_disk(tmp_path):
    log = BoardLog(tmp_path, name="tensorboard", version="")
    with pytest.raises(ValueError, match="tried to log"):
        log.log_metrics({"loss": object()}, 1)


def test_what_is_said_may_get_lost_on_a_full_disk(monkeypatch):
    class Full(io.StringIO):
        write = fail

    monkeypatch.setattr(sys, "stderr", Full())
    with pytest.raises(OSError, match="No space left"):
        print("lost", file=sys.stderr)
    say("the run goes on")
