import math
import re
from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_rules import SPELT, count, repeats, sentences_of, text_of
from plain_search import plain_rank
from prefix_network import BOS, EOS, PAD, PrefixNetwork

from seq2seq.decoding.allocation import Rows, obedient_candidates
from seq2seq.decoding.beam_search import Hypothesis, beam_search
from seq2seq.decoding.phrases import Forbidden, Phrases
from seq2seq.decoding.prefix import Prefix
from seq2seq.decoding.rules import Rules, mask_by_rules
from seq2seq.decoding.spelling import Characters, Spelling
from seq2seq.decoding.terms import SPARE, Terms
from seq2seq.decoding.vocabulary import Blocked

SPELLING = Spelling(SPELT)
UNKNOWN = 1
WORDS = ["a", "b", "ab", "aab", "a b", ".", "b.", "a a"]
WORDS_AND_END = range(EOS, len(SPELT))
seeds = st.integers(0, 10**6)


def forbidden(*texts, whole_words=True):
    return Forbidden(Phrases(SPELLING, texts, whole_words=whole_words, folded=True))


def terms(needed, *, whole_words=True):
    phrases = Phrases(SPELLING, list(needed), whole_words=whole_words)
    pieces = [SPELLING.split(f" {text}") for text in needed]
    return Terms(phrases, list(needed.values()), pieces)


def search(network, rules, *, max_lengths, **options) -> list[list[Hypothesis]]:
    return beam_search(
        network.step,
        network.start(list(range(len(max_lengths)))),
        rules=rules,
        max_lengths=max_lengths,
        forbidden_ids=(PAD, UNKNOWN),
        **options,
    )


def network_of(seed, spelling=SPELLING, **options):
    return PrefixNetwork(seed, len(spelling.spelt), **options)


class NoState:
    alignment = candidate_ids = None

    def select(self, rows):
        return self

    select_sentences = select


def search_table(table, rules, *, max_length) -> list[Hypothesis]:
    """Greedy search in a table of the logits after each id."""
    (found,) = beam_search(
        lambda ids, state: (table[ids], state),
        NoState(),
        beam_size=1,
        max_lengths=[max_length],
        rules=[rules],
    )
    return found


def ended(hypotheses):
    return [each for each in hypotheses if not each.truncated]


def assert_best(hypotheses, expected):
    assert [each.ids for each in hypotheses] == [ids for ids, _, _ in expected]
    for hypothesis, (_, log_probability, _) in zip(hypotheses, expected, strict=True):
        assert hypothesis.log_probability == pytest.approx(log_probability, abs=1e-4)


def compare_with_every_sentence(seed, rules, obeys, *, longest=4, max_length=4, n_best=5):
    network = network_of(seed)
    (found,) = search(
        network, [rules], max_lengths=[max_length], beam_size=160, n_best=n_best, length_penalty=0.0
    )
    every = sentences_of(network, 0, longest=longest, obeys=obeys, spelling=SPELLING)
    expected = plain_rank(list(every), 0.0, "power", n_best)
    assert_best(ended(found)[: len(expected)], expected)


@settings(deadline=None, max_examples=12)
@given(seed=seeds, prefix=st.sampled_from(["a", "ab", "a b", "b", "aab", "a.", "b a", "ba"]))
def test_a_prefix_is_said_in_any_segmentation(seed, prefix):
    rules = Rules(prefix=Prefix(SPELLING, f" {prefix}"))

    def obeys(ids):
        # The space before every text is said, too.
        return f" {text_of(ids)}".startswith(f" {prefix}") and ids and SPELT[ids[0]] in (" ", " a")

    compare_with_every_sentence(seed, rules, obeys)


@settings(deadline=None, max_examples=12)
@given(seed=seeds, prefix=st.sampled_from(["a", "ab", "b"]))
def test_a_prefix_may_have_to_go_on(seed, prefix):
    rules = Rules(prefix=Prefix(SPELLING, f" {prefix}", is_whole=False))

    def obeys(ids):
        said = text_of(ids)
        return said.startswith(prefix) and said != prefix and SPELT[ids[0]] in (" ", " a")

    compare_with_every_sentence(seed, rules, obeys)


@settings(deadline=None, max_examples=20)
@given(
    seed=seeds,
    phrases=st.lists(st.sampled_from(WORDS), min_size=1, max_size=3, unique=True),
    whole_words=st.booleans(),
)
def test_forbidden_phrases_stand_in_no_segmentation(seed, phrases, whole_words):
    rules = Rules(forbidden=(forbidden(*phrases, whole_words=whole_words),))

    def obeys(ids):
        said = text_of(ids)
        return not any(count(each, said, whole_words=whole_words) for each in phrases)

    compare_with_every_sentence(seed, rules, obeys)


