import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from corpus_files import (
    as_tuples,
    fuzz_settings,
    load,
    load_recipe,
    numbered,
    or_error,
    write,
    write_pairs,
)
from hypothesis import given
from hypothesis import strategies as st

from seq2seq.config import ConfigurationError, CorpusConfig, FilterConfig, Recipe
from seq2seq.data.cleaning import clean_sentence
from seq2seq.data.corpus import CorpusReport, Pairs


@pytest.fixture
def sets(tmp_path: Path) -> dict[str, str]:
    """Prefixes of a training, a development and a test set."""
    return {
        "train": write_pairs(tmp_path, "train", numbered("satz", 50)),
        "dev": write_pairs(tmp_path, "dev", numbered("probe", 5)),
        "test": write_pairs(tmp_path, "test", numbered("prüfung", 4)),
    }


def test_a_sentence_is_brought_to_nfc_and_its_control_characters_become_spaces() -> None:
    assert clean_sentence(" u\u0308ber\tden\x00Zaun\u0085 ") == "über den Zaun"
    assert clean_sentence("a  b\u2028c\u200d") == "a  b\u2028c\u200d"


# Files


def test_files_are_read_in_order(sets: dict[str, str]) -> None:
    corpus = load(**sets)
    assert as_tuples(corpus.train) == numbered("satz", 50)
    assert as_tuples(corpus.dev) == numbered("probe", 5)
    assert as_tuples(corpus.test) == numbered("prüfung", 4)
    assert corpus.extra_tests == {}
    assert list(corpus.reports) == ["train", "dev", "test"]
    assert str(corpus.reports["train"]) == "50 pairs read, 50 kept"


def test_the_direction_follows_the_languages(sets: dict[str, str]) -> None:
    config = CorpusConfig(**sets)
    corpus = load_recipe(Recipe(source_language="en", target_language="de", corpus=config))
    assert corpus.dev.sources[0] == "PROBE 0" and corpus.dev.targets[0] == "probe 0"


def test_several_training_corpora_are_joined_plain_or_compressed(
    tmp_path: Path, sets: dict[str, str]
) -> None:
    more = write_pairs(tmp_path, "more", numbered("mehr", 7), suffix=".gz")
    corpus = load(**{**sets, "train": [sets["train"], more]})
    assert as_tuples(corpus.train) == numbered("satz", 50) + numbered("mehr", 7)
    assert corpus.reports["train"].read == 57


def test_blank_lines_drop_their_pair_and_never_shift_the_pairing(
    tmp_path: Path, sets: dict[str, str]
) -> None:
    sources = ["a", "", "c", " \t", "e", "f", "\u3000"]
    targets = ["A", "B", "", "\x00", "E\x07e", "F", "G"]
    blank = write_pairs(tmp_path, "blank", list(zip(sources, targets, strict=True)))
    corpus = load(**{**sets, "train": blank})
    assert as_tuples(corpus.train) == [("a", "A"), ("e", "E e"), ("f", "F")]
    report = corpus.reports["train"]
    assert (report.read, report.kept) == (7, 3)
    assert report.dropped == {
        "with an empty source": 2,
        "with an empty target": 1,
        "with both sides empty": 1,
    }
    assert str(report) == (
        "7 pairs read, 3 kept; dropped 2 with an empty source, 1 with an empty target, "
        "1 with both sides empty; 1 with control characters turned into spaces"
    )
    dev = load(**{**sets, "dev": blank}).reports["dev"]
    assert dev == report


def test_training_pairs_that_share_a_side_with_dev_or_test_are_dropped(
    tmp_path: Path, sets: dict[str, str]
) -> None:
    leaks = [("probe 1", "other"), ("anders", "PRÜFUNG 2"), ("anders", "other"), ("OTHER", "x")]
    leaking = write_pairs(tmp_path, "leaking", [*numbered("satz", 3), *leaks])
    corpus = load(**{**sets, "train": leaking})
    assert as_tuples(corpus.train) == [*numbered("satz", 3), *leaks[2:]]
    assert corpus.reports["train"].dropped == {"that share a side with a dev or test pair": 2}


