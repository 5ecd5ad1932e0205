import re
import xml.etree.ElementTree as ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sacrebleu.metrics import BLEU, CHRF

from seq2seq.cli import main
from seq2seq.config import ConfigurationError
from seq2seq.data.corpus import Pairs
from seq2seq.engine import Engine
from seq2seq.insight.lengths import (
    FEWEST_SENTENCES,
    draw_lengths,
    find_lengths,
    group_lengths,
    join,
)
from seq2seq.translator import Translator

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def translators(tiny_directory, member_directory):
    """One with attention, and one that has learnt less, without."""
    return {
        "attention": Translator.load(tiny_directory, "cpu", "float32"),
        "fixed": Translator.load(member_directory, "cpu", "float32"),
    }


@pytest.fixture(scope="module")
def pairs(known_pairs):
    """Single sources of 3 to 6 words, whose translations are known by heart."""
    return Pairs(list(known_pairs.sources) * 5, list(known_pairs.targets) * 5)


@pytest.fixture(scope="module")
def lengths(translators, pairs):
    return find_lengths(translators, pairs, joined=(1, 2), bucket_words=3)


def test_neighbours_are_joined_and_the_rest_is_dropped():
    pairs = Pairs(["a b", "c", "d", "e", "f"], ["1", "2", "3 3", "4", "5"])
    assert join(pairs, 2) == Pairs(["a b c", "d e"], ["1 2", "3 3 4"])
    assert join(pairs, 3) == Pairs(["a b c d"], ["1 2 3 3"])
    assert join(pairs, 1) == pairs


