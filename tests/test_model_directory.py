import dataclasses
import errno
import json
import os
import time

import pytest
import safetensors
import safetensors.torch
import torch
from tiny_translator import train_tiny

from seq2seq.config import ConfigurationError, TokenizerConfig
from seq2seq.data.tokenizer import train_tokenizers
from seq2seq.decoding.shortlist import Lexicon
from seq2seq.model_directory import (
    ModelDirectoryError,
    add_lexicon,
    load_model_directory,
    read_scores,
    save_model_directory,
    update_scores,
)
from seq2seq.models.encoder_decoder import build_model
from seq2seq.tensor_files import checksum, read_metadata


def load_tensors(directory):
    return safetensors.torch.load_file(directory / "model.safetensors")


def replace_weights(directory, tensors, metadata=None):
    file = directory / "model.safetensors"
    file.write_bytes(safetensors.torch.save(tensors, metadata=metadata))


def assert_refused(directory, match):
    with pytest.raises(ModelDirectoryError, match=match) as caught:
        load_model_directory(directory)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("tied", [True, False])
def test_what_was_saved_is_loaded(tmp_path, tiny_recipe, known_pairs, shared, tied):
    model_config = dataclasses.replace(
        tiny_recipe.model, tie_embeddings=tied, share_embeddings=tied and shared
    )
    config = TokenizerConfig(kind="bpe", vocabulary_size=290, shared=shared)
    recipe = dataclasses.replace(tiny_recipe, model=model_config, tokenizer=config)
    tokenizers = train_tokenizers(known_pairs, config)
    size = tokenizers.source.vocabulary_size
    model = build_model(recipe.model, size, tokenizers.target.vocabulary_size)
    save_model_directory(tmp_path, recipe, model.state_dict(), tokenizers, extra={"note": 1})
    loaded = load_model_directory(tmp_path)
    assert loaded.recipe == recipe
    assert loaded.decode == {"note": 1}
    assert loaded.tokenizers.shared is shared
    assert not loaded.model.training
    state = loaded.model.state_dict()
    assert state.keys() == model.state_dict().keys()
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(state[name], tensor, rtol=0, atol=0)
    decoder = loaded.model.decoder
    assert (decoder.vocabulary.weight is decoder.embedding.weight) is tied


def test_tied_weights_stand_in_the_file_once(tmp_path, tiny_recipe, known_pairs):
    model = dataclasses.replace(tiny_recipe.model, tie_embeddings=True, share_embeddings=True)
    train_tiny(dataclasses.replace(tiny_recipe, model=model), known_pairs, tmp_path, num_steps=1)
    sizes = [t.shape for t in load_tensors(tmp_path).values()]
    assert sizes.count(torch.Size([300, 24])) == 1


def test_the_folder_has_these_files_and_no_others(tiny_directory):
    names = {path.name for path in tiny_directory.iterdir()}
    assert names == {
        "recipe.yaml",
        "model.safetensors",
        "shared.model",
        "scores.json",
        "README.md",
    }


def test_saving_again_replaces_and_removes_what_is_stale(own_directory, tiny_recipe, known_pairs):
    config = TokenizerConfig(kind="bpe", vocabulary_size=290, shared=False)
    recipe = dataclasses.replace(tiny_recipe, tokenizer=config)
    (own_directory / "notes.txt").write_text("mine")
    train_tiny(recipe, known_pairs, own_directory, num_steps=1)
    assert load_model_directory(own_directory).recipe == recipe
    assert not (own_directory / "shared.model").exists()
    assert (own_directory / "notes.txt").read_text() == "mine"


def test_an_interrupted_saving_leaves_the_old_files(
    own_directory, tiny_recipe, known_pairs, monkeypatch
):
    before = {path.name: path.read_bytes() for path in own_directory.iterdir()}

    def fail(descriptor):
        raise OSError(errno.ENOSPC, "disk full")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        train_tiny(tiny_recipe, known_pairs, own_directory, num_steps=1)
    assert {path.name: path.read_bytes() for path in own_directory.iterdir()} == before


