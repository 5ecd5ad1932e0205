import dataclasses
import random

import pytest
from tiny_translator import SOURCES, TARGETS, train_tiny

from seq2seq import Translator, tune
from seq2seq.config import ConfigurationError, SearchConfig
from seq2seq.data.corpus import Pairs
from seq2seq.evaluation import metrics, significance
from seq2seq.evaluation.metrics import measure
from seq2seq.model_directory import load_model_directory, update_search
from seq2seq.show_evaluation import print_tuning
from seq2seq.translation import Translation

PAIRS = Pairs(SOURCES * 2, TARGETS * 2)  # as many as a claim needs
# With 14 pieces at least, nothing is right.
GRIDS = (
    ({"min_length": 0}, {"min_length": 14}),
    tuple({"length_penalty": penalty} for penalty in (0.0, 1.0)),
    ({"coverage_penalty": 0.0}, {"coverage_penalty": 0.2}),
)


@pytest.fixture
def grids(monkeypatch):
    monkeypatch.setattr(tune, "GRIDS", GRIDS)


@pytest.fixture
def searches(monkeypatch):
    """The settings of all searches."""
    asked = []
    stream = Translator.stream

    def note(self, sentences, **settings):
        asked.append({**settings})
        return stream(self, sentences, **settings)

    monkeypatch.setattr(Translator, "stream", note)
    return asked


@pytest.fixture(scope="module")
def translator(tiny_directory):
    return Translator.load(tiny_directory, "cpu", "float32")


@pytest.fixture(scope="module")
def both(tiny_directory, reverse_directory):
    return Translator.load(tiny_directory, "cpu", "float32", reverse=reverse_directory)


def score_of(translator, search, metric="bleu"):
    found = translator.translate(PAIRS.sources, **dataclasses.asdict(search))
    texts = [translation.text for translation in found]
    return measure(metric, texts, PAIRS.targets, "en").score().value


@pytest.mark.parametrize("metric", ["bleu", "chrf"])
def test_every_score_is_that_of_a_search_and_the_best_is_the_highest(translator, grids, metric):
    tuned = tune.tune(translator, PAIRS, metric=metric, min_length=14)
    assert len(tuned.trials) > 2
    for trial in tuned.trials:
        assert trial.score == pytest.approx(score_of(translator, trial.search, metric))
    assert tuned.best.score == max(trial.score for trial in tuned.trials)
    assert tuned.trials[0].search == translator.search_settings(min_length=14)
    assert tuned.trials[0].comparison is None and not tuned.trials[0].changes


def test_settings_are_tried_in_place_of_the_best_so_far_and_none_twice(
    translator, grids, searches, monkeypatch
):
    recipe = dataclasses.replace(
        translator.recipe, search=SearchConfig(beam_size=3, min_length=14, length_penalty=0.5)
    )
    monkeypatch.setattr(translator, "recipe", recipe)
    tuned = tune.tune(translator, PAIRS)
    tried = [
        (search["min_length"], search["length_penalty"], search["coverage_penalty"])
        for search in searches
    ]
    assert len(set(tried)) == len(tried) == len(tuned.trials)
    assert tried[:2] == [(14, 0.5, 0.0), (0, 0.5, 0.0)]
    assert {(0, 0.0, 0.0), (0, 1.0, 0.0)} <= set(tried)
    assert all(min_length == 0 for min_length, *_ in tried[1:])
    assert tuned.best.search.min_length == 0 and tuned.best.changes["min_length"] == 0
    assert tuned.is_better


def test_what_is_given_is_kept(translator, grids):
    tuned = tune.tune(translator, PAIRS, min_length=14, length_penalty=0.7)
    assert {(t.search.min_length, t.search.length_penalty) for t in tuned.trials} == {(14, 0.7)}
    assert len(tuned.trials) == 2  # the coverage penalty


def test_without_attention_there_is_no_coverage(tiny_recipe, known_pairs, tmp_path, grids):
    model = dataclasses.replace(tiny_recipe.model, attention="none")
    train_tiny(dataclasses.replace(tiny_recipe, model=model), known_pairs, tmp_path, num_steps=2)
    translator = Translator.load(tmp_path, "cpu", "float32")
    assert {t.search.coverage_penalty for t in tune.tune(translator, PAIRS).trials} == {0.0}


@pytest.fixture(scope="module")
def odd_pairs(both):
    """Of two sentences in three the least probable hypothesis is the right one."""
    found = both.translate(SOURCES, n_best=3)
    references = [t.alternatives[-1 if index % 3 else 0].text for index, t in enumerate(found)]
    return Pairs(SOURCES, references)


