import dataclasses
import math

import pytest
import torch
import yaml

from seq2seq.confidence import (
    FEATURES,
    Feature,
    Quality,
    estimate_chrf,
    find_other_settings,
    judge,
    measure_features,
    read_quality,
    with_confidence,
    write_quality,
)
from seq2seq.config import ConfigurationError, SearchConfig
from seq2seq.translation import Translation

WEIGHTS = [{"crc32": "1234"}]
QUALITY = Quality(
    50.0,
    {
        "mean_log_probability": Feature(mean=-1.0, scale=0.5, weight=10.0),
        "coverage": Feature(mean=0.0, scale=1.0, weight=3.0),
    },
    WEIGHTS,
    {"beam_size": 5},
    {"pearson": 0.5},
)
TRANSLATION = Translation(
    "a b",
    -1.0,
    -3.0,
    ["a", "<0xEA>", "</s>"],
    ["x", "</s>"],
    alignment=torch.tensor([[1.0, 0.0], [0.5, 0.5], [1.0, 0.0]]),
    piece_log_probabilities=(-0.5, -2.0, -0.5),
    piece_entropies=(0.1, 0.9, 0.2),
)


def test_features_are_what_their_names_say():
    expected = {
        "mean_log_probability": -1.0,
        "probability": math.exp(-1.0),
        "mean_probability": (2 * math.exp(-0.5) + math.exp(-2.0)) / 3,
        "lowest_log_probability": -2.0,
        "doubtful_pieces": 1 / 3,
        "mean_entropy": 0.4,
        "highest_entropy": 0.9,
        "length_ratio": math.log(3 / 2),
        "source_length": math.log(2),
        "byte_share": 1 / 5,
        "alignment_entropy": math.log(2) / 3,
        "coverage": math.log(0.5) / 2,
    }
    found = measure_features(TRANSLATION)
    assert found == pytest.approx(expected, abs=1e-6)
    assert found.keys() == FEATURES.keys()


def test_without_attention_its_features_are_left_out():
    found = measure_features(dataclasses.replace(TRANSLATION, alignment=None))
    assert FEATURES.keys() - found.keys() == {"alignment_entropy", "coverage"}


def test_an_impossible_piece_makes_no_infinite_feature():
    impossible = dataclasses.replace(TRANSLATION, piece_log_probabilities=(-0.5, -math.inf, -0.5))
    assert all(map(math.isfinite, measure_features(impossible).values()))


def test_a_confidence_is_the_expected_chrf():
    assert estimate_chrf(QUALITY, {"mean_log_probability": -0.5, "coverage": -2.0}) == 54.0
    assert estimate_chrf(QUALITY, {"mean_log_probability": -0.5}) == 60.0
    assert estimate_chrf(QUALITY, {"coverage": 100.0}) == 100.0
    assert estimate_chrf(QUALITY, {"coverage": -100.0}) == 0.0
    expected = 0.5 + 0.03 * math.log(0.5) / 2
    assert with_confidence(TRANSLATION, QUALITY).confidence == pytest.approx(expected, abs=1e-4)


def test_a_blank_source_is_translated_for_certain():
    blank = Translation("", 0.0, 0.0, ["</s>"], ["</s>"], piece_log_probabilities=(-9.0,))
    assert with_confidence(blank, QUALITY).confidence == 1.0


def test_what_is_below_the_least_confidence_is_marked_or_blank():
    translation = dataclasses.replace(TRANSLATION, confidence=0.4, alternatives=(TRANSLATION,))
    assert judge(translation, SearchConfig()) == translation
    assert judge(translation, SearchConfig(min_confidence=0.4)) == translation
    marked = judge(translation, SearchConfig(min_confidence=0.41))
    assert (marked.text, marked.is_doubtful, marked.is_withheld) == ("a b", True, False)
    search = SearchConfig(min_confidence=0.41, low_confidence="withhold")
    withheld = judge(translation, search)
    assert (withheld.text, withheld.is_doubtful, withheld.is_withheld) == ("", True, True)
    assert [other.text for other in withheld.alternatives] == [""]


def test_a_regression_is_read_as_it_was_written(tmp_path):
    assert read_quality(tmp_path, WEIGHTS) is None
    file = write_quality(tmp_path, QUALITY)
    assert [path.name for path in tmp_path.iterdir()] == [file.name] == ["quality.yaml"]
    assert read_quality(tmp_path, WEIGHTS) == QUALITY


