import errno
import json
import os
from dataclasses import replace

import pytest
from tiny_translator import SOURCES, TARGETS

from seq2seq.config import ConfigurationError, CorpusConfig, Recipe, SearchConfig
from seq2seq.data.corpus import Pairs
from seq2seq.evaluate import (
    ALWAYS_DESCRIBED,
    clean_pairs,
    describe_search,
    evaluate_set,
    find_alignments,
    measure_other,
    read_test_pairs,
    read_word_counts,
    with_parts,
    write_translations,
)
from seq2seq.translator import Translator

WRONG = [3, 6]  # sentences whose reference says something else


@pytest.fixture(scope="module")
def translator(tiny_directory):
    return Translator.load(tiny_directory, device="cpu", precision="float32")


@pytest.fixture(scope="module")
def references():
    return [f"not {text}" if index in WRONG else text for index, text in enumerate(TARGETS)]


@pytest.fixture(scope="module")
def result(translator, references):
    counts = {"ein": 5, "eine": 1, "der": 200, "hund": 30, "katze": 4, "mann": 120, "schläft": 100}
    return evaluate_set(translator, SOURCES, references, word_counts=counts)


@pytest.fixture
def write(tmp_path):
    """Writes a file of lines and returns its path."""

    def write(name, lines):
        (tmp_path / name).write_bytes("".join(f"{line}\n" for line in lines).encode())
        return str(tmp_path / name)

    return write


def test_scores_say_how_they_came_about(result):
    plain = result.to_plain()
    assert plain["sentences"] == 12
    assert plain["precision"] == "float32"
    assert (plain["beam_size"], plain["length_penalty"]) == (3, 1.0)
    assert plain["length_penalty_kind"] == "power"


def test_scores_in_bfloat16_say_so(tiny_directory, known_pairs):
    translator = Translator.load(tiny_directory, device="cpu", precision="bfloat16")
    result = evaluate_set(translator, known_pairs.sources[:1], known_pairs.targets[:1])
    assert result.to_plain()["precision"] == "bfloat16"


def test_other_search_settings_are_used_and_recorded(translator):
    search = {"beam_size": 1, "max_length_ratio": 0.1, "min_length": 30}
    result = evaluate_set(translator, SOURCES[:2], TARGETS[:2], **search)
    plain = result.to_plain()
    assert {name: plain[name] for name in search} == search
    assert plain["truncated"] == 2
    assert plain["shares"]["truncated"] == 1


@pytest.mark.parametrize(
    "changed",
    [
        {"word_reward": 0.5},
        {"coverage_penalty": 0.2},
        {"min_length_ratio": 0.5},
        {"no_repeat_ngram": 3},
        {"diversity_groups": 5, "diversity_strength": 1.0},
        {"samples": 4, "temperature": 0.5, "top_k": 9, "top_p": 0.9, "seed": 2},
        {"mbr": True},
        {"reverse_weight": 0.3, "length_weight": 0.1},
        {"preserve": True},
        {"copy_unknown": True},
        {"keep_case": True},
    ],
    ids=lambda changed: "+".join(changed),
)
def test_settings_that_are_rarely_used_are_recorded_if_they_are(changed):
    usual = describe_search(SearchConfig(), precision="float32")
    described = describe_search(SearchConfig(**changed), precision="float32")
    assert described == {**usual, **changed}
    assert usual.keys() == {"precision", *ALWAYS_DESCRIBED}


def test_weights_of_a_reverse_model_that_is_not_there_are_not_recorded(translator, monkeypatch):
    search = replace(translator.recipe.search, reverse_weight=0.3, word_reward=0.1)
    monkeypatch.setattr(translator, "recipe", replace(translator.recipe, search=search))
    settings = evaluate_set(translator, SOURCES[:1], TARGETS[:1]).settings
    assert settings["word_reward"] == 0.1
    assert "reverse_weight" not in settings


def test_every_score_has_its_interval(result):
    plain = result.to_plain()
    for metric in ("bleu", "chrf", "ter"):
        score = plain[metric]
        assert score.keys() == {"name", "value", "signature", "low", "high"}
        assert score["low"] < score["value"] < score["high"]
        assert "|bs:1000|" in score["signature"]
    assert plain["bleu"]["value"] > 80 > 20 > plain["ter"]["value"]


def test_plain_values_are_json(result):
    assert json.loads(json.dumps(result.to_plain())) == result.to_plain()


def test_each_sentence_has_its_scores(result, references):
    for index, row in enumerate(result.rows):
        assert (row["source"], row["reference"]) == (SOURCES[index], references[index])
        assert row["hypothesis"] == TARGETS[index]
        assert (row["chrf"] == 100) is (index not in WRONG)
        assert (row["ter"] == 0) is (index not in WRONG)
        assert row["score"] == pytest.approx(row["log_probability"] / len(row["pieces"]))
        assert row["pieces"][-1] == "</s>"
        assert not any(row[fault] for fault in ("empty", "truncated", "repeated", "copied"))


