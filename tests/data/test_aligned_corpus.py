"""Alignments stay with their pairs, whatever is done to a corpus."""

import gzip
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from corpus_files import load_recipe, write, write_pairs

from seq2seq.config import (
    ConfigurationError,
    CorpusConfig,
    FilterConfig,
    ModelConfig,
    Recipe,
    TokenizerConfig,
    TrainingConfig,
)
from seq2seq.data import parallel, tables, text_files
from seq2seq.data.corpus import Corpus, Pairs
from seq2seq.data.datamodule import TranslationDataModule
from seq2seq.data.encoded import EncodedPairs, encode_corpus
from seq2seq.data.loading import load_corpus
from seq2seq.data.tokenizer import Tokenizers, train_tokenizers

SIZE = 90
GUIDED = TrainingConfig(guided_attention=1.0)
PAIRS = [
    *[("", "leer"), ("gleich", "gleich"), ("tab\tund  noch", "mehr x")],
    *[(f"satz {number}" + " w" * (number % 7), f"SATZ y {number}") for number in range(SIZE)],
]
# The last word of each source with the second one of its target; every fifth pair has no link.
LINES = [
    f"{len(source.split()) - 1}-1" if number % 5 and source and len(target.split()) > 1 else ""
    for number, (source, target) in enumerate(PAIRS)
]
LINES_OF = dict(zip(((s.replace("\t", " "), t) for s, t in PAIRS), LINES, strict=True))


def expected(source: str, target: str) -> str:
    """The alignment of a pair of the corpus."""
    if not LINES_OF[source, target]:
        return ""
    ends = [len("".join(words)) for words in (source.split()[:-1], source.split())]
    first, second = target.split()[:2]
    return f"{ends[0]} {ends[1]} {len(first)} {len(first + second)}"


def recipe_of(**corpus: Any) -> Recipe:
    config = CorpusConfig(**corpus)
    return Recipe(source_language="de", target_language="en", corpus=config, training=GUIDED)


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    """A training set and its alignments."""
    alignments = str(write(tmp_path / "train.align", LINES))
    return {"train": write_pairs(tmp_path, "train", PAIRS), "alignments": alignments}


def check(corpus: Corpus, most: int = SIZE + 2) -> None:
    train = corpus.train
    assert train.alignments is not None and 0 < len(train) <= most
    rows = list(zip(train.sources, train.targets, train.alignments, strict=True))
    assert [alignment for *_, alignment in rows] == [expected(s, t) for s, t, _ in rows]
    assert sum(map(bool, train.alignments)) > len(train) / 2
    assert corpus.dev.alignments is None and corpus.test.alignments is None


@pytest.mark.parametrize(
    ("settings", "most"),
    [
        ({}, 84),  # without what is drawn as development and test sets
        ({"filters": FilterConfig(identical=True, max_characters=9)}, 40),
        ({"max_pairs": 50}, 47),
    ],
    ids=["drawn", "filtered", "first"],
)
def test_pairs_are_left_out_with_their_alignments(
    files: dict[str, str], settings: dict[str, Any], most: int
) -> None:
    check(load_recipe(recipe_of(**files, **settings)), most)


def test_slices_lists_tables_and_compressed_files_have_alignments(
    tmp_path: Path, files: dict[str, str]
) -> None:
    rows = ["de\ten", *("\t".join(pair) for pair in PAIRS[3:40])]
    table = str(write(tmp_path / "more.tsv", rows))
    packed = tmp_path / "more.align.gz"
    packed.write_bytes(gzip.compress("\n".join(LINES[3:40]).encode()))
    corpus = load_recipe(
        recipe_of(
            train=[f"{files['train']}[40:]", table, f"{files['train']}[:5]"],
            alignments=[files["alignments"], str(packed), files["alignments"]],
        )
    )
    check(corpus)
    assert [len(rows) > 1 for rows in corpus.parts["train"].values()] == [True] * 3