def bleu_of(both, pairs, **weights):
    texts = [translation.text for translation in both.translate(pairs.sources, **weights)]
    return measure("bleu", texts, pairs.targets, "en").score().value


def test_weights_of_a_reverse_need_one_search_and_are_those_of_real_ones(
    both, odd_pairs, searches, monkeypatch
):
    monkeypatch.setattr(tune, "GRIDS", ())
    monkeypatch.setattr(tune, "REVERSE_WEIGHTS", (-2.0, 0.0, 0.3))
    tuned = tune.tune(both, odd_pairs)
    assert len(searches) <= 3  # the defaults, all hypotheses, the best weights
    assert {trial.search.reverse_weight for trial in tuned.trials} == {-2.0, 0.0, 0.3}
    for trial in tuned.trials:
        weights = {
            name: getattr(trial.search, name) for name in ("reverse_weight", "length_weight")
        }
        assert trial.score == pytest.approx(bleu_of(both, odd_pairs, **weights))


def test_the_best_weights_are_those_of_all_pairs(both, odd_pairs, monkeypatch):
    """Brute force: each pair by a search of its own."""
    monkeypatch.setattr(tune, "GRIDS", ())
    monkeypatch.setattr(tune, "REVERSE_WEIGHTS", (-8.0, 0.0, 0.5))
    monkeypatch.setattr(tune, "LENGTH_WEIGHTS", (-4.0, 4.0))
    tuned = tune.tune(both, odd_pairs)
    scores = [
        bleu_of(both, odd_pairs, reverse_weight=reverse_weight, length_weight=length_weight)
        for reverse_weight in (-8.0, 0.0, 0.5)
        for length_weight in (-4.0, 4.0)
    ]
    assert tuned.best.score == pytest.approx(max(scores))
    assert tuned.best.score > tuned.trials[0].score


def test_a_weight_that_is_given_is_kept(both, monkeypatch):
    monkeypatch.setattr(tune, "GRIDS", ())
    tuned = tune.tune(both, PAIRS, reverse_weight=0.35)
    assert tuned.trials[0].search.reverse_weight == 0.35
    assert {t.search.reverse_weight for t in tuned.trials} == {0.0, 0.35}


def test_progress_grows_to_the_whole(translator, grids):
    told = []
    tune.tune(translator, PAIRS, advance=lambda count, share: told.append((count, share)))
    assert [count for count, _ in told] == list(range(1, len(told) + 1))
    assert all(0 < share <= 1 for _, share in told)


def test_weights_that_cannot_be_used_are_refused_at_once(both, searches):
    with pytest.raises(ConfigurationError, match="give one of them"):
        tune.tune(both, PAIRS, mbr=True)
    assert not searches


def test_unknown_settings_are_refused(translator):
    with pytest.raises(ConfigurationError, match="unknown search setting `beam`"):
        tune.tune(translator, PAIRS, beam=3)


@pytest.mark.parametrize("min_length", [14, 0], ids=["better", "no better"])
def test_a_table_ends_in_the_command_if_something_is_better(
    translator, grids, capsys, monkeypatch, min_length
):
    search = SearchConfig(beam_size=3, min_length=min_length)
    monkeypatch.setattr(translator, "recipe", dataclasses.replace(translator.recipe, search=search))
    tuned = tune.tune(translator, PAIRS, n_best=2)
    assert tuned.is_better == bool(min_length)
    given = {"ensemble": ["b", "c"], "reverse": None, "n_best": 2}
    print_tuning(tuned, PAIRS, "my model", given)
    out = capsys.readouterr().out
    assert out.startswith("settings")
    rows = [line for line in out.splitlines() if line.startswith(("--", "the defaults"))]
    assert len(rows) == len(tuned.trials)
    command = "\nseq2seq translate 'my model' --ensemble b c --n_best 2 --min_length 0"
    assert (command in out) == bool(min_length)
    assert out.endswith("The defaults stay.\n") == (not min_length)


class Noisy:
    """In place of a translator: whether a sentence is right hangs on chance, and on a setting."""

    reverse = language = None
    has_attention = True

    def __init__(self, recipe, seed, gain=0.0):
        self.recipe, self.seed, self.gain = recipe, seed, gain

    def search_settings(self, **given):
        return SearchConfig(**given)

    def stream(self, sources, *, with_alignment, **search):
        tried = {name: search[name] for grid in tune.GRIDS for each in grid for name in each}
        drawn = random.Random(f"{self.seed} {sorted(tried.items())}")
        limit = 0.6 - self.gain * (search["length_penalty"] == 0.5)
        for source in sources:
            text = f"a b c d e {source}" if drawn.random() > limit else f"a b x y z {source}"
            yield Translation(text, 0.0, 0.0, [], [])


