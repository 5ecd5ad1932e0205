"""The phrasebook from corpus to translations: what only a trained model of real size can show."""

from pathlib import Path

import pytest

from seq2seq import Translator
from seq2seq.config import ModelConfig, Recipe, TokenizerConfig, TrainingConfig
from seq2seq.data.loading import load_corpus
from seq2seq.model_directory import load_model_directory
from seq2seq.training.train import train


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    return Recipe(
        tokenizer=TokenizerConfig(kind="bpe", vocabulary_size=2000),
        model=ModelConfig(embedding_size=64, hidden_size=128, attention_size=64, dropout=0.1),
        training=TrainingConfig(
            max_epochs=3, batch_tokens=1000, learning_rate=3e-3, dev_sentences=100, threads=1
        ),
    )


@pytest.fixture(scope="module")
def directory(recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(recipe, tmp_path_factory.mktemp("runs") / recipe.name).path


@pytest.mark.slow
def test_in_float32_the_text_does_not_depend_on_the_batch(recipe: Recipe, directory: Path) -> None:
    sources = load_corpus(recipe, directory / "cache").test.sources[:1000]
    translator = Translator.load(directory, precision="float32", threads=1)
    texts = {
        batch_size: [each.text for each in translator.translate(sources, batch_size=batch_size)]
        for batch_size in (1, 7, 64)
    }
    assert len(set(texts[64])) > 500
    assert texts[1] == texts[64]
    assert texts[7] == texts[64]


@pytest.mark.slow
def test_shortlists_hold_the_translations_of_sentences_that_were_not_learnt(
    recipe: Recipe, directory: Path
) -> None:
    test = load_corpus(recipe, directory / "cache").test
    loaded = load_model_directory(directory)
    assert loaded.lexicon is not None
    source_ids = loaded.tokenizers.source.encode_batch(test.sources)
    target_ids = loaded.tokenizers.target.encode_batch(test.targets)
    candidates = loaded.lexicon.candidates(source_ids, per_piece=20)
    assert candidates.shape[1] < loaded.tokenizers.target.vocabulary_size / 4
    num_found = sum(
        len([piece for piece in ids if piece in found])
        for ids, found in zip(target_ids, map(set, candidates.tolist()), strict=True)
    )
    assert num_found > 0.98 * sum(map(len, target_ids))