def test_the_recipe_is_saved_whole(tiny_directory):
    text = (tiny_directory / "recipe.yaml").read_text()
    assert text.startswith("format_version: 1\n")
    assert "truncation_steps: null" in text
    assert "bfloat16: false" in text


def test_the_card_says_how_good_it_is_and_how_to_use_it(tiny_directory):
    card = (tiny_directory / "README.md").read_text()
    assert "# tiny: de to en" in card
    assert "| dev | BLEU | 99.00 |" in card
    assert "* BLEU of dev: `none`" in card
    assert "seq2seq translate tiny < input.de > output.en" in card
    assert "`my/train`" in card


def test_scores_are_added_to_those_that_are_there(own_directory, tiny_recipe):
    score = {"name": "chrF2", "value": 12.345, "signature": "s"}
    update_scores(own_directory, tiny_recipe, {"test": {"chrf": score}})
    assert read_scores(own_directory).keys() == {"dev", "test"}
    assert "| test | chrF2 | 12.35 |" in (own_directory / "README.md").read_text()
    assert json.loads((own_directory / "scores.json").read_text())["test"]["chrf"] == score


def test_scores_may_hold_values_that_json_does_not_know(own_directory, tiny_recipe, tmp_path):
    update_scores(
        own_directory, tiny_recipe, {"test": {"search": tiny_recipe.search, "at": tmp_path}}
    )
    found = read_scores(own_directory)["test"]
    assert found == {"search": dataclasses.asdict(tiny_recipe.search), "at": str(tmp_path)}


def test_scores_are_never_needed(own_directory):
    (own_directory / "scores.json").write_text("{")
    assert read_scores(own_directory) == {}
    (own_directory / "scores.json").unlink()
    (own_directory / "README.md").unlink()
    load_model_directory(own_directory)


def test_no_folder(tmp_path):
    assert_refused(tmp_path / "nowhere", "no model directory at .*nowhere")


def test_a_file_for_a_folder(tiny_directory):
    assert_refused(tiny_directory / "recipe.yaml", "is a file, but a model directory is a folder")


@pytest.mark.parametrize("name", ["recipe.yaml", "model.safetensors", "shared.model"])
def test_a_missing_file(own_directory, name):
    (own_directory / name).unlink()
    assert_refused(own_directory, f"is no model directory: {name}.* missing")


def test_weights_that_name_no_tokenizer_and_none_beside_them(own_directory):
    replace_weights(own_directory, load_tensors(own_directory))
    (own_directory / "shared.model").unlink()
    assert_refused(own_directory, "shared.model, or source.model and target.model, are missing")


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("a: [b", r"recipe.yaml: line 1: "),
        ("just text", "is no recipe: its top level is no mapping"),
        ("!!python/object/apply:os.system ['true']", "recipe.yaml: line 1: could not determine a"),
        ("name: x", "`format_version` is missing; this is no recipe of seq2seq"),
        ("format_version: 2", "`format_version` must be 1, but is 2"),
        ("format_version: true", "`format_version` must be 1, but is True"),
        ("format_version: 1\nname: x\nname: y", "the key `name` stands twice"),
        (
            "format_version: 1\nmodel: {hiden_size: 3}",
            "unknown key `model.hiden_size`; did you mean",
        ),
        ("format_version: 1\nnames: x", "unknown key `names`; did you mean `name`"),
        ("format_version: 1\nmodel: 3", "`model` must be a mapping of keys, but is 3"),
        (
            "format_version: 1\nmodel: {hidden_size: a}",
            "`model.hidden_size` must be a whole number",
        ),
        ("format_version: 1\nmodel: {hidden_size: 3.5}", "`model.hidden_size` must be a whole"),
        ("format_version: 1\nmodel: {hidden_size: true}", "`model.hidden_size` must be a whole"),
        ("format_version: 1\nmodel: {dropout: x}", "`model.dropout` must be a number, but is 'x'"),
        ("format_version: 1\nmodel: {dropout: 1.5}", r"`model.dropout` must be in \[0, 1\)"),
        ("format_version: 1\nsource_language: no", "`source_language` must be text, but is False"),
        ("format_version: 1\ncorpus: {train: [1]}", "`corpus.train` must be text or a list of"),
        ("format_version: 1\nmodel: {cell: lstmm}", "`model.cell` must be one of rnn, gru, lstm"),
        (
            "format_version: 1\nsearch: {length_penalty_kind: foo}",
            "`search.length_penalty_kind` must be one of power, gnmt, but is 'foo'",
        ),
        ("format_version: 1\ndecode: {bfloat16: maybe}", "`decode.bfloat16` must be true or false"),
        (
            "format_version: 1\ndecode: {longest_source: 0}",
            "`decode.longest_source` must be a whole",
        ),
        (
            "format_version: 1\ndecode: {longest_source: true}",
            "`decode.longest_source` must be a whole number above 0",
        ),
        (
            "format_version: 1\ndecode: {sentences_per_source: 0}",
            "`decode.sentences_per_source` must be a whole number above 0",
        ),
        ("\x00", "recipe.yaml: the text is no YAML"),
        ("format_version: 1\nname: &a x\nsource_language: *a", "line 3: aliases are not allowed"),
        (
            "format_version: 1\nmodel: {hidden_size: 0x" + "f" * 9999 + "}",
            "hidden_size.* too many digits",
        ),
        ("[" * 5000, r"recipe.yaml: "),
        ("#" * 300_001, "is too large: it has 300,001 bytes, but may have 300,000"),
    ],
)
def test_an_unsound_recipe(own_directory, text, match):
    (own_directory / "recipe.yaml").write_text(text)
    assert_refused(own_directory, match)


