"""English to Korean with the phrasebook that ships with seq2seq.

Corpus: the embedded phrasebook, made by a grammar and a lexicon of this project; nothing is
downloaded. Besides `test`, the set `test_unseen` holds combinations of words that never stand
together in the training pairs. English does not tell the speech level of Korean, so only one of
several right answers counts.
Licence: Apache-2.0.
"""

from seq2seq import CorpusConfig, ModelConfig, Recipe, TokenizerConfig, TrainingConfig, run

recipe = Recipe(
    name="phrasebook-en-ko",
    source_language="en",
    target_language="ko",
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
