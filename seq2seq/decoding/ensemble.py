"""Several networks that search together as one. Knows nothing of what they are or of text.

To add a way of joining them: a function and its line of `KINDS`.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from seq2seq.config import ConfigurationError, choose


class Network(Protocol):
    """What searching needs of a network; its states are its own."""

    def start(
        self, source_ids: Tensor, source_lengths: Tensor, candidate_ids: Tensor | None = None
    ) -> Any:
        """The state before the first step, one row per sentence."""

    def step(self, previous_ids: Tensor, state: Any) -> tuple[Tensor, Any]:
        """Logits [rows, vocabulary_size] and the state after the step."""


class EnsembleState(NamedTuple):
    """The states of all members, whose rows and sentences are the same."""

    members: tuple[Any, ...]
    weights: tuple[float, ...]

    @property
    def alignment(self) -> Tensor | None:
        """[rows, source_length], the weighted mean over the members that have one."""
        found = [
            (weight, state.alignment)
            for weight, state in zip(self.weights, self.members, strict=True)
            if state.alignment is not None
        ]
        if not found:
            return None
        total = sum(weight for weight, _ in found)
        return torch.stack([alignment * (weight / total) for weight, alignment in found]).sum(0)

    @property
    def candidate_ids(self) -> Tensor | None:
        """The ids that the logits stand for, [sentences, columns], in all members; None for all."""
        ids: Tensor | None = self.members[0].candidate_ids
        return ids

    def select(self, rows: Tensor) -> "EnsembleState":
        """Gathers rows, which may repeat."""
        return self._replace(members=tuple(state.select(rows) for state in self.members))

    def select_sentences(self, indices: Tensor) -> "EnsembleState":
        """Keeps the memory of some sentences; the rows stay."""
        members = tuple(state.select_sentences(indices) for state in self.members)
        return self._replace(members=members)


class Ensemble:
    """Networks with one vocabulary whose predictions are joined at each step.

    Args:
        members: One or more.
        weights: How much each member counts, above 0; only their ratios matter.
        kind: A name in `KINDS`.

    Raises:
        ConfigurationError: If the kind is unknown, or there is not one positive weight for each.
    """

    def __init__(self, members: Sequence[Network], weights: Sequence[float], kind: str) -> None:
        self._join = choose(KINDS, kind, field="ensemble_kind")
        self.members = tuple(members)
        self.weights = normalise_weights(weights, len(members))

    def start(
        self, source_ids: Tensor, source_lengths: Tensor, candidate_ids: Tensor | None = None
    ) -> EnsembleState:
        """Lets all members read the sources [batch, source_length]; see theirs."""
        states = tuple(
            member.start(source_ids, source_lengths, candidate_ids) for member in self.members
        )
        return EnsembleState(states, self.weights)

    def step(self, previous_ids: Tensor, state: EnsembleState) -> tuple[Tensor, EnsembleState]:
        """One step of all members; the joined logits [rows, columns] in float32."""
        steps = [
            member.step(previous_ids, before)
            for member, before in zip(self.members, state.members, strict=True)
        ]
        logits = self._join([logits for logits, _ in steps], self.weights)
        return logits, state._replace(members=tuple(after for _, after in steps))


def log_linear(logits: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    """The weighted sum of log-probabilities: what all members can accept wins.

    Whoever normalises it gets the weighted geometric mean of the probabilities. The members' own
    sums need no subtraction before, as they are the same for all columns.
    """
    joined = logits[0].float() * weights[0]
    for each, weight in zip(logits[1:], weights[1:], strict=True):
        joined.add_(each, alpha=weight)
    return joined


def arithmetic(logits: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    """The logarithm of the weighted mean of probabilities: what one member is sure of can win."""
    joined = _weighted(logits[0], weights[0])
    for each, weight in zip(logits[1:], weights[1:], strict=True):
        joined = torch.logaddexp(joined, _weighted(each, weight))
    return joined


def _weighted(logits: Tensor, weight: float) -> Tensor:
    return logits.log_softmax(dim=1, dtype=torch.float32).add_(math.log(weight))


KINDS: dict[str, Callable[[Sequence[Tensor], Sequence[float]], Tensor]] = {
    "log_linear": log_linear,
    "arithmetic": arithmetic,
}


def normalise_weights(weights: Sequence[float], num_members: int) -> tuple[float, ...]:
    """Weights in the same ratios whose sum is 1.

    Raises:
        ConfigurationError: If there is not one for each member, or one is not above 0.
    """
    if len(weights) != num_members:
        raise ConfigurationError(
            f"`ensemble_weights` must have one weight for each of the {num_members} models, "
            f"but has {len(weights)}."
        )
    for weight in weights:
        if not 0 < weight < math.inf:
            raise ConfigurationError(
                f"`ensemble_weights` must be above 0 and finite, but one is {weight}."
            )
    total = math.fsum(weights)
    return tuple(weight / total for weight in weights)
