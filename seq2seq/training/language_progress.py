"""What training a language model shows: a line per evaluation, and what the network writes."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from seq2seq.evaluation.text_loss import show_perplexity
from seq2seq.language_config import LanguageTrainingConfig
from seq2seq.training.progress import ProgressDisplay


class LanguageProgress(ProgressDisplay):
    """The progress of a language model.

    Args:
        characters_per_piece: Of the training text.
    """

    def __init__(
        self, config: LanguageTrainingConfig, *, characters_per_piece: float, **settings: Any
    ) -> None:
        super().__init__(config, **settings)
        self._characters_per_piece = characters_per_piece

    def describe(self, entry: Mapping[str, Any]) -> str:
        """One line for an entry of `Evaluation.history`."""
        speed = entry["pieces_per_second"] * self._characters_per_piece
        perplexity = show_perplexity(entry["dev_perplexity"])
        return (
            f"epoch {entry['epoch']:.2f}  step {entry['step']}  loss {entry['loss']:.3f}  "
            f"dev loss {entry['dev_loss']:.3f}  perplexity {perplexity}  "
            f"{entry['dev_bits_per_character']:.3f} bits/character  "
            f"{speed:,.0f} characters/s  {timedelta(seconds=round(60 * entry['minutes']))}"
            f"{'  best' if entry['improved'] else ''}"
        )

    def samples(self, written: Sequence[str]) -> list[str]:
        """What the network has written, indented."""
        return ["".join(f"  | {line}\n" for line in text.split("\n")) for text in written]
