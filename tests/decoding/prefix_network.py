"""A stand-in for a network: logits that depend on the sentence and on everything said so far."""

import math
import random
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

PAD, BOS, EOS = 0, 2, 3
SOURCE_LENGTH = 5


@dataclass(frozen=True)
class PrefixState:
    memory: Tensor  # [batch], sentences; what a real network holds once per sentence
    sentences: Tensor  # [rows], the same, held per row
    prefixes: Tensor  # [rows, length]
    alignment: Tensor | None = None
    candidate_ids: Tensor | None = None  # [batch, columns]

    def select(self, rows: Tensor) -> "PrefixState":
        return replace(
            self,
            sentences=self.sentences[rows],
            prefixes=self.prefixes[rows],
            alignment=None if self.alignment is None else self.alignment[rows],
        )

    def select_sentences(self, indices: Tensor) -> "PrefixState":
        return replace(self, memory=self.memory[indices])

    def with_candidates(self, candidate_ids: Tensor) -> "PrefixState":
        return replace(self, candidate_ids=candidate_ids)


@dataclass
class PrefixNetwork:
    seed: int
    vocabulary_size: int
    spread: float = 2.0
    attends: bool = False
    impossible: float = 0.0  # share of the ids that get -inf
    rows_seen: list[int] = field(default_factory=list)
    sentences_seen: list[int] = field(default_factory=list)

    def start(self, sentences: list[int]) -> PrefixState:
        ids = torch.tensor(sentences)
        return PrefixState(ids, ids, torch.zeros(len(ids), 0, dtype=torch.int64))

    def step(self, ids: Tensor, state: PrefixState) -> tuple[Tensor, PrefixState]:
        width = len(ids) // len(state.memory)
        assert len(ids) == len(state.sentences) == width * len(state.memory)
        assert torch.equal(state.memory.repeat_interleave(width), state.sentences)
        self.rows_seen.append(len(ids))
        self.sentences_seen.append(len(state.memory))
        prefixes = torch.cat([state.prefixes, ids.unsqueeze(1)], dim=1)
        said = [
            (sentence, tuple(prefix[1:]))
            for sentence, prefix in zip(state.sentences.tolist(), prefixes.tolist(), strict=True)
        ]
        alignment = torch.stack([self.attend(*each) for each in said]) if self.attends else None
        logits = torch.stack([self.logits(*each) for each in said])
        return logits, PrefixState(state.memory, state.sentences, prefixes, alignment)

    def logits(self, sentence: int, prefix: tuple[int, ...]) -> Tensor:
        draw = random.Random(f"{self.seed} {sentence} {prefix}")
        logits = [draw.gauss(0, self.spread) for _ in range(self.vocabulary_size)]
        return torch.tensor(
            [-math.inf if draw.random() < self.impossible else logit for logit in logits]
        )

    def attend(self, sentence: int, prefix: tuple[int, ...]) -> Tensor:
        draw = random.Random(f"alignment {self.seed} {sentence} {prefix}")
        return torch.tensor([draw.gauss(0, 1) for _ in range(SOURCE_LENGTH)]).softmax(0)

    def log_probabilities(self, sentence: int, prefix: tuple[int, ...]) -> list[float]:
        logits = self.logits(sentence, prefix).double()
        if logits.max() == -math.inf:
            return logits.tolist()
        return logits.log_softmax(0).tolist()
