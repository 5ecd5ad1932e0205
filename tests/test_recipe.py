import json

import pytest

from seq2seq.config import ConfigurationError, CorpusConfig, ModelConfig, Recipe
from seq2seq.decoding.beam_search import beam_search
from seq2seq.model_directory import load_model_directory
from seq2seq.recipe import parse_recipe, run, run_with_options
from seq2seq.translator import Translator

HUB = Recipe(
    name="captions",
    source_language="de",
    target_language="en",
    corpus=CorpusConfig(hub="someone/captions", source_column="german"),
    model=ModelConfig(cell="gru"),
)


def parse(*argv, recipe=HUB, from_scratch=False):
    return parse_recipe(recipe, argv, command="test", from_scratch=from_scratch)[0]


def test_without_options_the_recipe_stays_as_it_is():
    assert parse() == HUB


def test_every_value_is_an_option_and_the_others_stay():
    recipe = parse("--model.hidden_size", "64", "--training.learning-rate=1e-4", "--name", "5")
    assert (recipe.model.hidden_size, recipe.model.cell) == (64, "gru")
    assert recipe.training.learning_rate == 1e-4
    assert recipe.name == "5"
    assert recipe.corpus == HUB.corpus


def test_switches_may_stand_alone():
    assert parse("--model.reverse_source").model.reverse_source
    assert not parse("--model.bidirectional", "false").model.bidirectional


def test_null_takes_a_value_away():
    assert parse("--corpus.source_column", "null").corpus.source_column is None


def test_own_options_are_handed_on():
    _, options = parse_recipe(
        HUB, ["--resume", "--runs_dir", "elsewhere", "--overwrite", "false"], command="test"
    )
    assert options == {"resume": True, "runs_dir": "elsewhere", "overwrite": False}


@pytest.mark.parametrize("start", [HUB, Recipe(corpus=CorpusConfig(embedded="phrasebook"))])
def test_files_take_the_place_of_another_corpus(start):
    corpus = parse("--corpus.train", "my/train", "--corpus.test", "my/test", recipe=start).corpus
    assert (corpus.hub, corpus.embedded) == (None, None)
    assert (corpus.train, corpus.dev, corpus.test) == ("my/train", None, "my/test")


def test_another_corpus_takes_the_place_of_files():
    files = Recipe(corpus=CorpusConfig(train="a", dev="b", test="c"))
    corpus = parse("--corpus.hub", "someone/captions", recipe=files).corpus
    assert (corpus.hub, corpus.train, corpus.dev, corpus.test) == ("someone/captions",) + (
        None,
    ) * 3
    assert parse("--corpus.embedded", "phrasebook").corpus.hub is None


def test_nothing_of_an_earlier_corpus_is_left():
    corpus = CorpusConfig(
        hub="a/b",
        hub_configuration="x",
        hub_revision="1",
        source_column="left",
        target_column="right",
        train_split="a",
        dev_split="b",
        test_split="c",
        max_length=50,
        remove_spaces="source",
    )
    start = Recipe(corpus=corpus)
    assert parse("--corpus.hub", "c/d", recipe=start).corpus == CorpusConfig(
        hub="c/d", max_length=50, remove_spaces="source"
    )
    assert parse("--corpus.hub", "c/d", "--corpus.dev_split", "d", recipe=start).corpus == (
        CorpusConfig(hub="c/d", dev_split="d", max_length=50, remove_spaces="source")
    )
    assert parse("--corpus.train", "t", recipe=start).corpus == CorpusConfig(
        train="t", max_length=50, remove_spaces="source"
    )


def test_several_training_corpora_are_a_list():
    assert parse("--corpus.train", "a", "--corpus.train+", "b").corpus.train == ["a", "b"]
    assert parse("--corpus.train", '["a", "b"]').corpus.train == ["a", "b"]


def test_a_list_that_is_given_twice_loses_nothing_silently():
    with pytest.raises(ConfigurationError, match=r"`--corpus\.train` stands there 2 times; give"):
        parse("--corpus.train", "a", "--corpus.train=b")
    assert parse("--name", "a", "--name", "b").name == "b"


def test_other_settings_of_the_corpus_leave_its_kind_alone():
    corpus = parse("--corpus.max_length", "50").corpus
    assert (corpus.hub, corpus.max_length) == ("someone/captions", 50)


@pytest.mark.parametrize(
    ("argv", "name"),
    [
        ([], "phrasebook-ko-en"),
        (["--model.cell", "gru"], "phrasebook-ko-en"),
        (["--source_language", "en", "--target_language", "ko"], "phrasebook-en-ko"),
        (["--source_language=de", "--target_language=en", "--corpus.train=a"], "de-en"),
        (["--corpus.train", "a"], "ko-en"),
        (["--corpus.train", "a", "--name", "mine"], "mine"),
    ],
)
def test_a_run_that_nobody_named_has_a_name(argv, name):
    assert parse(*argv, recipe=Recipe(), from_scratch=True).name == name


def test_options_go_before_the_recipe_file_whatever_their_order(tmp_path):
    file = tmp_path / "my.yaml"
    file.write_text("name: mine\nmodel:\n  cell: gru\n  hidden_size: 32\n")
    for argv in (
        ["--model.hidden_size", "64", "--config", str(file)],
        ["--config", str(file), "--model.hidden_size", "64"],
    ):
        recipe = parse(*argv, recipe=Recipe(), from_scratch=True)
        assert (recipe.name, recipe.model.cell, recipe.model.hidden_size) == ("mine", "gru", 64)


