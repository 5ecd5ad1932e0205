import argparse
import json

import measure
import pytest


@pytest.fixture
def clock(monkeypatch):
    """A clock that only moves when somebody works."""
    now = [0.0]
    monkeypatch.setattr(measure.time, "perf_counter", lambda: now[0])
    return now


def test_variants_take_turns_and_the_first_round_warms_up(clock):
    order = []

    def work(name, seconds):
        def run():
            order.append(name)
            clock[0] += next(seconds)

        return run

    times = measure.take_turns(
        {"a": work("a", iter([9.0, 1.0, 2.0])), "b": work("b", iter([9.0, 0.5, 0.25]))}, 2
    )
    assert order == list("ababab")
    assert times == {"a": [1.0, 2.0], "b": [0.5, 0.25]}


def test_ratios_are_taken_within_rounds():
    # The machine is twice as slow in the second round and ten times in the third.
    times = {"first": [1.0, 2.0, 10.0], "second": [0.5, 1.0, 5.0]}
    first, second = measure.per_second(times, {"first": 6, "second": 6})
    assert (first["per second"], first["x first"]) == (3.0, 1.0)
    assert (second["per second"], second["lowest"], second["highest"]) == (6.0, 1.2, 12.0)
    assert (second["x first"], second["x lowest"], second["x highest"]) == (2.0, 2.0, 2.0)


def test_work_may_differ_between_variants():
    _, half = measure.per_second({"a": [1.0], "b": [1.0]}, {"a": 10, "b": 5})
    assert half["x a"] == 0.5


def test_milliseconds_say_how_many_times_as_fast():
    rows = measure.milliseconds({"slow": [0.4, 0.2], "fast": [0.1, 0.1]}, "slow")
    assert (rows[1]["ms"], rows[1]["x slow"]) == (100.0, 3.0)


def test_a_result_is_printed_and_kept(tmp_path, capsys):
    result = measure.Result("example")
    result.table("Rows", [{"name": "one", "value": 1234.5}, {"name": "two", "more": 2}])
    result.notes.append("Three is missing.")
    file = tmp_path / "result.json"
    measure.report(result, argparse.Namespace(seed=7, model=tmp_path, json=file))
    printed = capsys.readouterr().out
    assert "| name | value | more |\n|---|--:|--:|\n| one | 1,234 |  |\n| two |  | 2 |" in printed
    assert "seed=7" in printed and "* Three is missing." in printed
    kept = json.loads(file.read_text("utf-8"))
    assert kept["settings"] == {"seed": 7, "model": tmp_path.name}
    assert kept["tables"][0]["rows"][0]["value"] == 1234.5
    assert {"processor", "cores", "torch", "python"} <= set(kept["machine"])


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        ("a", "a"),
        (12345, "12,345"),
        (0.126, "0.13"),
        (12.34, "12.3"),
        (1234.5, "1,234"),
    ],
)
def test_numbers_have_three_or_four_digits(value, text):
    assert measure.shown(value) == text