@pytest.fixture
def few_resamples(monkeypatch):
    for module in (metrics, significance):
        monkeypatch.setattr(module, "NUM_RESAMPLES", 99)


def tune_noise(translator, number, **gain):
    numbers = list(map(str, range(100)))
    pairs = Pairs(numbers, [f"a b c d e {number}" for number in numbers])
    seeds = range(8, 8 + number)  # where the best of many looks good often
    return [tune.tune(Noisy(translator.recipe, seed, **gain), pairs) for seed in seeds]


def test_chance_is_not_called_better(translator, few_resamples):
    found = tune_noise(translator, 6)
    claims = [t.best.comparison is not None and t.best.comparison.is_significant for t in found]
    assert sum(claims) >= 3, "in the table"
    assert not any(tuned.is_better for tuned in found)


def test_a_real_gain_is_called_better(translator, few_resamples):
    assert all(tuned.is_better for tuned in tune_noise(translator, 2, gain=0.4))


def test_searches_of_a_model_directory_are_replaced_alone(own_directory):
    before = load_model_directory(own_directory)
    update_search(own_directory, SearchConfig(beam_size=4, length_penalty=0.5))
    after = load_model_directory(own_directory)
    assert after.recipe.search == SearchConfig(beam_size=4, length_penalty=0.5)
    assert dataclasses.replace(after.recipe, search=before.recipe.search) == before.recipe
    assert after.decode == before.decode
    assert not [path for path in own_directory.iterdir() if path.name.startswith(".")]


@pytest.fixture(scope="module")
def with_language_model(tiny_directory, language_directory):
    return Translator.load(tiny_directory, "cpu", "float32", language_model=language_directory)


def test_weights_of_a_language_model_are_those_of_real_searches(
    with_language_model, odd_pairs, monkeypatch
):
    """Brute force: each weight of fusion, then each weight of the order, by a search of its own."""
    fusion = ({"fusion_weight": 0.0}, {"fusion_weight": 0.4}, {"fusion_weight": 3.0})
    monkeypatch.setattr(tune, "GRIDS", (fusion,))
    monkeypatch.setattr(tune, "LANGUAGE_WEIGHTS", (0.0, 1.5))
    monkeypatch.setattr(tune, "LENGTH_WEIGHTS", (-4.0, 4.0))
    tuned = tune.tune(with_language_model, odd_pairs)
    assert {trial.search.fusion_weight for trial in tuned.trials} == {0.0, 0.4, 3.0}
    assert {trial.search.language_weight for trial in tuned.trials} == {0.0, 1.5}
    assert {trial.search.reverse_weight for trial in tuned.trials} == {0.0}
    names = ("fusion_weight", "language_weight", "length_weight")
    for trial in tuned.trials:
        weights = {name: getattr(trial.search, name) for name in names}
        assert trial.score == pytest.approx(bleu_of(with_language_model, odd_pairs, **weights))
    fused = max(bleu_of(with_language_model, odd_pairs, **weight) for weight in fusion)
    assert tuned.best.score >= fused


def test_both_models_are_weighed_together(
    tiny_directory, reverse_directory, language_directory, odd_pairs, monkeypatch
):
    monkeypatch.setattr(tune, "GRIDS", ())
    monkeypatch.setattr(tune, "REVERSE_WEIGHTS", (-8.0, 0.0))
    monkeypatch.setattr(tune, "LANGUAGE_WEIGHTS", (-6.0, 6.0))
    monkeypatch.setattr(tune, "LENGTH_WEIGHTS", (0.0,))
    translator = Translator.load(
        tiny_directory,
        "cpu",
        "float32",
        reverse=reverse_directory,
        language_model=language_directory,
    )
    tuned = tune.tune(translator, odd_pairs)
    scores = [
        bleu_of(translator, odd_pairs, reverse_weight=reverse, language_weight=language)
        for reverse in (-8.0, 0.0)
        for language in (-6.0, 6.0)
    ]
    assert max(trial.score for trial in tuned.trials) == pytest.approx(
        max(*scores, tuned.trials[0].score)
    )


def test_weights_of_models_that_are_not_there_are_not_tried(translator, searches, monkeypatch):
    weights = {"fusion_weight": 0.3, "reverse_weight": 0.3, "length_weight": 0.1}
    search = dataclasses.replace(translator.recipe.search, **weights)
    monkeypatch.setattr(translator, "recipe", dataclasses.replace(translator.recipe, search=search))
    monkeypatch.setattr(tune, "GRIDS", (({"fusion_weight": 0.0}, {"fusion_weight": 0.1}),))
    tuned = tune.tune(translator, PAIRS)
    assert len(searches) == len(tuned.trials) == 1
    assert not any(getattr(tuned.best.search, name) for name in weights)
