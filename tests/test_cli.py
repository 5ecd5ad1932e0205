import dataclasses
import io
import json
import math
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tiny_translator import SOURCES, TARGETS, train_tiny

from seq2seq import cli
from seq2seq.commands.pictures import PICTURES
from seq2seq.config import SearchConfig
from seq2seq.decoding.beam_search import beam_search
from seq2seq.evaluate import evaluate_set
from seq2seq.model_directory import load_model_directory, update_search
from seq2seq.recipe_yaml import recipe_from_yaml, recipe_to_yaml
from seq2seq.translator import Translator

# What is said of the choices that were made, before the first translation.
CHOSEN = "seq2seq: cpu with 1 thread in float32, beam 3, target pieces: all of them\n"


@pytest.fixture
def run(monkeypatch, capfdbinary):
    """Runs a command in this process with bytes as its standard input."""

    def run(*argv, stdin=b""):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        code = cli.main([str(argument) for argument in argv])
        captured = capfdbinary.readouterr()
        return code, captured.out, captured.err.decode()

    return run


@pytest.fixture
def start(environment):
    """Starts a command as a process of its own."""
    processes = []

    def start(*argv, **options):
        options = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, **options}
        command = [sys.executable, "-m", "seq2seq", *map(str, argv)]
        process = subprocess.Popen(
            command,
            stderr=subprocess.PIPE,
            env={**environment, **options.pop("env", {})},
            **options,
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout, process.stderr):
            pipe.close()


def lines(sentences):
    return "".join(f"{sentence}\n" for sentence in sentences).encode()


def test_one_line_in_is_one_line_out_in_order(run, tiny_directory):
    code, out, err = run("translate", tiny_directory, stdin=lines(SOURCES))
    assert (code, out.decode(), err) == (0, lines(TARGETS).decode(), CHOSEN)


def test_blank_lines_stay_and_the_last_line_needs_no_end(run, tiny_directory):
    stdin = lines(["", SOURCES[0], " ", SOURCES[1], ""]) + SOURCES[2].encode()
    code, out, _ = run("translate", tiny_directory, stdin=stdin)
    assert code == 0
    assert out.decode().split("\n") == ["", TARGETS[0], "", TARGETS[1], "", TARGETS[2], ""]


def test_nothing_in_is_nothing_out(run, tiny_directory):
    assert run("translate", tiny_directory) == (0, b"", "")


def test_lines_end_at_lf_only(run, tiny_directory):
    stdin = "ein Hund\u2028schläft .\r\nein\x85Hund\x0bschläft .\r\n".encode()
    _, out, _ = run("translate", tiny_directory, stdin=stdin)
    assert out.count(b"\n") == 2
    assert out.decode().split("\n")[1] == "a dog sleeps ."


def test_a_byte_order_mark_is_no_text(run, tiny_directory):
    _, out, _ = run("translate", tiny_directory, stdin=b"\xef\xbb\xbf" + lines(SOURCES[:1]))
    assert out == lines(TARGETS[:1])


def test_invalid_utf8_is_replaced_and_counted(run, tiny_directory):
    stdin = b"ein \xff Hund\n" + lines(SOURCES[:1]) + b"\xc3\n"
    code, out, err = run("translate", tiny_directory, stdin=stdin)
    assert code == 0
    assert out.decode().split("\n")[1] == TARGETS[0]
    assert "seq2seq: 2 lines held invalid UTF-8, which was replaced by U+FFFD." in err
    _, _, err = run("translate", tiny_directory, "--quiet", stdin=stdin)
    assert err == ""


def test_sentences_that_had_to_be_cut_are_counted(run, own_directory):
    recipe_file = own_directory / "recipe.yaml"
    text = recipe_file.read_text()
    recipe_file.write_text(text.replace("decode:", "decode:\n  longest_source: 20"))
    long = " ".join(SOURCES[0].removesuffix(" .") for _ in range(9))
    stdin = lines([SOURCES[9], f"{SOURCES[9]} {SOURCES[9]}", long, long])
    code, out, err = run("translate", own_directory, stdin=stdin)
    assert code == 0 and len(out.splitlines()) == 4
    assert err == CHOSEN + (
        "seq2seq: 2 lines held sentences longer than any in training, so they were cut.\n"
    )
    assert run("translate", own_directory, "--quiet", stdin=stdin)[2] == ""


def test_truncated_translations_are_counted(run, tiny_directory):
    options = ["--min_length", "10000", "--beam_size", "1"]
    _, out, err = run("translate", tiny_directory, *options, stdin=lines(["Hund"]))
    assert out.count(b"\n") == 1
    assert err == CHOSEN.replace("beam 3", "beam 1") + (
        "seq2seq: 1 line reached the maximum length, so its translation is cut off.\n"
        "seq2seq: 1 line ended there before `--min_length`; raise `--max_length_ratio`.\n"
    )


def test_choices_are_told_unless_nobody_asks(run, tiny_directory):
    options = ["--precision", "bfloat16", "--plain", "--beam_size", "2"]
    code, out, err = run("translate", tiny_directory, *options, stdin=lines(SOURCES))
    assert (code, out) == (0, lines(TARGETS))
    assert err == (
        "seq2seq: cpu with 1 thread in bfloat16 on the plain path, beam 2, "
        "target pieces: all of them\n"
    )
    assert run("translate", tiny_directory, "--quiet", stdin=lines(SOURCES))[2] == ""


def test_int8_has_no_plain_path(run, tiny_directory):
    code, _, err = run("translate", tiny_directory, "--precision", "int8", "--plain")
    assert code == 2
    assert err == "seq2seq: `--plain` has no `--precision` int8; give float32 or bfloat16.\n"


def test_input_and_output_may_be_files(run, tiny_directory, tmp_path):
    (tmp_path / "in.de").write_bytes(lines(SOURCES))
    files = ["--input", tmp_path / "in.de", "--output", tmp_path / "out.en"]
    assert run("translate", tiny_directory, *files) == (0, b"", CHOSEN)
    assert (tmp_path / "out.en").read_bytes() == lines(TARGETS)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.de", "out.en"]


def test_an_old_translation_is_replaced_and_keeps_its_permissions(run, tiny_directory, tmp_path):
    (tmp_path / "in").write_bytes(lines(SOURCES))
    file = tmp_path / "out"
    file.write_text("old")
    file.chmod(0o640)
    assert run("translate", tiny_directory, "--input", tmp_path / "in", "--output", file)[0] == 0
    assert file.read_bytes() == lines(TARGETS)
    assert file.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("spelling", ["text", "link", "hard", "folder/../text"])
