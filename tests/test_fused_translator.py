"""A translator with a language model: fusion in the search, and the order of what it finds."""

import dataclasses

import pytest
from tiny_language_model import RUNNING_TEXT, train_language
from tiny_translator import SOURCES, TARGETS

from seq2seq import Translator
from seq2seq.config import ConfigurationError, SearchConfig
from seq2seq.language_model import LanguageModel
from seq2seq.model_directory import load_model_directory
from seq2seq.reranking import combined_score
from seq2seq.source import Source
from seq2seq.translation import TargetScore

STRONG = 2.0  # a weight at which the language model changes some translations


@pytest.fixture(scope="module")
def fused(tiny_directory, language_directory):
    return Translator.load(tiny_directory, "cpu", "float32", language_model=language_directory)


@pytest.fixture(scope="module")
def alone(tiny_directory):
    return Translator.load(tiny_directory, "cpu", "float32")


@pytest.fixture(scope="module")
def language(language_directory):
    return LanguageModel.load(language_directory, "cpu")


def parted(hypothesis, weight):
    """The score that follows from what both models say."""
    fused = hypothesis.log_probability + weight * hypothesis.language_log_probability
    return fused / len(hypothesis.pieces)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"samples": 6, "seed": 3, "temperature": 1.5},
        {"diversity_groups": 3},
        {"no_repeat_ngram": 1},
        {"terms": ["bread"]},
        {"forbidden": ["dog", "cat"]},
        {"prefix": "the m"},
        {"min_length": 9, "word_reward": 0.0},
    ],
    ids=["beam", "samples", "groups", "rules", "terms", "forbidden", "prefix", "length"],
)
def test_scores_are_those_of_both_models(fused, language, settings):
    found = fused.translate(SOURCES, n_best=3, fusion_weight=STRONG, **settings)
    for source, translation in zip(SOURCES, found, strict=True):
        for each in translation.alternatives:
            assert each.score == pytest.approx(parted(each, STRONG), abs=1e-4)
        ended = [each for each in translation.alternatives if not each.truncated]
        # Unless it was segmented otherwise than the tokenizer would.
        usual = [
            each
            for each in ended
            if fused.tokenizers.target.pieces(fused.tokenizers.target.encode(each.text))
            == each.pieces[:-1]
        ]
        texts = [each.text for each in usual]
        assert [each.log_probability for each in usual] == pytest.approx(
            fused.score([source] * len(texts), texts), abs=1e-3
        )
        assert [each.language_log_probability for each in usual] == pytest.approx(
            [-each.nats for each in language.score(texts)], abs=1e-3
        )


def test_the_language_model_changes_what_is_found(fused, alone):
    plain = [t.text for t in alone.translate(SOURCES)]
    assert [t.text for t in fused.translate(SOURCES)] == plain == TARGETS
    strong = fused.translate(SOURCES, fusion_weight=STRONG)
    assert [t.text for t in strong] != plain
    likely = sum(t.language_log_probability / len(t.pieces) for t in strong)
    before = fused.translate(SOURCES)
    assert likely > sum(t.language_log_probability / len(t.pieces) for t in before)


def test_the_plain_path_finds_the_same(fused, tiny_directory, language_directory):
    plain = Translator.load(
        tiny_directory, "cpu", "float32", plain=True, language_model=language_directory
    )
    options = {"n_best": 3, "fusion_weight": STRONG}
    for one, other in zip(
        plain.translate(SOURCES, **options), fused.translate(SOURCES, **options), strict=True
    ):
        assert [a.text for a in one.alternatives] == [a.text for a in other.alternatives]
        assert one.score == pytest.approx(other.score, abs=1e-4)


@pytest.mark.parametrize("batch_size", [1, 3, 64])
def test_the_batch_does_not_change_translations(fused, batch_size):
    one_by_one = [fused.translate(s, n_best=3, fusion_weight=0.5) for s in SOURCES]
    found = fused.translate(SOURCES, n_best=3, fusion_weight=0.5, batch_size=batch_size)
    for one, other in zip(one_by_one, found, strict=True):
        assert [a.text for a in one.alternatives] == [a.text for a in other.alternatives]
        assert one.score == pytest.approx(other.score, abs=1e-4)