def test_two_files_and_nothing_else_are_enough(tmp_path: Path) -> None:
    pairs = numbered("satz", 200)
    prefix = write_pairs(tmp_path, "all", pairs)
    corpus = load(train=prefix)
    assert (len(corpus.train), len(corpus.dev), len(corpus.test)) == (180, 10, 10)
    drawn = as_tuples(corpus.dev) + as_tuples(corpus.test)
    assert sorted(drawn + as_tuples(corpus.train)) == sorted(pairs)
    assert as_tuples(corpus.train) == [pair for pair in pairs if pair not in drawn]
    assert str(corpus.reports["train"]) == ("200 pairs read, 180 kept; moved 10 to dev, 10 to test")
    assert corpus.reports["dev"] == CorpusReport(10, 10)
    assert load(train=prefix) == corpus
    assert load(train=prefix, seed=2).dev != corpus.dev


def test_at_most_two_thousand_pairs_are_drawn(tmp_path: Path) -> None:
    prefix = write_pairs(tmp_path, "all", numbered("satz", 50_000))
    corpus = load(train=prefix)
    assert (len(corpus.train), len(corpus.dev), len(corpus.test)) == (46_000, 2000, 2000)


def test_only_the_missing_set_is_drawn(sets: dict[str, str]) -> None:
    corpus = load(train=sets["train"], dev=sets["dev"])
    assert as_tuples(corpus.dev) == numbered("probe", 5)
    assert len(corpus.test) == 2
    assert corpus.reports["train"].moved == {"to test": 2}


@given(
    pairs=st.lists(
        st.tuples(st.sampled_from("abcdefgh"), st.sampled_from("stuvwxyz")), min_size=1, max_size=6
    ),
    seed=st.integers(0, 5),
)
def test_drawn_sets_share_no_side_with_each_other_or_with_training(
    tmp_path_factory: pytest.TempPathFactory, pairs: list[tuple[str, str]], seed: int
) -> None:
    everything = pairs * 2 + numbered("satz", 100)
    prefix = write_pairs(tmp_path_factory.getbasetemp(), "alike", everything)
    corpus = load(train=prefix, seed=seed)
    parts = [corpus.train, corpus.dev, corpus.test]
    assert sorted(pair for part in parts for pair in as_tuples(part)) == sorted(everything)
    for first, second in ((0, 1), (0, 2), (1, 2)):
        assert not set(parts[first].sources) & set(parts[second].sources)
        assert not set(parts[first].targets) & set(parts[second].targets)
    assert all(0 < len(part) <= len(everything) * 0.05 for part in parts[1:])


@pytest.mark.parametrize("pairs", [numbered("satz", 19), [("gleich", str(n)) for n in range(90)]])
def test_too_few_or_too_similar_pairs_to_draw_from_are_an_error(
    tmp_path: Path, pairs: list[tuple[str, str]]
) -> None:
    message = rf"`corpus\.dev` is missing, and {len(pairs)} training pairs are too few or too much"
    with pytest.raises(ConfigurationError, match=message):
        load(train=write_pairs(tmp_path, "all", pairs))


def test_unequal_files_name_both_and_their_counts(tmp_path: Path, sets: dict[str, str]) -> None:
    write(tmp_path / "dev.en", ["one", "two"])
    with pytest.raises(
        ConfigurationError, match=r"dev\.de has 5 lines, but .*dev\.en has 2; they must be line-al"
    ):
        load(**sets)


def test_a_plain_and_a_compressed_file_together_are_an_error(
    tmp_path: Path, sets: dict[str, str]
) -> None:
    write(tmp_path / "dev.en.gz", ["x"])
    message = r"`corpus\.dev` is ambiguous: both .*dev\.en and .*dev\.en\.gz exist; remove one"
    with pytest.raises(ConfigurationError, match=message):
        load(**sets)


