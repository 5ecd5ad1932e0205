import dataclasses
from pathlib import Path

import pytest
import torch
from tiny_language_model import CODE

from seq2seq.cli import main
from seq2seq.config import ConfigurationError
from seq2seq.language_config import LanguageNetworkConfig, LanguageRecipe, TextConfig
from seq2seq.language_model_directory import load_language_model_directory
from seq2seq.language_recipe import parse_language_recipe, run_language_model
from seq2seq.models.language_model import LanguageNetwork
from seq2seq.sizes import LANGUAGE_SIZES, suit_language_model

BOOKS = LanguageRecipe(
    name="books",
    text=TextConfig(train="a.txt", dev="b.txt", test="c.txt", lines="sentences"),
    model=LanguageNetworkConfig(cell="gru"),
)
SMALL = ["--model.hidden_size", "8", "--model.embedding_size", "4", "--training.max_epochs", "1"]


def parse(*argv, recipe=BOOKS, from_scratch=False):
    return parse_language_recipe(recipe, argv, command="test", from_scratch=from_scratch)


def test_without_options_the_recipe_stays_as_it_is():
    assert parse() == (BOOKS, {})


def test_every_value_is_an_option_and_own_options_are_handed_on():
    recipe, options = parse("--training.truncation-steps=9", "--text.lines", "text", "--resume")
    assert (recipe.training.truncation_steps, recipe.text.lines) == (9, "text")
    assert (recipe.text.train, recipe.model.cell) == ("a.txt", "gru")
    assert options == {"resume": True}


@pytest.mark.parametrize(
    "argv", [["--text.train", "d.txt"], ["--text.embedded", "source"]], ids=["file", "source"]
)
def test_another_text_takes_the_place_of_all_files(argv):
    text = parse(*argv)[0].text
    assert (text.dev, text.test, text.lines) == (None, None, "sentences")
    assert (text.train, text.embedded) in [("d.txt", None), (None, "source")]


def test_several_files_are_a_list():
    assert parse("--text.train", "a", "--text.train+", "b")[0].text.train == ["a", "b"]


def test_a_recipe_file_is_read_and_other_options_go_before_it(text_directory):
    file = text_directory / "language_model.yaml"
    saved = load_language_model_directory(text_directory).recipe
    assert parse("--config", str(file), from_scratch=True) == (saved, {})
    changed, _ = parse("--name", "other", "--config", str(file))
    assert changed == dataclasses.replace(saved, name="other")


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--model.cells", "gru"], r"unknown option `--model\.cells`; did you mean"),
        (["--model.num_layers", "5"], r"`model\.num_layers` must be from 1 to 4, but is 5"),
        (["--text.lines", "words"], r"`--text\.lines` must be one of text, sentences"),
        (["--config", "recipe.yaml"], r"recipe\.yaml: unknown key `corpus`"),
        (["--config", "newer.yaml"], r"newer\.yaml: `format_version` must be 1, but is 2"),
    ],
    ids=["option", "range", "choice", "translator", "version"],
)
def test_mistakes_are_named(argv, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "recipe.yaml").write_text("corpus: {}\n")
    (tmp_path / "newer.yaml").write_text("format_version: 2\n")
    with pytest.raises(ConfigurationError, match=message):
        parse(*argv)


@pytest.fixture
def text(tmp_path, monkeypatch):
    """A file of text in the folder where commands run; evaluations write little."""
    monkeypatch.setattr("seq2seq.training.language_development.SAMPLE_LENGTH", 5)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my.py").write_text("\n".join(CODE * 5), "utf-8")
    return "my.py"


def test_a_file_and_nothing_else_makes_a_language_model(text, capsys):
    argv = ["train_lm", "--text.train", text, "--training.max_epochs", "1"]
    assert main([*argv, "--training.device", "cpu"]) == 0
    out = capsys.readouterr().out
    assert "bits per character, perplexity" in out
    assert out.endswith("language model: runs/language-model\n")
    recipe = load_language_model_directory("runs/language-model").recipe
    assert recipe.model.hidden_size == LANGUAGE_SIZES[0].model["hidden_size"]
    assert main(["generate", "runs/language-model", "--prefix", "def ", "--length", "5"]) == 0
    assert capsys.readouterr().out.startswith("def ")
    assert main(argv) == 2
    assert "holds a run already; continue it with `--resume`" in capsys.readouterr().err