@pytest.mark.parametrize(
    "text",
    [
        "name: [LONG]",
        "LONG: 1",
        "model: LONG",
        "model: {context_steps: LONG}",
        "model: {cell: LONG}",
        "name: a/LONG",
        "LONG: 1\nLONG: 2",
        "name: !LONG x",
        "? 0xLONG\n: 1",
        "seed: 0xLONG",
        "training: {seed: 0xLONG}",
    ],
)
def test_a_message_is_short_whatever_the_recipe_holds(own_directory, text):
    text = text.replace("LONG", "f" * 100_000) + "\nformat_version: 1\n"
    (own_directory / "recipe.yaml").write_text(text)
    with pytest.raises(ModelDirectoryError) as caught:
        load_model_directory(own_directory)
    assert len(str(caught.value)) < 400 + len(str(own_directory))


def test_many_keys_are_read_at_once(own_directory):
    (own_directory / "recipe.yaml").write_text("".join(f"{n}: 1\n" for n in range(30_000)))
    started = time.perf_counter()
    assert_refused(own_directory, "`format_version` is missing")
    assert time.perf_counter() - started < 20


def test_a_recipe_that_is_no_text(own_directory):
    (own_directory / "recipe.yaml").write_bytes(b"\xff\xfe")
    assert_refused(own_directory, "recipe.yaml: the text is not UTF-8")


def test_loading_runs_nothing(own_directory):
    recipe = own_directory / "recipe.yaml"
    made = own_directory / "made"
    recipe.write_text(f"format_version: 1\nname: !!python/object/apply:os.mkdir ['{made}']")
    assert_refused(own_directory, "could not determine a constructor")
    assert not made.exists()


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04 no tensors", b"\x80\x04\x95pickle"])
def test_foreign_weights(own_directory, data):
    (own_directory / "model.safetensors").write_bytes(data)
    assert_refused(own_directory, "model.safetensors is no safetensors file, or damaged")


def test_truncated_weights(own_directory):
    file = own_directory / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    assert_refused(own_directory, "model.safetensors is no safetensors file, or damaged")


def test_weights_that_are_missing(own_directory):
    tensors = load_tensors(own_directory)
    del tensors["decoder.readout.weight"]
    replace_weights(own_directory, tensors)
    assert_refused(own_directory, "lacks the weights `decoder.readout.weight`")


def test_weights_that_are_too_many(own_directory):
    replace_weights(own_directory, {**load_tensors(own_directory), "extra": torch.zeros(1)})
    assert_refused(own_directory, "has weights `extra`, for which the recipe has no place")


