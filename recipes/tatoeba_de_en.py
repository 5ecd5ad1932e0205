"""German to English sentences of everyday life.

Corpus: Tatoeba (https://tatoeba.org), sentences translated by volunteers; about 165,000 pairs in
the release of the result. The hub's data set has no test set, so that one is drawn. Its id and
columns are as its page shows them; it was not downloaded for the result of README.md, which is of
files.
Licence: CC BY 2.0 FR.
"""

from seq2seq import CorpusConfig, ModelConfig, Recipe, TokenizerConfig, TrainingConfig, run

recipe = Recipe(
    name="tatoeba-de-en",
    source_language="de",
    target_language="en",
    corpus=CorpusConfig(
        hub="sentence-transformers/parallel-sentences-tatoeba",
        hub_configuration="en-de",
        source_column="non_english",
        target_column="english",
        dev_split="dev",
    ),
    tokenizer=TokenizerConfig(vocabulary_size=8000),
    model=ModelConfig(
        cell="lstm",
        attention="bahdanau",
        embedding_size=256,
        hidden_size=512,
        attention_size=256,
        tie_embeddings=True,
        dropout=0.2,
    ),
    training=TrainingConfig(
        max_epochs=5,
        max_minutes=60,
        batch_tokens=2000,
        learning_rate=0.002,
        warmup_steps=200,
        schedule="cosine",
    ),
)

if __name__ == "__main__":
    run(recipe)