@pytest.mark.parametrize("option", ["input", "terms"])
def test_a_file_that_is_read_is_not_overwritten(run, tiny_directory, tmp_path, spelling, option):
    file = tmp_path / "text"
    file.write_text("Hund\tpuppy\n")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(file)
    (tmp_path / "hard").hardlink_to(file)
    output = tmp_path / spelling
    code, _, err = run("translate", tiny_directory, f"--{option}", file, "--output", output)
    assert (code, err) == (
        2,
        f"seq2seq: `--output` {output} is the file of `--{option}`, which would be lost; name "
        f"another file.\n",
    )
    assert file.read_text() == "Hund\tpuppy\n"


def test_standard_input_is_not_overwritten(start, tiny_directory, tmp_path):
    file = tmp_path / "text"
    file.write_bytes(lines(SOURCES))
    with open(file, "rb") as opened:
        process = start("translate", tiny_directory, "--output", file, stdin=opened)
        process.stdin = opened
        assert b"is the file of `--input`" in process.stderr.read()
    assert process.wait(60) == 2
    assert file.read_bytes() == lines(SOURCES)


def test_a_failed_command_leaves_the_old_output(run, tiny_directory, tmp_path):
    output = tmp_path / "out.jsonl"
    output.write_text("old")
    options = ["--format", "jsonl", "--output", output]
    code, _, err = run("translate", tiny_directory, *options, stdin=b"ein Hund\n{broken\n")
    assert (code, err) == (2, "seq2seq: line 2 of the input is no JSON object.\n")
    assert output.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["out.jsonl"]


def test_output_to_a_device_is_not_moved_over_it(run, tiny_directory):
    assert run("translate", tiny_directory, "--output", os.devnull, stdin=b"Hund\n")[0] == 0
    assert not os.path.isfile(os.devnull)


def test_tsv_hands_columns_on_and_adds_text_and_score(run, tiny_directory):
    options = ["--format", "tsv", "--n_best", "2"]
    _, out, _ = run("translate", tiny_directory, *options, stdin=f"{SOURCES[0]}\t17\n".encode())
    source, number, text, score, second, second_score = out.decode().rstrip("\n").split("\t")
    assert (source, number, text) == (SOURCES[0], "17", TARGETS[0])
    assert float(second_score) < float(score) < 0
    assert second != text


def test_jsonl_reads_lines_and_objects(run, tiny_directory):
    stdin = lines([SOURCES[0], json.dumps({"source": SOURCES[5], "id": 7})])
    options = ["--format", "jsonl", "--n_best", "3"]
    _, out, _ = run("translate", tiny_directory, *options, stdin=stdin)
    first, second = map(json.loads, out.decode().splitlines())
    assert (first["source"], first["text"]) == (SOURCES[0], TARGETS[0])
    assert (second["id"], second["text"]) == (7, TARGETS[5])
    assert first["pieces"][-1] == first["source_pieces"][-1] == "</s>"
    assert len(first["alternatives"]) == 3
    assert first["alternatives"][0]["text"] == first["text"]
    assert first["truncated"] is False


def test_details_are_a_column_of_tsv_and_members_of_jsonl(run, tiny_directory):
    found = Translator.load(tiny_directory, "cpu").translate(SOURCES, with_details=True)
    stdin = lines(SOURCES)
    code, out, _ = run("translate", tiny_directory, "--details", "--format", "tsv", stdin=stdin)
    assert code == 0
    rows = [line.split("\t") for line in out.decode().splitlines()]
    links = [" ".join(f"{s}-{t}" for s, t in each.links) for each in found]
    assert [row[3] for row in rows] == links
    code, out, _ = run("translate", tiny_directory, "--details", "--format", "jsonl", stdin=stdin)
    assert code == 0
    for line, each, link in zip(out.splitlines(), found, links, strict=True):
        values = json.loads(line)
        assert values["alignment"] == link
        assert values["source_words"] == values["source"].split()
        assert [word["text"] for word in values["words"]] == each.text.split()
        for word, expected in zip(values["words"], each.words, strict=True):
            assert word["probability"] == pytest.approx(
                math.exp(expected.log_probability), abs=1e-4
            )
            assert word["source"] == list(expected.sources)
            assert word["weights"] == [round(weight, 4) for weight in expected.weights]
            assert len(word["weights"]) == len(values["source_words"])
        assert len(values["piece_entropies"]) == len(values["pieces"])
        assert sum(values["piece_log_probabilities"]) == pytest.approx(
            values["log_probability"], abs=1e-3
        )


@pytest.fixture(scope="module")
def fixed_directory(tiny_recipe, known_pairs, tmp_path_factory):
    """A model without attention, which has hardly learnt anything."""
    model = dataclasses.replace(tiny_recipe.model, attention="none")
    path = tmp_path_factory.mktemp("models") / "fixed"
    train_tiny(dataclasses.replace(tiny_recipe, model=model), known_pairs, path, num_steps=1)
    return path


def test_html_keeps_its_tags(run, tiny_directory):
    stdin = "<p>ein <b>Hund</b> schläft .</p>\n\n<br>\n<i>Müller</i> &amp;\n".encode()
    code, out, _ = run("translate", tiny_directory, "--format", "html", stdin=stdin)
    assert code == 0
    first, second, third, fourth = out.decode().splitlines()
    assert re.sub("<[^>]*>", "", first) == "a dog sleeps ."
    assert re.findall("<[^>]*>", first) == ["<p>", "<b>", "</b>", "</p>"]
    assert (second, third) == ("", "<br>")
    assert re.findall("<[^>]*>", fourth) == ["<i>", "</i>"]


def test_html_needs_attention_and_has_room_for_one_hypothesis(run, fixed_directory, tiny_directory):
    code, _, err = run("translate", fixed_directory, "--format", "html", stdin=b"ein Hund\n")
    assert code == 2
    assert err == (
        f"seq2seq: `--format html` needs a model with attention, but {fixed_directory} has "
        "`model.attention` none.\n"
    )
    options = ["--format", "html", "--n_best", "2"]
    code, _, err = run("translate", tiny_directory, *options, stdin=b"ein Hund\n")
    assert (code, err.count("has no room in `--format html`")) == (2, 1)


def test_one_model_with_attention_is_enough_for_html_and_align(
    run, member_directory, tiny_directory, pair_options
):
    stdin = "ein <b>Hund</b> schläft .\n".encode()
    options = ["--ensemble", tiny_directory, "--ensemble_weights", "0.001", "1"]
    code, out, _ = run("translate", member_directory, *options, "--format", "html", stdin=stdin)
    assert code == 0
    assert re.sub("<[^>]*>", "", out.decode()) == "a dog sleeps .\n"
    assert re.findall("<[^>]*>", out.decode()) == ["<b>", "</b>"]
    code, out, _ = run("align", member_directory, *options, *pair_options)
    assert code == 0
    assert out == run("align", tiny_directory, *pair_options)[1]