def test_a_missing_file_names_both_possibilities(tmp_path: Path, sets: dict[str, str]) -> None:
    (tmp_path / "test.en").unlink()
    message = r"`corpus\.test` needs a file .*test\.en or .*test\.en\.gz; neither exists\."
    with pytest.raises(ConfigurationError, match=message):
        load(**sets)


def test_a_folder_for_a_file_is_an_error(tmp_path: Path, sets: dict[str, str]) -> None:
    (tmp_path / "test.en").unlink()
    (tmp_path / "test.en").mkdir()
    with pytest.raises(ConfigurationError, match=r"test\.en is a folder, but must be a file\."):
        load(**sets)


@pytest.mark.parametrize("lines", [[], ["", " "]])
def test_an_empty_set_is_an_error(tmp_path: Path, sets: dict[str, str], lines: list[str]) -> None:
    empty = write_pairs(tmp_path, "empty", [(line, line) for line in lines])
    with pytest.raises(ConfigurationError, match=r"`corpus\.train` \(.*empty.*\) has no sentence"):
        load(**{**sets, "train": empty})
    with pytest.raises(ConfigurationError, match=r"`corpus\.test` \(.*empty.*\) has no sentence"):
        load(**{**sets, "test": empty})


def test_training_pairs_that_all_stand_in_dev_are_an_error(sets: dict[str, str]) -> None:
    message = r"no pairs left to learn from: 5 pairs read, 0 kept; dropped 5 that share a side"
    with pytest.raises(ConfigurationError, match=message):
        load(train=sets["dev"], dev=sets["dev"], test=sets["test"])


def test_sides_of_pairs_must_be_equally_many() -> None:
    with pytest.raises(ValueError, match="must be equally many, but are 1 and 2"):
        Pairs(["a"], ["b", "c"])


def test_a_report_adds_what_is_dropped_later() -> None:
    report = CorpusReport(1500, 1200, {"blank": 300})
    assert report.without("too long", 0) is report
    later = report.without("too long", 3).without("blank", 1)
    assert later == CorpusReport(1500, 1196, {"blank": 301, "too long": 3})
    assert str(later) == "1,500 pairs read, 1,196 kept; dropped 301 blank, 3 too long"


def test_a_report_shows_three_of_the_pairs_of_each_reason() -> None:
    pairs = [(f"s {number}", "t" * 999) for number in range(4)]
    report = CorpusReport(100, 100).without("too long", 2, pairs[:2]).without("too long", 2, pairs)
    cut = "t" * 300 + "…"
    assert report.examples == {"too long": [("s 0", cut), ("s 1", cut), ("s 0", cut)]}
    assert report.dropped == {"too long": 4}


def test_a_report_is_written_as_json(tmp_path: Path, sets: dict[str, str]) -> None:
    more = write_pairs(tmp_path, "more", [("a\tb", "c"), ("", "d")])
    report = load(**{**sets, "train": [sets["train"], more]}).reports["train"]
    assert json.loads(json.dumps(report.to_plain())) == {
        "read": 52,
        "kept": 51,
        "dropped": {"with an empty source": 1},
        "moved": {},
        "cleaned": {"control characters turned into spaces": 1},
        "parts": {"train": 50, "more": 2},
        "kept_parts": {"train": 50, "more": 1},
        "examples": {"with an empty source": [["", "d"]]},
        "note": "",
    }


# Parts


def test_sets_of_several_entries_have_parts(tmp_path: Path, sets: dict[str, str]) -> None:
    for name in ("kaist", "bible"):
        (tmp_path / name).mkdir()
        pairs = [("", "blank"), *numbered(name, 5), ("blank", "")]
        write_pairs(tmp_path / name, "dev", pairs)
    entries = [f"{tmp_path}/kaist/dev[:4]", f"{tmp_path}/bible/dev"]
    corpus = load(**{**sets, "test": entries, "dev": [f"{tmp_path}/kaist/dev[4:]"]})
    assert as_tuples(corpus.test) == numbered("kaist", 3) + numbered("bible", 5)
    assert corpus.parts == {"test": {"kaist": range(3), "bible": range(3, 8)}}
    assert corpus.reports["test"].parts == {"kaist": 4, "bible": 7}
    assert corpus.reports["test"].kept_parts == {"kaist": 3, "bible": 5}
    assert as_tuples(corpus.dev) == numbered("kaist", 5)[3:]
    empty = load(**{**sets, "test": [f"{tmp_path}/kaist/dev[:1]", f"{tmp_path}/bible/dev"]})
    assert empty.parts == {"test": {"bible": range(5)}}
    assert empty.reports["test"].parts == {"kaist": 1, "bible": 7}
    assert empty.reports["test"].kept_parts == {"kaist": 0, "bible": 5}
    assert corpus.reports["dev"].parts == corpus.reports["dev"].kept_parts == {}


