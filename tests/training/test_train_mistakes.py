"""What `train` refuses, and what it leaves alone when it does."""

from dataclasses import replace

import pytest
import torch
from copy_corpus import make_recipe
from safetensors.torch import load_file

from seq2seq.config import ConfigurationError
from seq2seq.model_directory import load_model_directory
from seq2seq.training.train import train


@pytest.mark.parametrize(
    ("training", "message"),
    [
        ({"optimizer": "adamw"}, "`training.optimizer` must be one of adam, sgd, but is 'adamw'"),
        ({"schedule": "noam"}, "`training.schedule` must be one of constant, "),
        ({"monitor": "ter"}, "`training.monitor` must be one of bleu, chrf, loss, but is 'ter'"),
        ({"device": "cuda:99"}, "`training.device` is cuda:99, but there is no such device"),
        ({"precision": "half"}, "`training.precision` must be one of auto, float32, bfloat16"),
    ],
)
def test_settings_that_cannot_work_are_named(tmp_path, tiny_corpus, training, message):
    with pytest.raises(ConfigurationError, match=message):
        train(make_recipe(tiny_corpus, **training), tmp_path / "run")


@pytest.mark.parametrize(
    ("section", "setting", "message"),
    [
        ("model", "cell", "`model.cell` must be one of "),
        ("model", "attention", "`model.attention` must be one of "),
        ("tokenizer", "kind", "`tokenizer.kind` must be one of "),
        ("search", "length_penalty_kind", "`search.length_penalty_kind` must be one of "),
    ],
)
def test_unknown_parts_are_named_before_anything_is_done(tmp_path, section, setting, message):
    recipe = make_recipe(tmp_path / "nowhere")
    recipe = replace(recipe, **{section: replace(getattr(recipe, section), **{setting: "x"})})
    with pytest.raises(ConfigurationError, match=f"^{message}"):
        train(recipe, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("attention", "lexicon_pairs", "message"),
    [
        ("none", 100, "`search.shortlist` needs a model with attention"),
        ("bahdanau", 0, "`search.shortlist` needs `training.lexicon_pairs` above 0"),
    ],
)
def test_a_shortlist_that_nothing_can_be_learnt_for_is_refused_before_anything_is_done(
    tmp_path, attention, lexicon_pairs, message
):
    recipe = make_recipe(tmp_path / "nowhere", lexicon_pairs=lexicon_pairs)
    recipe = replace(
        recipe,
        model=replace(recipe.model, attention=attention),
        search=replace(recipe.search, shortlist=5),
    )
    with pytest.raises(ConfigurationError, match=f"^{message}"):
        train(recipe, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_mistake_in_the_recipe_leaves_an_earlier_run_alone(tmp_path, tiny_corpus):
    recipe = make_recipe(tiny_corpus, max_epochs=1)
    earlier = load_file(train(recipe, tmp_path / "run").path / "model.safetensors")
    wrong = replace(recipe, tokenizer=replace(recipe.tokenizer, vocabulary_size=9999))
    too_long = replace(recipe, corpus=replace(recipe.corpus, max_length=1))
    files = files_of(tmp_path / "run")
    for other in (wrong, too_long, make_recipe(tmp_path / "nowhere")):
        with pytest.raises(ConfigurationError):
            train(other, tmp_path / "run", overwrite=True)
        with pytest.raises(ConfigurationError):
            train(other, tmp_path / "new")
    assert files_of(tmp_path / "run") == files
    assert load_model_directory(tmp_path / "run").recipe == recipe
    after = load_file(tmp_path / "run/model.safetensors")
    assert all(torch.equal(tensor, after[name]) for name, tensor in earlier.items())
    assert not (tmp_path / "new").exists()


def test_a_network_that_cannot_be_made_leaves_an_earlier_run_alone(
    tmp_path, tiny_corpus, monkeypatch
):
    recipe = make_recipe(tiny_corpus, max_epochs=1)
    train(recipe, tmp_path / "run")
    files = files_of(tmp_path / "run")

    def manual_seed(seed):
        raise MemoryError

    monkeypatch.setattr(torch, "manual_seed", manual_seed)
    with pytest.raises(MemoryError):
        train(recipe, tmp_path / "run", overwrite=True)
    assert files_of(tmp_path / "run") == files


def test_the_corpus_of_a_run_is_prepared_and_encoded_once(tmp_path, tiny_corpus, monkeypatch):
    recipe = make_recipe(tiny_corpus, max_epochs=1)
    train(recipe, tmp_path / "run")
    kinds = {path.name.partition("-")[0] for path in (tmp_path / "run/cache").iterdir()}
    assert kinds == {"corpus", "train", "dev"}
    monkeypatch.setattr(
        "seq2seq.data.encoded.write_ids", lambda *_, **__: pytest.fail("encoded again")
    )
    monkeypatch.setattr("seq2seq.data.loading.prepare_set", lambda *_, **__: pytest.fail("read"))
    train(recipe, tmp_path / "run", resume=True)


def files_of(run):
    return sorted(path.relative_to(run) for path in run.rglob("*"))