def test_align_is_exact_unless_asked_otherwise(run, monkeypatch, tiny_directory, pair_options):
    precisions = []

    def load(*args, precision, **keywords):
        precisions.append(precision)
        return original(*args, precision=precision, **keywords)

    original = Translator.load
    monkeypatch.setattr(Translator, "load", load)
    run("align", tiny_directory, *pair_options, "--threads", "1")
    run("align", tiny_directory, *pair_options, "--precision", "bfloat16")
    assert precisions == ["float32", "bfloat16"]
    code, out, _ = run("align", "--help")
    assert code == 0
    assert re.search(r"--precision.*?default: float32", out.decode(), re.DOTALL)


def test_copies_and_capitals_are_options(run, tiny_directory, fixed_directory):
    stdin = "EIN HUND SCHLÄFT .\nЖ schläft .\n".encode()
    options = ["--copy_unknown", "--keep_case"]
    code, out, _ = run("translate", tiny_directory, *options, stdin=stdin)
    assert code == 0
    loud, copied = out.decode().splitlines()
    assert loud == "A DOG SLEEPS ."
    assert "Ж" in copied.split()
    code, _, err = run("translate", fixed_directory, *options, stdin=stdin)
    assert code == 2
    assert err.startswith("seq2seq: `--copy_unknown` needs a model with attention, but")
    code, _, err = run("align", fixed_directory, "--source", __file__, "--target", __file__)
    assert code == 2
    assert err.endswith("`model.attention` none, so it aligns no words.\n")


def test_details_have_no_room_in_text(run, tiny_directory):
    code, out, err = run("translate", tiny_directory, "--details", stdin=b"")
    assert (code, out) == (2, b"")
    assert err == (
        "seq2seq: `--details` has no room in `--format text`; use `--format tsv` or jsonl.\n"
    )


@pytest.fixture
def pair_options(tmp_path):
    (tmp_path / "source").write_text("\n".join(["", *SOURCES, ""]), "utf-8")
    (tmp_path / "target").write_text("\n".join(["", *TARGETS, ""]), "utf-8")
    return "--source", tmp_path / "source", "--target", tmp_path / "target"


def test_align_prints_a_line_for_each_pair(run, tiny_directory, pair_options):
    code, out, err = run("align", tiny_directory, *pair_options)
    assert (code, err) == (0, "")
    rows = out.decode().splitlines()
    assert len(rows) == 1 + len(SOURCES)
    assert rows[0] == ""
    for row, source, target in zip(rows[1:], SOURCES, TARGETS, strict=True):
        links = [tuple(map(int, link.split("-"))) for link in row.split()]
        assert links
        assert all(s < len(source.split()) and t < len(target.split()) for s, t in links)
        assert [t for _, t in links] == sorted({t for _, t in links})


def test_align_prints_all_weights(run, tiny_directory, pair_options):
    code, out, _ = run("align", tiny_directory, *pair_options, "--format", "soft")
    assert code == 0
    for line, source, target in zip(
        out.decode().splitlines(), ["", *SOURCES], ["", *TARGETS], strict=True
    ):
        values = json.loads(line)
        assert values["source_words"] == source.split()
        assert values["target_words"] == target.split()
        assert len(values["weights"]) == len(target.split())
        for row in values["weights"]:
            assert len(row) == len(source.split())
            assert 0 <= min(row) <= sum(row) <= 1.001


def test_align_needs_as_many_lines(run, tiny_directory, tmp_path, pair_options):
    (tmp_path / "target").write_text("a\n")
    code, _, err = run("align", tiny_directory, *pair_options)
    assert code == 2
    assert err.endswith(f"source has {1 + len(SOURCES)} lines, but {tmp_path / 'target'} has 1.\n")


def test_jsonl_needs_a_source(run, tiny_directory):
    code, _, err = run("translate", tiny_directory, "--format", "jsonl", stdin=b'{"text": "x"}\n')
    assert (code, err) == (2, 'seq2seq: line 1 of the input has no text as its "source".\n')


def test_jsonl_hands_on_what_is_no_text_in_utf8(run, tiny_directory):
    stdin = b'{"source": "ein \\ud800 Hund", "\\udfff": "\\ud83d\\ude00"}\n' + lines(SOURCES[:1])
    code, out, err = run("translate", tiny_directory, "--format", "jsonl", stdin=stdin)
    first, second = map(json.loads, out.decode().splitlines())
    assert (code, err) == (0, CHOSEN)
    assert (first["source"], first["\udfff"]) == ("ein \ud800 Hund", "\U0001f600")
    assert second["text"] == TARGETS[0]


@pytest.mark.parametrize("layout", ["text", "tsv", "jsonl"])
def test_no_output_holds_a_control_character(run, tiny_directory, layout):
    stdin = "ein\x1b[1mHund\t\x00\x7f\x85\x9f\rx\n".encode()
    _, out, _ = run("translate", tiny_directory, "--format", layout, stdin=stdin)
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f]", out.decode())
    assert out.count(b"\n") == 1
    if layout == "tsv":
        assert out.decode().split("\t")[:2] == ["ein [1mHund", "     x"]
    if layout == "jsonl":
        assert json.loads(out)["source"] == stdin.decode().rstrip("\n")


def test_alignments_that_nobody_sees_are_not_kept(run, tiny_directory, monkeypatch):
    kept = []

    def search(*args, keep_alignment, **settings):
        kept.append(keep_alignment)
        return beam_search(*args, keep_alignment=keep_alignment, **settings)

    monkeypatch.setattr("seq2seq.engine.beam_search", search)
    _, out, _ = run("translate", tiny_directory, "--format", "jsonl", stdin=lines(SOURCES))
    assert len(out.splitlines()) == len(SOURCES)
    assert set(kept) == {False}


def test_hyphens_are_accepted(run, tiny_directory):
    code, out, _ = run(
        "translate",
        "--beam-size=2",
        "--max-length-ratio",
        "3",
        tiny_directory,
        stdin=lines(SOURCES),
    )
    assert (code, out) == (0, lines(TARGETS))