@given(st.lists(st.integers(0, 60), min_size=1, max_size=300), st.integers(1, 12))
def test_groups_hold_every_source_once_in_ranges_of_whole_widths(lengths, width):
    groups = group_lengths(lengths, width)
    assert sorted(index for group in groups for index in group) == list(range(len(lengths)))
    assert all(len(group) >= FEWEST_SENTENCES for group in groups) or len(groups) == 1
    last = -1
    for group in groups:
        places = {lengths[index] // width for index in group}
        assert min(places) > last, "no range is in two groups"
        last = max(places)


def test_groups_are_no_larger_than_they_must_be():
    lengths = [7] * 30 + [12] * 40 + [17] * 29 + [22] * 3 + [40] * 10
    sizes = [len(group) for group in group_lengths(lengths, 5)]
    assert sizes == [30, 40, 42], "29 are too few, and so are 10 at the end"


def test_scores_of_each_bucket_are_those_of_sacrebleu(lengths, translators, pairs):
    sets = [pairs, join(pairs, 2)]
    sources = [source for each in sets for source in each.sources]
    references = [target for each in sets for target in each.targets]
    sizes = [len(source.split()) for source in sources]
    assert [bucket.num_sentences for bucket in lengths.buckets] == [45, 45]
    for name, translator in translators.items():
        translations = [found.text for found in translator.translate(sources)]
        in_range = [
            [i for i, size in enumerate(sizes) if bucket.shortest <= size <= bucket.longest]
            for bucket in lengths.buckets
        ]
        groups = [*zip(lengths.buckets, in_range, strict=True)]
        groups += [(lengths.joined[1], range(60)), (lengths.joined[2], range(60, 90))]
        for bucket, own in groups:
            assert len(own) == bucket.num_sentences
            assert bucket.mean_length == pytest.approx(sum(sizes[i] for i in own) / len(own))
            hypotheses = [translations[i] for i in own]
            answers = [[references[i] for i in own]]
            for metric, scorer in (("bleu", BLEU(force=True)), ("chrf", CHRF())):
                found = bucket.scores[metric][name]
                assert found.value == pytest.approx(scorer.corpus_score(hypotheses, answers).score)
        # The interval of the last group, as `sacrebleu --confidence` has it.
        expected = BLEU(force=True).corpus_score(hypotheses, answers, n_bootstrap=1000)
        interval = bucket.scores["bleu"][name]
        assert interval.high - interval.low == pytest.approx(2 * expected._ci, rel=1e-4)


def test_what_was_learnt_by_heart_is_better_than_what_was_never_seen(lengths):
    known, joined = (lengths.joined[number].scores["bleu"]["attention"].value for number in (1, 2))
    assert known > 99
    assert joined < 80


def test_no_source_is_split_whatever_the_model_has_learnt_from(translators, pairs, monkeypatch):
    translator = translators["attention"]
    monkeypatch.setattr(translator, "longest_source", 2)
    monkeypatch.setattr(translator, "sentences_per_source", 1)
    searched = []
    search = Engine.search

    def spy(engine, parts, *args, **kwargs):
        searched.extend(parts)
        return search(engine, parts, *args, **kwargs)

    monkeypatch.setattr(Engine, "search", spy)
    translated = []
    find_lengths({"a": translator}, pairs, joined=(2,), advance=translated.append)
    assert len(searched) == sum(translated) == 30
    assert (translator.longest_source, translator.sentences_per_source) == (2, 1)


def test_models_of_other_languages_are_refused(translators, reverse_directory, pairs):
    other = Translator.load(reverse_directory, "cpu", "float32")
    with pytest.raises(ConfigurationError, match="attention translates de to en and r en to de"):
        find_lengths({**translators, "r": other}, pairs)


def test_too_few_sources_are_refused(translators, known_pairs):
    with pytest.raises(ConfigurationError, match=r"at least 30 sources, .* there are 12 to join"):
        find_lengths(translators, known_pairs, joined=(1,))


def test_the_figure_has_a_line_for_each_model_and_says_what_was_counted(lengths):
    figure = ElementTree.fromstring(draw_lengths(lengths, "val.de"))
    texts = " ".join(element.text or "" for element in figure.iter(f"{SVG}text"))
    for expected in (
        "Translations of val.de, German to English, by the length of the source",
        "BLEU by the length of the source",
        "chrF2 by the length of the source",
        "BLEU of the same text, 1 and 2 lines at a time",
        "chrF2 of the same text, 1 and 2 lines at a time",
        "attention",
        "fixed",
        "60 single, 30 joined 2 at a time; none is split",
        "45 of 3-5, 45 of 6-11",
        "1,000 bootstrap samples",
    ):
        assert expected in texts
    hovers = [element.text or "" for element in figure.iter(f"{SVG}title")]
    value = lengths.buckets[0].scores["bleu"]["fixed"].value
    assert any(re.match(rf"fixed, .*: {value:.4g}$", hover) for hover in hovers)
    bands = [p for p in figure.iter(f"{SVG}polygon") if "band" in p.attrib["class"]]
    assert len(bands) == 8, "two models, two metrics, two ways of grouping"
    score = lengths.buckets[0].scores["bleu"]["fixed"]
    assert score.low < score.value < score.high
    band = [tuple(map(float, point.split(","))) for point in bands[1].attrib["points"].split()]
    lines = [p for p in figure.iter(f"{SVG}polyline") if "series1" in p.attrib["class"]]
    _, middle = map(float, lines[0].attrib["points"].split()[0].split(","))
    (_, highest), (_, lowest) = band[0], band[-1]
    per_point = (lowest - highest) / (score.high - score.low)  # pixels
    assert middle - highest == pytest.approx(per_point * (score.high - score.value), abs=0.2)


def test_lines_that_are_not_joined_have_no_chart_of_their_own(translators, pairs):
    figure = draw_lengths(find_lengths(translators, pairs, joined=(2,)), "val.de")
    assert "at a time; none is split" in figure
    assert "of the same text" not in figure


@pytest.fixture
def files(tmp_path, pairs):
    paths = [str(tmp_path / name) for name in ("val.de", "val.en")]
    for path, side in zip(paths, (pairs.sources, pairs.targets), strict=True):
        with open(path, "w", encoding="utf-8") as file:
            file.write("".join(f"{line}\n" for line in side))
    return ["--source", paths[0], "--reference", paths[1]]


def test_the_command_draws_and_prints_the_scores(
    tiny_directory, member_directory, files, lengths, tmp_path, capsys
):
    output = tmp_path / "lengths.svg"
    argv = ["picture", "lengths", str(tiny_directory), str(member_directory), *files]
    argv += ["--names", "attention", "fixed", "--joined", "1", "2", "--bucket_words", "3"]
    assert main([*argv, "--output", str(output), "--quiet", "--device", "cpu"]) == 0
    head, *rows, last = capsys.readouterr().out.splitlines()
    assert head == "sources\twords\tnumber\tattention BLEU\tfixed BLEU"
    assert [row.split("\t")[:3] for row in rows] == [
        ["all", "3-5", "45"],
        ["all", "6-11", "45"],
        ["joined by 1", "3-6", "60"],
        ["joined by 2", "8-11", "30"],
    ]
    scores = [f"{lengths.joined[2].scores['bleu'][name].value:.1f}" for name in lengths.names]
    assert rows[-1].split("\t")[3:] == scores
    assert last == f"picture: {output}"
    assert output.read_text("utf-8") == draw_lengths(lengths, "val.de")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--joined", "0"], "`--joined` must be at least 1, but is 0"),
        (["--joined", "two"], "`--joined` must be one or more whole numbers, but is 'two'"),
        (["--bucket_words", "0"], "`--bucket_words` must be at least 1, but is 0"),
        (["--names", "a"], "`--names` must be 2 different names, one for each model, but is a"),
        ([], "`--names` must be 2 different names, one for each model, but is tiny, tiny"),
    ],
    ids=["nothing joined", "no number", "no width", "too few names", "one name twice"],
)
def test_the_command_refuses_what_makes_no_sense(options, message, tiny_directory, files, capsys):
    models = [str(tiny_directory)] * 2
    assert main(["picture", "lengths", *models, *files, *options]) == 2
    assert message in capsys.readouterr().err
