"""A language model that helps a translation network at each step. Knows nothing of text.

Shallow fusion: Gulcehre et al. (2015), section 4.1, https://arxiv.org/abs/1503.03535.
"""

from typing import Any, NamedTuple, Protocol

from torch import Tensor

from seq2seq.decoding.ensemble import Network
from seq2seq.decoding.vocabulary import normalise


class Language(Protocol):
    """What is needed of a language network; its states are its own."""

    def start(self, rows: int) -> Any:
        """The state before a sentence, for so many rows."""

    def step(self, previous_ids: Tensor, state: Any) -> tuple[Tensor, Any]:
        """Logits [rows, vocabulary_size] and the state after the step."""


class FusedState(NamedTuple):
    """The states of both networks, whose rows are the same."""

    translation: Any
    language: Any

    @property
    def alignment(self) -> Tensor | None:
        """[rows, source_length], of the translation network."""
        alignment: Tensor | None = self.translation.alignment
        return alignment

    @property
    def candidate_ids(self) -> Tensor | None:
        """The ids that the scores stand for, [sentences, columns]; None for all."""
        ids: Tensor | None = self.translation.candidate_ids
        return ids

    def select(self, rows: Tensor) -> "FusedState":
        """Gathers rows, which may repeat."""
        return FusedState(self.translation.select(rows), self.language.select(rows))

    def select_sentences(self, indices: Tensor) -> "FusedState":
        """Keeps the memory of some sentences; the rows stay."""
        return self._replace(translation=self.translation.select_sentences(indices))


class Fusion:
    """Gives the scores `log p(y_t | y_<t, x) + weight * log p_LM(y_t | y_<t)` of each step.

    They are no log-probabilities of one distribution, and nobody may normalise them: the sum over
    the pieces of a sentence is `log p(y | x) + weight * log p_LM(y)`. Each term is normalised over
    all that its own network can say, also where a shortlist leaves most of it out.

    Args:
        network: For the same vocabulary as `language`.
        weight: At least 0, so that scores only fall as a hypothesis grows.
    """

    def __init__(self, network: Network, language: Language, weight: float) -> None:
        self.network = network
        self.language = language
        self.weight = weight

    def start(
        self, source_ids: Tensor, source_lengths: Tensor, candidate_ids: Tensor | None = None
    ) -> FusedState:
        """Lets the network read the sources [batch, source_length]; see `Network.start`."""
        state = self.network.start(source_ids, source_lengths, candidate_ids)
        return FusedState(state, self.language.start(len(source_ids)))

    def step(self, previous_ids: Tensor, state: FusedState) -> tuple[Tensor, FusedState]:
        """One step of both networks; the scores [rows, columns] in float32."""
        logits, translation = self.network.step(previous_ids, state.translation)
        further, language = self.language.step(previous_ids, state.language)
        further = normalise(further)
        if state.candidate_ids is not None:
            further = further.gather(1, _of_rows(state.candidate_ids, len(further)))
        scores = normalise(logits).add_(further, alpha=self.weight)
        return scores, FusedState(translation, language)


def _of_rows(candidate_ids: Tensor, rows: int) -> Tensor:
    """The candidates of each row's sentence, [rows, columns]."""
    return candidate_ids.repeat_interleave(rows // len(candidate_ids), dim=0)
