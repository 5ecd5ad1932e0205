"""Korean to English sentences of everyday life, a very small corpus.

Corpus: Tatoeba (https://tatoeba.org), sentences translated by volunteers; about 5,000 pairs. The
hub's data set has no test set, so that one is drawn. Its id and columns are as its page shows
them; it was not downloaded for the result of README.md, which is of files.
Licence: CC BY 2.0 FR.
"""

from seq2seq import CorpusConfig, ModelConfig, Recipe, TokenizerConfig, TrainingConfig, run

recipe = Recipe(
    name="tatoeba-ko-en",
    source_language="ko",
    target_language="en",
    corpus=CorpusConfig(
        hub="sentence-transformers/parallel-sentences-tatoeba",
        hub_configuration="en-ko",
        source_column="non_english",
        target_column="english",
        dev_split="dev",
    ),
    tokenizer=TokenizerConfig(vocabulary_size=2000),
    model=ModelConfig(
        cell="lstm",
        attention="bahdanau",
        embedding_size=128,
        hidden_size=256,
        attention_size=128,
        tie_embeddings=True,
        dropout=0.4,
    ),
    training=TrainingConfig(
        max_epochs=40,
        batch_tokens=500,
        learning_rate=0.002,
        warmup_steps=100,
        schedule="cosine",
    ),
)

if __name__ == "__main__":
    run(recipe)