def test_parts_of_the_training_set_lose_what_is_filtered_and_drawn(tmp_path: Path) -> None:
    prefixes = [write_pairs(tmp_path, name, numbered(name, 60)) for name in ("a", "b")]
    corpus = load(train=[*prefixes, f"{prefixes[0]}[:7]"], filters=FilterConfig(duplicates=True))
    report, parts = corpus.reports["train"], corpus.parts["train"]
    assert list(report.parts.values()) == [60, 60, 7]
    first, second, repeated = report.kept_parts.values()
    assert repeated == 0 and first + second == report.kept == len(corpus.train) == 108
    assert [len(rows) for rows in parts.values()] == [first, second]
    found = [[corpus.train.sources[row][0] for row in rows] for rows in parts.values()]
    assert found == [["a"] * first, ["b"] * second]


@pytest.mark.parametrize("column", ["source_column", "target_column"])
def test_columns_of_text_files_are_an_error(
    tmp_path: Path, sets: dict[str, str], column: str
) -> None:
    with pytest.raises(ConfigurationError, match=rf"`corpus\.{column}` is for tables \(\.tsv, "):
        load(**sets, **{column: "de"})
    write(tmp_path / "more.tsv", ["de\ten", "neu\tnew"])
    load(
        **{**sets, "train": [sets["train"], f"{tmp_path}/more.tsv[:1]"]},
        **{column: "de" if column == "source_column" else "en"},
    )


def test_a_slice_takes_lines_and_nothing_shifts(tmp_path: Path, sets: dict[str, str]) -> None:
    pairs = [("", "blank"), *numbered("satz", 5)]
    prefix = write_pairs(tmp_path, "sliced", pairs)
    corpus = load(**{**sets, "train": f"{prefix}[:50%]"})
    assert as_tuples(corpus.train) == numbered("satz", 2)


@pytest.mark.parametrize("most", [1, 50, 53, 57, 999])
def test_training_pairs_are_read_up_to_a_number(
    tmp_path: Path, sets: dict[str, str], most: int
) -> None:
    more = write_pairs(tmp_path, "more", numbered("mehr", 7))
    corpus = load(**{**sets, "train": [sets["train"], more]}, max_pairs=most)
    assert as_tuples(corpus.train) == (numbered("satz", 50) + numbered("mehr", 7))[:most]
    assert corpus.reports["train"].parts == {
        "train": min(most, 50),
        "more": max(min(most, 57) - 50, 0),
    }
    assert len(corpus.dev) == 5


@pytest.mark.parametrize("side", ["source", "target", "both"])
def test_spaces_of_a_side_are_removed_in_every_set(
    tmp_path: Path, sets: dict[str, str], side: str
) -> None:
    spaced = write_pairs(tmp_path, "spaced", [("a\u3000b c", "d\te  f"), (" ", "g"), ("h", "i")])
    corpus = load(**{**sets, "train": spaced, "dev": spaced + "[:2]"}, remove_spaces=side)
    source = "abc" if side in ("source", "both") else "a\u3000b c"
    target = "def" if side in ("target", "both") else "d e  f"
    assert as_tuples(corpus.dev) == [(source, target)]
    assert as_tuples(corpus.train) == [("h", "i")]
    assert all((" " in sentence) == (side == "target") for sentence in corpus.test.sources)


