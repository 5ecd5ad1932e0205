import dataclasses
import functools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_translator import SOURCES, TARGETS, train_tiny

from seq2seq.calibrate import LEAST_PAIRS, calibrate, fit, pearson, spearman
from seq2seq.confidence import Quality, estimate_chrf, read_quality, write_quality
from seq2seq.config import ConfigurationError
from seq2seq.data.corpus import Pairs
from seq2seq.translator import Translator

# Known ones, and others that the tiny translator has never seen and gets wrong.
PAIRS = Pairs(
    [*SOURCES * 3, *(f"{source} {n}" for n in range(2) for source in SOURCES)],
    [*TARGETS * 3, *(f"{n}: so it is" for n in range(2) for _ in TARGETS)],
)


@pytest.fixture(scope="module")
def translator(tiny_directory):
    return Translator.load(tiny_directory, "cpu", "float32", threads=1)


def sentences(number, *, noise, seed=1):
    """Features of made-up sentences, and a chrF that hangs on two of them."""
    generator = np.random.default_rng(seed)
    table = generator.normal(size=(number, 4))
    chrf = 50 + 8 * table[:, 0] - 5 * table[:, 2] + noise * generator.normal(size=number)
    names = ["mean_log_probability", "coverage", "length_ratio", "byte_share"]
    return [dict(zip(names, row, strict=True)) for row in table.tolist()], chrf


def test_what_chrf_hangs_on_is_found():
    features, chrf = sentences(300, noise=0.01)
    found = fit(features, chrf)
    assert found.quality.measured["pearson"] > 0.999
    weights = {name: f.weight / f.scale for name, f in found.quality.features.items()}
    assert weights == pytest.approx(
        {"mean_log_probability": 8, "coverage": 0, "length_ratio": -5, "byte_share": 0}, abs=0.05
    )
    estimates = [estimate_chrf(found.quality, row) for row in features]
    assert estimates == pytest.approx(list(chrf), abs=0.5)


def test_what_hangs_on_nothing_is_not_believed_in():
    features, _ = sentences(100, noise=0.0)
    _, chrf = sentences(100, noise=0.0, seed=2)
    assert fit(features, chrf).quality.measured["pearson"] < 0.2


@pytest.mark.parametrize("change", [1.0, 1e4])  # the large one makes another strength the best
def test_a_sentence_has_no_part_in_its_own_estimate(change):
    features, chrf = sentences(60, noise=3.0)
    before = fit(features, chrf).confidence
    changed = chrf.copy()
    changed[7] += change
    after = fit(features, changed).confidence
    assert after[7] == before[7]
    assert (after != before).any()


def test_features_that_some_lack_or_that_do_not_vary_are_left_out():
    features, chrf = sentences(60, noise=3.0)
    features = [{**row, "byte_share": 0.0} for row in features]
    del features[3]["coverage"]
    assert fit(features, chrf).quality.features.keys() == {"mean_log_probability", "length_ratio"}


values = st.lists(st.integers(-3, 3).map(float), min_size=2, max_size=12)


@given(values, st.randoms(use_true_random=False))
def test_correlations_are_those_of_the_textbook(first, random):
    second = random.sample(first, len(first))
    first, second = np.array(first), np.array(second)
    if first.std() > 0:
        assert pearson(first, second) == pytest.approx(np.corrcoef(first, second)[0, 1])
    else:
        assert pearson(first, second) == spearman(first, second) == 0
    ranks = [
        [sum(other < value for other in side) + (side == value).sum() / 2 for value in side]
        for side in (first, second)
    ]
    assert spearman(first, second) == pytest.approx(pearson(*map(np.array, ranks)))


def test_a_translator_learns_what_it_does_not_know(translator):
    heard = []
    found = calibrate(translator, PAIRS, advance=heard.append)
    assert len(heard) == len(PAIRS) == len(found.chrf)
    assert found.quality.weights == translator.weights
    assert found.quality.search["beam_size"] == 3
    assert found.quality.measured["pearson"] > 0.9
    assert "coverage" in found.quality.features


