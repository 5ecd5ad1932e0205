import math
from itertools import product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_search import plain_beam_search, plain_score
from prefix_network import BOS, EOS, PAD, PrefixNetwork, PrefixState
from test_ensemble import Member
from torch import Tensor

from seq2seq.decoding.beam_search import beam_search
from seq2seq.decoding.fusion import Fusion
from seq2seq.decoding.rules import Rules
from seq2seq.decoding.sampling import sample
from seq2seq.decoding.scoring import score_targets

seeds = st.integers(0, 10**6)
fusion_weights = st.sampled_from([0.1, 0.5, 1.0, 2.5])
NO_SOURCE = 0  # what a language model reads, whatever the sentence


class LanguageStandIn:
    """A language model: a network that never sees a sentence."""

    def __init__(self, network: PrefixNetwork) -> None:
        self.network = network

    def start(self, rows: int) -> PrefixState:
        return self.network.start([NO_SOURCE] * rows)

    def step(self, ids: Tensor, state: PrefixState) -> tuple[Tensor, PrefixState]:
        # Rows are all that it knows of: each is a sentence of its own.
        return self.network.step(ids, state.select_sentences(torch.zeros_like(ids)))


class PlainFusion(PrefixNetwork):
    """The definition, in float64: a loop over ids."""

    def __init__(
        self,
        translation: PrefixNetwork,
        language: PrefixNetwork,
        weight: float,
        candidates: tuple[int, ...] | None = None,
    ) -> None:
        super().__init__(0, translation.vocabulary_size)
        self.translation, self.language, self.weight = translation, language, weight
        self.candidates = candidates

    def log_probabilities(self, sentence: int, prefix: tuple[int, ...]) -> list[float]:
        """Scores, which are no log-probabilities."""
        translation = self.translation.logits(sentence, prefix).double()
        if self.candidates is not None:
            left_out = [i for i in range(self.vocabulary_size) if i not in self.candidates]
            translation[left_out] = -math.inf
        of_translation = translation.log_softmax(0).tolist()
        of_language = self.language.log_probabilities(NO_SOURCE, prefix)
        return [
            of_translation[id_] + self.weight * of_language[id_]
            for id_ in range(self.vocabulary_size)
        ]


def make(seed: int, weight: float) -> tuple[Fusion, PlainFusion]:
    translation = PrefixNetwork(seed, vocabulary_size=7, spread=1.5, attends=True)
    language = PrefixNetwork(seed + 1, vocabulary_size=7, spread=1.5)
    fusion = Fusion(Member(translation), LanguageStandIn(language), weight)
    return fusion, PlainFusion(translation, language, weight)


def start(fusion: Fusion, sentences: list[int], candidate_ids: Tensor | None = None):
    ids = torch.tensor(sentences).unsqueeze(1)
    return fusion.start(ids, torch.ones(len(ids), dtype=torch.int64), candidate_ids)


def search(fusion: Fusion, sentences: list[int], candidate_ids: Tensor | None = None, **options):
    options = {"max_lengths": [3] * len(sentences), "length_penalty": 0.0, **options}
    state = start(fusion, sentences, candidate_ids)
    return beam_search(fusion.step, state, are_scores=True, **options)


def every_sentence(plain: PlainFusion, sentence: int, max_length: int) -> dict[tuple, float]:
    """Scores of all sentences that end."""
    words = [id_ for id_ in range(plain.vocabulary_size) if id_ not in (PAD, BOS, EOS)]
    return {
        (*ids, EOS): plain_score(plain, sentence, (*ids, EOS))
        for length in range(max_length)
        for ids in product(words, repeat=length)
    }


@settings(max_examples=15)
@given(seeds, fusion_weights)
def test_a_beam_that_holds_everything_finds_the_best_of_all_sentences(seed, weight):
    fusion, plain = make(seed, weight)
    found = search(fusion, [5, 6], beam_size=200, n_best=200)
    for sentence, hypotheses in zip([5, 6], found, strict=True):
        every = every_sentence(plain, sentence, 3)
        ended = {tuple(each.ids): each.score for each in hypotheses if not each.truncated}
        best = sorted(every.values(), reverse=True)
        assert sorted(ended.values(), reverse=True)[0] == pytest.approx(best[0], abs=1e-5)
        for ids, score in ended.items():
            assert score == pytest.approx(every[ids], abs=1e-5)


