import json
import math

import pytest
import torch
from sacrebleu.metrics import CHRF
from tiny_translator import SOURCES, TARGETS

from seq2seq import cli
from seq2seq.config import ConfigurationError, SearchConfig
from seq2seq.decoding.beam_search import Hypothesis
from seq2seq.selection import order_by_risk
from seq2seq.source import Source
from seq2seq.translator import Translator


@pytest.fixture(scope="module")
def translator(tiny_directory):
    return Translator.load(tiny_directory, "cpu", "float32")


def hypothesis(number, log_probability, *, truncated=False):
    return Hypothesis([number], log_probability, log_probability, None, truncated)


def order(texts, log_probabilities, truncated=(), **options):
    hypotheses = [
        hypothesis(number, log_probability, truncated=number in truncated)
        for number, log_probability in enumerate(log_probabilities)
    ]
    search = SearchConfig(beam_size=9, mbr=True, **options)
    return order_by_risk(hypotheses, texts, search)


TEXTS = ["nobody sleeps", "a dog runs in the park", "a dog ran in the park", "the dog runs there"]


def plain_order(texts, weights):
    means = [
        sum(w * CHRF().sentence_score(t, [o]).score for o, w in zip(texts, weights, strict=True))
        for t in texts
    ]
    return sorted(range(len(texts)), key=lambda index: -means[index])


def test_samples_count_alike_and_hypotheses_by_their_probability():
    log_probabilities = [-0.1, -4.0, -4.1, -5.0]
    assert order(TEXTS, log_probabilities, samples=4, n_best=4) == plain_order(TEXTS, [1] * 4)
    weights = [math.exp(each) for each in log_probabilities]
    assert order(TEXTS, log_probabilities, n_best=4) == plain_order(TEXTS, weights)
    assert plain_order(TEXTS, weights)[0] == 0 != plain_order(TEXTS, [1] * 4)[0]


def test_what_was_drawn_twice_counts_twice():
    texts = ["a cat sleeps", *TEXTS[1:], "a cat sleeps", "a cat sleeps", "a cat sleeps"]
    assert order(texts, [-1.0] * 7, samples=7, n_best=2) == [0, 4]
    assert order(TEXTS[:1] + TEXTS[1:], [-1.0] * 4, samples=4)[0] == 1


def test_of_equal_ones_the_higher_score_comes_first():
    assert order(["a dog", "a dog", "a dog"], [-1.0, -2.0, -3.0], n_best=2) == [0, 1]


def test_truncated_ones_stay_behind():
    assert order(TEXTS, [-1.0] * 4, truncated={1}, samples=4, n_best=4)[-1] == 1


@pytest.mark.parametrize("options", [{"samples": 4}, {}], ids=["samples", "beam"])
def test_truncated_ones_say_nothing_of_those_that_ended(options):
    likely = [-3.0, -3.1, -3.2, -0.1]  # the last one is the beginning of many sentences
    weights = [1.0, 1.0, 1.0] if options else [math.exp(each) for each in likely[:3]]
    texts = ["nobody sleeps", "a dog runs in", "a dog runs to", "nobody sleeps here"]
    expected = plain_order(texts[:3], weights)
    assert expected[0] != 0
    assert order(texts, likely, truncated={3}, n_best=4, **options) == [*expected, 3]


def test_if_none_ended_truncated_ones_count():
    likely, all_of_them = [-1.0, -1.1, -1.2, -1.3], {0, 1, 2, 3}
    weights = [math.exp(each) for each in likely]
    assert order(TEXTS, likely, truncated=all_of_them, n_best=4) == plain_order(TEXTS, weights)


def test_probabilities_too_small_for_floats_still_count():
    small = [-1e4 - 0.1 * number for number in range(4)]
    assert order(TEXTS, small, n_best=4) == order(TEXTS, [0.0, -0.1, -0.2, -0.3], n_best=4)
    assert order(TEXTS, small, n_best=1) == [1]


@pytest.mark.parametrize("options", [{"samples": 1001}, {"beam_size": 1001, "mbr": True}], ids=str)
def test_no_more_are_compared_than_memory_holds(options):
    with pytest.raises(ConfigurationError, match=r"`search\.\w+` must .* 1000\b.* but is 1001\."):
        SearchConfig(**options)
    SearchConfig(**{name: min(value, 1000) for name, value in options.items()})


class TestTranslator:
    def test_what_is_known_by_heart_stays(self, translator):
        for options in ({"samples": 7, "temperature": 0.5}, {"beam_size": 6}):
            found = translator.translate(SOURCES, mbr=True, **options)
            assert [t.text for t in found] == TARGETS

    def test_the_choice_is_the_best_of_the_candidates(self, translator):
        source, options = "Müller rennt Katze", {"samples": 9, "temperature": 1.3}
        drawn = translator.translate(source, n_best=9, **options)
        texts = [t.text for t in drawn.alternatives]
        assert len(texts) == 9
        assert len(set(texts)) > 3
        best = plain_order(texts, [not t.truncated for t in drawn.alternatives])
        chosen = translator.translate(source, n_best=2, mbr=True, **options)
        assert [t.text for t in chosen.alternatives] == [texts[best[0]], texts[best[1]]]
        assert chosen.text == texts[best[0]]

    def test_the_alignment_is_that_of_the_choice(self, translator):
        found = translator.translate(SOURCES[0], samples=5, mbr=True)
        assert found.alignment.shape == (len(found.pieces), len(found.source_pieces))
        expected = translator.translate(SOURCES[0])
        assert torch.allclose(found.alignment, expected.alignment, atol=1e-5)

    def test_a_reverse_model_decides_otherwise(self, tiny_directory, reverse_directory):
        both = Translator.load(tiny_directory, "cpu", "float32", reverse=reverse_directory)
        with pytest.raises(ConfigurationError, match=r"`search\.mbr` and `search\.reverse_weight`"):
            both.translate(SOURCES, mbr=True, reverse_weight=0.5)