def test_faults_are_shares_of_all(result):
    first, second, third, fourth, *_ = result.translations
    damaged = [
        replace(first, text=""),
        replace(second, text="go go go"),
        replace(third, text=SOURCES[2]),
        replace(fourth, truncated=True),
    ]
    other = replace(result, translations=[*damaged, *result.translations[4:]])
    assert other.shares == dict.fromkeys(("empty", "repeated", "copied", "truncated"), 1 / 12)
    found = [name for row in other.rows[:4] for name in other.shares if row[name]]
    assert found == ["empty", "repeated", "copied", "truncated"]


def test_scores_by_length_and_by_rarest_word(result):
    plain = result.to_plain()
    short, long = plain["by_source_length"]
    assert (short["label"], short["sentences"]) == ("1-5", 9)
    assert (long["label"], long["sentences"]) == ("6-10", 3)  # ein Hund rennt im Park .
    assert short["bleu"] < plain["bleu"]["value"] < long["bleu"] == pytest.approx(100)
    rare = {group["label"]: group for group in plain["by_rarest_word"]}
    assert {label: group["sentences"] for label, group in rare.items()} == {
        "never seen": 9,  # those with other verbs, and Müller
        "seen once": 1,
        "seen 2-9 times": 1,
        "seen 100+ times": 1,
    }
    assert rare["seen once"]["chrf"] < rare["seen 2-9 times"]["chrf"] == pytest.approx(100)


def test_without_word_counts_there_is_no_table(result):
    assert "by_rarest_word" not in replace(result, word_counts=None).to_plain()


def test_a_part_of_a_set_is_not_translated_again(result, monkeypatch):
    monkeypatch.setattr(Translator, "translate", None)
    results = with_parts({"test": result}, {"test": {"a": WRONG, "b": [0, 1], "none": []}})
    assert list(results) == ["test", "test_a", "test_b"]
    wrong, right = results["test_a"], results["test_b"]
    assert wrong.sources == [SOURCES[index] for index in WRONG]
    assert wrong.rows == [result.rows[index] for index in WRONG]
    assert wrong.scores["chrf"].value < result.scores["chrf"].value < 100
    assert right.scores["chrf"].value == pytest.approx(100)
    assert result.to_plain()["sentences_per_second"] > 0
    assert "sentences_per_second" not in right.to_plain(), "nobody measured it"


def test_sets_of_one_part_stay_as_they_are(result):
    assert with_parts({"test": result}, {"dev": {"a": [1]}}) == {"test": result}


def test_alignments_are_kept_of_what_a_report_shows(result, translator):
    alignments = find_alignments(translator, "test", result)
    assert len(alignments) == 10
    assert set(WRONG) < {alignment["index"] for alignment in alignments}
    for alignment in alignments:
        translation = result.translations[alignment["index"]]
        assert alignment["set"] == "test"
        assert alignment["source_pieces"] == translation.source_pieces
        assert alignment["target_pieces"] == translation.pieces
        assert len(alignment["weights"]) == len(translation.pieces)
        for row in alignment["weights"]:
            assert len(row) == len(translation.source_pieces)
            assert sum(row) == pytest.approx(1, abs=0.01)


def test_alignments_of_long_sentences_or_other_translations_are_not_kept(result, translator):
    sources = [SOURCES[0], SOURCES[1], " ".join(SOURCES * 3)]
    other = evaluate_set(translator, sources, TARGETS[:3])
    changed = replace(other.translations[1], text="something else")
    other = replace(other, translations=[other.translations[0], changed, other.translations[2]])
    found = find_alignments(translator, "test", other)
    assert [alignment["index"] for alignment in found] == [0]


def test_without_attention_there_are_no_alignments(result, member_directory):
    translator = Translator.load(member_directory, "cpu")
    assert find_alignments(translator, "test", result) == []


def test_one_model_with_attention_is_enough_for_alignments(
    result, tiny_directory, member_directory
):
    weights = {"ensemble_weights": [0.001, 1.0]}
    translator = Translator.load(member_directory, "cpu", ensemble=[tiny_directory], **weights)
    assert find_alignments(translator, "test", result)


def test_translations_are_written_as_text_and_as_json(result, translator, tmp_path):
    alignments = find_alignments(translator, "test", result)
    write_translations(tmp_path, {"test": result}, translator.recipe, alignments)
    texts = {
        name: (tmp_path / f"test.{name}").read_text("utf-8").splitlines()
        for name in ("de", "en", "output.en", "jsonl")
    }
    assert texts["de"] == SOURCES
    rows = [json.loads(line) for line in texts["jsonl"]]
    assert rows == result.rows
    assert [row["reference"] for row in rows] == texts["en"]
    assert [row["hypothesis"] for row in rows] == texts["output.en"]
    assert json.loads((tmp_path / "alignments.json").read_text("utf-8")) == alignments


