"""The scripts that draw and collect results work on run folders as the toolkit writes them."""

import importlib.util
import json
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from sample_run import make_run

FOLDER = Path(__file__).parents[1] / "benchmarks"


def load(name):
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("figure", ["curves", "lengths"])
def test_runs_are_drawn_over_one_another_on_a_page_of_their_own(tmp_path, monkeypatch, figure):
    runs = [make_run(tmp_path / "phrasebook-ko-en"), make_run(tmp_path / "other", wrong="cow")]
    output = tmp_path / "figure.svg"
    argv = ["plot_runs.py", figure, *map(str, runs), "--output", str(output)]
    monkeypatch.setattr(sys, "argv", argv)
    load("plot_runs").main()
    svg = ElementTree.fromstring(output.read_text("utf-8"))
    texts = {"".join(element.itertext()) for element in svg.iter() if element.tag.endswith("text")}
    assert {"phrasebook-ko-en", "other"} <= texts
    assert "--page" in output.read_text("utf-8")  # the colours came along


def test_a_run_becomes_a_result_file_and_a_row(tmp_path, monkeypatch):
    script = load("recipe_results")
    monkeypatch.setattr(script, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(script, "documents", dict)  # the tables of the repository stay as they are
    monkeypatch.setattr(script, "ROOT", tmp_path)
    script.main([str(make_run(tmp_path / "phrasebook-ko-en-mine"))])
    result = json.loads((tmp_path / "results" / "phrasebook-ko-en-mine.json").read_text("utf-8"))
    assert result["recipe"] == "phrasebook_ko_en"
    assert "--name phrasebook-ko-en-mine" in result["command"]
    assert "--model.hidden_size 48" in result["command"]
    table = script.short_table([result])
    assert "| `phrasebook-ko-en-mine` | test | 41.2 | " in table
