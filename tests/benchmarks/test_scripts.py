"""Every script runs on networks of a few numbers, and what it reports is what was asked for."""

import json
import sys

import bench_decoding
import bench_latency
import bench_memory
import bench_scaling
import bench_startup
import bench_training
import limit
import processes
import pytest
import run_all
import shapes
import task

from seq2seq.translator import Translator

SCRIPTS = {
    script.__name__: script
    for script in (bench_decoding, bench_latency, bench_startup, bench_training, limit)
}


@pytest.fixture
def result(tmp_path, monkeypatch):
    """Runs a script in this process and reads its result."""

    def run(script, options):
        file = tmp_path / "result.json"
        argv = [script.__name__, *options, "--rounds", "1", "--threads", "1", "--json", str(file)]
        monkeypatch.setattr(sys, "argv", argv)
        script.main()
        return json.loads(file.read_text("utf-8"))

    return run


@pytest.mark.parametrize("kind", ["training", "decoding", "latency", "limit"])
def test_quick_jobs_run(result, kind):
    for job in run_all.QUICK_JOBS[kind]:
        found = result(SCRIPTS[job.script.removesuffix(".py")], job.options.split())
        assert found["benchmark"] == kind
        assert found["tables"] and all(table["rows"] for table in found["tables"])


def test_every_job_is_understood(monkeypatch):
    """Of the full run only the options are read."""
    scripts = {**SCRIPTS, "bench_memory": bench_memory, "bench_scaling": bench_scaling}
    for job in (job for jobs in run_all.JOBS.values() for job in jobs):
        script = scripts[job.script.removesuffix(".py")]
        # Those that work on text leave it to `run_on_text`.
        monkeypatch.setattr(script if hasattr(script, "prepare") else shapes, "prepare", _stop)
        monkeypatch.setattr(sys, "argv", [job.script, *job.options.split()])
        with pytest.raises(StopIteration):
            script.main()


def _stop(arguments):
    raise StopIteration


def test_trained_models_are_judged_by_their_text(result, tiny_directory, known_pairs, tmp_path):
    source, reference = tmp_path / "source", tmp_path / "reference"
    source.write_text("\n".join(known_pairs.sources), "utf-8")
    reference.write_text("\n".join(known_pairs.targets), "utf-8")
    options = ["--model", tiny_directory, "--source", source, "--reference", reference]
    options = [*map(str, options), "--variants", "plain", "float32", "int8 shortlist"]
    found = result(bench_decoding, [*options, "--beam", "3", "1"])
    assert [table["title"][:28] for table in found["tables"]] == [
        "Sentences per second, beam 3",
        "Sentences per second, beam 1",
    ]
    for table in found["tables"]:
        assert [row["variant"] for row in table["rows"]] == ["yardstick", "plain", "float32"]
        assert all(row["same text"] == 1 and row["BLEU"] > 99.9 for row in table["rows"])
    (note,) = found["notes"]
    assert note.startswith("int8 shortlist is missing: ")  # the tiny model has no lexicon


def test_what_load_does_instead_is_not_taken_for_the_variant(tmp_path, tiny_directory, monkeypatch):
    plain_load = Translator.load
    monkeypatch.setattr(
        Translator, "load", lambda path, **options: plain_load(path, precision="float32")
    )
    arguments = bench_decoding.argparse.Namespace(
        variants=["float32", "int8"], device="cpu", shortlist=5
    )
    text = bench_decoding.Text("tiny", tiny_directory, ["ein Hund"], "en")
    loaded, missing = bench_decoding.load_variants(text, arguments)
    assert list(loaded) == ["float32"]
    assert missing == ["int8 is missing: this machine has no such products."]


def test_training_takes_real_pairs(result, tiny_directory, known_pairs, tmp_path):
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_text("\n".join(known_pairs.sources), "utf-8")
    target.write_text("\n".join(known_pairs.targets), "utf-8")
    options = ["--model", tiny_directory, "--source", source, "--target", target, "--batch", "5"]
    found = result(bench_training, [*map(str, options), "--shape", "tiny", "--batches", "2"])
    assert found["tables"][0]["rows"][0]["variant"] == "yardstick"
    batches, _ = bench_training.real_batches(tiny_directory, source, target, 5, 2)
    longest = [batch.source_ids.shape[1] for batch in batches]
    assert [len(batch) for batch in batches] == [5, 5] and longest[0] < longest[1]


def test_files_belong_together(result):
    with pytest.raises(SystemExit, match="--model, --source and --target belong together"):
        result(bench_training, ["--source", "file"])
    with pytest.raises(SystemExit, match="--model needs --source"):
        result(bench_decoding, ["--model", "folder"])


def test_a_process_is_watched():
    hold = "import sys; x = bytearray(60_000_000); import time; time.sleep(0.3)"
    small = processes.run([sys.executable, "-c", hold.replace("60_000_000", "1")], threads=1)
    large = processes.run([sys.executable, "-c", hold], threads=1)
    assert 50 < large.peak_megabytes - small.peak_megabytes < 70
    assert large.seconds > 0.3