@pytest.mark.parametrize(
    "weights",
    [
        pytest.param([{"crc32": "1235"}], id="others"),
        pytest.param([], id="none"),
        pytest.param([*WEIGHTS, *WEIGHTS], id="an ensemble"),
    ],
)
def test_a_regression_holds_for_its_weights_alone(tmp_path, weights):
    write_quality(tmp_path, QUALITY)
    assert read_quality(tmp_path, weights) is None


def test_regressions_of_ensembles_stand_beside_that_of_the_model(tmp_path):
    both = [*WEIGHTS, {"crc32": "5678"}]
    unequal = [*both, {"ensemble_weights": "0.666667 0.333333"}]
    known = [
        dataclasses.replace(QUALITY, weights=weights, intercept=float(intercept))
        for intercept, weights in enumerate([WEIGHTS, both, unequal, both])
    ]
    for quality in known:
        write_quality(tmp_path, quality)
    assert read_quality(tmp_path, WEIGHTS) == known[0]
    assert read_quality(tmp_path, unequal) == known[2]
    assert read_quality(tmp_path, both) == known[3], "in place of the former one"
    assert read_quality(tmp_path, both[1:]) is None


def test_of_former_weights_nothing_stays(tmp_path):
    write_quality(tmp_path, dataclasses.replace(QUALITY, weights=[{"crc32": "0"}, *WEIGHTS]))
    file = write_quality(tmp_path, QUALITY)
    assert "others: []" in file.read_text()


def test_files_with_one_regression_are_read_and_damaged_ones_replaced(tmp_path):
    file = write_quality(tmp_path, QUALITY)
    values = yaml.safe_load(file.read_text())
    del values["others"]
    file.write_text(yaml.safe_dump(values))
    assert read_quality(tmp_path, WEIGHTS) == QUALITY
    file.write_text("{")
    write_quality(tmp_path, QUALITY)
    assert read_quality(tmp_path, WEIGHTS) == QUALITY


def test_other_settings_of_search_are_found():
    learnt = dataclasses.asdict(SearchConfig(beam_size=3))
    quality = dataclasses.replace(QUALITY, search=learnt)
    same = SearchConfig(beam_size=3, n_best=2, min_confidence=0.5, low_confidence="withhold")
    assert find_other_settings(quality, same) == {}
    other = SearchConfig(beam_size=4, length_penalty=0.5)
    assert find_other_settings(quality, other) == {"beam_size": 3, "length_penalty": 1.0}
    assert find_other_settings(QUALITY, SearchConfig(length_penalty=0.5)) == {}, "not recorded"


DAMAGES = {
    "others of another kind": ({"others": 3}, "`others` is of another kind"),
    "others that are damaged": ({"others": [{}]}, "`features` is missing or of another kind"),
    "no YAML": ("{", "quality.yaml: "),
    "another version": ({"format_version": 2}, "`format_version` must be 1, but is 2"),
    "no features": ({"features": None}, "`features` is missing or of another kind"),
    "no weights": ({"weights": {}}, "`weights` is missing or of another kind"),
    "an unknown feature": ({"features": {"luck": {}}}, "`features` holds 'luck', which is none"),
    "a feature without numbers": (
        {"features": {"coverage": {"mean": 0.0, "scale": 1.0}}},
        "`features.coverage.weight` must be a number, but is None",
    ),
    "a scale of nothing": (
        {"features": {"coverage": {"mean": 0.0, "scale": 0.0, "weight": 1.0}}},
        "`features.coverage.scale` must be above 0",
    ),
    "infinity": ({"intercept": math.inf}, "`intercept` must be a number, but is inf"),
    "no number": ({"intercept": math.nan}, "`intercept` must be a number, but is nan"),
    "a truth": ({"intercept": True}, "`intercept` must be a number, but is True"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_regression_is_refused_in_a_sentence(tmp_path, damage):
    file = write_quality(tmp_path, QUALITY)
    change, message = DAMAGES[damage]
    if isinstance(change, str):
        file.write_text(change)
    else:
        file.write_text(yaml.safe_dump({**yaml.safe_load(file.read_text()), **change}))
    with pytest.raises(ConfigurationError) as caught:
        read_quality(tmp_path, WEIGHTS)
    assert message in str(caught.value)
    assert str(caught.value).endswith("; write it anew with `seq2seq calibrate`.")


def test_a_regression_that_is_no_text_is_refused(tmp_path):
    write_quality(tmp_path, QUALITY).write_bytes(b"\xff")
    with pytest.raises(ConfigurationError, match=r"quality\.yaml: the text is not UTF-8"):
        read_quality(tmp_path, WEIGHTS)
