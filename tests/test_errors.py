"""A user's mistake: one sentence on standard error, exit code 2, no traceback, no usage block."""

import os
import re
import subprocess
import sys

import pytest
import torch

from seq2seq import cli


@pytest.fixture
def fails(capfd, monkeypatch, tmp_path):
    """Runs a command that must fail, and returns its one line on standard error."""
    monkeypatch.chdir(tmp_path)

    def fails(*argv):
        code = cli.main([str(argument) for argument in argv])
        captured = capfd.readouterr()
        assert code == 2
        assert captured.out == ""
        assert "Traceback" not in captured.err
        assert re.fullmatch(r"seq2seq: [^\n]+[.?]\n", captured.err), captured.err
        return captured.err.removeprefix("seq2seq: ").rstrip("\n")

    return fails


@pytest.fixture
def corpus(tmp_path, tiny_pairs):
    """Options that train on two small files."""
    for language, sentences in (("de", tiny_pairs.sources), ("en", tiny_pairs.targets)):
        (tmp_path / f"train.{language}").write_text("".join(f"{text}\n" for text in sentences))
    return [
        *("--source_language", "de", "--target_language", "en"),
        *("--corpus.train", "train", "--tokenizer.vocabulary_size", "320"),
    ]


def test_a_command_that_is_not_there(fails):
    assert fails("translte") == "unknown command `translte`; did you mean `translate`?"
    assert fails("fly") == "unknown command `fly`."


def test_a_missing_model(fails):
    assert fails("translate", "runs/none") == "no model directory at runs/none."
    assert fails("translate") == "MODEL is missing; see `seq2seq translate --help`."


def test_missing_options(fails, tiny_directory):
    message = fails("score", tiny_directory)
    assert message == "`--source`, `--target` is missing; see `seq2seq score --help`."


def test_files_that_cannot_be_evaluated(fails, tiny_directory, tmp_path):
    (tmp_path / "two").write_text("a\nb\n")
    (tmp_path / "three").write_text("a\nb\nc\n")
    (tmp_path / "none").write_text("")
    evaluate = ("evaluate", tiny_directory, "--source")
    assert fails(*evaluate, "two") == "`--reference` is missing; see `seq2seq evaluate --help`."
    assert fails(*evaluate, "two", "--reference", "three") == (
        "two has 2 lines, but three has 3; they must be line-aligned."
    )
    assert fails(*evaluate, "none", "--reference", "none") == "none has no lines to translate."
    assert fails(*evaluate, "no", "--reference", "two") == "There is no file no."
    message = fails(*evaluate, "two", "--reference", "two", "--against", "three")
    assert message == "the source file has 2 lines, but three has 3; they must be line-aligned."
    message = fails(*evaluate, "two", "--reference", "two", "--against", "runs/no")
    assert message == "There is no file runs/no."
    message = fails(*evaluate, "two", "--reference", "two", "--against", tmp_path)
    assert message == f"{tmp_path} is no model directory: recipe.yaml is missing."
    message = fails(*evaluate, "two", "--reference", "two", "--output", "no/where")
    assert message == "no/where cannot be written: no such file or directory."
    message = fails(*evaluate, "two", "--reference", "two", "--output", "./two")
    assert message == (
        "`--output` ./two is the file of `--source`, which would be lost; name another file."
    )


def test_processes_that_cannot_share_the_work(fails, tiny_directory, tmp_path, monkeypatch):
    (tmp_path / "in").write_text("ein Hund\n")
    translate = ("translate", tiny_directory)
    message = "`--devices` needs `--input` and `--output`, both of them files."
    assert fails(*translate, "--devices", "2") == message
    assert fails(*translate, "--devices", "2", "--input", "in") == message
    devices = ("--devices", "2", "--input", "in", "--output")
    assert fails(*translate, *devices, "/dev/null") == message
    assert fails(*translate, "--devices", "0") == "`--devices` must be from 1 to 256, but is 0."
    assert fails(*translate, *devices, "out", "--device", "cuda:0").endswith(
        "no such device here; auto takes what there is."
    )
    message = fails("translate", "no", *devices, "out")
    assert message == "no model directory at no."
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    message = fails(*translate, "--output", "out")
    assert message == "torchrun needs `--input` and `--output`, both of them files."
    message = fails(*translate, *devices, "out")
    assert message == "`--devices` is for one machine alone; torchrun starts processes itself."