@settings(deadline=None, max_examples=15)
@given(seed=seeds, size=st.integers(1, 3))
def test_sequences_do_not_repeat(seed, size):
    compare_with_every_sentence(
        seed, Rules(no_repeat_ngram=size), lambda ids: not repeats(ids, size)
    )


needs = st.dictionaries(st.sampled_from(WORDS), st.integers(1, 2), min_size=1, max_size=2)


@settings(deadline=None, max_examples=20)
@given(seed=seeds, needed=needs, whole_words=st.booleans())
def test_the_best_sentence_with_its_terms_is_found(seed, needed, whole_words):
    rule = Rules(terms=terms(needed, whole_words=whole_words))
    network = network_of(seed)
    longest = 4
    max_length = longest + rule.extra_length
    (found,) = search(
        network, [rule], max_lengths=[max_length], beam_size=200, n_best=1, length_penalty=0.0
    )

    def obeys(ids):
        said = text_of(ids)
        return all(
            count(each, said, whole_words=whole_words) >= times for each, times in needed.items()
        )

    def wishes_no_end(ids):  # where one is wished, a term comes at once
        steps = (network.log_probabilities(0, tuple(ids[:place])) for place in range(len(ids)))
        return all(max(WORDS_AND_END, key=step.__getitem__) != EOS for step in steps)

    every = sentences_of(
        network,
        0,
        longest=longest,
        obeys=lambda ids: obeys(ids) and wishes_no_end(ids),
        spelling=SPELLING,
    )
    best = max((log_probability for _, log_probability, _ in every), default=-math.inf)
    assert obeys(found[0].ids[:-1])
    assert found[0].log_probability >= best - 1e-4


rule_sets = st.fixed_dictionaries(
    {
        "prefix": st.sampled_from(["", "a", "b a"]),
        "needed": st.one_of(st.just({}), needs),
        "forbidden": st.lists(st.sampled_from(["bb", "abab", "b b", "bba"]), max_size=2),
        "no_repeat": st.sampled_from([0, 0, 2, 3]),
    }
)


def rules_of(chosen, *, whole_words=True):
    return Rules(
        Prefix(SPELLING, f" {chosen['prefix']}") if chosen["prefix"] else None,
        (forbidden(*chosen["forbidden"]),) if chosen["forbidden"] else (),
        terms(chosen["needed"]) if chosen["needed"] else None,
        chosen["no_repeat"],
    )


@settings(deadline=None, max_examples=60)
@given(
    seed=seeds,
    chosen=st.lists(rule_sets, min_size=1, max_size=3),
    beam_size=st.integers(1, 4),
    longest=st.integers(1, 6),
    groups=st.sampled_from([1, 1, 2]),
    spread=st.sampled_from([0.5, 3.0]),
)
def test_all_rules_together_hold_in_any_beam(seed, chosen, beam_size, longest, groups, spread):
    network = network_of(seed, spread=spread)
    rules = [rules_of(each) for each in chosen]
    max_lengths = [longest + rule.extra_length for rule in rules]
    found = search(
        network, rules, max_lengths=max_lengths, beam_size=beam_size * groups, num_groups=groups
    )
    for each, (best,) in zip(chosen, found, strict=True):
        said = text_of([id_ for id_ in best.ids if id_ != EOS])
        assert said.startswith(each["prefix"])
        assert all(count(term, said) >= times for term, times in each["needed"].items())
        assert not any(count(phrase, said) for phrase in each["forbidden"])
        if not (each["needed"] or each["prefix"]) and each["no_repeat"]:
            assert not repeats(best.ids, each["no_repeat"])


@settings(deadline=None, max_examples=15)
@given(seed=seeds, chosen=rule_sets, beam_size=st.integers(1, 4))
def test_rules_of_one_sentence_are_nothing_to_the_others(seed, chosen, beam_size):
    rules = [None, rules_of(chosen), None]
    max_lengths = [5, 5 + rules[1].extra_length, 7]
    together = search(network_of(seed), rules, max_lengths=max_lengths, beam_size=beam_size)
    for sentence in (0, 2):
        network = network_of(seed)
        (alone,) = beam_search(
            network.step,
            network.start([sentence]),
            max_lengths=[max_lengths[sentence]],
            beam_size=beam_size,
            forbidden_ids=(PAD, UNKNOWN),
        )
        assert [each.ids for each in together[sentence]] == [each.ids for each in alone]
        assert together[sentence][0].score == pytest.approx(alone[0].score, abs=1e-5)