def test_score_prints_log_probability_and_perplexity_of_each_line(run, tiny_directory, tmp_path):
    (tmp_path / "a.de").write_bytes(lines(SOURCES))
    (tmp_path / "a.en").write_bytes(lines(TARGETS))
    code, out, err = run(
        "score", tiny_directory, "--source", tmp_path / "a.de", "--target", tmp_path / "a.en"
    )
    assert code == 0
    columns = [[float(cell) for cell in line.split(b"\t")] for line in out.splitlines()]
    translator = Translator.load(tiny_directory)
    expected = translator.score(SOURCES, TARGETS)
    assert [row[0] for row in columns] == pytest.approx(expected, abs=1e-5)
    lengths = [len(ids) + 1 for ids in translator.tokenizers.target.encode_batch(TARGETS)]
    pairs = list(zip(expected, lengths, strict=True))
    perplexities = [math.exp(-score / length) for score, length in pairs]
    assert [row[1] for row in columns] == pytest.approx(perplexities, abs=1e-4)
    words = sum(len(target.split()) + 1 for target in TARGETS)
    assert err == (
        f"seq2seq: {sum(lengths)} pieces, log-probability {sum(expected):.4f}, "
        f"perplexity {math.exp(-sum(expected) / sum(lengths)):.4f} per piece, "
        f"{math.exp(-sum(expected) / words):.4f} per word\n"
    )


def test_score_of_no_lines_is_nothing(run, tiny_directory, tmp_path):
    for name in ("a.de", "a.en"):
        (tmp_path / name).write_bytes(b"")
    code, out, err = run(
        "score", tiny_directory, "--source", tmp_path / "a.de", "--target", tmp_path / "a.en"
    )
    assert (code, out, err) == (0, b"", "")


def test_lexicon_is_learnt_from_files_and_added_to_the_model(run, own_directory, tmp_path):
    (tmp_path / "a.de").write_bytes(lines(SOURCES))
    (tmp_path / "a.en").write_bytes(lines(TARGETS))
    files = ["--source", tmp_path / "a.de", "--target", tmp_path / "a.en"]
    code, out, err = run("lexicon", own_directory, *files, "--max_pairs", "5")
    assert (code, err) == (0, "")
    assert out.decode() == f"lexicon: {own_directory / 'lexicon.safetensors'}\n"
    assert load_model_directory(own_directory).lexicon is not None


def test_lexicon_needs_files_of_one_length(run, own_directory, tmp_path):
    (tmp_path / "a.de").write_bytes(lines(SOURCES))
    (tmp_path / "a.en").write_bytes(lines(TARGETS[:3]))
    files = ["--source", tmp_path / "a.de", "--target", tmp_path / "a.en"]
    code, _, err = run("lexicon", own_directory, *files)
    assert code == 2
    assert err.endswith("a.en has 3; they must be line-aligned.\n")


def test_score_needs_files_of_one_length(run, tiny_directory, tmp_path):
    (tmp_path / "a.de").write_bytes(lines(SOURCES))
    (tmp_path / "a.en").write_bytes(lines(TARGETS[:3]))
    code, out, err = run(
        "score", tiny_directory, "--source", tmp_path / "a.de", "--target", tmp_path / "a.en"
    )
    assert (code, out) == (2, b"")
    assert "a.de has 12 lines, but " in err and "a.en has 3." in err


@pytest.fixture
def evaluation_files(tmp_path):
    """Options of `evaluate`: what the tiny translator knows, but for one reference."""
    (tmp_path / "a.de").write_bytes(lines(SOURCES * 3))
    (tmp_path / "a.en").write_bytes(lines([*TARGETS * 2, *TARGETS[:-1], "something else"]))
    return ["--source", tmp_path / "a.de", "--reference", tmp_path / "a.en"]


def test_evaluate_prints_scores_and_writes_sentences(
    run, tiny_directory, evaluation_files, tmp_path
):
    output = tmp_path / "a.jsonl"
    code, out, err = run("evaluate", tiny_directory, *evaluation_files, "--output", output)
    assert (code, err) == (0, CHOSEN)
    rows = [json.loads(line) for line in output.read_text("utf-8").splitlines()]
    assert [row["hypothesis"] for row in rows] == TARGETS * 3
    assert [row["chrf"] == 100 for row in rows] == [True] * 35 + [False]
    text = out.decode()
    assert f"Translations of {tmp_path / 'a.de'} by {tiny_directory}\n36 sentences, " in text
    assert "beam size 3" in text
    assert "nrefs:1|bs:1000|" in text
    assert f"Unknown, since {tiny_directory / 'source_words.tsv'} is not there." in text


def test_evaluate_scores_as_the_run_did_whose_recipe_removes_spaces(
    run, own_directory, evaluation_files, tmp_path
):
    recipe = recipe_from_yaml((own_directory / "recipe.yaml").read_text("utf-8"))
    corpus = dataclasses.replace(recipe.corpus, remove_spaces="target")
    recipe = dataclasses.replace(recipe, corpus=corpus)
    (own_directory / "recipe.yaml").write_text(recipe_to_yaml(recipe), "utf-8")
    references = [target.replace(" ", "") for target in TARGETS]  # as the run's corpus has them
    expected = evaluate_set(Translator.load(own_directory), SOURCES * 3, references * 3).scores
    (tmp_path / "a.en").write_bytes(lines(TARGETS * 3))
    code, out, _ = run("evaluate", own_directory, *evaluation_files)
    assert code == 0
    assert expected["ter"].value > 50, "the model writes spaces"
    for score in expected.values():
        assert f"{score.name:<6}  {score.value:>6.2f}  " in out.decode()


def test_evaluate_takes_search_settings_and_word_counts(run, own_directory, evaluation_files):
    (own_directory / "source_words.tsv").write_text("Hund\t7\n")
    _, out, _ = run(
        "evaluate", own_directory, *evaluation_files, "--beam_size", "1", "--min-length=300"
    )
    text = out.decode()
    assert "beam size 1" in text
    assert "never seen" in text
    assert "truncated         36  100.0%" in text


def test_evaluate_compares_with_a_file(run, tiny_directory, evaluation_files, tmp_path):
    (tmp_path / "worse.en").write_bytes(lines(["a dog sleeps ."] * 36))
    options = ["--against", tmp_path / "worse.en"]
    code, out, _ = run("evaluate", tiny_directory, *evaluation_files, *options)
    assert code == 0
    name = tiny_directory.name
    assert f"\n{name} against worse.en\n" in out.decode()
    assert re.search(
        rf"\n{name} is better than worse.en by \d\d\.\d BLEU \(p ≤ 0\.001\)", out.decode()
    )


def test_evaluate_compares_with_a_model(run, tiny_directory, own_directory, evaluation_files):
    code, out, _ = run("evaluate", tiny_directory, *evaluation_files, "--against", own_directory)
    assert code == 0
    assert (
        "No difference in chrF2 can be claimed between tiny and model (p = 1.00)." in out.decode()
    )


