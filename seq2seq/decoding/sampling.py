"""Draws target ids under any step function. Knows nothing of networks or text."""

import hashlib
import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seq2seq.config import BOS_ID, EOS_ID, PAD_ID
from seq2seq.decoding.beam_search import Hypothesis, State, StepFunction, paired_lengths
from seq2seq.decoding.coverage import Coverage
from seq2seq.decoding.history import History
from seq2seq.decoding.length_penalty import Ranking
from seq2seq.decoding.rules import Rules, mask_by_rules
from seq2seq.decoding.rules import State as RuleState
from seq2seq.decoding.terms import SPARE
from seq2seq.decoding.vocabulary import Blocked, block, normalise

_FREE = (None, RuleState(), 0)  # what `mask_by_rules` takes for rows without rules
_FEW = 64  # columns among which the likeliest ones are looked for first


def stream_key(seed: int, source_ids: Sequence[int]) -> int:
    """128 bits that the samples of a sentence depend on: the seed and the ids of its source."""
    text = " ".join(map(str, (seed, *source_ids)))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=16).digest(), "little")


def sample(
    step: StepFunction[State],
    state: State,
    *,
    num_samples: int,
    keys: Sequence[int],
    max_lengths: Sequence[int],
    min_lengths: Sequence[int] | int = 0,
    temperature: float = 1.0,
    top_k: int = 0,
    top_p: float = 1.0,
    ranking: Ranking | None = None,
    source_lengths: Sequence[int] = (),
    rules: Sequence[Rules | None] | None = None,
    bos_id: int = BOS_ID,
    eos_id: int = EOS_ID,
    forbidden_ids: Collection[int] = (PAD_ID,),
    are_scores: bool = False,
    keep_alignment: bool = True,
    device: torch.device | str = "cpu",
) -> list[list[Hypothesis]]:
    """Draws target sentences for each sentence, the same ones whatever stands beside it.

    Each sample has a random number for each of its positions, of a Philox stream (Salmon et al.,
    2011) that hangs on its sentence's key and its own number alone, and takes the id at which the
    cumulated probability passes it.

    Args:
        step: As in `beam_search`, and so are all arguments that are not described here.
        num_samples: For each sentence, at least 1.
        keys: Of each sentence; see `stream_key`.
        temperature: Divides the log-probabilities first; 0 takes the likeliest id each time. Here
            and below the ids of the first columns come first where several are as likely.
        top_k: Then only so many of the likeliest ids may be drawn (Fan et al., 2018); 0 for all.
        top_p: Then only the fewest of the likeliest ids that have at least this share of what is
            left (Holtzman et al., 2020, section 3.1, https://arxiv.org/abs/1904.09751).

    Returns:
        For each sentence its samples, the highest score first but truncated ones last; what is
        drawn twice stands there twice. Log-probabilities are those of the network itself, whatever
        the temperature.

    Raises:
        ValueError: If an argument is out of range, or logits are infinite or not a number.
    """
    _check(num_samples, temperature, top_k, top_p)
    sentences = [
        _Sentence(*lengths, _begin(key, num_samples, lengths[0], rule))
        for lengths, key, rule in zip(
            paired_lengths(max_lengths, min_lengths), keys, rules or [None] * len(keys), strict=True
        )
    ]
    is_obeyed = any(rule is not None for rule in rules or ())
    forbidden = sorted({bos_id, *forbidden_ids})
    ranking = ranking or Ranking()
    coverage = Coverage(source_lengths) if ranking.coverage_penalty else None
    history = History()
    batch = sentences
    # What is drawn in each row, by sentence; None in rows that only make their numbers equal.
    living: list[list[_Sample | None]] = [[*sentence.samples] for sentence in batch]
    ids = torch.full((len(batch) * num_samples,), bos_id, device=device)
    state = state.select(torch.arange(len(batch), device=device).repeat_interleave(num_samples))
    position = 0
    while batch:
        logits, state = step(ids, state)
        history.attend(state.alignment if keep_alignment else None)
        normalised = normalise(logits, are_scores=are_scores)
        covered = coverage.add(state.alignment) if coverage else None
        no_end = [sentence.min_length > position for sentence in batch]
        blocked = Blocked(forbidden, eos_id, no_end)
        samples = [each for group in living for each in group]
        block(normalised.view(len(batch), -1, logits.shape[1]), blocked, state.candidate_ids)
        if is_obeyed:
            _obey(samples, normalised, state.candidate_ids, eos_id)
        draws = [0.0 if each is None else each.draws[position] for each in samples]
        weights = _weigh(normalised, temperature, top_k, top_p)
        columns = _invert(weights, torch.tensor(draws, dtype=torch.float64, device=device))
        chosen = normalised.gather(1, columns).flatten()
        if state.candidate_ids is not None:
            columns = state.candidate_ids.gather(1, columns.view(len(batch), -1))
        ids = columns.flatten()
        position += 1
        found = zip(samples, ids.tolist(), chosen.tolist(), strict=True)
        for row, (each, id_, log_probability) in enumerate(found):
            if each is not None:
                each.advance(row, id_, log_probability, covered, eos_id)
        staying, rows, living = _regroup(living, [each.max_length > position for each in batch])
        if not staying:
            break
        kept = None
        if len(staying) < len(batch):
            batch = [batch[index] for index in staying]
            kept = torch.tensor(staying, device=device)
            state = state.select_sentences(kept)
        if rows != list(range(len(samples))):
            selected = torch.tensor(rows, device=device)
            state, ids = state.select(selected), ids[selected]
            if coverage:
                coverage.select(selected, kept)
    return _hypotheses(sentences, history, ranking)


