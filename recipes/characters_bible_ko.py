"""Characters of the Korean Bible: a language model that writes archaic verse.

Corpus: 30,295 verses of the Korean Revised Version of 1961, one a line, book by book by name;
Ruth, Jonah, Philippians and 2 Timothy are the development text. The files are read from
data/bible_ko_en below the folder where the recipe is started, as train.ko.gz and dev.ko, or from
where `--text.train` and `--text.dev` say. No plain data set of the hub holds them; they were made
from the GitHub repository bluesaurel/Korean-Bible-1961-KRV.
Licence: public domain, under the condition that the Korean Bible Society is named and the text is
not altered.
"""

from seq2seq.language_config import (
    LanguageNetworkConfig,
    LanguageRecipe,
    LanguageTrainingConfig,
    TextConfig,
)
from seq2seq.language_recipe import run_language_model

recipe = LanguageRecipe(
    name="characters-bible-ko",
    language="ko",
    text=TextConfig(train="data/bible_ko_en/train.ko.gz", dev="data/bible_ko_en/dev.ko"),
    model=LanguageNetworkConfig(cell="lstm", embedding_size=128, hidden_size=512, dropout=0.2),
    training=LanguageTrainingConfig(max_epochs=6, streams=32, learning_rate=4e-3),
)

if __name__ == "__main__":
    run_language_model(recipe)