def test_weights_of_another_size(own_directory):
    recipe = own_directory / "recipe.yaml"
    recipe.write_text(recipe.read_text().replace("attention_size: 28", "attention_size: 30"))
    assert_refused(
        own_directory, r"has the shape \[28, 40\], but recipe and tokenizers make it \[30"
    )


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite(own_directory, value):
    tensors = load_tensors(own_directory)
    tensors["decoder.readout.weight"][0, 0] = value
    replace_weights(own_directory, tensors)
    assert_refused(own_directory, "`decoder.readout.weight` must be finite, but holds NaN or inf")


def test_weights_of_another_type(own_directory):
    tensors = {name: tensor.half() for name, tensor in load_tensors(own_directory).items()}
    replace_weights(own_directory, tensors)
    assert_refused(own_directory, r"must be float32 \(F32\), but is F16")


@pytest.mark.parametrize("size", [290, 300])
def test_a_tokenizer_that_does_not_fit(own_directory, known_pairs, size):
    tokenizers = train_tokenizers(known_pairs, TokenizerConfig(kind="bpe", vocabulary_size=size))
    tokenizers.source.save(own_directory / "shared.model")
    assert_refused(own_directory, "shared.model does not fit model.safetensors")


def test_a_tokenizer_of_another_size_is_found_without_the_record_too(own_directory, known_pairs):
    replace_weights(own_directory, load_tensors(own_directory))
    tokenizers = train_tokenizers(known_pairs, TokenizerConfig(vocabulary_size=290))
    tokenizers.source.save(own_directory / "shared.model")
    assert_refused(own_directory, r"\[300, 24\], but recipe and tokenizers make it \[290, 24\]")


def test_a_tokenizer_that_is_none(own_directory):
    (own_directory / "shared.model").write_bytes(b"not a model")
    assert_refused(own_directory, "shared.model does not fit model.safetensors: it is damaged, or")
    replace_weights(own_directory, load_tensors(own_directory))  # as older ones, without a digest
    assert_refused(own_directory, "shared.model: .*not a SentencePiece model")


def test_a_stray_tokenizer_is_not_taken(tmp_path, tiny_recipe, known_pairs, tiny_tokenizer):
    config = TokenizerConfig(kind="bpe", vocabulary_size=290, shared=False)
    recipe = dataclasses.replace(tiny_recipe, tokenizer=config)
    train_tiny(recipe, known_pairs, tmp_path, num_steps=1)
    tiny_tokenizer.save(tmp_path / "shared.model")
    assert not load_model_directory(tmp_path).tokenizers.shared
    replace_weights(tmp_path, load_tensors(tmp_path))  # which no longer say what they need
    assert_refused(tmp_path, "holds shared.model beside source.model and target.model; remove")


@pytest.fixture
def lexicon():
    """For the tiny tokenizer of 300 pieces on both sides."""
    translations = torch.zeros(300, 4, dtype=torch.int32)
    translations[7] = torch.tensor([299, 5, 17, 0])
    return Lexicon(translations, torch.tensor([3, 9], dtype=torch.int32))


def replace_lexicon(directory, lexicon, **changes):
    """Saves a lexicon with some of its tensors, or the digests of the tokenizer, in other ways."""
    file = directory / "lexicon.safetensors"
    tensors = {"translations": lexicon.translations, "frequent": lexicon.frequent, **changes}
    tensors.pop("metadata", None)
    with safetensors.safe_open(file, framework="pt") as entries:
        metadata = {**read_metadata(file, entries), **checksum(tensors)}
    metadata = changes.get("metadata", metadata)
    file.write_bytes(safetensors.torch.save(tensors, metadata=metadata))


def test_a_lexicon_is_saved_with_the_model(tmp_path, tiny_directory, lexicon):
    loaded = load_model_directory(tiny_directory)
    assert loaded.lexicon is None
    weights = loaded.model.state_dict()
    save_model_directory(tmp_path, loaded.recipe, weights, loaded.tokenizers, lexicon=lexicon)
    again = load_model_directory(tmp_path).lexicon
    assert torch.equal(again.translations, lexicon.translations)
    assert torch.equal(again.frequent, lexicon.frequent)
    save_model_directory(tmp_path, loaded.recipe, weights, loaded.tokenizers)
    assert load_model_directory(tmp_path).lexicon is None
    assert not (tmp_path / "lexicon.safetensors").exists()