def test_an_interruption_leaves_the_old_translations(result, translator, tmp_path, monkeypatch):
    write_translations(tmp_path, {"test": result}, translator.recipe)
    output = tmp_path / "test.output.en"
    before = output.read_bytes()

    def fail(descriptor):
        raise OSError(errno.ENOSPC, "disk full")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        write_translations(tmp_path, {"test": result.select([1])}, translator.recipe)
    assert output.read_bytes() == before
    names = ["test.de", "test.en", "test.jsonl", "test.output.en"]
    assert sorted(path.name for path in tmp_path.iterdir()) == names


def test_another_system_is_a_file_or_a_model(translator, known_pairs, tiny_directory, write):
    def load(path):
        assert path == str(tiny_directory)
        return translator

    options = {"load": load, "beam_size": 1}
    model = measure_other(str(tiny_directory), translator, known_pairs, **options)
    file = measure_other(write("a.en", TARGETS), translator, known_pairs, **options)
    assert list(model) == list(file) == ["bleu", "chrf", "ter"]
    for metric in model:
        assert model[metric].score() == file[metric].score()
    with pytest.raises(ConfigurationError, match=r"has 12 lines, but .*b\.en has 2; they must"):
        measure_other(write("b.en", ["", ""]), translator, known_pairs, **options)


def test_a_model_of_other_languages_cannot_be_compared(translator, known_pairs, tiny_directory):
    other = Translator.load(tiny_directory, device="cpu", precision="float32")
    other.recipe = replace(other.recipe, target_language="fr")
    with pytest.raises(ConfigurationError, match="translates de to fr, which cannot be compared"):
        measure_other(str(tiny_directory), translator, known_pairs, load=lambda path: other)


def test_pairs_are_cleaned_and_blank_lines_stay(write):
    source = write("a.ko", ["한글", "", "c\td "])
    pairs = read_test_pairs(source, write("a.en", ["a", " ", "e\u0301"]))
    pairs = clean_pairs(pairs, Recipe())
    assert pairs.sources == ["한글", "", "c d"]
    assert pairs.targets == ["a", "", "\u00e9"]


@pytest.mark.parametrize(
    ("sides", "sources", "targets"),
    [
        ("source", ["ab"], ["c d"]),
        ("target", ["a b"], ["cd"]),
        ("both", ["ab"], ["cd"]),
        (None, ["a b"], ["c d"]),
    ],
)
def test_spaces_are_removed_as_in_training(sides, sources, targets):
    recipe = Recipe(corpus=CorpusConfig(remove_spaces=sides))
    assert clean_pairs(Pairs(["a b"], ["c d"]), recipe) == Pairs(sources, targets)


def test_another_system_is_cleaned_like_the_references(translator, known_pairs, write, monkeypatch):
    corpus = CorpusConfig(remove_spaces="target")
    recipe = replace(translator.recipe, corpus=corpus)
    monkeypatch.setattr(translator, "recipe", recipe)
    pairs = clean_pairs(known_pairs, recipe)
    assert " " not in pairs.targets[0]
    spaced = write("a.en", known_pairs.targets)
    for system, load in ((spaced, None), (os.path.dirname(spaced), lambda path: translator)):
        found = measure_other(system, translator, pairs, load=load)
        assert found["ter"].score().value == 0
        assert found["chrf"].score().value == pytest.approx(100)


def test_pairs_must_be_aligned_and_not_empty(write):
    full, empty = write("full", ["a", "b"]), write("empty", [])
    with pytest.raises(ConfigurationError, match=r"full has 2 lines, but .*empty has 0; they must"):
        read_test_pairs(full, empty)
    with pytest.raises(ConfigurationError, match="empty has no lines to translate"):
        read_test_pairs(empty, empty)


def test_word_counts_are_read_without_case_and_punctuation(write, tmp_path):
    assert read_word_counts(tmp_path, "de") is None
    write("source_words.tsv", ["Hund\t3", "Hund.\t2", "–\t9", "hat's\t1", "猫が\t4"])
    counts = read_word_counts(tmp_path, "de")
    assert counts == {"hund": 5, "hat": 1, "s": 1, "猫が": 4}
    assert read_word_counts(tmp_path, "ja")["猫"] == 4
    write("source_words.tsv", ["Hund\t3", "Katze"])
    with pytest.raises(ConfigurationError, match=r"words\.tsv: line 2 must be a word, a tab and"):
        read_word_counts(tmp_path, "de")