def test_an_ensemble_takes_part_as_one(tiny_directory, member_directory, language_directory):
    both = Translator.load(
        tiny_directory,
        "cpu",
        "float32",
        ensemble=[member_directory],
        language_model=language_directory,
    )
    for source, each in zip(SOURCES, both.translate(SOURCES, fusion_weight=STRONG), strict=True):
        assert each.score == pytest.approx(parted(each, STRONG), abs=1e-4)
        assert each.truncated or each.log_probability == pytest.approx(
            both.score([source], [each.text])[0], abs=1e-3
        )
    assert "fused with a language model (2)" in both.describe(
        both.search_settings(fusion_weight=STRONG)
    )


def test_details_are_those_of_the_translation_network(fused):
    for each in fused.translate(SOURCES, fusion_weight=STRONG, with_details=True):
        assert sum(each.piece_log_probabilities) == pytest.approx(each.log_probability, abs=1e-3)


def test_what_a_translation_must_obey_holds(fused):
    source = Source(SOURCES[0], prefix="the", terms=("bread",), forbidden=("dog",))
    text = fused.translate(source, fusion_weight=STRONG).text
    assert text.startswith("the") and "bread" in text and "dog" not in text


def test_parts_of_a_long_source_add_up(fused, monkeypatch):
    monkeypatch.setattr(fused, "sentences_per_source", 1)
    whole = fused.translate(" ".join(SOURCES[9:11]), fusion_weight=0.5)
    parts = fused.translate(SOURCES[9:11], fusion_weight=0.5)
    assert whole.language_log_probability == pytest.approx(
        sum(part.language_log_probability for part in parts), abs=1e-4
    )
    assert whole.score == pytest.approx(parted(whole, 0.5), abs=1e-4)


def test_a_blank_source_stays_blank(fused, language):
    translation = fused.translate(" ", fusion_weight=0.5)
    assert translation.text == ""
    assert translation.language_log_probability == pytest.approx(-language.score([""])[0].nats)
    assert translation.score == pytest.approx(parted(translation, 0.5), abs=1e-5)


class TestOrder:
    def test_a_weight_gives_the_score_that_fusion_would(self):
        search = SearchConfig(language_weight=0.3, length_penalty=0.5)
        score = combined_score(-4.0 / 9**0.5, 9, TargetScore(num_pieces=4), search, -20.0)
        assert score == pytest.approx((-4.0 + 0.3 * -20.0) / 9**0.5)

    @pytest.mark.parametrize(
        "weights",
        [{"language_weight": STRONG}, {"language_weight": 0.5, "length_weight": 0.7}],
        ids=["language", "length"],
    )
    def test_alternatives_stand_in_the_order_of_both_models(self, fused, alone, language, weights):
        found = fused.translate(SOURCES, n_best=3, **weights)
        before = alone.translate(SOURCES, n_best=3)
        search = fused.search_settings(**weights)
        changed = 0
        for translation, plain in zip(found, before, strict=True):
            known = {one.text: one.language_log_probability for one in translation.alternatives}
            ranks = [
                combined_score(
                    one.score,
                    len(one.pieces),
                    TargetScore(num_pieces=len(one.source_pieces)),
                    search,
                    known[one.text],
                )
                for one in plain.alternatives
            ]
            order = sorted(
                range(len(ranks)), key=lambda i: (plain.alternatives[i].truncated, -ranks[i])
            )
            expected = [plain.alternatives[i].text for i in order]
            assert [one.text for one in translation.alternatives] == expected
            changed += order != sorted(order)
        assert changed

    def test_one_best_is_chosen_among_the_whole_beam(self, fused):
        most = fused.translate(SOURCES, n_best=3, language_weight=STRONG)
        assert [t.text for t in fused.translate(SOURCES, language_weight=STRONG)] == [
            t.text for t in most
        ]

    def test_a_reverse_model_and_a_language_model_decide_together(
        self, tiny_directory, reverse_directory, language_directory
    ):
        all_three = Translator.load(
            tiny_directory,
            "cpu",
            "float32",
            reverse=reverse_directory,
            language_model=language_directory,
        )
        weights = {"reverse_weight": 0.4, "language_weight": 1.0, "fusion_weight": 0.2}
        search = all_three.search_settings(**weights)
        for source, translation in zip(
            SOURCES, all_three.translate(SOURCES, n_best=3, **weights), strict=True
        ):
            ranks = []
            for one in translation.alternatives:
                (scored,) = all_three.reverse.score_targets([one.text], [source])
                assert one.reverse_log_probability == pytest.approx(
                    scored.log_probability, abs=1e-4
                )
                language = one.language_log_probability
                ranks.append(combined_score(one.score, len(one.pieces), scored, search, language))
            ended = [
                rank
                for rank, one in zip(ranks, translation.alternatives, strict=True)
                if not one.truncated
            ]
            assert ended == sorted(ended, reverse=True)
        described = all_three.describe(search)
        assert "fused with a language model (0.2) ranked by a reverse model and a la" in described

    def test_truncated_hypotheses_stay_behind(self, fused):
        found = fused.translate(SOURCES[:1], n_best=3, max_length_ratio=0.01)[0]
        assert [a.truncated for a in found.alternatives] == sorted(
            a.truncated for a in found.alternatives
        )