class TestSamples:
    def test_the_batch_does_not_change_a_sample(self, translator):
        options = {"samples": 4, "n_best": 4, "temperature": 2.0, "top_p": 0.95}
        together = translator.translate(SOURCES, **options)
        for source, expected in zip(SOURCES, together, strict=True):
            alone = translator.translate(source, **options)
            assert [t.pieces for t in alone.alternatives] == [
                t.pieces for t in expected.alternatives
            ]
        backwards = translator.translate(SOURCES[::-1], batch_size=3, **options)
        assert [t.text for t in backwards[::-1]] == [t.text for t in together]

    def test_log_probabilities_are_those_of_scoring(self, translator):
        found = translator.translate(SOURCES, samples=2, n_best=2, temperature=2.0)
        for source, translation in zip(SOURCES, found, strict=True):
            for each in translation.alternatives:
                again = translator.tokenizers.target.encode(each.text)
                if translator.tokenizers.target.pieces([*again, 3]) == each.pieces:
                    (score,) = translator.score([source], [each.text])
                    assert each.log_probability == pytest.approx(score, abs=1e-4)

    def test_no_temperature_and_one_piece_are_greedy_search(self, translator):
        sources = [f"{one} {other}" for one in SOURCES[:4] for other in ("Park", "Brot Müller")]
        greedy = [t.pieces for t in translator.translate(sources, beam_size=1)]
        for options in ({"temperature": 0.0}, {"top_k": 1}, {"top_p": 0.0}):
            found = translator.translate(sources, samples=1, **options)
            assert [t.pieces for t in found] == greedy
        found = translator.translate(sources, samples=1, temperature=1.5)
        assert [t.pieces for t in found] != greedy

    def test_seeds_differ_and_equal_sources_do_not(self, translator):
        options = {"samples": 1, "temperature": 3.0}
        one, twin = translator.translate(["Müller Katze"] * 2, **options)
        other = translator.translate("Müller Katze", seed=2, **options)
        assert one.text == twin.text != other.text

    def test_n_best_is_at_most_the_samples(self, translator):
        with pytest.raises(ConfigurationError, match=r"at most `search.samples` \(3\), but is 4"):
            translator.translate(SOURCES, samples=3, n_best=4)

    def test_they_come_with_ensembles_shortlists_and_lengths(
        self, tiny_directory, member_directory
    ):
        both = Translator.load(tiny_directory, "cpu", "float32", ensemble=[member_directory])
        found = both.translate(SOURCES, samples=5, mbr=True, temperature=0.3, min_length=12)
        assert all(len(t.pieces) > 12 for t in found)


class TestSamplesObey:
    """What holds for hypotheses of a beam holds for samples, too."""

    options = {"samples": 8, "n_best": 8, "temperature": 1.2}  # noqa: RUF012

    def draw(self, translator, sources=SOURCES, **obey):
        found = translator.translate(sources, **self.options, **obey)
        drawn = [each for translation in found for each in translation.alternatives]
        assert len(drawn) == len(sources) * 8
        return [each.text for each in drawn]

    def test_a_prefix(self, translator):
        texts = self.draw(translator, prefix="the ca")
        assert all(text.startswith("the ca") for text in texts)
        assert len(set(texts)) > 12

    def test_terms(self, translator):
        texts = self.draw(translator, terms=["bread", "Miller"])
        for text in texts:
            assert {"bread", "Miller"} <= set(text.replace(".", " ").split())
        assert len(set(texts)) > 12

    def test_terms_are_said_where_a_sample_would_end(self, translator):
        for source, target in zip(SOURCES, TARGETS, strict=True):
            found = translator.translate(source, samples=1, temperature=0.0, terms=["Miller cat"])
            if not source.startswith("Müller"):
                assert found.text.startswith(target)
                assert len(found.text.split()) <= len(target.split()) + 4

    def test_forbidden_words(self, translator):
        plain, obeying = self.draw(translator), self.draw(translator, forbidden=["park", "dog"])
        assert any("park" in text.split() for text in plain)
        assert not any({"park", "dog"} & set(text.replace(".", " ").split()) for text in obeying)

    def test_repeats(self, translator):
        texts = self.draw(translator, no_repeat_ngram=1)
        for text in texts:
            words = text.split()
            assert len(words) == len(set(words))

    def test_neighbours_do_not_matter(self, translator):
        sources = [Source(text, terms=("bread",) * (n % 2)) for n, text in enumerate(SOURCES)]
        together = self.draw(translator, sources)
        alone = [text for source in sources for text in self.draw(translator, [source])]
        assert together == alone


def test_the_command_draws_as_python_does(translator, tiny_directory, tmp_path, capfd):
    (tmp_path / "in.de").write_text("".join(f"{line}\n" for line in SOURCES))
    options = {"samples": 6, "temperature": 2.0, "top_k": 20, "top_p": 0.9, "seed": 3}
    spelled = [f"--{name}={value}" for name, value in options.items()]
    argv = ["translate", str(tiny_directory), "--input", str(tmp_path / "in.de"), *spelled]
    assert cli.main([*argv, "--mbr", "--format", "jsonl"]) == 0
    captured = capfd.readouterr()
    rows = [json.loads(line) for line in captured.out.splitlines()]
    expected = translator.translate(SOURCES, mbr=True, **options)
    assert [row["text"] for row in rows] == [t.text for t in expected]
    assert "6 samples" in captured.err
