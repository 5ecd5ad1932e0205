"""English to Japanese sentences of everyday life.

Corpus: small_parallel_enja, 50,000 pairs with at most 16 words from the Tanaka Corpus, which is a
part of Tatoeba, 500 pairs each for development and test. The files train.en, train.ja, dev.en ...
are those of the repository odashi/small_parallel_enja on GitHub, read from
data/small_parallel_enja; the hub has no plain copy. They come tokenised: the spaces of the Japanese
side are removed at load, the English side (lower case) is left as it is.
Licence: none stated by the repository; the Tanaka Corpus is CC BY 2.0 FR.
"""

from seq2seq import CorpusConfig, ModelConfig, Recipe, TokenizerConfig, TrainingConfig, run

recipe = Recipe(
    name="small-parallel-enja-en-ja",
    source_language="en",
    target_language="ja",
    corpus=CorpusConfig(
        train="data/small_parallel_enja/train",
        dev="data/small_parallel_enja/dev",
        test="data/small_parallel_enja/test",
        remove_spaces="target",
    ),
    tokenizer=TokenizerConfig(vocabulary_size=8000),
    model=ModelConfig(
        cell="lstm",
        attention="bahdanau",
        embedding_size=256,
        hidden_size=512,
        attention_size=256,
        tie_embeddings=True,
        dropout=0.3,
    ),
    training=TrainingConfig(
        max_epochs=8,
        max_minutes=60,
        batch_tokens=1500,
        learning_rate=0.002,
        warmup_steps=100,
        schedule="cosine",
    ),
)

if __name__ == "__main__":
    run(recipe)