def test_the_card_says_what_the_model_is_and_how_to_make_it_again(text, capsys):
    assert main(["train_lm", "--text.train", text, "--name", "x", *SMALL]) == 0
    card = Path("runs/x/README.md").read_text("utf-8")
    assert "1 layer(s) of 8\nLSTM units" in card
    assert "Files: `my.py`." in card
    bits = capsys.readouterr().out.split()[1]
    assert f"| dev | {bits} |" in card
    command = next(line for line in card.splitlines() if "seq2seq train_lm --config" in line)
    assert main(command.split()[1:]) == 0
    first, again = (load_language_model_directory(f"runs/{name}") for name in ("x", "x-again"))
    for name, tensor in first.network.state_dict().items():
        assert torch.equal(tensor, again.network.state_dict()[name])


def test_a_language_model_has_no_second_side():
    with pytest.raises(ConfigurationError, match=r"`tokenizer\.shared` has no meaning"):
        parse("--tokenizer.shared", "false")


def test_the_report_of_a_language_model_is_refused(text_directory, capsys):
    assert main(["report", str(text_directory)]) == 2
    assert "holds a language model, not a translator" in capsys.readouterr().err


def test_a_perplexity_beyond_all_sense_is_said_in_a_few_characters(text, capsys):
    Path(text).write_text(f"{'ab' * 200}\n" * 3)  # one word a line
    assert main(["train_lm", "--text.train", text, *SMALL]) == 0
    assert (
        capsys.readouterr().out.splitlines()[0].endswith("per piece and more than 1e100 per word")
    )


def test_a_missing_file_is_one_sentence(capsys, tmp_path):
    argv = ["train_lm", "--text.train", "nowhere.txt", "--runs_dir", str(tmp_path)]
    assert main(argv) == 2
    assert capsys.readouterr().err == "seq2seq: There is no file nowhere.txt.\n"
    assert not any(tmp_path.iterdir())


def test_a_script_runs_and_says_what_is_wrong(text, capsys):
    recipe = dataclasses.replace(BOOKS, text=TextConfig(train=text))
    run_language_model(recipe, SMALL)
    assert load_language_model_directory("runs/books").recipe.model.cell == "gru"
    with pytest.raises(SystemExit) as error:
        run_language_model(recipe, ["--resume", "--overwrite"])
    assert error.value.code == 2
    assert "exclude each other" in capsys.readouterr().err


@pytest.mark.parametrize("num_characters", [1, 299_999, 4_000_000, 10**9])
def test_any_amount_of_text_has_sizes_that_build(num_characters):
    recipe = suit_language_model(LanguageRecipe(), num_characters, given={})
    assert 1 <= recipe.training.max_epochs <= 50
    with torch.device("meta"):
        LanguageNetwork(recipe.model, vocabulary_size=8)


def test_more_text_gets_a_network_that_is_no_smaller_and_what_was_chosen_stays():
    small, large = (
        suit_language_model(LanguageRecipe(), size, given={}) for size in (10_000, 10**8)
    )
    assert small.model.hidden_size < large.model.hidden_size
    assert small.training.max_epochs > large.training.max_epochs
    given = {"model": {"hidden_size": 512}, "training": {"max_epochs": 10}}
    kept = suit_language_model(LanguageRecipe(), 10_000, given=given)
    assert (kept.model.hidden_size, kept.training.max_epochs) == (512, 10)
    assert kept.model.dropout == small.model.dropout


def test_sizes_of_whole_recipes_are_left_alone(text_directory):
    assert "suit" in parse(recipe=LanguageRecipe(), from_scratch=True)[1]
    assert "suit" not in parse("--config", str(text_directory / "language_model.yaml"))[1]