class TestBytes:
    # " ", "x", and é spelt in bytes only; à begins with the same byte.
    spelt = (None, "?", None, None, " ", "x", 0xC3, 0xA9, 0xA0, "xé", " x")
    spelling = Spelling(spelt)

    def said(self, best):
        return text_of([id_ for id_ in best.ids if id_ != EOS], self.spelt)

    @settings(deadline=None, max_examples=15)
    @given(seed=seeds, beam_size=st.integers(1, 3))
    def test_a_prefix_ends_within_no_character(self, seed, beam_size):
        rules = Rules(prefix=Prefix(self.spelling, " xéx"))
        (found,) = search(
            network_of(seed, self.spelling),
            [rules],
            max_lengths=[rules.extra_length + 3],
            beam_size=beam_size,
        )
        assert self.said(found[0]).startswith("xéx")

    @settings(deadline=None, max_examples=20)
    @given(seed=seeds, beam_size=st.integers(1, 3), phrase=st.sampled_from(["é", "xé", "x é", "x"]))
    def test_forbidden_phrases_do_not_come_in_bytes(self, seed, beam_size, phrase):
        phrases = Phrases(self.spelling, [phrase], whole_words=phrase == "x", folded=True)
        rules = Rules(forbidden=(Forbidden(phrases),))
        (found,) = search(
            network_of(seed, self.spelling), [rules], max_lengths=[7], beam_size=beam_size
        )
        assert not count(phrase, self.said(found[0]), whole_words=phrase == "x")

    @settings(deadline=None, max_examples=15)
    @given(seed=seeds, beam_size=st.integers(1, 3), term=st.sampled_from(["é", "xéx", "éé", "à"]))
    def test_terms_are_spelt_in_bytes(self, seed, beam_size, term):
        phrases = Phrases(self.spelling, [term], whole_words=True)
        rules = Rules(terms=Terms(phrases, [1], [self.spelling.split(f" {term}")]))
        (found,) = search(
            network_of(seed, self.spelling),
            [rules],
            max_lengths=[rules.extra_length + 3],
            beam_size=beam_size,
        )
        assert count(term, self.said(found[0]))

    @settings(deadline=None, max_examples=20)
    @given(
        seed=seeds,
        beam_size=st.integers(1, 3),
        max_length=st.integers(1, 6),
        no_repeat=st.integers(0, 2),
    )
    def test_no_character_stays_half(self, seed, beam_size, max_length, no_repeat):
        rules = Rules(no_repeat_ngram=no_repeat, characters=Characters(self.spelling))
        (found,) = search(
            network_of(seed, self.spelling),
            [rules],
            max_lengths=[max_length],
            beam_size=beam_size,
            n_best=beam_size,
        )
        assert not any("\ufffd" in self.said(each) for each in found)


ALL_BYTES = Spelling((None, "?", None, None, " ", "x", *range(256)))


@given(text=st.text(max_size=5))
def test_every_text_can_be_spelt_in_bytes(text):
    characters, tail = Characters(ALL_BYTES), b""
    for byte in text.encode():
        id_ = ALL_BYTES.by_byte[byte]
        assert byte < 0x80 or id_ in characters.following(tail)
        assert tail or id_ not in characters.blocked(4)
        tail = characters.advance(tail, id_)
    assert tail == b""


@given(draws=st.lists(st.integers(0, 127), max_size=8))
def test_nothing_else_can_be(draws):
    characters, tail, encoded = Characters(ALL_BYTES), b"", b""
    while draws or tail:
        following = characters.following(tail)
        id_ = int(following[(draws.pop() if draws else 0) % len(following)])
        encoded += bytes([ALL_BYTES.spelt[id_]])
        tail = characters.advance(tail, id_)
    assert encoded.decode().encode() == encoded


@pytest.mark.parametrize("begins", [True, False], ids=["begun-by-itself", "begun-for-the-term"])
def test_only_what_the_network_itself_begins_may_be_broken_off(begins):
    rules = Rules(terms=terms({"ab": 1}))  # " a" and "b"
    table = torch.full((2, 9), -9.0)
    table[0, 4 if begins else 8] = 0.0
    rows = Rows(1, [0.0], rules, [rules.start], 20, Counter())
    obedient_candidates(table[:1], [rows], Blocked([PAD, BOS], EOS, [False]))
    begun = rules.advance(rows.states[0], 4)
    allowed = rules.verdict(begun, 19).allowed
    assert (allowed is None) == begins
    assert begins or allowed.tolist() == [5]
    assert rules.verdict(rules.advance(begun, 5), 18).allowed is None


