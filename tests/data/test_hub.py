import json
import logging
from pathlib import Path
from types import SimpleNamespace

import datasets
import huggingface_hub.utils as huggingface_hub
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from corpus_files import as_tuples, fuzz_settings, load, numbered, or_error
from hypothesis import given
from hypothesis import strategies as st

from seq2seq.config import ConfigurationError, CorpusConfig
from seq2seq.data.corpus import CorpusReport
from seq2seq.data.hub import open_hub
from seq2seq.data.tables import Columns

README = """---
configs:
- config_name: nested
  default: true
  data_files:
  - split: train
    path: data/train-*
  - split: validation
    path: data/validation-*
  - split: test
    path: data/test-*
- config_name: flat
  data_files:
  - split: train
    path: flat/*.parquet
---
A data set in the layout of the hub.
"""
SIZES = {"train": 60, "validation": 4, "test": 3}
STREAMING = pytest.mark.parametrize("streaming", [False, True])


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A cache of prepared data sets that vanishes after these tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("cache"))
        yield


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A local repository: a README that tells of two configurations, and their files."""
    folder = tmp_path_factory.mktemp("hub")
    for name in ("data", "flat"):
        (folder / name).mkdir()
    (folder / "README.md").write_text(README)
    for split, size in SIZES.items():
        rows = [
            {"id": str(number), "translation": {"de": source, "en": target}}
            for number, (source, target) in enumerate([*numbered(split, size), (None, "no source")])
        ]
        shards = [rows[: size // 2], rows[size // 2 :]]
        for number, shard in enumerate(shards):
            path = folder / "data" / f"{split}-0000{number}-of-00002.parquet"
            pq.write_table(pa.Table.from_pylist(shard), path)
    flat = [{"text": s, "german": s, "english": t, "id": n} for n, (s, t) in enumerate(FLAT)]
    pq.write_table(pa.Table.from_pylist(flat), folder / "flat" / "all.parquet")
    return str(folder)


FLAT = numbered("flach", 100)


@STREAMING
def test_nested_columns_are_read_by_split(hub: str, streaming: bool) -> None:
    corpus = load(hub=hub, streaming=streaming)
    assert as_tuples(corpus.train) == numbered("train", 60)
    assert as_tuples(corpus.dev) == numbered("validation", 4)
    assert as_tuples(corpus.test) == numbered("test", 3)
    assert corpus.reports["test"] == CorpusReport(
        4,
        3,
        {"with an empty source": 1},
        examples={"with an empty source": [("", "no source")]},
    )
    assert corpus.revision is None
    assert load(hub=hub, streaming=streaming, hub_configuration="nested") == corpus
    named = {"source_column": "translation.de", "target_column": "translation.en"}
    assert load(hub=hub, streaming=streaming, **named) == corpus


@STREAMING
def test_a_configuration_without_dev_and_test_draws_them(hub: str, streaming: bool) -> None:
    columns = {"source_column": "german", "target_column": "english"}
    corpus = load(hub=hub, hub_configuration="flat", streaming=streaming, **columns)
    assert [len(part) for part in (corpus.train, corpus.dev, corpus.test)] == [90, 5, 5]
    drawn = [*as_tuples(corpus.train), *as_tuples(corpus.dev), *as_tuples(corpus.test)]
    assert sorted(drawn) == sorted(FLAT)


@STREAMING
def test_files_of_json_lines_are_read_without_a_readme(tmp_path: Path, streaming: bool) -> None:
    lines = [json.dumps({"de": source, "en": target}) for source, target in FLAT]
    (tmp_path / "train.jsonl").write_text("\n".join(lines) + "\n")
    (tmp_path / "validation.jsonl").write_text('{"de": "a", "en": "b"}\n')
    corpus = load(hub=str(tmp_path), streaming=streaming)
    assert as_tuples(corpus.dev) == [("a", "b")]
    assert (len(corpus.train), len(corpus.test)) == (95, 5)


@STREAMING
def test_the_first_pairs_are_read_and_no_more(hub: str, streaming: bool) -> None:
    corpus = load(hub=hub, streaming=streaming, max_pairs=20)
    assert as_tuples(corpus.train) == numbered("train", 20)
    assert corpus.reports["train"].read == 20
    assert corpus.reports["dev"].read == 5


def test_streaming_stores_nothing(
    hub: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    load(hub=hub, streaming=True)
    assert not list(tmp_path.rglob("*.arrow"))
    load(hub=hub)
    assert list(tmp_path.rglob("*.arrow"))


def test_splits_may_be_sliced(hub: str) -> None:
    corpus = load(hub=hub, dev_split="train[:10%]", train_split="train[10%:]")
    assert as_tuples(corpus.dev) == numbered("train", 6)
    assert as_tuples(corpus.train) == numbered("train", 60)[6:]
    joined = load(hub=hub, test_split="validation+test")
    assert as_tuples(joined.test) == numbered("validation", 4) + numbered("test", 3)


@pytest.mark.parametrize("split", ["train[:5", "tra[:5%]", "train[:5]+nothing"])
def test_a_bad_slice_of_a_split_is_an_error(hub: str, split: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^`corpus\.dev_split` '.*' cannot be loaded \(V"):
        load(hub=hub, dev_split=split)


def test_streaming_has_whole_splits_only(hub: str) -> None:
    message = r"`corpus\.dev_split` must be a whole split with `corpus\.streaming`, but is 'train\["
    with pytest.raises(ConfigurationError, match=message):
        load(hub=hub, dev_split="train[:5%]", streaming=True)


@STREAMING
@pytest.mark.parametrize("split", ["train_split", "dev_split", "test_split"])
def test_a_misspelt_split_is_an_error(hub: str, split: str, streaming: bool) -> None:
    message = rf"`corpus\.{split}` must be one of train, validation, test in .*, but is 'vali'"
    with pytest.raises(ConfigurationError, match=message):
        load(hub=hub, streaming=streaming, **{split: "vali"})


@STREAMING
def test_a_missing_column_is_an_error(hub: str, streaming: bool) -> None:
    message = (
        r"`corpus\.target_column` must be one of id, translation\.de, translation\.en "
        r"in split 'train' of .*, but is 'es'\."
    )
    with pytest.raises(ConfigurationError, match=message):
        load(hub=hub, target_column="es", streaming=streaming)


@STREAMING
def test_a_column_of_numbers_is_an_error(hub: str, streaming: bool) -> None:
    message = (
        r"`corpus\.source_column` must name a column of text, but 'id' has a value of type int"
    )
    columns = {"source_column": "id", "target_column": "english"}
    with pytest.raises(ConfigurationError, match=message):
        load(hub=hub, hub_configuration="flat", streaming=streaming, **columns)


def test_a_configuration_that_is_not_there_is_an_error(hub: str) -> None:
    with pytest.raises(ConfigurationError, match=r"cannot be loaded \(ValueError: .*'nested', 'fl"):
        load(hub=hub, hub_configuration="absent")


@STREAMING
def test_damaged_files_are_an_error(tmp_path: Path, streaming: bool) -> None:
    pq.write_table(pa.table({"de": ["a"] * 99, "en": ["b"] * 99}), tmp_path / "train.parquet")
    data = (tmp_path / "train.parquet").read_bytes()
    (tmp_path / "train.parquet").write_bytes(data[:4] + b"\xff" * 40 + data[44:])
    with pytest.raises(ConfigurationError, match=r"cannot be (loaded|read) \(.*\)\.$"):
        load(hub=str(tmp_path), streaming=streaming)


def test_a_hub_that_cannot_be_reached_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise ConnectionError("Couldn't reach\n the hub.")

    monkeypatch.setattr(datasets, "load_dataset_builder", unreachable)
    message = (
        r"`corpus\.hub` 'some/corpus' cannot be loaded \(ConnectionError: Couldn't reach the hub"
        r"\); to train on files of this machine, give `corpus\.train`\.$"
    )
    with pytest.raises(ConfigurationError, match=message):
        load(hub="some/corpus")


def test_the_libraries_of_the_hub_are_quiet_while_they_load_and_then_as_before(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    loggers = [logging.getLogger(name) for name in ("datasets", "huggingface_hub")]
    states = []

    def state() -> list[object]:
        bars = [library.are_progress_bars_disabled() for library in (datasets, huggingface_hub)]
        return [*bars, *(logger.level for logger in loggers)]

    def unreachable(*_: object, **__: object) -> None:
        for logger in loggers:
            logger.warning("Retrying in 1s [Retry 1/5].")
        states.append(state())
        raise ConnectionError

    monkeypatch.setattr(datasets, "load_dataset_builder", unreachable)
    before = state()
    with pytest.raises(ConfigurationError):
        load(hub="some/corpus")
    assert states[0][:2] == [True, True]
    assert state() == before
    assert capfd.readouterr() == ("", "")


@STREAMING
@pytest.mark.parametrize("name", ["dev", "valid", "val"])
def test_a_development_split_may_have_another_usual_name(
    monkeypatch: pytest.MonkeyPatch, name: str, streaming: bool
) -> None:
    rows = {"de": [f"satz {n}" for n in range(60)], "en": [f"line {n}" for n in range(60)]}
    train = datasets.Dataset.from_dict(rows)
    data = {"train": train, name: datasets.Dataset.from_dict({"de": ["a"], "en": ["b"]})}
    if streaming:
        data = {split: rows.to_iterable_dataset() for split, rows in data.items()}
    builder = SimpleNamespace(hash="c0ffee", repo_id=None)
    monkeypatch.setattr(datasets, "load_dataset_builder", lambda *_, **__: builder)
    monkeypatch.setattr(datasets, "load_dataset", lambda *_, **__: data)
    corpus = load(hub="some/corpus", streaming=streaming)
    assert as_tuples(corpus.dev) == [("a", "b")]
    assert str(corpus.reports["dev"]) == f"1 pairs read, 1 kept; read from split '{name}'"
    assert "split" not in str(corpus.reports["train"])
    with pytest.raises(ConfigurationError, match=r"`corpus\.dev_split` must be one of train, "):
        load(hub="some/corpus", streaming=streaming, dev_split="development")


@STREAMING
def test_the_commit_that_is_read_is_the_one_recorded(
    monkeypatch: pytest.MonkeyPatch, streaming: bool
) -> None:
    asked = []

    def load_dataset_builder(path: str, **settings: object) -> object:
        asked.append((path, settings))
        return SimpleNamespace(hash="c0ffee", repo_id=path)

    def load_dataset(path: str, **settings: object) -> object:
        asked.append((path, settings))
        rows = {"de": [str(n) for n in range(60)], "en": [str(-n) for n in range(60)]}
        return datasets.DatasetDict(train=datasets.Dataset.from_dict(rows))

    monkeypatch.setattr(datasets, "load_dataset_builder", load_dataset_builder)
    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    corpus = load(
        hub="some/corpus", hub_configuration="de-en", hub_revision="v1", streaming=streaming
    )
    assert asked == [
        ("some/corpus", {"name": "de-en", "revision": "v1"}),
        (
            "some/corpus",
            {"name": "de-en", "revision": "c0ffee", "split": None, "streaming": streaming},
        ),
    ]
    assert corpus.revision == "c0ffee"


def test_another_commit_than_the_one_asked_for_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    stored = SimpleNamespace(hash="a" * 40, repo_id="some/corpus")
    monkeypatch.setattr(datasets, "load_dataset_builder", lambda *_, **__: stored)
    message = (
        rf"`corpus\.hub_revision` {'b' * 40} of some/corpus cannot be .* stored is {'a' * 40}\."
    )
    with pytest.raises(ConfigurationError, match=message):
        load(hub="some/corpus", hub_revision="b" * 40)


def test_a_local_folder_has_no_revisions(hub: str) -> None:
    with pytest.raises(
        ConfigurationError, match=r"`corpus\.hub_revision` must not be given for /.*"
    ):
        load(hub=hub, hub_revision="main")


VALUES = st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=5)


@given(
    rows=st.lists(st.tuples(VALUES, VALUES), min_size=1, max_size=6),
    numbers=st.booleans(),
    nested=st.booleans(),
    streaming=st.booleans(),
    most=st.none() | st.integers(1, 7),
)
@fuzz_settings()
def test_rows_of_the_hub_give_their_values_or_an_error(
    rows: list[tuple[str | None, str | None]],
    numbers: bool,
    nested: bool,
    streaming: bool,
    most: int | None,
) -> None:
    pairs: list[dict[str, object]] = [{"de": source, "en": target} for source, target in rows]
    if numbers:
        pairs = [{**pair, "en": number} for number, pair in enumerate(pairs)]
    split = datasets.Dataset.from_list(
        [{"translation": pair} for pair in pairs] if nested else pairs
    )
    sets = {"train": split.to_iterable_dataset() if streaming else split}
    config = CorpusConfig(hub="some/corpus", max_pairs=most, streaming=streaming)
    with pytest.MonkeyPatch.context() as patch:
        builder = SimpleNamespace(hash="c0ffee", repo_id=None)
        patch.setattr(datasets, "load_dataset_builder", lambda *_, **__: builder)
        patch.setattr(datasets, "load_dataset", lambda *_, **__: sets)
        read = or_error(lambda: read_pairs(config))
    expected = [(source or "", target or "") for source, target in rows[:most]]
    assert read == (None if numbers else {"train": expected})


def read_pairs(config: CorpusConfig) -> dict[str, list[tuple[str, str]]]:
    with open_hub(config, Columns("de", "en")) as found:
        return {
            name: [pair for chunk in chunks for pair in zip(*chunk[:2], strict=True)]
            for name, chunks in found.sets.items()
        }
