"""Characters of this project's own Python source: quotes, brackets, indentation.

Corpus: the source of the installed package, file after file; nothing is downloaded. The last
twentieth of its lines is the development text.
Licence: Apache-2.0.
"""

from seq2seq.language_config import (
    LanguageNetworkConfig,
    LanguageRecipe,
    LanguageTrainingConfig,
    TextConfig,
)
from seq2seq.language_recipe import run_language_model

recipe = LanguageRecipe(
    name="characters-python",
    text=TextConfig(embedded="source"),
    model=LanguageNetworkConfig(cell="lstm", embedding_size=64, hidden_size=256),
    training=LanguageTrainingConfig(max_epochs=6, streams=16, learning_rate=5e-3),
)

if __name__ == "__main__":
    run_language_model(recipe)