def test_tables_and_text_files_may_stand_side_by_side(tmp_path: Path, sets: dict[str, str]) -> None:
    write(tmp_path / "more.tsv", ["de\ten", "neu\tnew"])
    write(tmp_path / "other.jsonl.gz", ['{"translation": {"en": "old", "de": "alt"}}'])
    train = [sets["train"], f"{tmp_path}/more.tsv", f"{tmp_path}/other.jsonl.gz[-1:]"]
    corpus = load(**{**sets, "train": train})
    assert as_tuples(corpus.train)[50:] == [("neu", "new"), ("alt", "old")]
    numbers = {"source_column": "2", "target_column": "1"}
    write(tmp_path / "bare.tsv", ["old\talt", "new\tneu"])
    corpus = load(**{**sets, "train": f"{tmp_path}/bare.tsv"}, **numbers)
    assert as_tuples(corpus.train) == [("alt", "old"), ("neu", "new")]


# Overlap and filters


def test_overlap_is_found_whatever_the_case_width_and_space(
    tmp_path: Path, sets: dict[str, str]
) -> None:
    leaks = [("PROBE\u3000 1", "x"), ("anders", "ＰＲÜＦＵＮＧ  2"), ("anders", "y")]
    corpus = load(**{**sets, "train": write_pairs(tmp_path, "leaking", leaks)})
    assert as_tuples(corpus.train) == leaks[2:]
    reason = "that share a side with a dev or test pair"
    assert corpus.reports["train"].dropped == {reason: 2}
    assert corpus.reports["train"].examples == {reason: leaks[:2]}


def test_what_differs_in_case_and_space_only_is_drawn_together(tmp_path: Path) -> None:
    variants = [(f"{word} {n}", f"{n} {k}") for n in range(40) for k, word in enumerate("xX")]
    corpus = load(train=write_pairs(tmp_path, "alike", variants))
    sets = [{s.lower() for s in pairs.sources} for pairs in (corpus.train, corpus.dev, corpus.test)]
    assert len(sets[0]) == 36 and len(sets[1]) == len(sets[2]) == 2
    assert sum(map(len, sets)) == len(set.union(*sets))


def test_filters_work_in_order_on_training_pairs_only(tmp_path: Path, sets: dict[str, str]) -> None:
    bad = [
        ("Probe 1", "probe 1"),  # of the development set; the rest does not see it
        ("x" * 41, "x" * 41),  # too long, and both sides alike
        ("gleich", "GLEICH"),
        ("gleich", "GLEICH"),  # would be a duplicate too
        ("Satz 3", "Satz  3"),
        ("satz 4", "satz 4 satz 4 satz 4"),
        ("жук", "bug"),
        ("жук", "Bug"),
    ]
    pairs = [(source, f"{target} x") for source, target in numbered("satz", 50)]
    train = write_pairs(tmp_path, "bad", [*pairs, pairs[0], *bad])
    dev = write_pairs(tmp_path, "alike", [("Probe 1", "Probe 1"), ("жук", "x" * 99)])
    filters = FilterConfig(
        max_characters=40, max_ratio=2, duplicates=True, identical=True, script=0.5
    )
    corpus = load(**{**sets, "train": train, "dev": dev}, filters=filters)
    assert as_tuples(corpus.train) == pairs
    report = corpus.reports["train"]
    assert list(report.dropped.items()) == [
        ("that share a side with a dev or test pair", 3),
        ("longer than 40 characters", 1),
        ("with the same text on both sides", 3),
        ("that stand in the corpus already", 1),
        ("with lengths more than 2 times off the usual ratio", 1),
    ]
    assert report.examples["with the same text on both sides"] == [*bad[2:4], bad[4]]
    assert len(corpus.dev) == 2 and corpus.reports["dev"].dropped == {}
    kept = load(**{**sets, "train": train}, filters=FilterConfig(script=0.5))
    assert kept.reports["train"].dropped["with less than 50% of letters in the script of the side"]


