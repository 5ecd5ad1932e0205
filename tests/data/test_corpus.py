import gzip
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import datasets
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seq2seq.config import ConfigurationError, CorpusConfig, Recipe, TrainingConfig
from seq2seq.data.corpus import (
    Corpus,
    CorpusReport,
    Pairs,
    clean_sentence,
    load_corpus,
    read_lines,
)


def write(path: Path, lines: list[str] | list[bytes] | bytes) -> Path:
    if isinstance(lines, list):
        encoded = [line.encode() if isinstance(line, str) else line for line in lines]
        lines = b"".join(line + b"\n" for line in encoded)
    path.write_bytes(gzip.compress(lines) if path.suffix == ".gz" else lines)
    return path


def write_pairs(folder: Path, name: str, pairs: list[tuple[str, str]], suffix: str = "") -> str:
    write(folder / f"{name}.de{suffix}", [source for source, _ in pairs])
    write(folder / f"{name}.en{suffix}", [target for _, target in pairs])
    return str(folder / name)


def load(seed: int = 1, **corpus: object) -> Corpus:
    recipe = Recipe(
        source_language="de",
        target_language="en",
        corpus=CorpusConfig(**corpus),
        training=TrainingConfig(seed=seed),
    )
    return load_corpus(recipe)


def numbered(word: str, size: int) -> list[tuple[str, str]]:
    return [(f"{word} {number}", f"{word.upper()} {number}") for number in range(size)]


def as_tuples(pairs: Pairs) -> list[tuple[str, str]]:
    return list(zip(pairs.sources, pairs.targets, strict=True))


@pytest.fixture
def sets(tmp_path: Path) -> dict[str, str]:
    """Prefixes of a training, a development and a test set."""
    return {
        "train": write_pairs(tmp_path, "train", numbered("satz", 50)),
        "dev": write_pairs(tmp_path, "dev", numbered("probe", 5)),
        "test": write_pairs(tmp_path, "test", numbered("prüfung", 4)),
    }


# Lines


@given(
    lines=st.lists(st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"]))),
    last_line_ends=st.booleans(),
    ending=st.sampled_from(["\n", "\r\n"]),
    compressed=st.booleans(),
)
def test_lines_come_back_as_they_were_written(
    tmp_path_factory: pytest.TempPathFactory,
    lines: list[str],
    last_line_ends: bool,
    ending: str,
    compressed: bool,
) -> None:
    lines = [line.rstrip("\r").removeprefix("\ufeff") for line in lines]
    text = ending.join(lines) + (ending if last_line_ends and lines else "")
    path = tmp_path_factory.getbasetemp() / ("lines.gz" if compressed else "lines")
    write(path, text.encode())
    if not last_line_ends and lines and not lines[-1]:
        lines.pop()  # nothing after the last line's end
    assert read_lines(path) == lines


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        (b"", []),
        (b"\n", [""]),
        (b"a", ["a"]),
        (b"a\n\nb", ["a", "", "b"]),
        (b"a\r\nb\r\n", ["a", "b"]),
        (b"a\rb\n", ["a\rb"]),
        (b"a\r\r\n", ["a\r"]),
        ("a\u2028b\u0085c\x0bd\x1ce\n".encode(), ["a\u2028b\u0085c\x0bd\x1ce"]),
        (b"\xef\xbb\xbfa\n\xef\xbb\xbfb\n", ["a", "\ufeffb"]),
    ],
)
def test_lines_end_at_line_feeds_only(tmp_path: Path, content: bytes, lines: list[str]) -> None:
    assert read_lines(write(tmp_path / "text", content)) == lines


@pytest.mark.parametrize("name", ["text.de", "text.de.gz"])
def test_undecodable_bytes_name_file_and_line(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, [b"gut", b"auch gut", "schön".encode("latin1")])
    with pytest.raises(ConfigurationError, match=rf"{name} is not UTF-8 in line 3; .*iconv"):
        read_lines(path)


def test_a_missing_file_a_folder_and_a_corrupt_file_are_errors(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"^There is no file .*absent\.de\.$"):
        read_lines(tmp_path / "absent.de")
    with pytest.raises(ConfigurationError, match=r"is a folder, but must be a file\.$"):
        read_lines(tmp_path)
    with pytest.raises(ConfigurationError, match=r"cannot be read: Not a directory\.$"):
        read_lines(write(tmp_path / "file", b"") / "inside")


