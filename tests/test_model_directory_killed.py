"""A model directory whose writing is killed is the old one, the new one, or refused."""

import dataclasses
import os

import pytest
import torch
from tiny_translator import train_tiny

from seq2seq.decoding.shortlist import Lexicon
from seq2seq.model_directory import (
    RECIPE_FILE,
    WEIGHTS_FILE,
    ModelDirectoryError,
    load_model_directory,
    save_model_directory,
)


class Killed(BaseException):
    """Stands for a signal that nobody can handle."""


@pytest.fixture(scope="module")
def models(tiny_recipe, known_pairs, tmp_path_factory):
    """Two models of one recipe, which differ in weights, lexicon and what was measured."""
    models = []
    for number in (1, 2):
        path = tmp_path_factory.mktemp("model")
        train_tiny(tiny_recipe, known_pairs, path, num_steps=number)
        lexicon = Lexicon(
            torch.full((300, 4), 3 + number, dtype=torch.int32),
            torch.tensor([5], dtype=torch.int32),
        )
        loaded = load_model_directory(path)
        decode = {"longest_source": number}
        models.append(dataclasses.replace(loaded, lexicon=lexicon, decode=decode))
    return models


def save(model, path):
    save_model_directory(
        path,
        model.recipe,
        model.model.state_dict(),
        model.tokenizers,
        scores={"dev": {"sentences": model.decode["longest_source"]}},
        extra=model.decode,
        lexicon=model.lexicon,
    )


def is_same(loaded, model):
    weights = model.model.state_dict()
    return (
        loaded.decode == model.decode
        and torch.equal(loaded.lexicon.translations, model.lexicon.translations)
        and all(weights[name].equal(w) for name, w in loaded.model.state_dict().items())
    )


def kill_at_move(monkeypatch, number):
    moves, replace = [], os.replace

    def replace_or_die(source, target):
        if len(moves) == number:
            raise Killed
        moves.append(target.name)
        replace(source, target)

    monkeypatch.setattr(os, "replace", replace_or_die)
    return moves


@pytest.mark.parametrize("has_old", [True, False])
def test_a_kill_between_two_moves_never_leaves_a_mixture(models, tmp_path, monkeypatch, has_old):
    old, new = models
    outcomes = []
    for number in range(7):
        path = tmp_path / str(number)
        if has_old:
            save(old, path)
        with monkeypatch.context() as patch:
            moves = kill_at_move(patch, number)
            if number < 6:
                with pytest.raises(Killed):
                    save(new, path)
            else:
                save(new, path)
        try:
            loaded = load_model_directory(path)
            outcomes.append("old" if is_same(loaded, old) else "new")
            assert is_same(loaded, old) or is_same(loaded, new)
        except ModelDirectoryError as error:
            assert str(path) in str(error)
            outcomes.append("refused")
        save(new, path)
        assert is_same(load_model_directory(path), new)
    assert moves[0] == RECIPE_FILE
    assert moves[-1] == WEIGHTS_FILE
    assert outcomes == ["old" if has_old else "refused", *["refused"] * 5, "new"]


def test_a_recipe_of_other_weights_is_named(models, tmp_path, monkeypatch):
    old, new = models
    save(old, tmp_path)
    with monkeypatch.context() as patch, pytest.raises(Killed):
        kill_at_move(patch, 1)
        save(new, tmp_path)
    message = (
        f"{tmp_path / RECIPE_FILE} belongs to other weights than {WEIGHTS_FILE}, as when writing "
        f"was interrupted; write the model directory again, after training with `--resume`."
    )
    with pytest.raises(ModelDirectoryError) as info:
        load_model_directory(tmp_path)
    assert str(info.value) == message


def test_what_would_not_load_takes_no_place(models, tmp_path):
    old, new = models
    save(old, tmp_path)
    weights = {name: w.clone() for name, w in new.model.state_dict().items()}
    weights["decoder.readout.weight"][0] = torch.nan
    message = "is left as it was, as what was to be written there does not load: .* must be finite"
    with pytest.raises(ModelDirectoryError, match=message):
        save_model_directory(tmp_path, new.recipe, weights, new.tokenizers)
    assert is_same(load_model_directory(tmp_path), old)
    assert not list(tmp_path.glob(".*"))


def test_a_recipe_may_be_edited(models, tmp_path):
    save(models[0], tmp_path)
    file = tmp_path / RECIPE_FILE
    file.write_text(file.read_text().replace("beam_size: 3", "beam_size: 7"))
    assert load_model_directory(tmp_path).recipe.search.beam_size == 7