def test_a_reverse_model_that_changes_nothing(fails, tiny_directory, reverse_directory, tmp_path):
    (tmp_path / "a").write_text("x\n")
    for command in (("translate",), ("evaluate", "--source", "a", "--reference", "a")):
        message = fails(*command[:1], tiny_directory, *command[1:], "--reverse", reverse_directory)
        assert message.startswith("`--reverse` changes nothing while `--reverse_weight` is 0; give")


def test_tuned_settings_of_an_ensemble_are_not_saved(fails, tiny_directory):
    files = ["--source", "a", "--reference", "b"]
    message = fails("tune", tiny_directory, *files, "--save", "--ensemble", "x")
    assert message == (
        "`--save` writes into the directory of one model, not into those of an `--ensemble`; give "
        "what is found to `seq2seq translate`."
    )


def test_what_cannot_be_resumed(fails, tiny_directory):
    message = "`--resume` needs `--output`, a file."
    assert fails("translate", tiny_directory, "--resume") == message
    assert fails("translate", tiny_directory, "--resume", "--output", "/dev/null") == message


def test_a_missing_input_file(fails, tiny_directory):
    message = fails("translate", tiny_directory, "--input", "no.de")
    assert message == "no.de cannot be read: no such file or directory."
    message = fails("score", tiny_directory, "--source", "no.de", "--target", "no.en")
    assert message == "There is no file no.de."


def test_a_folder_for_an_input_file(fails, tiny_directory, tmp_path):
    message = fails("translate", tiny_directory, "--input", tmp_path)
    assert message == f"{tmp_path} cannot be read: is a directory."


def test_a_folder_for_an_output_file(fails, tiny_directory, tmp_path):
    (tmp_path / "in").write_text("x")
    message = fails("translate", tiny_directory, "--input", "in", "--output", tmp_path)
    assert message == f"{tmp_path} cannot be written: is a directory."
    message = fails("translate", tiny_directory, "--input", "in", "--output", "no/where")
    assert message == "no/where cannot be written: no such file or directory."


def test_a_missing_recipe_file(fails):
    assert fails("train", "--config", "no.yaml") == "no.yaml: No such file or directory."


def test_a_misspelt_key_of_a_recipe_file(fails, tmp_path):
    (tmp_path / "my.yaml").write_text("model:\n  hiden_size: 3\n")
    message = fails("train", "--config", "my.yaml")
    assert message == "my.yaml: unknown key `model.hiden_size`; did you mean `hidden_size`?"


def test_a_missing_corpus_file(fails):
    message = fails("train", "--corpus.train", "no/train")
    assert message == ("`corpus.train` needs a file no/train.ko or no/train.ko.gz; neither exists.")


def test_a_folder_for_a_corpus_file(fails, tmp_path, corpus):
    (tmp_path / "train.en").unlink()
    (tmp_path / "train.en").mkdir()
    assert fails("train", *corpus) == "train.en is a folder, but must be a file."


def test_corpus_files_of_unequal_length(fails, tmp_path, corpus):
    (tmp_path / "train.en").write_text("one line\n")
    message = fails("train", *corpus)
    assert message == "train.de has 288 lines, but train.en has 1; they must be line-aligned."


def test_an_empty_corpus(fails, tmp_path, corpus):
    for language in ("de", "en"):
        (tmp_path / f"train.{language}").write_text("")
    assert fails("train", *corpus) == "`corpus.train` (train) has no sentence pairs."


def test_a_corpus_that_is_not_utf8(fails, tmp_path, corpus):
    data = (tmp_path / "train.en").read_bytes()
    (tmp_path / "train.en").write_bytes(data.replace(b"\n", b"\xfc\n", 1))
    assert fails("train", *corpus).startswith("train.en is not UTF-8 in line 1; ")


