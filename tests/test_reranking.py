import dataclasses

import pytest
from tiny_translator import SOURCES, TARGETS

from seq2seq import Translator
from seq2seq.batches import TooLongError
from seq2seq.config import ConfigurationError, SearchConfig
from seq2seq.decoding.beam_search import Hypothesis
from seq2seq.reranking import combined_score, rerank, score_sources
from seq2seq.translation import TargetScore

WEIGHTS = {"reverse_weight": 0.6, "length_weight": 0.3}


@pytest.fixture(scope="module")
def both(tiny_directory, reverse_directory):
    """A translator with its reverse."""
    return Translator.load(tiny_directory, "cpu", "float32", reverse=reverse_directory)


def hypothesis(score, length=2, *, truncated=False):
    return Hypothesis([5] * length, score * length, score, None, truncated)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"length_penalty": 0.0}, -1.5 + 0.5 * -12.0 + 0.2 * 7),
        ({"length_penalty": 1.0}, -1.5 + 0.5 * -12.0 / 4 + 0.2 * 7 / 4),
        ({"length_penalty": 0.5}, -1.5 + (0.5 * -12.0 + 0.2 * 7) / 2),
        (
            {"length_penalty": 2.0, "length_penalty_kind": "gnmt"},
            -1.5 + (0.5 * -12.0 + 0.2 * 7) / (9 / 6) ** 2,
        ),
    ],
    ids=["sums", "means", "root", "gnmt"],
)
def test_weights_add_to_the_score_over_the_penalty_of_the_source(settings, expected):
    search = SearchConfig(reverse_weight=0.5, length_weight=0.2, **settings)
    assert combined_score(-1.5, 7, TargetScore(-12.0, 4), search) == pytest.approx(expected)


def test_the_n_best_of_the_new_order_are_kept():
    found = [hypothesis(-1.0), hypothesis(-1.1), hypothesis(-3.0)]
    sources = [TargetScore(-9.0, 3), TargetScore(-3.0, 3), TargetScore(-6.0, 3)]
    search = SearchConfig(reverse_weight=0.5, n_best=2)  # -2.5, -1.6, -4
    assert rerank(found, sources, search) == [1, 0]


def test_what_was_cut_off_stays_behind_what_ended():
    found = [hypothesis(-5.0), hypothesis(-0.1, truncated=True)]
    ranked = rerank(found, [TargetScore(-9.0, 3)] * 2, SearchConfig(reverse_weight=1.0, n_best=2))
    assert ranked == [0, 1]


def test_long_hypotheses_win_by_a_weight_of_length():
    found = [hypothesis(-1.0, 3), hypothesis(-1.0, 4), hypothesis(-1.0, 2)]
    ranked = rerank(found, [TargetScore(-1.0, 1)] * 3, SearchConfig(length_weight=0.1, n_best=3))
    assert ranked == [1, 0, 2]


def test_a_source_that_does_not_fit_into_memory_is_named_by_its_own_number():
    class Reverse:
        def score_targets(self, sources, targets):
            raise TooLongError(targets.index("long"), "9 pieces")

    with pytest.raises(TooLongError) as error:
        score_sources(Reverse(), ["short", "long"], [["a", "b", "c"], ["d"]])
    assert error.value.index == 1


@pytest.mark.parametrize("settings", [{}, {"samples": 4, "seed": 3}], ids=["beam", "samples"])
def test_alternatives_stand_in_the_order_of_both_models(both, settings):
    found = both.translate(SOURCES, n_best=3, **WEIGHTS, **settings)
    plain = both.translate(SOURCES, n_best=settings.get("samples", 3), **settings)
    search = both.search_settings(**WEIGHTS)
    for source, translation, before in zip(SOURCES, found, plain, strict=True):
        texts = [one.text for one in before.alternatives]
        scored = both.reverse.score_targets(texts, [source] * len(texts))
        ranks = [
            combined_score(one.score, len(one.pieces), score, search)
            for one, score in zip(before.alternatives, scored, strict=True)
        ]
        order = sorted(
            range(len(texts)), key=lambda i: (before.alternatives[i].truncated, -ranks[i])
        )
        assert [one.text for one in translation.alternatives] == [texts[i] for i in order[:3]]
        assert translation.text == translation.alternatives[0].text
        assert [one.reverse_log_probability for one in translation.alternatives] == pytest.approx(
            [scored[i].log_probability for i in order[:3]], abs=1e-4
        )