def test_too_few_pairs_are_refused(translator):
    pairs = Pairs([*SOURCES * 6], [*TARGETS * 4, *[""] * 24])
    with pytest.raises(ConfigurationError, match=f"at least {LEAST_PAIRS} pairs .* are 48"):
        calibrate(translator, pairs)


def test_a_calibrated_model_tells_its_confidence(own_directory, translator):
    assert translator.translate(SOURCES[0], with_details=True).confidence is None
    with pytest.raises(ConfigurationError, match=r"quality\.yaml .* with `seq2seq calibrate`"):
        translator.translate(SOURCES[0], min_confidence=0.5)
    write_quality(own_directory, calibrate(translator, PAIRS).quality)
    calibrated = Translator.load(own_directory, "cpu", "float32", threads=1)
    assert calibrated.translate(SOURCES[0]).confidence is None, "nobody asks for it"
    sources = [*SOURCES, "Brot rennt 3", "", "Müller Müller Katze 9 ."]
    found = calibrated.translate(sources, with_details=True)
    confidences = [translation.confidence for translation in found]
    assert min(confidences[:12]) > 0.85 > 0.6 > max(confidences[12], confidences[14])
    assert confidences[13] == 1.0
    marked = calibrated.translate(sources, min_confidence=0.7)
    assert [t.is_doubtful for t in marked] == [value < 0.7 for value in confidences]
    withheld = list(calibrated.stream(sources, min_confidence=0.7, low_confidence="withhold"))
    assert [t.is_withheld for t in withheld] == [t.is_doubtful for t in marked]
    assert [t.text for t in withheld] == [t.text if not t.is_doubtful else "" for t in marked]
    for each in (*found, *marked, *withheld):
        (first,) = each.alternatives
        assert dataclasses.replace(first, alternatives=each.alternatives) == each
    recased = calibrated.translate(
        sources, with_alignment=False, min_confidence=0.7, keep_case=True
    )
    assert [t.is_doubtful for t in recased] == [t.is_doubtful for t in marked]
    for options in ({"batch_size": 1}, {"min_confidence": 0.7}):
        again = calibrated.translate(sources, with_details="batch_size" in options, **options)
        assert [translation.confidence for translation in again] == confidences
        assert [translation.text for translation in again] == [t.text for t in found]


def test_models_without_attention_and_ensembles_are_calibrated_too(
    tiny_recipe, tiny_directory, known_pairs, tmp_path
):
    blind = dataclasses.replace(
        tiny_recipe, model=dataclasses.replace(tiny_recipe.model, attention="none")
    )
    train_tiny(blind, known_pairs, tmp_path / "blind", num_steps=40)
    alone = Translator.load(tmp_path / "blind", "cpu", "float32", threads=1)
    found = calibrate(alone, PAIRS)
    assert "coverage" not in found.quality.features
    assert found.quality.measured["pearson"] > 0.5
    together = Translator.load(
        tmp_path / "blind", "cpu", "float32", threads=1, ensemble=[tiny_directory]
    )
    found = calibrate(together, PAIRS)
    assert len(found.quality.weights) == 2
    write_quality(tmp_path / "blind", found.quality)
    assert read_quality(tmp_path / "blind", together.weights) == found.quality
    assert read_quality(tmp_path / "blind", alone.weights) is None


@pytest.mark.parametrize(
    "joined",
    [{"ensemble_weights": [3, 1]}, {"ensemble_kind": "arithmetic"}],
    ids=["weights", "kind"],
)
def test_a_confidence_is_that_of_the_ensemble_as_it_is_joined(
    own_directory, member_directory, joined
):
    load = functools.partial(Translator.load, own_directory, "cpu", "float32")
    alone, equal = load(), load(ensemble=[member_directory])
    other = load(ensemble=[member_directory], **joined)
    for number, translator in enumerate((alone, equal, other)):
        weights = translator.weights
        write_quality(own_directory, Quality(float(number), {}, weights, {}, {}))
    found = [
        load(),
        load(ensemble=[member_directory], ensemble_weights=[2, 2]),
        load(ensemble=[member_directory], **joined),
    ]
    assert [translator.quality.intercept for translator in found] == [0.0, 1.0, 2.0]