@given(
    pairs=st.lists(
        st.tuples(st.sampled_from(["a", "A", "", "b c", "bc", " "]), st.text("xyz ", max_size=3)),
        max_size=12,
    ),
    filters=st.builds(
        FilterConfig,
        max_characters=st.sampled_from([None, 1, 20]),
        max_ratio=st.sampled_from([None, 1.5]),
        duplicates=st.booleans(),
        identical=st.booleans(),
        script=st.sampled_from([None, 0.5]),
    ),
    given_sets=st.sampled_from([("dev", "test"), ("dev",), ()]),
    remove_spaces=st.sampled_from([None, "source", "both"]),
    max_pairs=st.sampled_from([None, 30, 103]),
)
@fuzz_settings()
def test_reports_account_for_every_pair(
    tmp_path_factory: pytest.TempPathFactory,
    pairs: list[tuple[str, str]],
    filters: FilterConfig,
    given_sets: tuple[str, ...],
    remove_spaces: str | None,
    max_pairs: int | None,
) -> None:
    folder = tmp_path_factory.getbasetemp()
    settings = {"filters": filters, "remove_spaces": remove_spaces, "max_pairs": max_pairs}
    train = write_pairs(folder, "counted", [*pairs, *numbered("satz", 100)])
    for name in given_sets:
        settings[name] = write_pairs(folder, name, [("b c", "x"), *numbered(name, 2)])
    corpus = or_error(lambda: load(train=train, **settings))
    if corpus is None:
        return
    for name, kept in (("train", corpus.train), ("dev", corpus.dev), ("test", corpus.test)):
        report = corpus.reports[name]
        assert report.kept == len(kept)
        lost = [*report.dropped.values(), *report.moved.values()]
        assert report.read == report.kept + sum(lost)
        assert all(lost) and set(report.examples) == set(report.dropped)
    whole = len(pairs) + 100
    assert corpus.reports["train"].read == min(whole, max_pairs or whole)


# Phrasebook


@pytest.fixture
def phrasebook(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stands in for the embedded corpus, which has tests of its own."""
    module = ModuleType("seq2seq.data.phrasebook.corpus")
    sets = {
        split: [SimpleNamespace(korean=f"문장 {n}", english=f"{split} {n}") for n in range(2)]
        for split in ("train", "dev", "test", "test_unseen")
    }
    module.load_phrasebook = lambda: sets  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "seq2seq.data.phrasebook.corpus", module)


@pytest.mark.usefixtures("phrasebook")
@pytest.mark.parametrize(("source", "target"), [("ko", "en"), ("en", "ko")])
def test_the_phrasebook_is_read_in_both_directions(source: str, target: str) -> None:
    corpus = load_recipe(Recipe(source_language=source, target_language=target))
    sides = {source: corpus.test.sources, target: corpus.test.targets}
    assert sides == {"ko": ["문장 0", "문장 1"], "en": ["test 0", "test 1"]}
    assert list(corpus.extra_tests) == ["test_unseen"]
    assert list(corpus.reports) == ["train", "dev", "test", "test_unseen"]
    assert len(corpus.train) == 2


@pytest.mark.usefixtures("phrasebook")
def test_the_phrasebook_has_no_other_language() -> None:
    message = r"The embedded phrasebook is Korean and English \(ko, en\), but .* 'de' and .* 'en'"
    with pytest.raises(ConfigurationError, match=message):
        load()


@pytest.mark.usefixtures("phrasebook")
def test_settings_of_sentences_apply_to_the_phrasebook_too() -> None:
    config = CorpusConfig(max_pairs=1, remove_spaces="source")
    corpus = load_recipe(Recipe(source_language="ko", target_language="en", corpus=config))
    assert as_tuples(corpus.train) == [("문장0", "train 0")]
    assert corpus.test.sources == ["문장0", "문장1"]
    config = CorpusConfig(filters=FilterConfig(max_characters=6))
    with pytest.raises(ConfigurationError, match=r"no pairs left .*; dropped 2 longer than 6 char"):
        load_recipe(Recipe(source_language="ko", target_language="en", corpus=config))