def test_many_chunks_and_several_processes_give_the_same(
    files: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = recipe_of(**files)
    whole = load_recipe(recipe)
    monkeypatch.setattr(text_files, "_BLOCK", 200)
    monkeypatch.setattr(parallel, "_DONE_HERE", 2)
    parts = load_recipe(replace(recipe, training=replace(GUIDED, threads=2)))
    check(parts)
    assert parts.train == whole.train


def test_other_alignments_make_the_corpus_anew(files: dict[str, str], tmp_path: Path) -> None:
    recipe, cache = recipe_of(**files), tmp_path / "cache"
    first = load_corpus(recipe, cache)
    assert load_corpus(recipe, cache).train == first.train
    write(Path(files["alignments"]), ["", *LINES[:-1]])
    with pytest.raises(
        ConfigurationError, match=r"^\d+-1 in line \d+ of .*train\.align links word"
    ):
        load_corpus(recipe, cache)
    write(Path(files["alignments"]), [""] * len(LINES))
    assert set(load_corpus(recipe, cache).train.alignments or []) == {""}


def test_words_of_text_whose_spaces_go_are_still_linked(tmp_path: Path) -> None:
    pairs = [("東京 に 行く", "go to Tokyo"), ("水 です", "water it is")]
    files = {
        "train": write_pairs(tmp_path, "train", pairs * 10),
        "dev": write_pairs(tmp_path, "dev", [("犬", "dog")]),
        "test": write_pairs(tmp_path, "test", [("猫", "cat")]),
        "alignments": str(write(tmp_path / "a", ["0-2 2-0", "1-2"] * 10)),
    }
    recipe = replace(recipe_of(**files), source_language="ja", target_language="en")
    for suffix in ("train", "dev", "test"):
        (tmp_path / f"{suffix}.de").rename(tmp_path / f"{suffix}.ja")
    unspaced = replace(recipe, corpus=replace(recipe.corpus, remove_spaces="source"))
    corpus = load_recipe(unspaced)
    assert corpus.train.sources[0] == "東京に行く"
    assert list(corpus.train.alignments or [])[:2] == ["0 2 4 9 3 5 0 2", "1 3 7 9"]
    # With its spaces it is text in which each character counts, as `seq2seq align` says.
    assert list(load_recipe(recipe).train.alignments or [])[:2] == ["0 1 4 9 2 3 0 2", "1 2 7 9"]


@pytest.mark.parametrize(
    ("source", "target", "places"),
    [("ko", "en", "0 2 0 1 2 7 2 6"), ("en", "ko", "0 1 0 2 2 6 2 7")],
)
def test_the_phrasebook_brings_its_own(
    monkeypatch: pytest.MonkeyPatch, source: str, target: str, places: str
) -> None:
    module = ModuleType("seq2seq.data.phrasebook.corpus")
    pair = SimpleNamespace(korean="나는 고양이다.", english="I a cat.", possible=((0, 0), (1, 2)))
    sets = {split: [pair] for split in ("train", "dev", "test", "test_unseen")}
    module.load_phrasebook = lambda: sets  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "seq2seq.data.phrasebook.corpus", module)
    recipe = Recipe(source_language=source, target_language=target, training=GUIDED)
    train = load_recipe(recipe).train
    assert list(train.alignments or []) == [places]
    plain = load_recipe(replace(recipe, training=TrainingConfig())).train
    assert plain.alignments is None and plain == replace(train, alignments=None)


# Ids and batches


@pytest.fixture
def aligned(files: dict[str, str]) -> Pairs:
    """In memory."""
    train = load_recipe(recipe_of(**files)).train
    assert train.alignments is not None
    return Pairs(list(train.sources), list(train.targets), list(train.alignments))


@pytest.fixture
def tokenizers(aligned: Pairs) -> Tokenizers:
    return train_tokenizers(aligned, TokenizerConfig("bpe", vocabulary_size=300))