def test_where_the_network_would_end_a_missing_term_follows():
    rules = Rules(terms=terms({"a": 1}))
    table = torch.zeros(1, 9)
    table[0, EOS] = 1.0
    for said, expected in ([], [4]), ([4], [EOS]):
        state = rules.start
        for id_ in said:
            state = rules.advance(state, id_)
        rows = Rows(1, [0.0], rules, [state], 20, Counter())
        (found,) = obedient_candidates(table, [rows], Blocked([PAD, BOS], EOS, [False]))
        assert [id_ for _, id_, _ in found] == expected


def test_a_prefix_that_nothing_spells_is_refused():
    with pytest.raises(ValueError, match="no pieces of the vocabulary spell it"):
        Prefix(SPELLING, " axe")


def test_a_prefix_never_leads_where_it_cannot_be_spelt():
    spelling = Spelling((None, "?", None, None, " ", "x", "xy"))
    prefix = Prefix(spelling, " xy")
    assert prefix.allowed(1).tolist() == [6]  # after "x" alone nothing says the "y"


def test_a_word_goes_on_beside_others_that_are_as_probable():
    # After "b" nothing but "b" is probable where the word may not end; ".." is better by far.
    table = torch.full((9, 9), -20.0)
    table[BOS, 4], table[BOS, 8] = -0.1, -2.4
    table[4, EOS], table[8, EOS] = 0.0, 0.0
    (best,) = search_table(table, Rules(forbidden=(forbidden("a"),)), max_length=5)
    assert text_of(best.ids[:-1]) == "."


def test_masks_are_the_same_for_candidates():
    rule = Rules(prefix=Prefix(SPELLING, " ab"), forbidden=(forbidden("ab"),))
    rows = []
    state = rule.start
    for id_ in (4, 5):
        rows.append((rule, state, 9))
        state = rule.advance(state, id_)
    rows += [(rule, state, 9), (None, state, 9)]
    full = torch.zeros(4, len(SPELT))
    mask_by_rules(full, rows)
    candidate_ids = torch.tensor([[3, 4, 5, 8], [3, 5, 6, 7]])
    few = torch.zeros(4, 4)
    mask_by_rules(few, rows, candidate_ids)
    assert torch.equal(few[:2], full[:2, candidate_ids[0]])
    assert torch.equal(few[2:], full[2:, candidate_ids[1]])
    assert full[3].eq(0).all()
    assert full[2, EOS] == -math.inf  # the forbidden word would end there
    assert full[2, 5] == 0.0


def test_regular_expressions_count_as_the_rules_do():
    assert count("a", "a ab.a") == 2
    assert count("a", "a ab.a", whole_words=False) == 3
    assert re.search(r"(?<!\w)ab", "a ab")
    assert SPARE >= 1


def test_where_all_ways_end_in_a_forbidden_word_the_search_stops_before_it():
    table = torch.full((9, 9), -math.inf)
    table[BOS, 5], table[BOS, 7] = -0.5, -0.9  # "b", which may go on but does not, or a space
    table[5, EOS], table[7, 5] = 0.0, 0.0
    (best,) = search_table(table, Rules(forbidden=(forbidden("b"),)), max_length=2)
    assert best.ids == [7]
    assert best.truncated


def test_who_cannot_wait_begins_no_forbidden_word():
    phrase = forbidden("ab")
    said = Rules(forbidden=(phrase,)).start
    assert 6 not in Rules(forbidden=(phrase,)).verdict(said, 9).blocked
    cautious = Rules(forbidden=(phrase,), cautious=True)
    assert 6 in cautious.verdict(cautious.start, 9).blocked
    after = cautious.advance(cautious.start, 4)
    assert 5 in cautious.verdict(after, 9).blocked  # " a" and "b"
    # A term or a prefix may begin so, and go on.
    wanting = Rules(forbidden=(phrase,), terms=terms({"abb": 1}), cautious=True)
    assert wanting.wanted(wanting.advance(wanting.start, 4)) == (5,)
    assert 5 not in wanting.verdict(wanting.advance(wanting.start, 4), 99).blocked
    forced = Rules(Prefix(SPELLING, " abb"), (phrase,), cautious=True)
    assert 5 not in forced.verdict(forced.advance(forced.start, 4), 9).blocked