def test_a_process_reads_and_writes_lines():
    echo = "import os, sys; print(sys.stdin.read(), os.environ['OMP_NUM_THREADS'])"
    assert processes.run([sys.executable, "-c", echo], threads=3, lines="a\n").output == "a\n 3\n"


def test_a_process_that_fails_says_why():
    with pytest.raises(SystemExit, match="no such luck"):
        processes.run([sys.executable, "-c", "raise SystemExit('no such luck')"], threads=1)


@pytest.mark.parametrize("kind", ["training", "decoding"])
@pytest.mark.parametrize("variant", ["yardstick", "float32"])
def test_a_task_tells_its_pieces_and_seconds(kind, variant, tmp_path, monkeypatch, capsys):
    bench_scaling.make_model_directory(
        tmp_path, task.SHAPES["tiny"], source_length=6, target_length=6, vocabulary_size=50
    )
    values = {"kind": kind, "variant": variant, "shape": "tiny", "vocabulary": 50, "length": 6}
    values |= {"sentences": 4, "rounds": 1, "model": str(tmp_path)}
    monkeypatch.setattr(sys, "argv", ["task.py", json.dumps(values)])
    task.main()
    found = json.loads(capsys.readouterr().out)
    assert found["pieces"] == 24
    assert found["seconds"] > 0


def test_growth_is_measured_point_by_point(result, monkeypatch):
    asked = []

    def answer(self):
        asked.append(self)
        return self.beam * 1e-6, 100.0 + self.beam

    monkeypatch.setattr(task.Task, "in_process", answer)
    options = ["--shape", "tiny", "--axes", "beam", "length", "--beam", "1", "4", "--length", "64"]
    found = result(bench_scaling, options)
    decoding = found["tables"][0]["rows"]
    assert [row["beam size"] for row in decoding[:: len(bench_scaling.VARIANTS)]] == [1, 4]
    assert found["charts"][0]["series"]["float32"] == [[1, 1.0], [4, 4.0]]
    assert found["charts"][1]["series"]["float32"] == [[1, 101.0], [4, 104.0]]
    training = [each for each in asked if each.kind == "training"]
    assert {(each.length, each.sentences) for each in training} == {(64, 32)}


def test_corpora_of_growing_size_are_written(tmp_path):
    bench_scaling.write_corpus(tmp_path, 7, seed=1)
    sources, targets = ((tmp_path / f"train.{side}").read_text("utf-8") for side in ("aa", "bb"))
    assert len(sources.splitlines()) == len(targets.splitlines()) == 7
    assert sources != targets


def found(benchmark, ratio):
    rows = [
        {"variant": name, "per second": 10.0 * x, "x yardstick": x, "x lowest": x, "x highest": x}
        for name, x in (("yardstick", 1.0), ("float32", ratio))
    ]
    return {
        "benchmark": benchmark,
        "date": "2026-01-02T03:04+00:00",
        "machine": {"processor": "Some Chip, AVX", "cores": 2, "gpu": None},
        "settings": {"threads": 2, "seed": 1},
        "tables": [{"title": f"{benchmark} work", "rows": rows}],
        "charts": [],
        "notes": [],
    }


def test_results_are_saved_and_published(tmp_path, monkeypatch):
    results = [found("training", 2.5), found("training", 9.0), found("decoding", 3.0)]
    page = run_all.save(results, tmp_path / "results")
    assert page.name == "2026-01-02-some-chip-2-cores.md"
    assert json.loads(page.with_suffix(".json").read_text("utf-8")) == results
    assert page.with_suffix(".svg").read_text("utf-8").startswith("<svg")
    readme = tmp_path / "README.md"
    readme.write_text("Before.\n<!-- speed: begin -->old<!-- speed: end -->\nAfter.\n", "utf-8")
    monkeypatch.setattr(run_all, "PAGES", {readme: "speed"})
    run_all.publish(results, page)
    text = readme.read_text("utf-8")
    assert text.startswith("Before.\n<!-- speed: begin -->\n")
    assert text.endswith("<!-- speed: end -->\nAfter.\n")
    assert "old" not in text and "| training work | 10.0 (1.00 x) | 25.0 (2.50 x) |" in text
    assert "9.00 x" not in text  # the headline has the first table of each kind
    assert f"](results/{page.name})" in text


def test_kinds_that_were_not_run_again_stay(tmp_path):
    run_all.save([found("decoding", 2.0), found("limit", 1.0)], tmp_path)
    page = run_all.save([found("training", 4.0), found("decoding", 3.0)], tmp_path)
    kept = json.loads(page.with_suffix(".json").read_text("utf-8"))
    assert kept == [found("training", 4.0), found("decoding", 3.0), found("limit", 1.0)]


def test_a_page_without_a_block_is_not_written(tmp_path, monkeypatch):
    readme = tmp_path / "README.md"
    readme.write_text("Nothing to see.\n", "utf-8")
    monkeypatch.setattr(run_all, "PAGES", {readme: "speed"})
    with pytest.raises(SystemExit, match="no block <!-- speed: begin -->"):
        run_all.publish([found("training", 2.0)], tmp_path / "page.md")