def test_version_and_help(run):
    for argv in [("--version",), ("translate", "model", "--version"), ("train", "--version")]:
        code, out, _ = run(*argv)
        assert code == 0
        assert out.startswith(b"seq2seq ")
    for argv in [(), ("--help",), ("-h",)]:
        code, out, _ = run(*argv)
        assert code == 0
        assert all(f"  {name} " in out.decode() for name in cli.COMMANDS)


def test_the_help_of_picture_names_all_kinds(run):
    for argv in [("picture",), ("picture", "--help")]:
        code, out, _ = run(*argv)
        assert code == 0
        assert all(f"  {name} " in out.decode() for name in PICTURES)


def test_an_unknown_picture_is_named_with_what_may_have_been_meant(run):
    code, _, error = run("picture", "alignement")
    assert code == 2
    assert error == "seq2seq: unknown picture `alignement`; did you mean `alignment`?\n"


SIMPLE_COMMANDS = [name for name in cli.COMMANDS if name != "picture"]


@pytest.mark.parametrize("command", [*SIMPLE_COMMANDS, *(f"picture {kind}" for kind in PICTURES)])
def test_every_option_has_a_help(run, command):
    code, out, _ = run(*command.split(), "--help")
    assert code == 0
    text = " ".join(out.decode().split())
    assert f"usage: seq2seq {command} [options]" in text
    for option in [token for token in text.split() if token.startswith("--")]:
        after = text.split(f"{option} ", 1)[1]
        assert not after.startswith("("), f"{option} has no help"


def test_help_shows_defaults_and_docstrings(run):
    text = " ".join(run("train", "--help")[1].decode().split())
    assert "Padded pieces per batch, counted on the longer side. (type: int, default: 2000)" in text
    assert "other options override its values" in text
    text = " ".join(run("translate", "--help")[1].decode().split())
    assert "Hypotheses kept per sentence; 1 is greedy search." in text


def test_a_slow_input_is_answered_line_by_line_in_utf8_whatever_the_locale(start, tiny_directory):
    environment = {"LC_ALL": "C", "PYTHONIOENCODING": "latin-1", "PYTHONUTF8": "0"}
    process = start("translate", tiny_directory, "--format", "tsv", env=environment)
    for source, target in (("Müller schläft .", "Miller sleeps ."), (SOURCES[0], TARGETS[0])):
        process.stdin.write(lines([source]))
        process.stdin.flush()
        ready, _, _ = select.select([process.stdout], [], [], 60)
        assert ready, "no answer while the input stays open"
        assert process.stdout.readline().decode().split("\t")[:2] == [source, target]
    assert process.communicate() == (b"", CHOSEN.encode())
    assert process.returncode == 0


def test_a_closed_pipe_ends_quietly(start, tiny_directory):
    process = start("translate", tiny_directory)
    process.stdin.write(lines(SOURCES[:1]))
    process.stdin.flush()
    assert process.stdout.readline()
    process.stdout.close()
    process.stdin.write(lines(SOURCES))
    process.stdin.flush()
    assert process.wait(60) == 141
    assert process.stderr.read() == CHOSEN.encode()


def test_an_interruption_is_one_line(start, tiny_directory):
    process = start("translate", tiny_directory)
    process.stdin.write(lines(SOURCES[:1]))
    process.stdin.flush()
    assert process.stdout.readline()
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130
    assert process.stderr.read() == CHOSEN.encode() + b"seq2seq: interrupted.\n"


def test_progress_is_for_terminals(start, tiny_directory, tmp_path, environment):
    (tmp_path / "in").write_bytes(lines(SOURCES))
    leader, follower = pty.openpty()
    command = [sys.executable, "-m", "seq2seq", "translate", str(tiny_directory)]
    process = subprocess.Popen(
        [*command, "--input", str(tmp_path / "in"), "--output", str(tmp_path / "out")],
        stderr=follower,
        env={**environment, "TERM": "xterm"},
    )
    assert process.wait(60) == 0
    os.close(follower)
    time.sleep(0.1)
    shown = os.read(leader, 65536).decode()
    os.close(leader)
    assert "12 lines" in shown
    assert "per second" in shown


def test_inspect_writes_a_page_about_a_sentence(run, tiny_directory, tmp_path):
    page = tmp_path / "inspect.html"
    code, out, _ = run("inspect", tiny_directory, SOURCES[0], "--output", page)
    expected = Translator.load(tiny_directory, precision="float32").translate(SOURCES[0])
    assert code == 0
    assert out.decode().splitlines() == [expected.text, f"page: {page}"]
    assert page.read_text("utf-8").count("</svg>") == 1 + 3 + 6 + 1, "attention, gates, units, beam"


def test_pictures_of_a_sentence_are_drawn(run, tiny_directory, tmp_path):
    figure = tmp_path / "figure.svg"
    asked = ("--target", TARGETS[1], "--units", "words")
    code, out, _ = run(
        "picture", "alignment", tiny_directory, SOURCES[0], *asked, "--output", figure
    )
    assert (code, out.decode()) == (0, f"picture: {figure}\n")
    assert figure.read_text("utf-8").count("output words") == 2
    asked = ("--beam_size", "2", "--pruned", "0")
    code, out, _ = run("picture", "beam", tiny_directory, SOURCES[0], *asked, "--output", figure)
    assert (code, out.decode()) == (0, f"picture: {figure}\n")
    assert "Beam of 2: " in figure.read_text("utf-8")


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (("picture", "alignment"), "a model with `model.attention` none has no alignment to show"),
        (("picture", "beam", "--beam_size", "30"), "`--beam_size` must be at most 20 for a pict"),
        (("picture", "beam", "--pruned", "-1"), "`--pruned` must be at least 0, but is -1."),
        (("inspect", "--colour_by", "tense"), "`--colour_by` needs sentences of which something"),
    ],
    ids=["attention", "beam_size", "pruned", "colour_by"],
)
def test_a_picture_that_cannot_be_is_refused(run, member_directory, tmp_path, argv, message):
    code, _, err = run(*argv, "--output", tmp_path / "x", member_directory, SOURCES[0])
    assert code == 2
    assert message in err
    assert not (tmp_path / "x").exists()


def test_an_interrupted_translation_is_resumed(start, run, tiny_directory, tmp_path):
    (tmp_path / "in").write_bytes(lines(SOURCES * 25))
    files = ["--input", tmp_path / "in", "--output", tmp_path / "out"]
    process = start("translate", tiny_directory, *files, "--batch_size", "2")
    wait_for(tmp_path / ".out.partial" / "done-1.json")
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130
    err = process.stderr.read().decode()
    number = re.search(r"seq2seq: interrupted; `--resume` goes on after line ([\d,]+)\.\n", err)[1]
    code, _, err = run("translate", tiny_directory, *files, "--batch_size", "2", "--resume")
    assert (code, err) == (0, f"seq2seq: goes on after line {number}.\n{CHOSEN}")
    assert (tmp_path / "out").read_bytes() == lines(TARGETS * 25)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "out"]