def _check(num_samples: int, temperature: float, top_k: int, top_p: float) -> None:
    if num_samples < 1:
        raise ValueError(f"`num_samples` must be at least 1, but is {num_samples}.")
    if not 0 <= temperature < math.inf:
        raise ValueError(f"`temperature` must be at least 0 and finite, but is {temperature}.")
    if top_k < 0:
        raise ValueError(f"`top_k` must be at least 0, but is {top_k}.")
    if not 0 <= top_p <= 1:
        raise ValueError(f"`top_p` must be from 0 to 1, but is {top_p}.")


@dataclass
class _Sample:
    """One target sentence as far as it is drawn."""

    draws: NDArray[np.float64]  # [max_length], from 0 to below 1
    rules: Rules | None
    rule_state: RuleState
    ids: list[int] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)  # of the step that each id comes from
    log_probability: float = 0.0
    coverage: float = 0.0  # after the last id
    has_wished_end: bool = False
    has_ended: bool = False
    is_stuck: bool = False  # nothing was allowed to follow

    def advance(
        self, row: int, id_: int, log_probability: float, covered: list[float] | None, eos_id: int
    ) -> None:
        if math.isnan(log_probability):
            raise ValueError("The step function gave logits that are infinite or not a number.")
        if log_probability == -math.inf:
            self.is_stuck = True
            return
        self.ids.append(id_)
        self.rows.append(row)
        self.log_probability += log_probability
        self.coverage = covered[row] if covered else 0.0
        self.has_ended = id_ == eos_id
        if self.rules:
            self.rule_state = self.rules.advance(self.rule_state, id_)

    def may_follow(self, *, wishes_end: bool) -> tuple[Rules | None, RuleState, int]:
        """What `mask_by_rules` asks for.

        Nothing looks ahead for the best place of a term. At the latest all are said from where the
        network would rather end, as a sentence that may not end goes on at random.
        """
        self.has_wished_end |= wishes_end
        num_left = len(self.draws) - len(self.ids)
        if self.has_wished_end:
            num_left = min(num_left, SPARE)
        return self.rules, self.rule_state, num_left


@dataclass
class _Sentence:
    max_length: int
    min_length: int
    samples: list[_Sample]


def _begin(key: int, num_samples: int, max_length: int, rules: Rules | None) -> list[_Sample]:
    """Samples whose random streams lie 2 ** 192 numbers apart."""
    generators = (
        np.random.Generator(np.random.Philox(key=key, counter=[0, 0, 0, number]))
        for number in range(num_samples)
    )
    start = rules.start if rules else RuleState()
    return [_Sample(generator.random(max_length), rules, start) for generator in generators]


def _obey(
    samples: list[_Sample | None], normalised: Tensor, candidate_ids: Tensor | None, eos_id: int
) -> None:
    """Makes impossible what the rules of each sample forbid, in place."""
    likeliest = normalised.argmax(dim=1)
    if candidate_ids is not None:
        likeliest = candidate_ids.gather(1, likeliest.view(len(candidate_ids), -1)).flatten()
    may_follow = [
        _FREE if each is None else each.may_follow(wishes_end=id_ == eos_id)
        for each, id_ in zip(samples, likeliest.tolist(), strict=True)
    ]
    mask_by_rules(normalised, may_follow, candidate_ids)


