"""A language model for its users: text in, probabilities and new text out."""

import os
from collections.abc import Sequence

import torch

from seq2seq.config import EOS_ID, check_threads
from seq2seq.data.tokenizer import Tokenizer
from seq2seq.devices import find_device
from seq2seq.language_config import LanguageRecipe
from seq2seq.language_model_directory import load_language_model_directory
from seq2seq.models.language_model import LanguageNetwork


class LanguageModel:
    """A network in evaluation mode on its device, with its pieces.

    A line of text is its pieces and `</s>`, which stands for the line's end. A text begins after
    `<s>`.
    """

    def __init__(
        self,
        network: LanguageNetwork,
        tokenizer: Tokenizer,
        recipe: LanguageRecipe,
        *,
        device: torch.device | str = "cpu",
    ) -> None:
        self.device = torch.device(device)
        self.network = network.eval().to(self.device)
        self.tokenizer = tokenizer
        self.recipe = recipe

    @classmethod
    def load(
        cls, path: str | os.PathLike[str], device: str = "auto", threads: int | None = None
    ) -> "LanguageModel":
        """Opens the folder of a language model; executes nothing that stands in it.

        Args:
            device: auto, cpu, cuda or cuda:N.
            threads: Processor threads of the whole process; as torch chooses if not given.

        Raises:
            ModelDirectoryError: If the folder is no sound language model.
            ConfigurationError: If the device is not there.
        """
        found = find_device(device)
        if threads is not None:
            check_threads(threads, field="threads")
            torch.set_num_threads(threads)
        loaded = load_language_model_directory(path)
        return cls(loaded.network, loaded.tokenizer, loaded.recipe, device=found)

    def encode(self, lines: Sequence[str]) -> list[int]:
        """The ids of lines that follow one another, each with its `</s>`."""
        return [each for ids in self.tokenizer.encode_batch(list(lines)) for each in (*ids, EOS_ID)]
