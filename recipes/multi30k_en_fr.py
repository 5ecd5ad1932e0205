"""English to French captions of photographs.

Corpus: Multi30k (Elliott et al., 2016, https://aclanthology.org/W16-3210; French: Elliott et al.,
2017, https://aclanthology.org/W17-4718): 29,000 training pairs, 1,014 for development, 1,000 for
the test (test_2016_flickr). No plain data set of the hub has the French sentences without the
photographs, so the files are read from data/multi30k; they are those of the folder data/task1/raw
of the repository multi30k/dataset on GitHub, named train.en.gz, val.en, test_2016_flickr.en ...
Licence: derived from Flickr30k, which is for non-commercial research and education only.
"""

from seq2seq import CorpusConfig, ModelConfig, Recipe, TokenizerConfig, TrainingConfig, run

recipe = Recipe(
    name="multi30k-en-fr",
    source_language="en",
    target_language="fr",
    corpus=CorpusConfig(
        train="data/multi30k/train",
        dev="data/multi30k/val",
        test="data/multi30k/test_2016_flickr",
    ),
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
        learning_rate=0.002,
        warmup_steps=100,
        schedule="cosine",
    ),
)

if __name__ == "__main__":
    run(recipe)