def test_one_best_is_chosen_among_the_whole_beam(both):
    most = both.translate(SOURCES, n_best=3, reverse_weight=-5.0)
    assert [t.text for t in both.translate(SOURCES, reverse_weight=-5.0)] == [t.text for t in most]
    assert any(t.score < max(one.score for one in t.alternatives) for t in most)


def test_without_weights_the_reverse_is_not_asked(both, tiny_directory):
    alone = Translator.load(tiny_directory, "cpu", "float32")
    assert [t.text for t in both.translate(SOURCES)] == [t.text for t in alone.translate(SOURCES)]
    assert both.translate(SOURCES[0]).reverse_log_probability is None
    assert "reverse" not in both.describe(both.search_settings())
    described = both.describe(both.search_settings(**WEIGHTS))
    assert "beam 3 ranked by a reverse model, target" in described


@pytest.mark.parametrize("batch_size", [1, 5, 64])
def test_the_batch_does_not_change_the_order(both, batch_size):
    alone = [both.translate(source, n_best=3, **WEIGHTS) for source in SOURCES]
    together = both.translate(SOURCES, n_best=3, batch_size=batch_size, **WEIGHTS)
    for one, other in zip(alone, together, strict=True):
        assert [a.text for a in one.alternatives] == [a.text for a in other.alternatives]
        assert one.reverse_log_probability == pytest.approx(other.reverse_log_probability, abs=1e-4)


def test_parts_of_a_long_source_are_ranked_each(both, monkeypatch):
    monkeypatch.setattr(both, "sentences_per_source", 1)
    whole = both.translate(" ".join(SOURCES[9:11]), **WEIGHTS)
    parts = both.translate(SOURCES[9:11], **WEIGHTS)
    assert whole.text == " ".join(part.text for part in parts)
    assert whole.reverse_log_probability == pytest.approx(
        sum(part.reverse_log_probability for part in parts), abs=1e-4
    )


def test_a_blank_source_stays_blank(both):
    translation = both.translate(" ", **WEIGHTS)
    assert translation.text == "" and translation.reverse_log_probability is None


def test_weights_of_a_recipe_hold_where_there_is_a_reverse(both, monkeypatch):
    recipe = dataclasses.replace(both.recipe, search=SearchConfig(beam_size=3, reverse_weight=0.5))
    monkeypatch.setattr(both, "recipe", recipe)
    assert both.translate(SOURCES[0]).reverse_log_probability is not None
    monkeypatch.setattr(both, "reverse", None)
    assert both.translate(SOURCES[0]).text == TARGETS[0]


@pytest.mark.parametrize("name", ["reverse_weight", "length_weight"])
def test_weights_need_a_reverse(tiny_directory, name):
    translator = Translator.load(tiny_directory, "cpu", "float32")
    with pytest.raises(ConfigurationError, match=f"`search.{name}` needs a model of the other"):
        translator.translate(SOURCES[0], **{name: 0.5})


def test_one_rule_orders_hypotheses(both):
    with pytest.raises(ConfigurationError, match=r"`search\.mbr` and .* give one of them"):
        both.translate(SOURCES[0], mbr=True, **WEIGHTS)
    assert both.translate(SOURCES[0], mbr=True).text == TARGETS[0]


def test_a_reverse_without_weights_is_refused_where_it_was_asked_for(both):
    with pytest.raises(ConfigurationError, match=r"changes nothing while `search\.reverse_weight`"):
        both.refuse_idle(both.search_settings())
    both.refuse_idle(both.search_settings(length_weight=0.5))


def test_the_reverse_must_translate_the_other_way(tiny_directory):
    with pytest.raises(ConfigurationError, match=r"must translate en to de, but .* de to en"):
        Translator.load(tiny_directory, "cpu", reverse=tiny_directory)