def check_guides(encoded: Any, pairs: Pairs, tokenizers: Tokenizers, *place: Any) -> None:
    """Each linked target piece looks at all source pieces of the last word, and at nothing else."""
    batch = encoded.batch(np.arange(len(pairs))[::-2], *place)
    assert batch.guide.shape == (*batch.target_output_ids.shape, batch.source_ids.shape[1])
    for row, index in enumerate(batch.sentence_indices):
        guide, alignment = batch.guide[row], pairs.alignments[index]  # type: ignore[index]
        sums = guide.sum(1)
        torch.testing.assert_close(sums, (sums > 0).float())
        targets = batch.target_output_ids[row][sums > 0].tolist()
        sources = batch.source_ids[row][guide.sum(0) > 0].tolist()
        said = tokenizers.source.decode(sources).strip(), tokenizers.target.decode(targets).strip()
        words = pairs.sources[index].split(), pairs.targets[index].split()
        assert said == ((words[0][-1], words[1][1]) if alignment else ("", ""))


def test_batches_know_which_pieces_are_linked(
    aligned: Pairs, tokenizers: Tokenizers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_guides(encode_corpus(aligned, tokenizers, tmp_path / "one"), aligned, tokenizers)
    monkeypatch.setattr(tables, "MOST_ROWS", 7)
    encoded = encode_corpus(aligned, tokenizers, tmp_path / "two", max_length=200)
    check_guides(encoded, aligned, tokenizers)
    path = encoded.path
    assert EncodedPairs(path).checksum == encoded.checksum


def test_other_links_are_other_pairs(
    aligned: Pairs, tokenizers: Tokenizers, tmp_path: Path
) -> None:
    blank = replace(aligned, alignments=[""] * len(aligned))
    plain = replace(aligned, alignments=None)
    encoded = [encode_corpus(pairs, tokenizers, tmp_path) for pairs in (aligned, blank, plain)]
    assert len({each.path for each in encoded}) == 3
    assert encoded[0].checksum != encoded[1].checksum
    twins = [Pairs(["a"] * 2, ["b"] * 2, links) for links in (["0 1 0 1", ""], ["", "0 1 0 1"])]
    first, second = (encode_corpus(pairs, tokenizers, tmp_path) for pairs in twins)
    assert first.checksum != second.checksum
    assert encoded[2].batch([0, 1]).guide is None
    guide = encoded[1].batch([0, 1]).guide
    assert guide is not None and not guide.any()


def test_drawn_segmentations_are_linked_as_they_are(
    aligned: Pairs, tokenizers: Tokenizers, tmp_path: Path
) -> None:
    corpus = Corpus(aligned, aligned, aligned)
    config = TokenizerConfig("bpe", sampling=0.4)
    recipe = Recipe(tokenizer=config, model=ModelConfig(), training=GUIDED)
    data = TranslationDataModule(corpus, tokenizers, recipe, tmp_path)
    sampled = data.train_dataloader().sampled
    check_guides(sampled, aligned, tokenizers, [1, 0])


@pytest.mark.parametrize(
    ("corpus", "training", "model", "message"),
    [
        ({"train": "a", "alignments": "b"}, {}, {}, r"^`corpus\.alignments` needs `training\.gui"),
        ({"alignments": "b"}, {}, {}, r"^`corpus\.alignments` needs `corpus\.train`\.$"),
        ({"train": ["a", "c"], "alignments": "b"}, {}, {}, r"which are 2, but names 1\.$"),
        ({"train": "a"}, {"guided_attention": 1.0}, {}, r"^`training\.guided_attention` needs `c"),
        ({"hub": "a"}, {"guided_attention": 1.0}, {}, r"needs `corpus\.alignments`, a file"),
        (
            {},
            {"guided_attention": 1.0},
            {"attention": "none"},
            r"but `model\.attention` is none\.$",
        ),
        ({}, {"guided_attention": -1.0}, {}, r"^`training\.guided_attention` must be from 0 to 1"),
        ({"train": "a", "alignments": ""}, {}, {}, r"^`corpus\.alignments` must not be empty"),
    ],
    ids=["unused", "no-train", "count", "missing", "hub", "fixed", "negative", "empty"],
)
def test_what_cannot_be_guided_is_refused(
    corpus: dict[str, Any], training: dict[str, Any], model: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        Recipe(
            corpus=CorpusConfig(**corpus),
            training=TrainingConfig(**training),
            model=ModelConfig(**model),
        )


def test_a_missing_file_of_alignments_is_named(files: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"^There is no file .*/none\.align\.$"):
        load_recipe(recipe_of(train=files["train"], alignments=str(tmp_path / "none.align")))
