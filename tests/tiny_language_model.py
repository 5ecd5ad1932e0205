"""Language models small enough to learn a few lines in about a second."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from tiny_translator import TARGETS

from seq2seq.config import BOS_ID, EOS_ID, PAD_ID, TokenizerConfig
from seq2seq.data.tokenizer import Tokenizer
from seq2seq.language_config import LanguageNetworkConfig, LanguageRecipe, TextConfig
from seq2seq.language_model_directory import save_language_model
from seq2seq.model_directory import load_model_directory
from seq2seq.models.language_model import LanguageNetwork

SENTENCES = LanguageRecipe(
    name="sentences",
    text=TextConfig(train="my/train.en", lines="sentences"),
    tokenizer_of="tiny",
    model=LanguageNetworkConfig(cell="gru", embedding_size=12, hidden_size=20, dropout=0.0),
)
RUNNING_TEXT = dataclasses.replace(
    SENTENCES, name="text", text=TextConfig(train="my/text.py"), tokenizer_of=None
)
CODE = ["def f(x):", "    if x:", "        return 1", "", "def g(y):", "    return [2]", ""]


@pytest.fixture(scope="session")
def language_directory(tiny_directory: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of sentences in the tiny translator's target pieces, which none may change."""
    path = tmp_path_factory.mktemp("language_models") / "sentences"
    train_language(SENTENCES, load_model_directory(tiny_directory).tokenizers.target, TARGETS, path)
    return path


@pytest.fixture(scope="session")
def text_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of running text in characters, which none may change."""
    path = tmp_path_factory.mktemp("language_models") / "text"
    config = TokenizerConfig(kind="character", character_coverage=1.0, byte_fallback=False)
    train_language(RUNNING_TEXT, Tokenizer.train(CODE, config), CODE, path, num_steps=60)
    return path


def train_language(
    recipe: LanguageRecipe,
    tokenizer: Tokenizer,
    lines: Sequence[str],
    path: Path,
    num_steps: int = 25,
) -> None:
    """Learns lines by heart, or less, and saves the folder."""
    encoded = [[*ids, EOS_ID] for ids in tokenizer.encode_batch(list(lines))]
    if recipe.text.lines == "text":
        encoded = [[id_ for ids in encoded for id_ in ids]]
    length = max(map(len, encoded))
    first = EOS_ID if recipe.text.lines == "text" else BOS_ID
    inputs = [[first, *ids[:-1], *[PAD_ID] * (length - len(ids))] for ids in encoded]
    outputs = [[*ids, *[PAD_ID] * (length - len(ids))] for ids in encoded]
    with torch.random.fork_rng():
        torch.manual_seed(1)
        network = LanguageNetwork(recipe.model, tokenizer.vocabulary_size)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.03)
    for _ in range(num_steps):
        output, _ = network.loss(
            torch.tensor(inputs), torch.tensor(outputs), network.start(len(inputs))
        )
        optimizer.zero_grad()
        (output.loss / output.num_tokens).backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
    save_language_model(path, recipe, network.state_dict(), tokenizer)
