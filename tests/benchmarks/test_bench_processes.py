import json
import multiprocessing
import sys

import bench_processes
import pytest

from seq2seq.training import spawned


def run(monkeypatch, tmp_path, *options):
    file = tmp_path / "result.json"
    monkeypatch.setattr(sys, "argv", ["bench_processes", *options, "--json", str(file)])
    bench_processes.main()
    return json.loads(file.read_text("utf-8"))


def test_every_variant_takes_its_turn(monkeypatch, tmp_path):
    monkeypatch.setattr(spawned, "START_METHOD", "forkserver")
    multiprocessing.set_forkserver_preload(["seq2seq.training.train"])
    found = run(monkeypatch, tmp_path, "--shape", "tiny", "--batch", "4", "--rounds", "1")
    steps, *modelled = found["tables"]
    assert [row["variant"] for row in steps["rows"]] == [
        "1 process, 1 thread",
        "1 process, 2 threads",
        "2 processes, no exchange",
        "2 processes",
        "exchange alone",
    ]
    assert all(row["ms"] > 0 for row in steps["rows"])
    assert len(modelled) == 2


def test_an_exchange_in_a_ring_takes_what_it_sends_and_its_messages():
    # Of 2 machines each sends the whole gradient, 4 MB, over 1 Gbit/s, in 2 messages.
    assert bench_processes.exchange_ms(2, 10**6, 1, 50) == pytest.approx(32 + 0.1)
    assert bench_processes.exchange_ms(4, 10**6, 1, 0) == pytest.approx(32 * 1.5)
    assert bench_processes.exchange_ms(1, 10**6, 1, 50) == 0


def test_machines_are_modelled_from_a_given_step(monkeypatch, tmp_path):
    options = ("--step_ms", "32", "--weights", "1000000", "--latency_us", "0")
    after, behind = run(monkeypatch, tmp_path, *options)["tables"]
    assert after["rows"][1] == {
        "machines": 2,
        "1 Gbit/s": "1.0 x (50 %)",
        "10 Gbit/s": "1.8 x (91 %)",
        "25 Gbit/s": "1.9 x (96 %)",
        "100 Gbit/s": "2.0 x (99 %)",
    }
    assert behind["rows"][1]["1 Gbit/s"] == "1.5 x (75 %)"  # two thirds of a step are hidden
    with pytest.raises(SystemExit, match="belong together"):
        run(monkeypatch, tmp_path, "--step_ms", "32")