@settings(max_examples=25)
@given(seeds, fusion_weights, st.sampled_from([1, 2, 4]), st.sampled_from([0.0, 1.0]))
def test_a_beam_finds_what_plain_search_finds(seed, weight, beam_size, penalty):
    fusion, plain = make(seed, weight)
    options = {"beam_size": beam_size, "length_penalty": penalty, "n_best": beam_size}
    (found,) = search(fusion, [5], max_lengths=[6], **options)
    expected = plain_beam_search(plain, 5, max_length=6, **options)
    assert [(each.ids, each.truncated) for each in found] == [(e[0], e[2]) for e in expected]
    assert [each.log_probability for each in found] == pytest.approx(
        [e[1] for e in expected], abs=1e-5
    )


@settings(max_examples=15)
@given(seeds, fusion_weights)
def test_the_language_model_is_normalised_over_all_pieces_under_a_shortlist(seed, weight):
    fusion, plain = make(seed, weight)
    plain.candidates = (EOS, 4, 6)
    candidate_ids = torch.tensor([[*plain.candidates, PAD]])
    # As a real network does: -inf at padding.
    step = fusion.network.step

    def masked(ids, state):
        logits, after = step(ids, state)
        columns = state.candidate_ids.repeat_interleave(len(ids) // len(state.memory), dim=0)
        return logits.masked_fill(columns == PAD, -math.inf), after

    fusion.network.step = masked
    (found,) = search(fusion, [5], candidate_ids, beam_size=60, n_best=60)
    assert found
    for each in found:
        assert set(each.ids) <= set(plain.candidates)
        assert each.log_probability == pytest.approx(plain_score(plain, 5, each.ids), abs=1e-5)


@settings(max_examples=10)
@given(seeds, fusion_weights)
def test_rules_and_groups_rank_by_the_same_scores(seed, weight):
    fusion, plain = make(seed, weight)
    ruled = search(fusion, [5, 6], beam_size=4, n_best=4, rules=[Rules(no_repeat_ngram=1)] * 2)
    grouped = search(fusion, [5, 6], beam_size=4, n_best=4, num_groups=2, diversity_strength=0.3)
    for found in (ruled, grouped):
        for sentence, hypotheses in zip([5, 6], found, strict=True):
            for each in hypotheses:
                expected = plain_score(plain, sentence, each.ids)
                assert each.log_probability == pytest.approx(expected, abs=1e-5)
    for hypotheses in ruled:
        assert all(len(set(each.ids)) == len(each.ids) for each in hypotheses)


def test_samples_are_drawn_from_the_product_brought_to_one():
    fusion, plain = make(3, 0.8)
    number = 4000
    (found,) = sample(
        fusion.step,
        start(fusion, [5]),
        num_samples=number,
        keys=[1],
        max_lengths=[1],
        are_scores=True,
    )
    scores = plain.log_probabilities(5, ())
    weights = [math.exp(s) if i not in (PAD, BOS) else 0.0 for i, s in enumerate(scores)]
    for id_, weight in enumerate(weights):
        share = weight / math.fsum(weights)
        drawn = sum(each.ids == [id_] for each in found) / number
        assert drawn == pytest.approx(share, abs=4 * math.sqrt(0.25 / number))
    for each in found[:: number // 20]:
        assert each.log_probability == pytest.approx(scores[each.ids[0]], abs=1e-5)


def test_a_weight_of_nothing_is_the_network_alone():
    fusion, plain = make(9, 0.0)
    alone = plain.translation
    (found,) = search(fusion, [5], beam_size=3, n_best=3)
    (expected,) = beam_search(
        alone.step, alone.start([5]), beam_size=3, n_best=3, max_lengths=[3], length_penalty=0.0
    )
    assert [each.ids for each in found] == [each.ids for each in expected]
    assert [each.score for each in found] == pytest.approx([each.score for each in expected])
    assert torch.allclose(found[0].alignment, expected[0].alignment)


def test_sums_part_into_those_of_both_networks():
    fusion, plain = make(11, 0.7)
    (found,) = search(fusion, [5], beam_size=5, n_best=5)
    for each in found:
        (of_translation,) = score_targets(
            plain.translation.step, plain.translation.start([5]), [each.ids]
        )
        (of_language,) = score_targets(fusion.language.step, fusion.language.start(1), [each.ids])
        assert each.log_probability == pytest.approx(of_translation + 0.7 * of_language, abs=1e-5)


def test_a_network_that_gives_no_numbers_is_told():
    class Broken:
        def start(self, rows):
            return fusion.language.start(rows)

        def step(self, ids, state):
            logits, state = fusion.language.step(ids, state)
            return logits * math.nan, state

    fusion, _ = make(1, 0.5)
    broken = Fusion(fusion.network, Broken(), 0.5)
    with pytest.raises(ValueError, match="infinite or not a number"):
        search(broken, [5], beam_size=2)