def test_processes_that_are_just_starting_are_interrupted_without_a_trace(
    tiny_directory, tmp_path, environment
):
    (tmp_path / "in").write_bytes(lines(SOURCES))
    command = [sys.executable, "-m", "seq2seq", "translate", str(tiny_directory), "--devices", "2"]
    command += ["--input", str(tmp_path / "in"), "--output", str(tmp_path / "out")]
    process = subprocess.Popen(
        command, env=environment, stderr=subprocess.PIPE, start_new_session=True
    )
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    while sum(is_worker(child) for child in children.read_text().split()) < 2:
        assert process.poll() is None
        time.sleep(0.001)
    time.sleep(0.3)  # they import
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err.decode()) == (130, "seq2seq: interrupted.\n")
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def is_worker(pid):
    try:
        return b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def test_other_files_in_a_model_directory_are_not_read(run, own_directory, tmp_path):
    (own_directory / "folder.yaml").mkdir()
    os.mkfifo(own_directory / "pipe.model")
    options = ["--output", tmp_path / "out", "--quiet"]
    assert run("translate", own_directory, *options, stdin=lines(SOURCES)) == (0, b"", "")
    assert (tmp_path / "out").read_bytes() == lines(TARGETS)


def wait_for(file):
    for _ in range(6000):
        if file.exists():
            return
        time.sleep(0.01)
    raise AssertionError(f"{file} does not appear")


def test_what_stops_a_translation_says_how_to_go_on(run, tiny_directory, tmp_path):
    options = ["--format", "jsonl", "--batch_size", "1", "--output", tmp_path / "out"]
    wrong = [*SOURCES * 2, "{broken", *SOURCES]
    code, _, err = run("translate", tiny_directory, *options, stdin=lines(wrong))
    assert code == 2
    assert err.endswith(
        "seq2seq: line 25 of the input is no JSON object; `--resume` goes on after line 16.\n"
    )
    right = [*SOURCES * 2, "{}", *SOURCES]
    options = [*options, "--quiet", "--resume"]
    code, _, err = run("translate", tiny_directory, *options, stdin=lines(right))
    assert (code, err) == (
        2,
        'seq2seq: line 25 of the input has no text as its "source"; `--resume` goes on after '
        "line 16.\n",
    )
    assert run("translate", tiny_directory, *options, stdin=lines(SOURCES * 4)) == (0, b"", "")
    found = [json.loads(line)["text"] for line in (tmp_path / "out").read_text().splitlines()]
    assert found == TARGETS * 4


def test_counts_are_those_of_the_whole_file(run, tiny_directory, tmp_path):
    options = ["--batch_size", "1", "--output", tmp_path / "out"]
    options += ["--min_length", "50", "--beam_size", "1", "--max_length_ratio", "0.1"]
    stdin = b"x\xff\n" + lines(["Hund"] * 19)
    broken = stdin + b"x" * 3_000_000
    code, _, err = run("translate", tiny_directory, *options, stdin=broken)
    assert code == 2
    assert err.endswith(
        "seq2seq: line 21 of the input is longer than 2,000,000 bytes; put a line end after each "
        "sentence; `--resume` goes on after line 16.\n"
    )
    code, _, err = run("translate", tiny_directory, *options, "--resume", stdin=stdin)
    assert err.splitlines()[2:] == [
        "seq2seq: 1 line held invalid UTF-8, which was replaced by U+FFFD.",
        "seq2seq: 20 lines reached the maximum length, so their translations are cut off.",
        "seq2seq: 20 lines ended there before `--min_length`; raise `--max_length_ratio`.",
    ]


def test_batches_that_do_not_fit_into_memory_are_halved(run, tiny_directory, monkeypatch):
    def search(step, state, *, max_lengths, **settings):
        if len(max_lengths) > 2 or max(max_lengths) > 100:
            raise MemoryError
        return beam_search(step, state, max_lengths=max_lengths, **settings)

    monkeypatch.setattr("seq2seq.engine.beam_search", search)
    monkeypatch.setattr("seq2seq.batches.give_back_memory", lambda: None)  # it takes a moment
    code, out, err = run("translate", tiny_directory, stdin=lines(SOURCES))
    assert (code, out) == (0, lines(TARGETS))
    assert err == CHOSEN + (
        "seq2seq: memory does not suffice for some batches, which are halved; a smaller "
        "`--batch_size` is faster.\n"
    )
    long = " ".join(SOURCES[:6])
    code, _, err = run("translate", tiny_directory, "--quiet", stdin=lines([*SOURCES, long]))
    assert code == 2
    assert re.fullmatch(
        r"seq2seq: line 13 of the input does not fit into memory: \d+ pieces; give a smaller "
        r"`--beam_size`, or split it\.\n",
        err,
    )


def test_other_work_that_does_not_fit_into_memory_is_a_sentence(run, tiny_directory, monkeypatch):
    def load(*args, **options):
        raise RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes.")

    monkeypatch.setattr(Translator, "load", load)
    assert run("translate", tiny_directory) == (
        2,
        b"",
        "seq2seq: memory does not suffice; smaller batches, or a smaller beam, need less.\n",
    )


def test_ranks_of_torchrun_write_one_file(start, run, tiny_directory, tmp_path, monkeypatch):
    (tmp_path / "in").write_bytes(lines(SOURCES * 5))
    options = ["--input", tmp_path / "in", "--output", tmp_path / "out", "--batch_size", "1"]
    monkeypatch.setenv("WORLD_SIZE", "3")
    monkeypatch.setenv("RANK", "0")
    others = [
        start("translate", tiny_directory, *options, env={"WORLD_SIZE": "3", "RANK": rank})
        for rank in ("1", "2")
    ]
    assert run("translate", tiny_directory, *options) == (0, b"", CHOSEN)
    assert [other.communicate(timeout=60) for other in others] == [(b"", b"")] * 2
    assert (tmp_path / "out").read_bytes() == lines(TARGETS * 5)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "out"]


