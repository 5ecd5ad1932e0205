"""What a report reads of a run folder: scores, counts, logs, translations, alignments."""

import json
import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from fuzzing import CASES, damage_file, damaged_tree, fuzz, is_sentence
from sample_run import make_log, make_run

from seq2seq.config import ConfigurationError
from seq2seq.evaluate import read_word_counts
from seq2seq.report import read_run, write_report

FILES = (
    *("recipe.yaml", "scores.json", "corpus.json", "training.json", "model.safetensors"),
    *("logs/metrics.csv", "translations/test.jsonl", "translations/alignments.json"),
)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run folder whose long files are shorter than those of a run."""
    folder = make_run(tmp_path / "run")
    (folder / "recipe.yaml").write_text("format_version: 1\nmodel: {cell: gru}\n")
    (folder / "logs" / "metrics.csv").write_text(make_log(steps=6))
    sentences = folder / "translations" / "test.jsonl"
    sentences.write_bytes(b"".join(sentences.read_bytes().splitlines(keepends=True)[:5]))
    return folder


@CASES
def test_damaged_run_folders_have_a_report_or_are_refused(cases: int, run: Path) -> None:
    whole = {name: (run / name).read_bytes() for name in FILES}

    def read(rng: random.Random) -> None:
        name = rng.choice(FILES)
        if name.endswith(".json") and rng.random() < 0.7:
            tree = damaged_tree(json.loads(whole[name]), rng)
            (run / name).write_text(json.dumps(tree))
        else:
            damage_file(run / name, rng)
        try:
            if rng.random() < 0.2:
                page = write_report([run]).read_text("utf-8")
                assert page.rstrip().endswith("</html>")
            else:
                read_run(run)
        finally:
            (run / name).write_bytes(whole[name])

    outcomes = fuzz(read, cases)
    assert min(outcomes["worked"], outcomes["refused"]) > cases / 20


@CASES
def test_damaged_word_counts_are_counts_or_refused(cases: int, tmp_path: Path) -> None:
    file = tmp_path / "source_words.tsv"

    def read(rng: random.Random) -> None:
        file.write_text("Hund\t3\nein\t12\nKatze.\t1\n", "utf-8")
        damage_file(file, rng)
        counts = read_word_counts(tmp_path, "de")
        assert counts is not None and all(count >= 0 for count in counts.values())

    outcomes = fuzz(read, cases)
    assert min(outcomes["worked"], outcomes["refused"]) > cases / 20


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize(
    "make",
    [os.mkfifo, os.mkdir, lambda file: file.symlink_to("/dev/zero")],
    ids=["pipe", "folder", "device"],
)
def test_what_is_no_file_is_not_opened(run: Path, name: str, make: Callable[[Path], None]) -> None:
    (run / name).unlink()
    make(run / name)
    with pytest.raises(ConfigurationError, match="but must be a file") as caught:
        read_run(run)
    assert is_sentence(str(caught.value))


@pytest.mark.parametrize("name", sorted({*FILES} - {"model.safetensors"}))
def test_a_file_of_ten_gigabytes_is_not_read(run: Path, name: str) -> None:
    os.truncate(run / name, 10 * 2**30)  # takes no room on the disk
    with pytest.raises(ConfigurationError, match="is too large: it has 10,737,418,240 bytes"):
        read_run(run)


@pytest.mark.parametrize("name", ["../secret", "../../run/../secret", "/etc/secret", ""])
def test_a_set_cannot_name_a_file_elsewhere(run: Path, name: str) -> None:
    secret = {"source": "secret", "reference": "secret", "hypothesis": "secret"}
    (run / "secret.jsonl").write_text(json.dumps(secret))
    (run / ".jsonl").write_text(json.dumps(secret))
    scores = json.loads((run / "scores.json").read_text())
    (run / "scores.json").write_text(json.dumps({**scores, name: scores["test"]}))
    assert set(read_run(run).sentences) == {"test"}


@pytest.mark.parametrize("count", ["9" * 16, "9" * 5000, "-1", "1.5", "²", ""])
def test_what_is_no_count_of_a_word_is_named(tmp_path: Path, count: str) -> None:
    (tmp_path / "source_words.tsv").write_text(f"ein\t1\nHund\t{count}\n", "utf-8")
    with pytest.raises(ConfigurationError, match="line 2 must be a word, a tab and its count"):
        read_word_counts(tmp_path, "de")