def test_a_lexicon_is_added_to_a_model(own_directory, lexicon):
    tokenizers = load_model_directory(own_directory).tokenizers
    before = {path.name: path.read_bytes() for path in own_directory.iterdir()}
    assert add_lexicon(own_directory, lexicon, tokenizers) == own_directory / "lexicon.safetensors"
    assert torch.equal(load_model_directory(own_directory).lexicon.frequent, lexicon.frequent)
    after = {path.name: path.read_bytes() for path in own_directory.iterdir()}
    assert after == {**before, "lexicon.safetensors": after["lexicon.safetensors"]}


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        (
            {"frequent": torch.tensor([300], dtype=torch.int32)},
            "`frequent` must hold target ids, from 0 to 299",
        ),
        (
            {"translations": torch.full((300, 1), -1, dtype=torch.int32)},
            "`translations` must hold target ids, from 0 to 299",
        ),
        (
            {"translations": torch.zeros(300, 4)},
            r"`translations` must be .*\[300, up to 300\], but is F32 of the shape \[300, 4\]",
        ),
        (
            {"frequent": torch.zeros(3, 1, dtype=torch.int32)},
            r"`frequent` must be .* of the shape \[up to 300\], but is I32 of the shape \[3, 1\]",
        ),
        (
            {"translations": torch.zeros(299, 4, dtype=torch.int32)},
            r"of the shape \[300, up to 300\], but is I32 of the shape \[299, 4\]",
        ),
        (
            {"more": torch.zeros(1)},
            r"must hold `frequent` and `translations`, but holds \['frequent', 'more', 'transl",
        ),
        ({"metadata": {"format": "pt"}}, "does not fit the model: it was learnt with another tok"),
        ({"metadata": None}, "does not fit the model: it was learnt with another tokenizer; learn"),
    ],
)
def test_an_unsound_lexicon(own_directory, lexicon, changes, match):
    add_lexicon(own_directory, lexicon, load_model_directory(own_directory).tokenizers)
    replace_lexicon(own_directory, lexicon)
    assert load_model_directory(own_directory).lexicon
    replace_lexicon(own_directory, lexicon, **changes)
    assert_refused(own_directory, f"lexicon.safetensors.*{match}")


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04 no tensors", b"\x80\x04\x95pickle"])
def test_a_foreign_lexicon(own_directory, data):
    (own_directory / "lexicon.safetensors").write_bytes(data)
    assert_refused(own_directory, "lexicon.safetensors is no safetensors file, or damaged")


def test_a_truncated_lexicon(own_directory, lexicon):
    file = add_lexicon(own_directory, lexicon, load_model_directory(own_directory).tokenizers)
    file.write_bytes(file.read_bytes()[:-100])
    assert_refused(own_directory, "lexicon.safetensors is no safetensors file, or damaged")


def test_a_lexicon_of_another_tokenizer_of_the_same_size(own_directory, lexicon, known_pairs):
    other = train_tokenizers(known_pairs, TokenizerConfig(kind="bpe", vocabulary_size=300))
    add_lexicon(own_directory, lexicon, other)
    assert_refused(own_directory, "it was learnt with another tokenizer; learn it anew with")


def test_its_errors_are_configuration_errors(tmp_path):
    with pytest.raises(ConfigurationError):
        load_model_directory(tmp_path)


def test_the_model_is_built_without_drawing_weights(tiny_directory):
    torch.manual_seed(3)
    before = torch.random.get_rng_state()
    load_model_directory(tiny_directory)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_defaults_stand_in_for_what_an_older_recipe_did_not_know(own_directory, tiny_recipe):
    recipe = own_directory / "recipe.yaml"
    recipe.write_text(recipe.read_text().replace("  reverse_source: false\n", ""))
    assert load_model_directory(own_directory).recipe == tiny_recipe
