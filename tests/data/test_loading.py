import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from corpus_files import as_tuples, load_recipe, numbered, write, write_pairs
from test_pinned import CASES, digest, train_files

from seq2seq.config import ConfigurationError, CorpusConfig, FilterConfig, Recipe, TrainingConfig
from seq2seq.data import loading, parallel, preparing, text_files
from seq2seq.data.corpus import Corpus
from seq2seq.data.loading import load_corpus
from seq2seq.data.stored import ColumnFile
from seq2seq.data.stored_corpus import find_corpus


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    return recipe_of(train=write_pairs(tmp_path, "all", numbered("satz", 120)))


def recipe_of(threads: int | None = None, seed: int = 1, **corpus: object) -> Recipe:
    return Recipe(
        source_language="de",
        target_language="en",
        corpus=CorpusConfig(**corpus),
        training=TrainingConfig(threads=threads, seed=seed),
    )


@pytest.fixture
def preparations(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Grows by the names of the sets that are prepared."""
    names: list[str] = []
    prepare_set = preparing.prepare_set

    def spy(chunks: object, path: Path, *arguments: object, **settings: object) -> object:
        names.append(path.stem)
        return prepare_set(chunks, path, *arguments, **settings)

    monkeypatch.setattr(loading, "prepare_set", spy)
    return names


def test_a_corpus_whose_files_have_not_changed_is_prepared_once(
    recipe: Recipe, tmp_path: Path, preparations: list[str]
) -> None:
    first = load_corpus(recipe, tmp_path / "cache")
    again = load_corpus(recipe, tmp_path / "cache")
    assert preparations == ["train"]
    assert again == first and again.train.sources is not first.train.sources
    assert not isinstance(first.train.sources, list)
    assert [type(side) for side in (first.dev.sources, first.test.targets)] == [list, list]
    (kept,) = (tmp_path / "cache").iterdir()
    assert {file.name for file in kept.iterdir()} == {
        *("corpus.json", "train.arrow", "train.npy", "dev.npy", "test.npy")
    }


def append_a_pair(train: str) -> None:
    for language in ("de", "en"):
        with open(f"{train}.{language}", "a", encoding="utf-8") as file:
            file.write("neu\n")


def touch(train: str) -> None:
    os.utime(f"{train}.de", ns=(1, 1))


@pytest.mark.parametrize("change", [append_a_pair, touch])
def test_a_corpus_whose_files_have_changed_is_prepared_anew(
    recipe: Recipe, tmp_path: Path, preparations: list[str], change: Callable[[str], None]
) -> None:
    before = load_corpus(recipe, tmp_path / "cache")
    change(str(recipe.corpus.train))
    after = load_corpus(recipe, tmp_path / "cache")
    assert preparations == ["train", "train"]
    assert after.reports["train"].read == 120 + (change is append_a_pair)
    assert len(list((tmp_path / "cache").iterdir())) == 1
    assert as_tuples(before.train)  # who has it open still reads it


def test_a_table_that_is_missing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"^There is no file .*no\.tsv\.$"):
        load_corpus(recipe_of(train=str(tmp_path / "no.tsv")), tmp_path / "cache")


def test_other_settings_give_another_corpus(recipe: Recipe, tmp_path: Path) -> None:
    corpora = [
        load_corpus(one, tmp_path / "cache")
        for one in (
            recipe,
            recipe_of(train=recipe.corpus.train, seed=2),
            recipe_of(train=recipe.corpus.train, max_pairs=90),
            recipe_of(train=recipe.corpus.train, filters=FilterConfig(max_characters=7)),
        )
    ]
    assert len({tuple(as_tuples(corpus.train)) for corpus in corpora}) == 4
    assert load_corpus(recipe, tmp_path / "cache") == corpora[0]


@pytest.mark.parametrize("file", ["corpus.json", "train.arrow", "train.npy", "dev.npy"])
@pytest.mark.parametrize("damage", ["cut", "flip", "remove"])
def test_a_damaged_corpus_is_prepared_anew(
    recipe: Recipe, tmp_path: Path, preparations: list[str], file: str, damage: str
) -> None:
    expected = load_corpus(recipe, tmp_path / "cache")
    (kept,) = (tmp_path / "cache").iterdir()
    content = bytearray((kept / file).read_bytes())
    expected = as_tuples(expected.train)
    (kept / file).unlink()
    if damage != "remove":
        content[len(content) // 2] ^= damage == "flip"
        (kept / file).write_bytes(content[:-9] if damage == "cut" else content)
    assert as_tuples(load_corpus(recipe, tmp_path / "cache").train) == expected
    assert preparations == ["train", "train"]


def test_what_cannot_be_told_apart_is_never_taken_again(recipe: Recipe, tmp_path: Path) -> None:
    corpus = load_corpus(recipe, tmp_path / "cache")
    (kept,) = (tmp_path / "cache").iterdir()
    identity = json.loads((kept / "corpus.json").read_text())["identity"]
    assert find_corpus(kept, identity) == corpus
    assert find_corpus(kept, None) is None


def test_a_failure_leaves_nothing_and_keeps_what_was_there(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill_the_disk(*_: object) -> None:
        raise OSError(28, "No space left on device")

    before = as_tuples(load_corpus(recipe, tmp_path / "cache").train)
    (kept,) = (tmp_path / "cache").iterdir()
    touch(str(recipe.corpus.train))
    with monkeypatch.context() as patch, pytest.raises(OSError, match="No space left"):
        patch.setattr(ColumnFile, "append", fill_the_disk)
        load_corpus(recipe, tmp_path / "cache")
    write(tmp_path / "all.en", ["one line"])
    with pytest.raises(ConfigurationError, match="must be line-aligned"):
        load_corpus(recipe, tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == [kept]
    assert before


@pytest.mark.parametrize("name", ["all filters, drawn", "parts"])
def test_several_processes_and_many_chunks_give_the_same_corpus(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    settings, _ = CASES[name]
    settings = dict(settings)
    train = train_files(tmp_path, with_parts=settings.pop("parts", False))
    expected = digest(load_recipe(recipe_of(train=train, **settings)))
    monkeypatch.setattr(text_files, "_BLOCK", 3000)
    monkeypatch.setattr(parallel, "_DONE_HERE", 2)
    assert digest(load_recipe(recipe_of(train=train, threads=2, **settings))) == expected


def test_preparing_shows_how_far_it_is_on_a_terminal_only(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture
) -> None:
    load_corpus(recipe, tmp_path / "one")
    assert capfd.readouterr() == ("", "")
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "100")
    corpus: Corpus = load_corpus(recipe, tmp_path / "two")
    output = capfd.readouterr()
    assert "reading train" in output.err and "120 pairs" in output.err and not output.out
    assert len(corpus.train) == 108
