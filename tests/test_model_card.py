from pathlib import Path

import pytest

from seq2seq.config import CorpusConfig, ModelConfig, Recipe
from seq2seq.model_card import command_again, write_model_card

FOLDER = Path("runs/mine")


@pytest.mark.parametrize(
    ("corpus", "words"),
    [
        (CorpusConfig(), "The phrasebook that ships with seq2seq."),
        (CorpusConfig(hub="a/b", hub_revision="v1"), "The data set `a/b v1` of the datasets hub."),
        (CorpusConfig(train="my/train"), "Line-aligned files: `my/train`."),
        (CorpusConfig(train=["a", "b"]), "Line-aligned files: `a`, `b`."),
    ],
)
def test_the_card_names_the_corpus(corpus, words):
    assert words in write_model_card(Recipe(corpus=corpus), {}, FOLDER)


def test_the_card_says_what_kind_of_model_it_is():
    card = write_model_card(Recipe(model=ModelConfig(cell="gru", attention="none")), {}, FOLDER)
    assert "GRU cells with a fixed-length context" in card
    assert "Bahdanau attention" in write_model_card(Recipe(), {}, FOLDER)


def test_without_scores_the_card_says_so():
    assert "Not evaluated yet." in write_model_card(Recipe(), {"note": "x"}, FOLDER)


def test_each_signature_stands_once():
    score = {"name": "BLEU", "value": 12.345, "signature": "nrefs:1|case:mixed"}
    card = write_model_card(Recipe(), {"dev": {"bleu": score}, "test": {"bleu": score}}, FOLDER)
    assert "| dev | BLEU | 12.35 |\n| test | BLEU | 12.35 |" in card
    assert card.count("* BLEU of dev, test: `nrefs:1|case:mixed`\n") == 1
    assert card.count("nrefs:1") == 1


def test_other_signatures_say_of_which_set_they_are():
    scores = {
        name: {"ter": {"name": "TER", "value": 1.0, "signature": f"case:lc|{name}"}}
        for name in ("dev", "test")
    }
    card = write_model_card(Recipe(), scores, FOLDER)
    assert "* TER of dev: `case:lc|dev`\n* TER of test: `case:lc|test`" in card
    assert "BLEU and chrF are cased, `case:mixed`; TER is not, `case:lc`" in card


def test_the_card_says_how_to_run_the_recipe_again():
    again = "seq2seq train --config runs/mine/recipe.yaml --name mine-again"
    assert f"from the folder where it was started:\n\n```\n{again}\n```" in write_model_card(
        Recipe(), {}, FOLDER
    )


@pytest.mark.parametrize(
    ("folder", "options"),
    [
        ("runs/my run", "--config 'runs/my run/recipe.yaml' --name 'my run-again'"),
        ("/a/b", "--config /a/b/recipe.yaml --name b-again"),
    ],
)
def test_the_command_works_for_any_folder(folder, options):
    assert command_again(Path(folder)) == f"seq2seq train {options}"


def test_a_folder_without_a_name_is_found(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name = tmp_path.name
    assert command_again(Path()).endswith(f"/{name}/recipe.yaml --name {name}-again")
