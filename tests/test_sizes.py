from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from seq2seq.config import ModelConfig, Recipe, TrainingConfig
from seq2seq.models.encoder_decoder import build_model
from seq2seq.recipe import parse_recipe
from seq2seq.sizes import SIZES, describe_sizes, suit


@given(st.integers(1, 10**9))
def test_any_amount_of_text_has_sizes_that_build(num_pairs):
    recipe = suit(Recipe(), num_pairs, given={})
    assert 3 <= recipe.training.max_epochs <= 40
    with torch.device("meta"):
        build_model(recipe.model, 8, 8)


def test_more_text_gets_a_network_that_is_no_smaller_and_fewer_passes():
    recipes = [suit(Recipe(), 10**power, given={}) for power in range(2, 8)]
    for smaller, larger in pairwise(recipes):
        assert smaller.model.hidden_size <= larger.model.hidden_size
        assert smaller.model.dropout >= larger.model.dropout
        assert smaller.training.batch_tokens <= larger.training.batch_tokens
        assert smaller.training.max_epochs >= larger.training.max_epochs
    assert recipes[0].model.hidden_size < recipes[-1].model.hidden_size


@pytest.mark.parametrize("num_pairs", [5_000, 20_000, 100_000, 1_000_000])
def test_what_was_chosen_stays(num_pairs):
    chosen = {"model": {"hidden_size": 42}, "training": {"max_epochs": 2, "batch_tokens": 77}}
    recipe = Recipe(
        model=ModelConfig(hidden_size=42), training=TrainingConfig(max_epochs=2, batch_tokens=77)
    )
    suited = suit(recipe, num_pairs, given=chosen)
    assert (suited.model.hidden_size, suited.training) == (42, recipe.training)
    assert suited.model.dropout == suit(Recipe(), num_pairs, given={}).model.dropout


def test_the_last_sizes_have_no_end():
    bounds = [sizes.most_pairs for sizes in SIZES]
    assert bounds == sorted(bounds)
    assert bounds[-1] == float("inf")


def test_one_line_says_what_was_chosen():
    line = describe_sizes(suit(Recipe(), 5000, given={}), 5000, 1900)
    assert line.startswith(
        "sizes, chosen for 5,000 training pairs where none were given: 1,900 pieces, embeddings of "
        "128, states of 256"
    )
    assert "\n" not in line


FILES = ["--source_language", "de", "--target_language", "en", "--corpus.train", "my/train"]


def test_two_files_and_nothing_else_are_suited():
    _, options = parse_recipe(
        Recipe(), [*FILES, "--model.dropout", "0.25"], command="test", from_scratch=True
    )
    suited = options["suit"](Recipe(), 5000)
    assert (suited.model.hidden_size, suited.model.dropout) == (256, Recipe().model.dropout)


@pytest.mark.parametrize("argv", [[], ["--name", "mine"]])
def test_the_phrasebook_has_its_own_recipe(argv):
    _, options = parse_recipe(Recipe(), argv, command="test", from_scratch=True)
    assert "suit" not in options


def test_a_recipe_that_somebody_wrote_is_left_alone(tmp_path):
    file = tmp_path / "recipe.yaml"
    file.write_text("name: mine\nsource_language: de\ncorpus:\n  train: my/train\n")
    for argv, from_scratch in ((["--config", str(file)], True), (FILES, False)):
        _, options = parse_recipe(Recipe(), argv, command="test", from_scratch=from_scratch)
        assert "suit" not in options
