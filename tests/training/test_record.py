import json

import pytest
from copy_corpus import make_recipe

from seq2seq.config import ConfigurationError
from seq2seq.training.train import train


@pytest.fixture(scope="module")
def run(tiny_corpus, tmp_path_factory):
    """A finished run: its folder and its recipe."""
    path = tmp_path_factory.mktemp("record") / "run"
    recipe = make_recipe(tiny_corpus, seed=7)
    return train(recipe, path), recipe


def test_the_corpus_of_a_run_is_on_record(run):
    trained, _ = run
    record = json.loads((trained.path / "corpus.json").read_text("utf-8"))
    assert record["revision"] is None
    assert {name: s["kept"] for name, s in record["sets"].items()} == {
        "train": 60,
        "dev": 7,
        "test": 7,
    }


def test_the_words_of_the_training_sources_are_counted_most_frequent_first(run):
    trained, _ = run
    lines = (trained.path / "source_words.tsv").read_text("utf-8").splitlines()
    counts = {word: int(count) for word, count in (line.split("\t") for line in lines)}
    words = " ".join(trained.corpus.train.sources).split()
    assert counts == {word: words.count(word) for word in set(words)}
    assert list(counts.values()) == sorted(counts.values(), reverse=True)


def test_time_machine_and_versions_are_on_record(run):
    trained, recipe = run
    record = json.loads((trained.path / "training.json").read_text("utf-8"))
    assert record["steps"] == trained.steps
    assert record["epochs"] == recipe.training.max_epochs
    assert record["ended"] == "after 2 epochs, as set"
    assert (record["seed"], record["threads"], record["precision"]) == (7, 1, "float32")
    assert record["hardware"] and record["versions"].keys() >= {"python", "torch", "seq2seq"}
    assert 0 <= record["minutes"] < 5


def test_resuming_a_finished_run_keeps_its_record(run):
    trained, recipe = run
    file = trained.path / "training.json"
    file.write_text('{"minutes": 77}')
    train(recipe, trained.path, resume=True)
    assert file.read_text() == '{"minutes": 77}'


def test_sizes_are_fitted_once_the_corpus_is_known(tiny_corpus, tmp_path, capsys):
    seen = []

    def suit(recipe, num_pairs):
        seen.append(num_pairs)
        return recipe

    recipe = make_recipe(tiny_corpus, max_epochs=1)
    trained = train(recipe, tmp_path / "run", suit=suit)
    assert (seen, trained.recipe) == ([60], recipe)
    assert (
        "chosen for 60 training pairs where none were given: 16 pieces," in capsys.readouterr().err
    )
    other = make_recipe(tiny_corpus, max_epochs=1, batch_tokens=99)
    with pytest.raises(ConfigurationError, match=r"`training\.batch_tokens` was 64"):
        train(recipe, tmp_path / "run", resume=True, suit=lambda recipe, num_pairs: other)
