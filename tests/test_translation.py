import dataclasses
import math

import pytest
import torch

from seq2seq.config import SearchConfig
from seq2seq.decoding.length_penalty import Ranking
from seq2seq.translation import TargetScore, Translation, join_translations, with_best


def translated(text: str, log_probability: float, *others: Translation) -> Translation:
    pieces = [*text.split(), "</s>"]
    alone = Translation(
        text, log_probability / len(pieces), log_probability, pieces, ["x"], torch.ones(2, 1)
    )
    return Translation(**{**vars(alone), "alternatives": (alone, *others)})


def test_one_part_is_the_whole():
    part = translated("a", -1.0)
    assert join_translations([part], SearchConfig(), "en", cut=True) is part


def test_parts_are_joined_rank_by_rank():
    parts = [
        translated("a b", -1.0, translated("c", -2.0)),
        translated("d", -3.0, translated("e", -5.0), translated("f", -6.0)),
    ]
    joined = join_translations(parts, SearchConfig(length_penalty=0.5), "en", cut=True)
    assert [each.text for each in joined.alternatives] == ["a b d", "c e"]
    assert (joined.text, joined.log_probability, joined.cut) == ("a b d", -4.0, True)
    assert joined.score == pytest.approx(-4.0 / 5**0.5)
    assert joined.pieces == ["a", "b", "</s>", "d", "</s>"]
    assert joined.alignment.tolist() == [[1, 0], [1, 0], [0, 1], [0, 1]]
    assert join_translations(parts, SearchConfig(), "ja", cut=False).text == "a bd"


def test_the_first_alternative_changes_with_the_translation():
    other = translated("c", -2.0)
    changed = with_best(translated("a", -1.0, other), text="b")
    assert [each.text for each in (changed, *changed.alternatives)] == ["b", "b", "c"]
    assert changed.alternatives[0].alternatives == ()
    alone = dataclasses.replace(changed, alternatives=())
    assert [each.text for each in with_best(alone, text="d").alternatives] == ["d"]


def test_scores_add_up_to_those_of_a_corpus():
    corpus = TargetScore(-2.0, 3, 2) + TargetScore(-4.0, 5, 3)
    assert corpus == TargetScore(-6.0, 8, 5)
    assert corpus.perplexity == pytest.approx(math.exp(6 / 8))
    assert corpus.word_perplexity == pytest.approx(math.exp(6 / 5))


def test_the_coverage_of_parts_adds_up():
    search = SearchConfig(length_penalty=0.5, word_reward=0.25, coverage_penalty=2.0)
    ranking = Ranking.of(search)
    parts = []
    for log_probability, length, coverage in ((-3.0, 4, -0.5), (-1.0, 2, -0.25)):
        score = ranking.score(log_probability, length, coverage)
        one = Translation("a", score, log_probability, ["a"] * length, ["b"])
        parts.append(dataclasses.replace(one, alternatives=(one,)))
    joined = join_translations(parts, search, "en", cut=False)
    assert joined.score == pytest.approx(ranking.score(-4.0, 6, -0.75))
