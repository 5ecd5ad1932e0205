"""English to Korean with the phrasebook that ships with seq2seq.

Corpus: the embedded phrasebook, made by a grammar and a lexicon of this project; nothing is
downloaded. Besides `test`, the set `test_unseen` holds combinations of words that never stand
together in the training pairs.
Licence: Apache-2.0.
Result: BLEU 84.2, chrF2 82.0 on test, BLEU 82.4, chrF2 79.5 on test_unseen, on two cores of an
AMD EPYC with AVX512-BF16, beam 5, characters as tokens
(BLEU|nrefs:1|case:mixed|eff:no|tok:char|smooth:exp|version:2.6.0;
chrF2|nrefs:1|case:mixed|eff:yes|nc:6|nw:0|space:no|version:2.6.0). English does not tell the
speech level, so only one of several right answers counts.
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
