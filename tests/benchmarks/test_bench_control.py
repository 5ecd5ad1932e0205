"""What ways of translating cost beside plain search: each has a row, with any model."""

import json
import sys

import bench_control
import pytest
import shapes


@pytest.fixture
def tables(tmp_path, monkeypatch):
    def run(*options):
        file = tmp_path / "result.json"
        argv = ["", "--rounds", "1", "--threads", "1", "--json", file, *options]
        monkeypatch.setattr(sys, "argv", list(map(str, argv)))
        bench_control.main()
        found = json.loads(file.read_text("utf-8"))
        assert found["notes"] == []
        return [{row["variant"]: row for row in table["rows"]} for table in found["tables"]]

    return run


def test_every_way_has_a_cost(
    tables, tiny_directory, member_directory, reverse_directory, tmp_path, monkeypatch
):
    monkeypatch.setattr(bench_control, "COMPLETED", 1)
    file = tmp_path / "sentences"
    file.write_text("ein Hund schläft .\n", "utf-8")
    missing = {"min_confidence"}  # the tiny model has no quality.yaml
    monkeypatch.setattr(
        bench_control,
        "SETTINGS",
        {name: setting for name, setting in bench_control.SETTINGS.items() if name not in missing},
    )
    options = ["--model", tiny_directory, "--source", file, "--ensemble", member_directory]
    together, alone = tables(*options, "--reverse", reverse_directory)
    expected = {*bench_control.SETTINGS, "ensemble", "ensemble, arithmetic", "reverse_weight"}
    assert set(together) == expected | {f"format {name}" for name in bench_control.FORMATS}
    assert together["beam search"]["cost"] == 1
    assert all(row["cost"] > 0 for row in together.values())
    assert set(alone) == {"beam search", "complete"}


def test_some_ways_are_asked_for(tables):
    options = ["--shape", "tiny", "--sentences", "2", "--length", "6"]
    (found,) = tables(*options, "--only", "samples", "format srt")
    assert set(found) == {"beam search", "samples", "format srt"}


def test_subtitles_hold_the_sentences():
    text = shapes.Text("tiny", None, ["a b.", "c."], "en")
    lines = bench_control.format_lines("srt", text.sources)
    assert lines == ["1", bench_control.CUE, "a b.", "", "2", bench_control.CUE, "c.", ""]
    assert bench_control.format_lines("html", text.sources) == text.sources
