import math
from dataclasses import dataclass

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_search import plain_score, try_every_sentence
from prefix_network import EOS, PrefixNetwork, PrefixState
from torch import Tensor

from seq2seq.config import ConfigurationError
from seq2seq.decoding.beam_search import beam_search
from seq2seq.decoding.ensemble import KINDS, Ensemble
from seq2seq.decoding.sampling import sample
from seq2seq.decoding.scoring import score_targets

seeds = st.integers(0, 10**6)
kinds = st.sampled_from(list(KINDS))
weight_lists = st.lists(st.sampled_from([0.1, 1.0, 3.0]), min_size=1, max_size=3)


@dataclass
class Member:
    """A network that starts as real ones do."""

    network: PrefixNetwork

    def start(
        self, source_ids: Tensor, source_lengths: Tensor, candidate_ids: Tensor | None = None
    ) -> PrefixState:
        state = self.network.start(source_ids[:, 0].tolist())
        return state if candidate_ids is None else state.with_candidates(candidate_ids)

    def step(self, ids: Tensor, state: PrefixState) -> tuple[Tensor, PrefixState]:
        logits, after = self.network.step(ids, state)
        if state.candidate_ids is not None:
            columns = state.candidate_ids.repeat_interleave(len(ids) // len(state.memory), dim=0)
            logits, after = logits.gather(1, columns), after.with_candidates(state.candidate_ids)
        return logits, after


class PlainEnsemble(PrefixNetwork):
    """The definition, in float64 and with a loop over members and ids."""

    def __init__(self, networks: list[PrefixNetwork], weights: list[float], kind: str) -> None:
        super().__init__(0, networks[0].vocabulary_size)
        self.networks, self.weights, self.kind = networks, weights, kind

    def log_probabilities(self, sentence: int, prefix: tuple[int, ...]) -> list[float]:
        total = sum(self.weights)
        members = [network.log_probabilities(sentence, prefix) for network in self.networks]
        joined = []
        for id_ in range(self.vocabulary_size):
            pairs = [(w / total, m[id_]) for w, m in zip(self.weights, members, strict=True)]
            if self.kind == "log_linear":
                joined.append(sum(weight * log_p for weight, log_p in pairs))
            else:
                mean = sum(weight * math.exp(log_p) for weight, log_p in pairs)
                joined.append(math.log(mean) if mean else -math.inf)
        size = math.log(math.fsum(math.exp(log_p) for log_p in joined))
        return [log_p - size for log_p in joined]


def make(seed: int, weights: list[float], kind: str) -> tuple[Ensemble, PlainEnsemble]:
    networks = [
        PrefixNetwork(seed + number, vocabulary_size=6, spread=1.5)
        for number in range(len(weights))
    ]
    return (
        Ensemble([Member(network) for network in networks], weights, kind),
        PlainEnsemble(networks, weights, kind),
    )


def start(ensemble: Ensemble, sentences: list[int], candidates: Tensor | None = None):
    ids = torch.tensor(sentences).unsqueeze(1)
    return ensemble.start(ids, torch.ones(len(sentences)), candidates)


@settings(max_examples=12)
@given(seeds, weight_lists, kinds)
def test_searches_what_a_loop_over_the_members_says(seed, weights, kind):
    ensemble, plain = make(seed, weights, kind)
    sentences, lengths = [4, 5], [3, 4]
    found = beam_search(
        ensemble.step, start(ensemble, sentences), beam_size=600, n_best=5, max_lengths=lengths
    )
    for sentence, length, hypotheses in zip(sentences, lengths, found, strict=True):
        expected = try_every_sentence(plain, sentence, max_length=length, n_best=5)
        assert [(each.ids, each.truncated) for each in hypotheses] == [
            (ids, truncated) for ids, _, truncated in expected
        ]
        for each, (_, log_probability, _) in zip(hypotheses, expected, strict=True):
            assert each.log_probability == pytest.approx(log_probability, abs=1e-5)


@settings(max_examples=10)
@given(seeds, weight_lists, kinds)
def test_given_targets_and_samples_are_scored_by_all_members(seed, weights, kind):
    ensemble, plain = make(seed, weights, kind)
    targets = [[4, 5, EOS], [1, EOS]]
    scores = score_targets(ensemble.step, start(ensemble, [4, 5]), targets)
    assert scores == pytest.approx(
        [plain_score(plain, sentence, ids) for sentence, ids in zip([4, 5], targets, strict=True)],
        abs=1e-5,
    )
    (samples,) = sample(
        ensemble.step, start(ensemble, [4]), num_samples=3, keys=[seed], max_lengths=[4]
    )
    for each in samples:
        assert each.log_probability == pytest.approx(plain_score(plain, 4, each.ids), abs=1e-5)


class Certain(PrefixNetwork):
    """Says the same ids always, with given probabilities."""

    def __init__(self, probabilities: list[float]) -> None:
        super().__init__(0, len(probabilities))
        self.table = torch.tensor(probabilities).log()

    def logits(self, sentence: int, prefix: tuple[int, ...]) -> Tensor:
        return self.table


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        # 0.4 ** (2/3) * 0.1 ** (1/3) is 0.252, 0.6 ** (2/3) * 0.9 ** (1/3) is 0.687.
        ("log_linear", [0.0, 0.252 / 0.939, 0.687 / 0.939, 0.0]),
        ("arithmetic", [0.0, 0.3, 0.6, 0.1]),
    ],
    ids=["log_linear", "arithmetic"],
)
def test_what_one_member_rules_out(kind, expected):
    first = Certain([0.0, 0.4, 0.45, 0.15] if kind == "arithmetic" else [0.0, 0.4, 0.6, 0.0])
    second = Certain([0.0, 0.1, 0.9, 0.0])
    ensemble = Ensemble([Member(first), Member(second)], [2.0, 1.0], kind)
    logits, _ = ensemble.step(torch.tensor([2]), start(ensemble, [4]))
    assert logits.softmax(dim=1)[0].tolist() == pytest.approx(expected, abs=1e-3)