def test_weights_of_a_recipe_hold_where_there_is_a_language_model(fused, alone, monkeypatch):
    weights = {"fusion_weight": STRONG, "language_weight": 0.5}
    search = dataclasses.replace(fused.recipe.search, **weights)
    recipe = dataclasses.replace(fused.recipe, search=search)
    expected = fused.translate(SOURCES, **weights)
    monkeypatch.setattr(fused, "recipe", recipe)
    assert [t.text for t in fused.translate(SOURCES)] == [t.text for t in expected]
    plain = alone.translate(SOURCES)
    monkeypatch.setattr(alone, "recipe", recipe)
    assert [(t.text, t.score) for t in alone.translate(SOURCES)] == [
        (t.text, t.score) for t in plain
    ]


class TestRefusals:
    @pytest.mark.parametrize("name", ["fusion_weight", "language_weight"])
    def test_weights_need_a_language_model(self, alone, name):
        with pytest.raises(ConfigurationError, match=f"`search.{name}` needs a language model; g"):
            alone.translate(SOURCES[0], **{name: 0.5})

    def test_a_negative_fusion_weight(self, fused):
        with pytest.raises(ConfigurationError, match="fusion_weight` must be from 0 to 100"):
            fused.translate(SOURCES[0], fusion_weight=-0.1)

    def test_one_rule_orders_hypotheses(self, fused):
        with pytest.raises(ConfigurationError, match=r"mbr` and `search\.language_weight` order"):
            fused.translate(SOURCES[0], mbr=True, language_weight=0.5)
        assert fused.translate(SOURCES[0], mbr=True, fusion_weight=0.1).text == TARGETS[0]

    def test_a_language_model_without_weights(self, fused):
        with pytest.raises(ConfigurationError, match="`language_model` changes nothing while"):
            fused.refuse_idle(fused.search_settings())
        fused.refuse_idle(fused.search_settings(fusion_weight=0.1))
        fused.refuse_idle(fused.search_settings(language_weight=0.1))

    def test_other_pieces(self, tiny_directory, text_directory):
        with pytest.raises(
            ConfigurationError, match=r"must have the target pieces .* `--tokenizer_of` and the"
        ):
            Translator.load(tiny_directory, language_model=text_directory)

    def test_running_text(self, tiny_directory, tmp_path):
        tokenizer = load_model_directory(tiny_directory).tokenizers.target
        train_language(RUNNING_TEXT, tokenizer, TARGETS, tmp_path, num_steps=1)
        with pytest.raises(ConfigurationError, match=r"was trained with `text\.lines` text; train"):
            Translator.load(tiny_directory, language_model=tmp_path)

    def test_a_translator(self, tiny_directory):
        with pytest.raises(ConfigurationError, match="holds a translator, not a language model"):
            Translator.load(tiny_directory, language_model=tiny_directory)
