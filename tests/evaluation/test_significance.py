import numpy as np
import pytest
from sacrebleu.metrics import BLEU, CHRF
from sacrebleu.significance import PairedTest

from seq2seq.evaluation.metrics import measure
from seq2seq.evaluation.significance import Comparison, compare, find_p_value

WORDS = [
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "12",
]
REFERENCES = [" ".join(WORDS[start:] + WORDS[:start]) for start in range(12)] * 4


def damage(every):
    """Loses a word of each sentence, and another of some of them."""
    return [
        sentence.replace("six ", "").replace(" nine", "" if index % every == 0 else " nine")
        for index, sentence in enumerate(REFERENCES)
    ]


@pytest.mark.parametrize(("every", "others_every"), [(2, 3), (3, 5), (2, 40), (5, 3)])
def test_scores_and_their_resamples_are_those_of_sacrebleu(every, others_every):
    ours, others = damage(every), damage(others_every)
    _, expected = PairedTest(
        [("B", others), ("A", ours)],
        {"BLEU": BLEU(), "chrF2": CHRF()},
        references=[REFERENCES],
        test_type="bs",
    )()
    found = compare(ours, others, REFERENCES, "en")
    assert [comparison.metric_name for comparison in found] == ["BLEU", "chrF2"]
    for comparison in found:
        theirs, mine = expected[comparison.metric_name]
        assert comparison.values == pytest.approx((mine.score, theirs.score), abs=1e-9)
        for result, hypotheses in ((mine, ours), (theirs, others)):
            sampled = np.sort(measure(comparison.metric, hypotheses, REFERENCES, "en").resampled())
            assert sampled.mean() == pytest.approx(result.mean, abs=1e-3)  # single precision there
            assert (sampled[-26] - sampled[25]) / 2 == pytest.approx(result.ci, abs=1e-3)


def test_a_difference_is_claimed_about_as_often_as_it_says_if_there_is_none():
    generator = np.random.default_rng(7)
    draws = generator.integers(100, size=(1000, 100))
    num_claims = 0
    for _ in range(400):
        scores = generator.gamma(2.0, 10.0, size=(2, 100))  # of the sentences of equal systems
        differences = scores[0] - scores[1]
        p_value = find_p_value(differences[draws].mean(1), differences.mean())
        num_claims += p_value < 0.05
    assert 0.02 < num_claims / 400 < 0.09


def test_a_true_difference_is_found():
    generator = np.random.default_rng(7)
    draws = generator.integers(100, size=(1000, 100))
    differences = generator.normal(3.0, 10.0, size=100)
    expected = find_p_value(differences[draws].mean(1), differences.mean())
    assert expected < 0.05
    assert find_p_value(-differences[draws].mean(1), -differences.mean()) == expected


def test_the_better_system_is_named_first():
    (bleu,) = compare(damage(2), damage(40), REFERENCES, "en", names=("x", "y"), metrics=["bleu"])
    assert bleu.is_significant
    assert bleu.difference < 0
    assert str(bleu).startswith(f"y is better than x by {-bleu.difference:.1f} BLEU (p ")


def test_a_lower_error_rate_is_better():
    (ter,) = compare(damage(2), damage(40), REFERENCES, "en", metrics=["ter"])
    assert ter.difference > 0
    assert str(ter).startswith("B is better than A by ")


def test_equal_translations_do_not_differ():
    (bleu,) = compare(damage(2), damage(2), REFERENCES, "en", metrics=["bleu"])
    assert bleu.p_value == 1
    assert str(bleu) == "No difference in BLEU can be claimed between A and B (p = 1.00)."


def test_a_small_difference_is_not_claimed():
    others = damage(2)
    others[1] = REFERENCES[1]
    others[2] = "six nine"
    (chrf,) = compare(damage(2), others, REFERENCES, "en", metrics=["chrf"])
    assert chrf.difference != 0
    assert 0.05 < chrf.p_value < 1
    assert str(chrf).startswith("No difference in chrF2 can be claimed between A and B (p = 0.")


def test_few_sentences_prove_nothing():
    (bleu,) = compare(["a b c d e"], ["a b c d f"], ["a b c d e"], "en", metrics=["bleu"])
    assert bleu.p_value < 0.05, "the resamples are all the same"
    assert not bleu.is_significant
    assert str(bleu) == (
        "No difference in BLEU can be claimed between A and B with so few sentences (1)."
    )


@pytest.mark.parametrize(
    ("p_value", "difference", "expected"),
    [
        (0.003, 1.23, "A is better than B by 1.2 BLEU (p = 0.003)."),
        (0.049, 0.04, "A is better than B by 0.04 BLEU (p = 0.049)."),
        (0.05, 1.23, "No difference in BLEU can be claimed between A and B (p = 0.050)."),
        (1 / 1001, 1.23, "A is better than B by 1.2 BLEU (p ≤ 0.001)."),
        (2 / 1001, 1.23, "A is better than B by 1.2 BLEU (p = 0.002)."),
        (0.412, 1.23, "No difference in BLEU can be claimed between A and B (p = 0.41)."),
    ],
)
def test_the_sentence(p_value, difference, expected):
    values = (30 + difference, 30.0)
    assert str(Comparison("bleu", "BLEU", ("A", "B"), values, p_value, 1000)) == expected


def test_lists_of_unequal_length_are_refused():
    with pytest.raises(ValueError, match="there are 1 hypotheses and 48 references"):
        compare(REFERENCES, ["one"], REFERENCES, "en")
