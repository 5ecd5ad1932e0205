from pathlib import Path

import pytest

from seq2seq.config import CorpusConfig, ModelConfig, Recipe
from seq2seq.model_card import write_model_card

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
    assert card.count("* BLEU: `nrefs:1|case:mixed`") == 1