def test_an_unknown_or_abbreviated_option(fails):
    assert fails("train", "--model.hidden", "3") == (
        "unknown option `--model.hidden`; did you mean `--model.hidden_size`?"
    )
    assert fails("train", "--trainig.seed", "3") == (
        "unknown option `--trainig.seed`; did you mean `--training.seed`?"
    )
    assert fails("translate", "m", "--beam", "3") == (
        "unknown option `--beam`; did you mean `--beam_size`?"
    )
    assert fails("translate", "m", "--colour=red") == "unknown option `--colour`."
    assert fails("translate", "m", "-x") == (
        "unexpected argument '-x'; see `seq2seq translate --help`."
    )


def test_a_value_of_the_wrong_type(fails):
    assert fails("train", "--model.hidden_size", "big") == (
        "`--model.hidden_size` must be a whole number, but is 'big'."
    )
    assert fails("translate", "m", "--beam-size=2.5") == (
        "`--beam_size` must be a whole number, but is '2.5'."
    )
    assert fails("translate", "m", "--format", "xliff") == (
        "`--format` must be one of text, tsv, jsonl, srt, document, html, but is 'xliff'."
    )
    assert fails("train", "--model.bidirectional", "perhaps") == (
        "`--model.bidirectional` must be true or false, but is 'perhaps'."
    )


def test_a_value_that_is_missing(fails):
    assert fails("translate", "m", "--beam_size") == "`--beam_size` needs a value: a whole number."


def test_a_value_out_of_range(fails, tiny_directory):
    assert fails("train", "--model.dropout", "1.5") == (
        "`model.dropout` must be in [0, 1), but is 1.5."
    )
    assert fails("translate", tiny_directory, "--beam_size", "0") == (
        "`--beam_size` must be from 1 to 10000, but is 0."
    )
    assert fails("translate", tiny_directory, "--n_best", "9", "--format", "tsv") == (
        "`--n_best` must be at most `--beam_size` (3), but is 9."
    )
    assert fails("translate", tiny_directory, "--diversity_groups", "0") == (
        "`--diversity_groups` must be from 1 to 10000, but is 0."
    )
    assert fails("translate", tiny_directory, "--diversity_groups", "9") == (
        "`--diversity_groups` must divide `--beam_size` (3), but is 9."
    )
    assert fails("translate", tiny_directory, "--threads", "0") == (
        "`--threads` must be from 1 to 4096, but is 0."
    )


@pytest.mark.parametrize(
    ("command", "option", "value", "highest"),
    [
        ("translate", "max_length_ratio", "1e18", 100),
        ("translate", "beam_size", "10001", 10_000),
        ("translate", "batch_size", "99999999999", 1_000_000),
        ("translate", "min_length", "99999999999", 1_000_000),
        ("translate", "shortlist", "99999999999", 1_000_000),
        ("translate", "threads", "99999999999", 4096),
        ("train", "training.threads", "99999999999", 4096),
        ("train", "training.devices", "99999999999", 4096),
        ("train", "training.seed", "99999999999999999999", 2**63 - 1),
        ("train", "model.hidden_size", "100000000000000000000", 65_536),
        ("train", "tokenizer.vocabulary_size", "1000001", 1_000_000),
    ],
)
def test_a_value_that_no_machine_has_room_for(
    fails, tiny_directory, command, option, value, highest
):
    model = [tiny_directory] if command == "translate" else []
    message = fails(command, *model, f"--{option}", value)
    assert re.match(rf"`(--)?{option}` must be ", message)
    assert f" {highest}, but is " in message


def test_an_unknown_length_penalty_with_nothing_to_translate(fails, tiny_directory, tmp_path):
    (tmp_path / "empty").write_bytes(b"")
    message = fails(
        *("translate", tiny_directory, "--input", "empty", "--length_penalty_kind", "foo")
    )
    assert message == "`--length_penalty_kind` must be one of power, gnmt, but is 'foo'."