def test_hypotheses_are_ranked_by_a_reverse_model(run, tiny_directory, reverse_directory):
    options = ["--reverse", reverse_directory, "--reverse_weight", "0.5", "--format", "jsonl"]
    code, out, _ = run("translate", tiny_directory, *options, stdin=lines(SOURCES))
    assert code == 0
    reverse = Translator.load(reverse_directory, precision="float32")
    for line, source in zip(out.decode().splitlines(), SOURCES, strict=True):
        found = json.loads(line)
        (expected,) = reverse.score([found["text"]], [source])
        assert found["reverse_log_probability"] == pytest.approx(expected, abs=1e-4)
        assert found["alternatives"][0]["reverse_log_probability"] == pytest.approx(
            expected, abs=1e-4
        )


def test_a_translation_is_resumed_with_the_same_reverse_model(
    run, tiny_directory, reverse_directory, tmp_path
):
    (tmp_path / "in").write_bytes(lines([*SOURCES * 2, "{broken"]))
    options = ["--input", tmp_path / "in", "--output", tmp_path / "out", "--format", "jsonl"]
    options += ["--batch_size", "1", "--reverse_weight", "0.5", "--reverse"]
    assert run("translate", tiny_directory, *options, reverse_directory)[0] == 2
    copy = shutil.copytree(reverse_directory, tmp_path / "reverse")
    update_search(copy, SearchConfig(beam_size=2))
    code, _, err = run("translate", tiny_directory, *options, copy, "--resume")
    assert code == 2
    assert "the reverse model has changed since the translation began" in err


def test_what_must_survive_is_brought_back_and_counted(run, tiny_directory):
    sources = [SOURCES[0], "ein Hund {name} schläft .", "", "der Mann rennt 5 Mal ."]
    code, out, err = run("translate", tiny_directory, "--preserve", stdin=lines(sources))
    plain, name, blank, five, _ = out.decode().split("\n")
    assert (code, plain, blank) == (0, TARGETS[0], "")
    assert "{name}" in name and "5" in five
    assert (
        err
        == f"{CHOSEN}seq2seq: 2 lines had lost what must be preserved, which was brought back.\n"
    )


def test_tuned_settings_are_saved_if_they_are_better(
    run, own_directory, evaluation_files, monkeypatch
):
    monkeypatch.setattr("seq2seq.tune.GRIDS", (({"min_length": 0}, {"max_length_ratio": 1.5}),))
    files = [*evaluation_files, "--quiet"]
    code, out, _ = run("tune", own_directory, *files, "--save")
    assert code == 0
    assert out.decode().endswith(f"The defaults stay.\n{own_directory} is left as it was.\n")
    update_search(own_directory, SearchConfig(beam_size=3, min_length=14))
    code, out, _ = run("tune", own_directory, *files, "--save")
    assert code == 0
    assert out.decode().endswith(
        f"\nseq2seq translate {own_directory} --min_length 0\nsaved: {own_directory}/recipe.yaml\n"
    )
    saved = load_model_directory(own_directory).recipe.search
    assert saved == SearchConfig(beam_size=3)


CUES = [
    *("1", "00:00:01,000 --> 00:00:02,000", "<i>ein Hund</i>", ""),
    *("2", "00:00:02,100 --> 00:00:03,000", "schläft .", ""),
    *("3", "00:00:05,000 --> 00:00:06,000", "- der Mann isst Brot .", "- Müller schläft ."),
]


def test_subtitles_keep_all_but_their_text(run, tiny_directory):
    stdin = b"\xef\xbb\xbf" + lines(CUES).replace(b"\n", b"\r\n").removesuffix(b"\r\n")
    code, out, err = run("translate", tiny_directory, "--format", "srt", stdin=stdin)
    assert (code, err) == (0, CHOSEN)
    texts = ["<i>a dog</i>", "sleeps .", "- the man eats bread .", "- Miller sleeps ."]
    expected = [texts.pop(0) if line[:1] in "<-s" and line else line for line in CUES]
    assert out.decode().splitlines() == expected
    code, out, err = run("translate", tiny_directory, "--format", "srt", stdin=b"1\nein Hund\n")
    assert (code, out) == (2, b"")
    assert "line 1 of the input, '1', belongs to no subtitle" in err


def test_documents_keep_their_paragraphs(run, tiny_directory):
    texts = ["Müller schläft .", "der Mann isst Brot .", "Müller isst Brot ."]
    stdin = lines([f"# {texts[0]}", "", f"  1. {texts[1]} {texts[2]}", "---"])
    code, out, err = run("translate", tiny_directory, "--format", "document", stdin=stdin)
    assert (code, err) == (0, CHOSEN)
    assert out.decode().splitlines() == [
        "# Miller sleeps .",
        "",
        "  1. the man eats bread . Miller eats bread .",
        "---",
    ]


def test_confidence_marks_and_withholds(run, own_directory, tmp_path):
    (tmp_path / "dev.de").write_bytes(lines([*SOURCES * 4, *(f"{s} 3" for s in SOURCES)]))
    (tmp_path / "dev.en").write_bytes(lines([*TARGETS * 4, *("so be it" for _ in SOURCES)]))
    files = ["--source", tmp_path / "dev.de", "--reference", tmp_path / "dev.en"]
    code, out, _ = run("calibrate", own_directory, *files, "--quiet")
    assert code == 0
    assert "60 sentences with a mean chrF2 of" in out.decode()
    assert out.decode().endswith(f"quality: {own_directory / 'quality.yaml'}\n")
    stdin = lines([SOURCES[0], "", "der 3 3 Katze", SOURCES[1]])
    options = ["translate", own_directory, "--min_confidence", "0.7"]
    code, out, err = run(*options, stdin=stdin)
    first, blank, doubtful, last = out.decode().splitlines()
    assert (code, first, blank, last) == (0, TARGETS[0], "", TARGETS[1])
    assert doubtful.startswith("[?] ")
    assert "seq2seq: 1 line had a confidence below the least one, so it is marked.\n" in err
    assert "confidence was learnt" not in err
    _, _, err = run(*options, "--beam_size", "2", stdin=stdin)
    note = "confidence was learnt with `beam_size` 3; `seq2seq calibrate` learns it anew."
    assert f"seq2seq: {note}\n" in err
    assert "beam_size` 3" not in run("translate", own_directory, "--beam_size", "2", stdin=stdin)[2]
    options += ["--low_confidence", "withhold"]
    code, out, err = run(*options, stdin=stdin)
    assert out.decode().splitlines() == [TARGETS[0], "", "", TARGETS[1]]
    assert "seq2seq: 1 line had a confidence below the least one, so it is withheld.\n" in err
    _, out, _ = run(*options, "--format", "tsv", stdin=stdin)
    rows = [line.split("\t") for line in out.decode().splitlines()]
    assert [(row[1], row[-1]) for row in rows][1:3] == [("", ""), ("", "withheld")]
    assert rows[1][-2] == "1.0000" >= rows[0][-2] > "0.7" > rows[2][-2]
    _, out, _ = run(*options, "--format", "jsonl", stdin=stdin)
    found = [json.loads(line) for line in out.splitlines()]
    assert [each["withheld"] for each in found] == [False, False, True, False]
    assert [f"{each['confidence']:.4f}" for each in found] == [row[-2] for row in rows]
    assert found[2]["text"] == found[2]["alternatives"][0]["text"] == ""
    (own_directory / "quality.yaml").write_text("format_version: 2\n")
    assert run("translate", own_directory, stdin=stdin)[0] == 0, "nobody asks for a confidence"
    code, _, err = run(*options, stdin=stdin)
    assert code == 2
    assert err == (
        f"seq2seq: {own_directory / 'quality.yaml'}: `format_version` must be 1, but is 2; write "
        f"it anew with `seq2seq calibrate`.\n"
    )