@pytest.mark.parametrize("damage", ["foreign", "cut", "flipped", "empty"])
def test_a_damaged_gzip_file_is_an_error(tmp_path: Path, damage: str) -> None:
    content = bytearray(gzip.compress("\n".join(map(str, range(999))).encode()))
    content[len(content) // 2] ^= 0xFF if damage == "flipped" else 0
    damaged = {"foreign": b"plain text\n", "cut": bytes(content[:-20])}.get(damage, bytes(content))
    path = tmp_path / "text.de.gz"
    path.write_bytes(b"" if damage == "empty" else damaged)
    with pytest.raises(ConfigurationError, match=r"text\.de\.gz is not a complete gzip file"):
        read_lines(path)


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
    corpus = load_corpus(Recipe(source_language="en", target_language="de", corpus=config))
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


# Hub


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in the layout of the hub, and a cache that vanishes after the test."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    folder = tmp_path / "hub"
    folder.mkdir()
    for split, size in (("train", 60), ("validation", 4), ("test", 3)):
        sources, targets = zip(*numbered(split, size), strict=True)
        columns = {
            "de": [*sources, None],
            "en": [*targets, "no source"],
            "id": [*range(size), -1],
            "translation": [
                {"nl": f"nl {source}", "fr": f"fr {target}"}
                for source, target in zip([*sources, "x"], [*targets, "y"], strict=True)
            ],
        }
        datasets.Dataset.from_dict(columns).to_parquet(folder / f"{split}.parquet")
    return folder


def test_a_hub_folder_is_read_by_split_and_column(hub: Path) -> None:
    corpus = load(hub=str(hub))
    assert as_tuples(corpus.train) == numbered("train", 60)
    assert as_tuples(corpus.dev) == numbered("validation", 4)
    assert as_tuples(corpus.test) == numbered("test", 3)
    assert corpus.reports["test"] == CorpusReport(4, 3, {"with an empty source": 1})


def test_columns_may_be_named_and_may_stand_in_a_translation(hub: Path) -> None:
    corpus = load(hub=str(hub), source_column="nl", target_column="translation.fr")
    assert corpus.dev.sources[0] == "nl validation 0"
    assert corpus.dev.targets[0] == "fr VALIDATION 0"
    assert len(corpus.dev) == 5


def test_a_hub_corpus_without_dev_and_test_draws_them(hub: Path) -> None:
    (hub / "validation.parquet").unlink()
    (hub / "test.parquet").unlink()
    corpus = load(hub=str(hub))
    assert (len(corpus.train), len(corpus.dev), len(corpus.test)) == (54, 3, 3)


@pytest.mark.parametrize("split", ["train_split", "dev_split", "test_split"])
def test_a_misspelt_split_is_an_error(hub: Path, split: str) -> None:
    message = rf"`corpus\.{split}` must be one of train, validation, test in .*, but is 'vali'"
    with pytest.raises(ConfigurationError, match=message):
        load(hub=str(hub), **{split: "vali"})


def test_a_missing_column_is_an_error(hub: Path) -> None:
    message = r"`corpus\.target_column` must be one of de, en, id, .*, but is 'es'"
    with pytest.raises(ConfigurationError, match=message):
        load(hub=str(hub), target_column="es")


def test_a_column_of_numbers_is_an_error(hub: Path) -> None:
    message = r"`corpus\.source_column` must name a column of text in .*, but 'id' has int values"
    with pytest.raises(ConfigurationError, match=message):
        load(hub=str(hub), source_column="id")


def test_a_hub_that_cannot_be_reached_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise ConnectionError("Couldn't reach\n the hub.")

    monkeypatch.setattr(datasets, "load_dataset", unreachable)
    message = r"`corpus\.hub` 'some/corpus' cannot be loaded \(ConnectionError: Couldn't reach the"
    with pytest.raises(ConfigurationError, match=message):
        load(hub="some/corpus")


def test_name_and_revision_reach_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def load_dataset(path: str, **settings: object) -> object:
        asked.append((path, settings))
        rows = {"de": [str(n) for n in range(60)], "en": [str(-n) for n in range(60)]}
        return datasets.DatasetDict(train=datasets.Dataset.from_dict(rows))

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    load(hub="some/corpus", hub_configuration="de-en", hub_revision="v1")
    assert asked == [("some/corpus", {"name": "de-en", "revision": "v1"})]


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
    corpus = load_corpus(Recipe(source_language=source, target_language=target))
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