@pytest.mark.parametrize("option", ["train", "dev", "hub", "source_column", "dev_split"])
def test_an_empty_name_of_a_corpus(fails, option):
    assert fails("train", f"--corpus.{option}", "") == (
        f"`corpus.{option}` must not be empty, but is ''."
    )


@pytest.mark.parametrize(("value", "shown"), [("[]", "[]"), ("[a, '']", "['a', '']")])
def test_an_empty_list_of_corpora(fails, tmp_path, value, shown):
    (tmp_path / "my.yaml").write_text(f"corpus:\n  train: {value}\n")
    assert fails("train", "--config", "my.yaml") == (
        f"my.yaml: `corpus.train` must not be empty, but is {shown}."
    )


@pytest.mark.parametrize("language", ["a/b", "", "en us", "e\nn"])
@pytest.mark.parametrize("side", ["source_language", "target_language"])
def test_a_language_that_is_no_file_suffix(fails, side, language):
    assert fails("train", f"--{side}", language) == (
        f"`{side}` must be a file suffix of letters, digits, `-`, `_` and `.`, but is {language!r}."
    )


def run_in_shell(environment, redirection, *argv):
    command = [sys.executable, "-m", "seq2seq", *map(str, argv)]
    return subprocess.run(
        ["sh", "-c", f'"$@" {redirection}', "sh", *command],
        env=environment,
        capture_output=True,
        text=True,
    )


def test_closed_standard_streams(environment, tiny_directory, tmp_path):
    result = run_in_shell(environment, "<&-", "translate", tiny_directory)
    assert (result.returncode, result.stderr) == (
        2,
        "seq2seq: standard input is closed; give `--input`.\n",
    )
    result = run_in_shell(environment, ">&-", "--version")
    assert (result.returncode, result.stderr) == (
        2,
        "seq2seq: standard output is closed; redirect it to a file or to /dev/null.\n",
    )
    (tmp_path / "in").write_bytes(b"ein \xff Hund\n")
    result = run_in_shell(
        environment, "2>&-", "translate", tiny_directory, "--input", tmp_path / "in"
    )
    assert (result.returncode, result.stdout.count("\n")) == (0, 1), "no note among the lines"


def test_a_full_disk(environment):
    result = run_in_shell(environment, "> /dev/full", "--version")
    assert (result.returncode, result.stderr) == (2, "seq2seq: No space left on device.\n")


def test_hypotheses_that_the_format_has_no_room_for(fails, tiny_directory):
    assert fails("translate", tiny_directory, "--n_best", "2") == (
        "`--n_best` 2 has no room in `--format text`; use `--format tsv` or jsonl."
    )


@pytest.mark.parametrize(
    ("option", "allowed"),
    [
        ("model.cell", "rnn, gru, lstm"),
        ("model.attention", "bahdanau, none"),
        ("tokenizer.kind", "unigram, bpe, character, byte, word"),
        ("training.optimizer", "adam, sgd"),
        ("training.monitor", "bleu, chrf, loss"),
    ],
)
def test_an_unknown_part(fails, corpus, option, allowed, tmp_path):
    message = fails("train", *corpus, f"--{option}", "lstmm")
    assert message == f"`{option}` must be one of {allowed}, but is 'lstmm'."
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("train_split", "a"),
        ("dev_split", "a"),
        ("test_split", "a"),
        ("hub_configuration", "a"),
        ("hub_revision", "a"),
        ("streaming", "true"),
    ],
)
def test_settings_of_a_hub_without_one(fails, option, value):
    assert fails("train", "--corpus.train", "a", f"--corpus.{option}", value) == (
        f"`corpus.{option}` needs `corpus.hub`."
    )


@pytest.mark.parametrize("option", ["source_column", "target_column"])
def test_columns_without_a_table(fails, corpus, option):
    assert fails("train", f"--corpus.{option}", "a") == (
        f"`corpus.{option}` needs `corpus.train` or `corpus.hub`."
    )
    assert fails("train", *corpus, f"--corpus.{option}", "a").startswith(
        f"`corpus.{option}` is for tables ("
    )


