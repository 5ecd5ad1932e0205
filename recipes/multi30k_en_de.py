"""English to German captions of photographs.

Corpus: Multi30k (Elliott et al., 2016, https://aclanthology.org/W16-3210): 29,000 training pairs,
1,014 for development, 1,000 for the test (test_2016_flickr). The hub id is as its page shows it;
it was not downloaded for the result of README.md, which is of the corpus's own files.
Licence: derived from Flickr30k, which is for non-commercial research and education only.
"""

from seq2seq import CorpusConfig, ModelConfig, Recipe, TokenizerConfig, TrainingConfig, run

recipe = Recipe(
    name="multi30k-en-de",
    source_language="en",
    target_language="de",
    corpus=CorpusConfig(hub="bentrevett/multi30k", source_column="en", target_column="de"),
    tokenizer=TokenizerConfig(vocabulary_size=6000),
    model=ModelConfig(
        cell="lstm",
        attention="bahdanau",
        embedding_size=256,
        hidden_size=512,
        attention_size=256,
        tie_embeddings=True,
        dropout=0.4,
    ),
    training=TrainingConfig(
        max_epochs=14,
        max_minutes=39,
        batch_tokens=1500,
        learning_rate=2e-3,
        warmup_steps=100,
        schedule="cosine",
    ),
)

if __name__ == "__main__":
    run(recipe)