@pytest.mark.parametrize("command", ["evaluate", "tune", "calibrate"])
def test_all_translations_are_measured(run, command):
    files = ["--source", "a", "--reference", "b"]
    code, _, err = run(command, "none", *files, "--min_confidence", "0.5")
    assert code == 2
    assert err.startswith("seq2seq: `--min_confidence` is for `seq2seq translate`; what is ")


def test_confidence_needs_a_calibrated_model(run, tiny_directory):
    code, _, err = run("translate", tiny_directory, "--min_confidence", "0.5", stdin=b"x\n")
    assert code == 2
    assert err == (
        "seq2seq: `--min_confidence` needs a model with a quality.yaml of its weights; write one "
        "with `seq2seq calibrate`, from a development set.\n"
    )


class TestWhatTranslationsObey:
    def translate(self, run, directory, *options, sources):
        code, out, err = run("translate", directory, *options, stdin=lines(sources))
        return code, out.decode().splitlines(), err

    def test_prefix_glossary_and_forbidden_words_of_all_lines(self, run, tiny_directory, tmp_path):
        (tmp_path / "terms").write_text("Brot\tcake\nhund\tpuppy\n", "utf-8")
        (tmp_path / "forbidden").write_text("sleeps\nruns\n", "utf-8")
        options = ["--terms", tmp_path / "terms", "--forbidden", tmp_path / "forbidden"]
        options += ["--prefix", "th"]
        sources = ["ein Hund schläft .", "eine Katze isst Brot .", ""]
        code, found, _ = self.translate(run, tiny_directory, *options, sources=sources)
        assert code == 0
        assert len(found) == 3
        assert found[2] == ""
        assert all(text.startswith("th") for text in found[:2])
        assert re.search(r"\bpuppy\b", found[0])
        assert not re.search(r"\bsleeps\b", found[0])
        assert re.search(r"\bcake\b", found[1])
        assert not re.search(r"\bpuppy\b", found[1])

    def test_members_of_an_object_hold_for_its_line(self, run, tiny_directory):
        asked = {"source": SOURCES[0], "prefix": "the", "terms": ["park"], "forbidden": ["a"]}
        code, found, _ = self.translate(
            run, tiny_directory, "--format", "jsonl", sources=[json.dumps(asked), SOURCES[0]]
        )
        first, second = map(json.loads, found)
        assert code == 0
        assert first["text"].startswith("the")
        assert re.search(r"\bpark\b", first["text"])
        assert first["terms"] == ["park"]
        assert second["text"] == TARGETS[0]

    @pytest.mark.parametrize(
        ("member", "message"),
        [
            ({"prefix": 3}, 'line 1 of the input has no text as its "prefix".'),
            ({"terms": "dog"}, 'line 1 of the input has no list of texts as its "terms".'),
            ({"forbidden": [3]}, 'line 1 of the input has no list of texts as its "forbidden".'),
            (
                {"terms": ["dog"], "forbidden": ["Dog"]},
                "line 1 of the input: `--terms` asks for 'dog', but `--forbidden` rules out 'Dog'.",
            ),
        ],
        ids=["prefix", "terms", "forbidden", "contradiction"],
    )
    def test_a_line_that_cannot_be_obeyed_is_named(self, run, tiny_directory, member, message):
        asked = json.dumps({"source": SOURCES[0]} | member)
        code, _, err = self.translate(
            run, tiny_directory, "--format", "jsonl", "--quiet", sources=[asked]
        )
        assert (code, err) == (2, f"seq2seq: {message}\n")

    def test_a_translation_is_resumed_with_the_same_glossary(self, run, tiny_directory, tmp_path):
        terms = tmp_path / "terms"
        terms.write_text("Hund\tpuppy\n", "utf-8")
        bad = json.dumps({"source": 3})
        options = ["--format", "jsonl", "--batch_size", "1", "--output", tmp_path / "out"]
        options += ["--terms", terms, "--quiet"]
        sources = [*SOURCES * 2, bad]
        code, _, _ = self.translate(run, tiny_directory, *options, sources=sources)
        assert code == 2
        terms.write_text("Hund\thound\n", "utf-8")
        code, _, err = self.translate(
            run, tiny_directory, *options, "--resume", sources=[*SOURCES * 2, SOURCES[0]]
        )
        assert code == 2
        assert "the glossary has changed since the translation began" in err

    def test_completions_are_printed_one_per_line(self, run, tiny_directory):
        code, out, _ = run("complete", tiny_directory, SOURCES[0], "a", "--n", "3")
        found = out.decode().splitlines()
        assert code == 0
        assert found[0] == TARGETS[0]
        assert len(set(found)) == 3
        assert all(text.startswith("a") for text in found)
        code, _, err = run("complete", tiny_directory, SOURCES[0], "a", "--n", "0")
        assert (code, err) == (2, "seq2seq: `--n` must be at least 1, but is 0.\n")
        code, _, err = run("complete", tiny_directory, SOURCES[0], "a", "--keep_case")
        assert code == 2
        assert err == (
            "seq2seq: `--keep_case` changes translations after the search, so they would not go "
            "on from a given beginning; complete without it.\n"
        )

    def test_coverage_needs_attention(self, run, tiny_recipe, known_pairs, tmp_path):
        model = dataclasses.replace(tiny_recipe.model, attention="none")
        recipe = dataclasses.replace(tiny_recipe, model=model)
        train_tiny(recipe, known_pairs, tmp_path / "fixed", num_steps=1)
        code, _, err = run(
            "translate", tmp_path / "fixed", "--coverage_penalty", "0.2", "--quiet", stdin=b"a\n"
        )
        assert code == 2
        assert err == (
            "seq2seq: `--coverage_penalty` needs a model with attention, but `model.attention` is "
            "none; set it to 0.\n"
        )