def test_corpora_that_exclude_each_other(fails):
    assert fails("train", "--corpus.train", "a", "--corpus.hub", "b") == (
        "`corpus.train` and `corpus.hub` exclude each other; give one of them."
    )


def test_a_foreign_model_directory(fails, tmp_path):
    message = fails("translate", tmp_path)
    assert message == f"{tmp_path} is no model directory: recipe.yaml is missing."


def test_a_corrupt_model_directory(fails, own_directory):
    (own_directory / "model.safetensors").write_bytes(b"corrupt")
    message = fails("translate", own_directory)
    assert message.endswith("model.safetensors is no safetensors file, or damaged.")


def test_a_key_of_a_saved_recipe_is_no_option(fails, own_directory):
    recipe = own_directory / "recipe.yaml"
    recipe.write_text(recipe.read_text().replace("beam_size: 3", "beam_size: 0"))
    message = fails("translate", own_directory)
    assert message == f"{recipe}: `search.beam_size` must be from 1 to 10000, but is 0."


def test_a_tokenizer_that_does_not_fit_the_weights(fails, own_directory, tiny_tokenizer):
    tiny_tokenizer.save(own_directory / "shared.model")
    message = fails("translate", own_directory)
    assert "shared.model does not fit model.safetensors: it is damaged, or the weights" in message


def test_a_device_that_is_not_there(fails, tiny_directory, corpus):
    device = f"cuda:{torch.cuda.device_count()}"
    assert fails("translate", tiny_directory, "--device", device) == (
        f"`--device` is {device}, but there is no such device here; auto takes what there is."
    )
    message = fails("train", *corpus, "--training.device", device)
    assert message.startswith(f"`training.device` is {device}, but there is no such device here")


def test_a_run_folder_that_holds_a_run(fails, tiny_directory, corpus, tmp_path):
    folder = tmp_path / "runs" / "de-en"
    folder.mkdir(parents=True)
    (folder / "recipe.yaml").write_bytes((tiny_directory / "recipe.yaml").read_bytes())
    message = fails("train", *corpus)
    assert message == (
        "The run folder runs/de-en holds a run already; continue it with `--resume` or "
        "replace it with `--overwrite`."
    )


def test_a_run_folder_in_use(fails, corpus, tmp_path):
    from seq2seq.training.run_folder import RunFolder

    with RunFolder(tmp_path / "runs" / "de-en").locked():
        message = fails("train", *corpus)
    in_use = "The run folder runs/de-en is in use by another training"
    assert re.fullmatch(rf"{in_use} \(process {os.getpid()} on \S+\)\.", message)


def test_a_process_of_its_own_says_the_same(environment, tmp_path):
    result = subprocess.run(
        [sys.executable, "-m", "seq2seq", "score", "nowhere"],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 2
    assert result.stderr == (
        "seq2seq: `--source`, `--target` is missing; see `seq2seq score --help`.\n"
    )


def test_a_recipe_script_says_the_same(environment, tmp_path):
    script = tmp_path / "my_recipe.py"
    script.write_text("from seq2seq import Recipe, run\nrun(Recipe())\n")
    result = subprocess.run(
        [sys.executable, script, "--model.hidden", "3"],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 2
    assert result.stderr == (
        "seq2seq: unknown option `--model.hidden`; did you mean `--model.hidden_size`?\n"
    )


def test_a_bug_keeps_its_traceback(monkeypatch):
    def broken(argv):
        raise ValueError("a bug")

    monkeypatch.setitem(cli.COMMANDS, "score", broken)
    with pytest.raises(ValueError, match="a bug"):
        cli.main(["score"])


def test_a_message_holds_nothing_that_a_terminal_obeys(fails):
    message = fails("translate", "no\x1b[2J\u202ewhere\udcff 어디")
    assert message == r"no model directory at no\x1b[2J\u202ewhere\udcff 어디."