def _weigh(normalised: Tensor, temperature: float, top_k: int, top_p: float) -> Tensor:
    """What the probabilities of a draw are proportional to, [rows, columns]; the largest is 1."""
    # A row of only -inf has no largest one; all its weights are 0.
    peaks = normalised.amax(dim=1, keepdim=True).clamp_min(torch.finfo(normalised.dtype).min)
    if temperature == 0:
        return torch.zeros_like(normalised).scatter_(1, normalised.argmax(1, keepdim=True), 1.0)
    weights = ((normalised - peaks) / temperature).exp_()
    if 0 < top_k < weights.shape[1]:
        _keep(weights, weights.topk(top_k, dim=1).values[:, -1:], top_k)
    if top_p < 1:
        _keep(weights, *_nucleus(weights, top_p))
    return weights


def _keep(weights: Tensor, least: Tensor, number: Tensor | int) -> None:
    """Leaves so many of the largest weights of each row, of equal ones the first, in place.

    Args:
        least: The smallest of them, [rows, 1].
        number: Of each row, [rows, 1], or of all.
    """
    weights.masked_fill_(weights < least, 0.0)
    excess = (weights > 0).sum(dim=1, keepdim=True) - number
    if (excess > 0).any():  # several are as large as the smallest one
        equal = weights == least
        left = equal.sum(dim=1, keepdim=True) - excess.clamp_min(0)
        weights.masked_fill_(equal & (equal.cumsum(dim=1) > left), 0.0)


def _nucleus(weights: Tensor, share: float) -> tuple[Tensor, Tensor]:
    """The smallest weight among the fewest that have this share of a row's sum, and their number.

    Both [rows, 1].
    """
    goals = share * weights.sum(dim=1, keepdim=True, dtype=torch.float64)
    most, columns = _FEW, weights.shape[1]
    while True:
        likeliest = weights.topk(min(most, columns), dim=1).values
        is_short = likeliest.cumsum(dim=1, dtype=torch.float64) < goals
        if most >= columns or not is_short[:, -1].any():
            break
        most *= 8
    last = is_short.sum(dim=1, keepdim=True).clamp_max(likeliest.shape[1] - 1)
    return likeliest.gather(1, last), last + 1


def _invert(weights: Tensor, draws: Tensor) -> Tensor:
    """The column of each row at which its cumulated weight passes a share of the sum, [rows, 1]."""
    cumulated = weights.cumsum(dim=1, dtype=torch.float64)
    total = cumulated[:, -1:]
    # A share of nearly all may be rounded to all, which nothing passes.
    below = torch.nextafter(total, torch.zeros_like(total))
    goals = torch.minimum(draws.unsqueeze(1) * total, below)
    return torch.searchsorted(cumulated, goals, right=True).clamp_max_(weights.shape[1] - 1)


def _regroup(
    living: list[list[_Sample | None]], may_grow: list[bool]
) -> tuple[list[int], list[int], list[list[_Sample | None]]]:
    """What goes on: the sentences, their rows, and what is drawn in these.

    All sentences have as many rows as the one of them that needs most.
    """
    row = 0
    growing: list[list[tuple[int, _Sample | None]]] = []
    for group, grows in zip(living, may_grow, strict=True):
        growing.append([])
        for each in group:
            if grows and each is not None and not (each.has_ended or each.is_stuck):
                growing[-1].append((row, each))
            row += 1
    staying = [index for index, pairs in enumerate(growing) if pairs]
    width = max(map(len, growing))
    padded = [
        growing[index] + [(growing[index][0][0], None)] * (width - len(growing[index]))
        for index in staying
    ]
    rows = [row for pairs in padded for row, _ in pairs]
    return staying, rows, [[each for _, each in pairs] for pairs in padded]


def _hypotheses(
    sentences: list[_Sentence], history: History, ranking: Ranking
) -> list[list[Hypothesis]]:
    paths = [each.rows for sentence in sentences for each in sentence.samples]
    alignments = iter(history.read_alignments(paths) if paths else [])
    hypotheses: list[list[Hypothesis]] = []
    for sentence in sentences:
        found = [
            Hypothesis(
                each.ids,
                each.log_probability,
                ranking.score(each.log_probability, len(each.ids), each.coverage),
                next(alignments),
                truncated=not each.has_ended,
            )
            for each in sentence.samples
        ]
        hypotheses.append(sorted(found, key=lambda each: (each.truncated, -each.score)))
    return hypotheses
