import random
import tracemalloc

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sacrebleu.metrics import CHRF

from seq2seq.evaluation import agreement
from seq2seq.evaluation.agreement import expected_chrf, pairwise_chrf

texts = st.lists(
    st.one_of(
        st.text("aab  c.é고", max_size=12),
        st.sampled_from(["a dog runs in the park .", "the dog ran in a park .", "고양이가 잔다 ."]),
    ),
    min_size=1,
    max_size=5,
)


@settings(max_examples=40)
@given(texts)
@example(["", " ", "a"])
@example(["ab", "abcdefghij", "ba"])
def test_numbers_are_those_of_sacrebleu(texts):
    found = pairwise_chrf(texts)
    for row, hypothesis in zip(found, texts, strict=True):
        expected = [CHRF().sentence_score(hypothesis, [reference]).score for reference in texts]
        assert row.tolist() == pytest.approx(expected, abs=1e-9)


@settings(max_examples=40)
@given(st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from([0.5, 1.0, 3.0])), min_size=1))
def test_the_expectation_is_the_weighted_mean(pairs):
    sentences = {"a": "a dog runs", "b": "the dog runs", "c": "a dog ran .", "d": "a cat"}
    texts, weights = [sentences[name] for name, _ in pairs], [weight for _, weight in pairs]
    expected = [
        sum(
            w * CHRF().sentence_score(text, [other]).score
            for other, w in zip(texts, weights, strict=True)
        )
        / sum(weights)
        for text in texts
    ]
    assert expected_chrf(texts, weights) == pytest.approx(expected, abs=1e-9)


def test_blocks_of_features_change_nothing(monkeypatch):
    texts = [f"a dog {n % 3} and a cat {n} in the {n % 5}. park" for n in range(9)]
    expected = pairwise_chrf(texts)
    monkeypatch.setattr(agreement, "_BLOCK_NUMBERS", 20)  # two features at a time
    assert (pairwise_chrf(texts) == expected).all()


def test_many_texts_need_little_memory():
    draw = random.Random(1)
    texts = ["".join(draw.choices("abcdefghijklmnop ", k=48)) for _ in range(400)]
    tracemalloc.start()
    expected_chrf(texts, [1.0] * 400)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 40 * 2**20


def test_what_most_agree_with_is_expected_to_be_best():
    texts = ["a dog runs in the park", "a dog ran in the park", "nobody sleeps", "a dog runs there"]
    means = expected_chrf(texts, [1.0] * 4)
    assert means.index(max(means)) == 0
    assert means.index(min(means)) == 2
    assert max(expected_chrf(texts, [1, 1, 50, 1])) == expected_chrf(texts, [1, 1, 50, 1])[2]


def test_equal_texts_have_equal_means():
    means = expected_chrf(["a dog", "the cat", "a dog"], [1.0, 1.0, 1.0])
    assert means[0] == means[2] > means[1]


def test_nothing_agrees_with_nothing():
    assert expected_chrf([], []) == []
    assert expected_chrf(["", ""], [1.0, 1.0]) == [0.0, 0.0]
