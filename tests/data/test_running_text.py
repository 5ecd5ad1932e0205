import gzip
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import seq2seq
from seq2seq.config import BOS_ID, EOS_ID, PAD_ID, ConfigurationError, TokenizerConfig
from seq2seq.data.running_text import (
    ChunkLoader,
    EncodedText,
    SentenceChunks,
    StreamChunks,
    checksum_of,
    embedded_source,
    read_texts,
)
from seq2seq.data.tokenizer import TOKENIZERS, Tokenizer
from seq2seq.language_config import TextConfig

LINES = ["def f(x):", "    return x + 1", "", "print(f(2))"]


def text_of(lengths):
    """Distinct ids; lines with so many pieces, `</s>` not counted."""
    ids, ends, next_id = [], [], EOS_ID + 1
    for length in lengths:
        ids += [*range(next_id, next_id + length), EOS_ID]
        ends.append(len(ids))
        next_id += length
    return EncodedText(np.array(ids, np.int32), np.array(ends), characters=1, words=1)


def by_row(chunks):
    """The inputs and outputs of each row of a batch, joined; a new batch where chunks begin."""
    batches = []
    for chunk in chunks:
        if chunk.begins:
            batches.append([])
        batches[-1].append(chunk)
    return [
        (
            torch.cat([chunk.input_ids for chunk in batch], dim=1).tolist(),
            torch.cat([chunk.output_ids for chunk in batch], dim=1).tolist(),
        )
        for batch in batches
    ]


@pytest.fixture(scope="module")
def tokenizer():
    return Tokenizer.train(LINES, TokenizerConfig(kind="character", character_coverage=1.0))


def test_a_text_is_its_lines_each_with_its_end(tokenizer):
    text = EncodedText.of(LINES, tokenizer)
    lines = np.split(text.ids, text.ends[:-1])
    assert [tokenizer.decode(line[:-1]) for line in lines] == LINES
    assert all(line[-1] == EOS_ID for line in lines)
    assert text.characters == len("".join(f"{line}\n" for line in LINES))
    assert text.words == 2 + 4 + 0 + 1 + len(LINES)


@pytest.mark.parametrize("kind", TOKENIZERS)
def test_all_kinds_of_pieces_make_a_text(kind):
    config = TokenizerConfig(kind=kind, vocabulary_size=None)
    text = EncodedText.of(LINES, Tokenizer.train(LINES * 9, config))
    assert len(text.ends) == len(LINES)
    assert text.ends[-1] == len(text)


def test_the_checksum_tells_lines_apart():
    assert checksum_of(["ab", "c"]) == checksum_of(["ab", "c"])
    assert len({checksum_of(lines) for lines in (["ab", "c"], ["a", "bc"], ["ab", "c", ""])}) == 3


@pytest.mark.parametrize(
    ("byte_fallback", "unknown"), [(False, 2), (True, 0)], ids=["unknown", "bytes"]
)
def test_pieces_that_cannot_be_told_apart_are_counted(byte_fallback, unknown):
    config = TokenizerConfig(kind="word", vocabulary_size=None, byte_fallback=byte_fallback)
    tokenizer = Tokenizer.train(["the cat sat on a mat with its big red hat"] * 3, config)
    assert EncodedText.of(["the dog", "a cow sat"], tokenizer).unknown == unknown


def test_streams_are_equal_parts_read_side_by_side():
    (only,) = by_row(StreamChunks(text_of([3, 5]), streams=2, steps=3).plan(0))
    inputs, outputs = only
    assert outputs == [[4, 5, 6, 3, 7], [8, 9, 10, 11, 3]]
    assert inputs == [[EOS_ID, 4, 5, 6, 3], [7, 8, 9, 10, 11]]  # a text begins after a newline


@given(st.lists(st.integers(0, 6), min_size=1, max_size=8), st.integers(1, 9), st.integers(1, 7))
def test_streams_predict_each_piece_once_after_the_one_before(lengths, streams, steps):
    text = text_of(lengths)
    chunks = StreamChunks(text, streams=streams, steps=steps)
    found = list(chunks.plan(0))
    assert len(found) == len(chunks)
    assert [chunk.begins for chunk in found] == [True] + [False] * (len(found) - 1)
    assert all(chunk.output_ids.shape[1] <= steps for chunk in found)
    ((inputs, outputs),) = by_row(found)
    pairs = [pair for row in zip(inputs, outputs, strict=True) for pair in zip(*row, strict=True)]
    kept = [pair for pair in pairs if pair[1] != PAD_ID]
    assert kept == list(zip([EOS_ID, *text.ids[:-1]], text.ids, strict=True))
    assert sum(chunk.num_pieces for chunk in found) == len(text)