def test_the_recipe_of_a_model_directory_is_a_recipe_file(tiny_directory, tiny_recipe):
    assert parse("--config", str(tiny_directory / "recipe.yaml")) == tiny_recipe


def test_a_recipe_file_must_be_text(tmp_path):
    (tmp_path / "my.yaml").write_bytes(b"\xff")
    with pytest.raises(ConfigurationError, match=r"my\.yaml: the text is not UTF-8"):
        parse("--config", str(tmp_path / "my.yaml"))


def test_run_ends_a_script_with_code_2_after_one_sentence(capfd):
    with pytest.raises(SystemExit) as caught:
        run(HUB, ["--model.cell", "lstmm"])
    assert caught.value.code == 2
    assert capfd.readouterr().err == (
        "seq2seq: `model.cell` must be one of rnn, gru, lstm, but is 'lstmm'.\n"
    )


def test_run_returns_after_help(capfd):
    run(HUB, ["--help"])
    assert "default: gru" in capfd.readouterr().out


def test_a_run_trains_evaluates_and_reports(tmp_path, tiny_pairs, capfd, monkeypatch):
    kept = []

    def search(*args, keep_alignment, **settings):
        kept.append(keep_alignment)
        return beam_search(*args, keep_alignment=keep_alignment, **settings)

    monkeypatch.setattr("seq2seq.engine.beam_search", search)
    monkeypatch.setattr("seq2seq.calibrate.LEAST_PAIRS", 10)
    for language, sentences in (("de", tiny_pairs.sources), ("en", tiny_pairs.targets)):
        (tmp_path / f"train.{language}").write_text("".join(f"{text}\n" for text in sentences))
    path = run_with_options(
        HUB,
        [
            *("--corpus.train", str(tmp_path / "train"), "--runs_dir", str(tmp_path / "runs")),
            *("--tokenizer.vocabulary_size", "310", "--model.hidden_size", "16"),
            *("--model.embedding_size", "8", "--model.attention_size", "8"),
            *("--training.max_epochs", "1", "--search.beam_size", "1"),
            *("--training.precision", "float32", "--search.max_length_ratio", "0.5"),
        ],
        command="test",
    )
    assert path == tmp_path / "runs" / "captions"
    assert load_model_directory(path).recipe.corpus.hub is None
    out, err = capfd.readouterr()
    assert "\nconfidence: correlation with chrF2 " in err
    assert Translator.load(path, "cpu").quality.measured["sentences"] == 14
    assert kept[-1] and not any(kept[:-1]), "alignments are kept of the report's sentences only"
    alignments = json.loads((path / "translations" / "alignments.json").read_text())
    assert 0 < len(alignments) <= 10

    scores = json.loads((path / "scores.json").read_text())
    assert scores.keys() == {"dev", "test"}
    bleu = scores["test"]["bleu"]
    assert f"{bleu['value']:.2f}" in out
    assert f"BLEU  {bleu['signature']}" in out
    assert f"chrF2  {scores['test']['chrf']['signature']}" in out
    assert f"| test | BLEU | {bleu['value']:.2f} |" in (path / "README.md").read_text()
    assert bleu["low"] <= bleu["value"] <= bleu["high"]
    assert scores["test"].keys() >= {"ter", "shares", "by_source_length", "by_rarest_word"}

    files = {
        name: (path / "translations" / f"test.{name}").read_text("utf-8").split("\n")[:-1]
        for name in ("de", "en", "output.en")
    }
    assert {len(lines) for lines in files.values()} == {scores["test"]["sentences"]}
    rows = (path / "translations" / "test.jsonl").read_text("utf-8").splitlines()
    assert [json.loads(row)["hypothesis"] for row in rows] == files["output.en"]
    shown = [line.split("  ")[-1].strip() for line in out.splitlines() if "  source   " in line]
    assert shown == files["de"][:10]
    assert f"{bleu['value']:.2f}" in (path / "report.html").read_text("utf-8")
    assert "\x1b" not in out, "no colours where nobody looks"
    assert out.rstrip().endswith(f"seq2seq translate {path} < input.de > output.en")
    assert f"\n{path}\n" in out


def test_the_parts_of_a_mixed_test_set_are_scored_too(tmp_path, tiny_pairs, capfd):
    for part, pairs in (("a", slice(0, 9)), ("b", slice(100, 120)), ("train", slice(130, None))):
        (tmp_path / part).mkdir()
        for language, sentences in (("de", tiny_pairs.sources), ("en", tiny_pairs.targets)):
            text = "".join(f"{sentence}\n" for sentence in sentences[pairs])
            (tmp_path / part / f"text.{language}").write_text(text)
    path = run_with_options(
        HUB,
        [
            *("--corpus.train", str(tmp_path / "train" / "text"), "--runs_dir", str(tmp_path)),
            *("--corpus.test", str([str(tmp_path / part / "text") for part in "ab"])),
            *("--tokenizer.vocabulary_size", "310", "--model.hidden_size", "16"),
            *("--model.embedding_size", "8", "--model.attention", "none"),
            *("--training.max_epochs", "1", "--search.beam_size", "1"),
        ],
        command="test",
    )
    scores = json.loads((path / "scores.json").read_text())
    sizes = {name: found.get("sentences") for name, found in scores.items() if name != "dev"}
    assert sizes == {"test": 29, "test_a": 9, "test_b": 20}
    out, err = capfd.readouterr()
    assert "test_b" in out
    assert "no quality.yaml, as there are fewer than 50 development pairs" in err
    assert (path / "translations" / "test_b.jsonl").is_file()
    assert not (path / "translations" / "alignments.json").exists()