def test_the_alignment_is_the_mean_over_members_that_have_one():
    attends = [True, False, True]
    networks = [PrefixNetwork(n, vocabulary_size=6, attends=a) for n, a in enumerate(attends)]
    ensemble = Ensemble([Member(network) for network in networks], [3.0, 5.0, 1.0], "log_linear")
    ((best,),) = beam_search(
        ensemble.step, start(ensemble, [4]), beam_size=4, max_lengths=[5], min_lengths=2
    )
    for position, row in enumerate(best.alignment):
        prefix = tuple(best.ids[:position])
        expected = 0.75 * networks[0].attend(4, prefix) + 0.25 * networks[2].attend(4, prefix)
        assert torch.allclose(row, expected, atol=1e-6)


def test_members_without_attention_have_no_alignment():
    ensemble, _ = make(1, [1.0, 1.0], "log_linear")
    ((best,),) = beam_search(ensemble.step, start(ensemble, [4]), beam_size=2, max_lengths=[5])
    assert best.alignment is None


@pytest.mark.parametrize("kind", list(KINDS))
def test_all_members_choose_among_the_same_candidates(kind):
    ensemble, _ = make(3, [1.0, 2.0], kind)
    candidates = torch.tensor([[EOS, 5], [EOS, 4]])
    found = beam_search(
        ensemble.step,
        start(ensemble, [4, 5], candidates),
        beam_size=9,
        n_best=9,
        max_lengths=[4] * 2,
    )
    for hypotheses, allowed in zip(found, [{EOS, 5}, {EOS, 4}], strict=True):
        assert {id_ for each in hypotheses for id_ in each.ids} == allowed


@settings(max_examples=10)
@given(seeds, kinds)
def test_sentences_do_not_change_one_another(seed, kind):
    ensemble, _ = make(seed, [1.0, 2.0], kind)
    options = {"beam_size": 3, "n_best": 3}
    together = beam_search(
        ensemble.step, start(ensemble, [4, 5, 6]), max_lengths=[2, 6, 4], **options
    )
    for sentence, length, hypotheses in zip([4, 5, 6], [2, 6, 4], together, strict=True):
        (alone,) = beam_search(
            ensemble.step, start(ensemble, [sentence]), max_lengths=[length], **options
        )
        assert [each.ids for each in hypotheses] == [each.ids for each in alone]


@pytest.mark.parametrize(
    ("weights", "kind", "message"),
    [
        ([1.0], "log_linear", "one weight for each of the 2 models, but has 1"),
        ([1.0, 0.0], "log_linear", "must be above 0 and finite, but one is 0.0"),
        ([1.0, math.nan], "arithmetic", "must be above 0 and finite, but one is nan"),
        ([1.0, 1.0], "mean", "`ensemble_kind` must be one of log_linear, arithmetic"),
    ],
    ids=["too few", "zero", "nan", "kind"],
)
def test_mistakes_are_named(weights, kind, message):
    members = [Member(PrefixNetwork(seed, vocabulary_size=6)) for seed in (1, 2)]
    with pytest.raises(ConfigurationError, match=message):
        Ensemble(members, weights, kind)