@given(
    st.lists(st.integers(0, 6), min_size=1, max_size=12),
    st.integers(1, 5),
    st.integers(1, 4),
    st.sampled_from([None, 1, 2]),
)
def test_sentences_come_once_each_from_the_beginning(lengths, rows, steps, seed):
    text = text_of(lengths)
    chunks = SentenceChunks(text, rows=rows, steps=steps, seed=seed)
    orders = []
    for epoch in range(2):
        found = list(chunks.plan(epoch))
        assert len(found) == len(chunks)
        sentences = []
        for inputs, outputs in by_row(found):
            assert len(outputs) <= rows
            for before, after in zip(inputs, outputs, strict=True):
                sentence = [each for each in after if each != PAD_ID]
                assert before[: len(sentence)] == [BOS_ID, *sentence[:-1]]
                sentences.append(sentence)
        lines = np.split(text.ids, text.ends[:-1])
        assert sorted(sentences) == sorted(line.tolist() for line in lines)
        orders.append(sentences)
    assert seed is not None or orders[0] == orders[1]


def test_sentences_come_in_another_order_in_each_epoch():
    chunks = SentenceChunks(text_of([2] * 20), rows=2, steps=8, seed=1)
    first, again, second = (
        [chunk.output_ids.tolist() for chunk in chunks.plan(epoch)] for epoch in (0, 0, 1)
    )
    assert first == again != second


def test_sentences_of_a_batch_are_alike_in_length():
    chunks = SentenceChunks(text_of([9, 1, 8, 2, 9, 1]), rows=2, steps=99, seed=1)
    lengths = {tuple((chunk.output_ids != PAD_ID).sum(1).tolist()) for chunk in chunks.plan(0)}
    assert lengths == {(10, 10), (9, 3), (2, 2)}


def test_a_loader_continues_where_its_state_was_taken():
    chunks = SentenceChunks(text_of([2] * 20), rows=2, steps=2, seed=1)
    loader = ChunkLoader(chunks)
    loader.set_epoch(3)
    straight = [chunk.output_ids.tolist() for chunk in loader]
    reader = iter(loader)
    begin = [next(reader).output_ids.tolist() for _ in range(7)]
    resumed = ChunkLoader(chunks)
    resumed.load_state_dict(loader.state_dict())
    resumed.set_epoch(3)
    rest = [chunk.output_ids.tolist() for chunk in resumed]
    assert begin + rest == straight
    assert [chunk.output_ids.tolist() for chunk in resumed] == straight  # the next time, all
    resumed.set_epoch(4)
    assert [chunk.output_ids.tolist() for chunk in resumed] != straight


def test_the_embedded_source_is_this_package_by_name():
    lines = embedded_source()
    folder = Path(seq2seq.__file__).parents[1]
    names = [line[2:] for line in lines if line.startswith("# seq2seq/")]
    files = sorted(path.relative_to(folder).as_posix() for path in folder.glob("seq2seq/**/*.py"))
    assert names == files
    assert "\n".join(lines).count((folder / "seq2seq/checks.py").read_text("utf-8")) == 1


def write(path, lines):
    path.write_text("".join(f"{line}\n" for line in lines), "utf-8")
    return str(path)


def test_texts_are_read_from_files_one_after_another(tmp_path):
    (tmp_path / "b.txt.gz").write_bytes(gzip.compress("하나\n둘\n".encode()))
    train = [write(tmp_path / "a.txt", LINES), str(tmp_path / "b.txt.gz")]
    dev, test = write(tmp_path / "dev", ["x"]), write(tmp_path / "test", ["y"])
    texts = read_texts(TextConfig(train=train, dev=dev, test=test))
    assert texts == ([*LINES, "하나", "둘"], ["x"], ["y"])


def test_without_development_text_the_end_is_kept_back(tmp_path):
    lines = [str(number) for number in range(100)]
    texts = read_texts(TextConfig(train=write(tmp_path / "a", lines)))
    assert texts == (lines[:95], lines[95:], [])


def test_no_more_than_some_lines_are_kept_back(tmp_path):
    texts = read_texts(TextConfig(train=write(tmp_path / "a", map(str, range(50_000)))))
    assert (len(texts.train), len(texts.dev)) == (48_000, 2000)


def test_without_a_file_the_source_is_read():
    texts = read_texts(TextConfig(embedded="source"))
    assert [*texts.train, *texts.dev] == embedded_source()
    assert read_texts(TextConfig()) == texts


@pytest.mark.parametrize(
    ("lines", "message"),
    [([], "`text.train` must be files with text"), (["one"], "must hold at least two lines")],
    ids=["empty", "one-line"],
)
def test_a_text_without_enough_lines_is_refused(tmp_path, lines, message):
    with pytest.raises(ConfigurationError, match=message):
        read_texts(TextConfig(train=write(tmp_path / "a", lines)))


def test_a_file_and_the_source_exclude_each_other():
    with pytest.raises(ConfigurationError, match=r"`text\.train` and `text\.embedded` exclude"):
        TextConfig(train="a", embedded="source")
