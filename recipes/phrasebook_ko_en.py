"""Korean to English with the phrasebook that ships with seq2seq: the quick start.

Corpus: the embedded phrasebook, made by a grammar and a lexicon of this project; nothing is
downloaded. Besides `test`, the set `test_unseen` holds combinations of words that never stand
together in the training pairs.
Licence: Apache-2.0.
"""

from seq2seq import CorpusConfig, ModelConfig, Recipe, TokenizerConfig, TrainingConfig, run

recipe = Recipe(
    name="phrasebook-ko-en",
    source_language="ko",
    target_language="en",
    corpus=CorpusConfig(embedded="phrasebook"),
    tokenizer=TokenizerConfig(kind="bpe", vocabulary_size=3000),
    model=ModelConfig(
        cell="lstm",
        attention="bahdanau",
        embedding_size=128,
        hidden_size=256,
        attention_size=256,
        tie_embeddings=True,
        dropout=0.2,
    ),
    training=TrainingConfig(
        max_epochs=5,
        batch_tokens=1000,
        learning_rate=3e-3,
        warmup_steps=100,
        schedule="cosine",
    ),
)

if __name__ == "__main__":
    run(recipe)
