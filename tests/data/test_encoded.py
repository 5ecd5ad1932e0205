import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seq2seq.config import TokenizerConfig
from seq2seq.data import encoded, tables
from seq2seq.data.corpus import Pairs
from seq2seq.data.encoded import EncodedPairs, SampledPairs, encode_corpus
from seq2seq.data.encoding import write_ids
from seq2seq.data.stored import ColumnFile
from seq2seq.data.tokenizer import Tokenizer, Tokenizers, train_tokenizers


def as_lists(encoded_pairs: EncodedPairs) -> list[tuple[list[int], list[int]]]:
    return [
        (source.tolist(), target.tolist())
        for source, target in (encoded_pairs[index] for index in range(len(encoded_pairs)))
    ]


def test_ids_are_those_of_the_tokenizers(
    tiny_pairs: Pairs, tiny_tokenizers: Tokenizers, tmp_path: Path
) -> None:
    pairs = encode_corpus(tiny_pairs, tiny_tokenizers, tmp_path / "new" / "folder")
    sources = tiny_tokenizers.source.encode_batch(tiny_pairs.sources)
    targets = tiny_tokenizers.target.encode_batch(tiny_pairs.targets)
    assert as_lists(pairs) == list(zip(sources, targets, strict=True))
    assert pairs.source_lengths.tolist() == list(map(len, sources))
    assert pairs.target_lengths.tolist() == list(map(len, targets))
    assert len(pairs.too_long) == 0


def test_each_side_has_its_own_tokenizer(tiny_pairs: Pairs, tmp_path: Path) -> None:
    config = TokenizerConfig("bpe", vocabulary_size=300, shared=False)
    tokenizers = train_tokenizers(tiny_pairs, config)
    source, target = encode_corpus(tiny_pairs, tokenizers, tmp_path)[7]
    assert tokenizers.source.decode(source) == tiny_pairs.sources[7]
    assert tokenizers.target.decode(target) == tiny_pairs.targets[7]


def test_a_checksum_tells_other_ids_whatever_the_chunks(
    tiny_pairs: Pairs, tiny_tokenizers: Tokenizers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def checksum(pairs: Pairs, cache: str) -> int:
        return encode_corpus(pairs, tiny_tokenizers, tmp_path / cache).checksum

    pairs = tiny_pairs.select(range(50))
    one = checksum(pairs, "one")
    assert checksum(Pairs(pairs.sources, pairs.targets[::-1]), "one") != one
    assert checksum(Pairs(pairs.sources[::-1], pairs.targets[::-1]), "one") != one
    assert checksum(Pairs(["x y", "z"], ["x", "x"]), "one") != checksum(
        Pairs(["x", "y z"], ["x", "x"]), "one"
    )
    monkeypatch.setattr(tables, "MOST_ROWS", 7)
    assert checksum(pairs, "two") == one


@given(indices=st.lists(st.integers(0, 99), min_size=1, max_size=20))
def test_a_batch_has_its_sentences_in_order_whatever_the_chunks(
    many_chunks: EncodedPairs, indices: list[int]
) -> None:
    batch = many_chunks.batch(np.array(indices))
    assert batch.sentence_indices == tuple(indices)
    for row, index in enumerate(indices):
        source, target = many_chunks[index]
        length = int(batch.source_lengths[row])
        assert batch.source_ids[row, :length].tolist() == [*source.tolist(), 3]
        output = batch.target_output_ids[row]
        assert output[output != 0].tolist() == [*target.tolist(), 3]


@pytest.fixture(scope="module")
def many_chunks(
    tiny_tokenizers: Tokenizers, tmp_path_factory: pytest.TempPathFactory
) -> EncodedPairs:
    """A hundred pairs, some of them blank, that were encoded seven at a time."""
    pairs = Pairs(
        ["a" * (number % 9) for number in range(100)],
        ["b" * (number % 5) for number in range(100)],
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tables, "MOST_ROWS", 7)
        return encode_corpus(pairs, tiny_tokenizers, tmp_path_factory.mktemp("cache"))


def test_pairs_that_are_too_long_are_left_out_and_counted(
    tiny_tokenizers: Tokenizers, tmp_path: Path
) -> None:
    pairs = Pairs(["x", "x y z x y z", "x"], ["x", "x", "x y z x y z"])
    kept = encode_corpus(pairs, tiny_tokenizers, tmp_path, max_length=5)
    assert (len(kept), len(kept.too_long)) == (1, 2)
    again = encode_corpus(pairs, tiny_tokenizers, tmp_path, max_length=5)
    assert (len(again), len(again.too_long)) == (1, 2)
    assert len(encode_corpus(pairs, tiny_tokenizers, tmp_path)) == 3
    assert kept.rows.tolist() == again.rows.tolist() == [0]
    none = encode_corpus(pairs, tiny_tokenizers, tmp_path, max_length=1)
    assert (len(none), len(none.too_long)) == (0, 3)


def test_sampled_pairs_are_those_of_the_text_that_were_kept(
    tiny_pairs: Pairs, tiny_tokenizers: Tokenizers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "MOST_ROWS", 7)
    kept = encode_corpus(tiny_pairs, tiny_tokenizers, tmp_path, max_length=16)
    assert 20 < len(kept.too_long) < 268
    sampled = SampledPairs(tiny_pairs, kept.rows, tiny_tokenizers, 0.3)
    indices = np.arange(len(kept))[::-3]
    batch, plain = sampled.batch(indices, [1, 0]), kept.batch(indices)
    assert batch.sentence_indices == plain.sentence_indices
    assert batch.num_target_pieces > plain.num_target_pieces
    drawn = [sampled.batch(indices, place).source_ids.tolist() for place in ([1, 0], [1, 1])]
    assert drawn[0] == batch.source_ids.tolist() != drawn[1]
    decode = tiny_tokenizers.source.decode
    for name in ("source_ids", "target_output_ids"):
        pairs = zip(getattr(batch, name).tolist(), getattr(plain, name).tolist(), strict=True)
        assert all(decode(drawn) == decode(best) for drawn, best in pairs)


def test_no_pairs_are_no_pairs(tiny_tokenizers: Tokenizers, tmp_path: Path) -> None:
    assert len(encode_corpus(Pairs([], []), tiny_tokenizers, tmp_path)) == 0


@pytest.fixture
def encodings(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows by one entry whenever sentences are encoded."""
    entries: list[int] = []
    original = Tokenizer.encode_batch

    def encode_batch(self: Tokenizer, sentences: list[str]) -> list[list[int]]:
        entries.append(len(sentences))
        return original(self, sentences)

    monkeypatch.setattr(Tokenizer, "encode_batch", encode_batch)
    return entries


def test_nothing_is_encoded_twice(
    tiny_pairs: Pairs, tiny_tokenizers: Tokenizers, tmp_path: Path, encodings: list[int]
) -> None:
    first = encode_corpus(tiny_pairs, tiny_tokenizers, tmp_path)
    assert encodings == [288, 288]
    copy = Tokenizer.from_bytes(tiny_tokenizers.source.to_bytes())
    second = encode_corpus(tiny_pairs, Tokenizers(copy, copy), tmp_path)
    assert encodings == [288, 288]
    assert as_lists(first) == as_lists(second)


def test_every_change_of_input_or_setting_is_noticed(
    tiny_pairs: Pairs, tiny_tokenizers: Tokenizers, tmp_path: Path, encodings: list[int]
) -> None:
    sources, targets = tiny_pairs.sources, tiny_pairs.targets
    other = train_tokenizers(tiny_pairs, TokenizerConfig("bpe", vocabulary_size=310)).source
    same = tiny_tokenizers.source
    variants: list[Callable[[], EncodedPairs]] = [
        lambda: encode_corpus(tiny_pairs, tiny_tokenizers, tmp_path),
        lambda: encode_corpus(tiny_pairs, tiny_tokenizers, tmp_path, max_length=50),
        lambda: encode_corpus(tiny_pairs, tiny_tokenizers, tmp_path, max_length=51),
        lambda: encode_corpus(tiny_pairs, Tokenizers(same, other), tmp_path),
        lambda: encode_corpus(tiny_pairs, Tokenizers(other, same), tmp_path),
        lambda: encode_corpus(Pairs(targets, sources), tiny_tokenizers, tmp_path),
        lambda: encode_corpus(Pairs(sources[1:], targets[1:]), tiny_tokenizers, tmp_path),
        lambda: encode_corpus(
            Pairs([*sources[:-1], sources[-1] + " "], targets), tiny_tokenizers, tmp_path
        ),
    ]
    for number, variant in enumerate(variants):
        variant()
        assert len(encodings) == 2 * (number + 1)
    for variant in variants:
        variant()
    assert len(encodings) == 2 * len(variants)


def test_ids_are_read_from_a_mapped_file(
    tiny_pairs: Pairs, tiny_tokenizers: Tokenizers, tmp_path: Path
) -> None:
    pairs = encode_corpus(tiny_pairs, tiny_tokenizers, tmp_path)
    source, _ = pairs[3]
    assert not source.flags.owndata and not source.flags.writeable
    assert isinstance(pairs.source_lengths.base, np.memmap)


def test_a_damaged_cache_is_made_again(
    tiny_pairs: Pairs, tiny_tokenizers: Tokenizers, tmp_path: Path, encodings: list[int]
) -> None:
    expected = as_lists(encode_corpus(tiny_pairs, tiny_tokenizers, tmp_path))
    (folder,) = tmp_path.iterdir()
    arrow = folder / "ids.arrow"

    def truncate() -> None:
        arrow.write_bytes(arrow.read_bytes()[:-3000])

    def flip_a_byte() -> None:
        content = bytearray(arrow.read_bytes())
        content[len(content) // 2] ^= 1
        arrow.write_bytes(content)

    def empty() -> None:
        arrow.write_bytes(b"")

    def forget_the_summary() -> None:
        (folder / "summary.json").unlink()

    def falsify_the_summary() -> None:
        (folder / "summary.json").write_text(json.dumps({"num_too_long": 0}))

    def remove_the_ids() -> None:
        arrow.unlink()

    def cut_the_lengths() -> None:
        (folder / "rows").write_bytes(b"")

    for damage in (
        truncate,
        flip_a_byte,
        empty,
        forget_the_summary,
        falsify_the_summary,
        remove_the_ids,
        cut_the_lengths,
    ):
        damage()
        encodings.clear()
        assert as_lists(encode_corpus(tiny_pairs, tiny_tokenizers, tmp_path)) == expected
        assert encodings == [288, 288]
        assert [path.name for path in tmp_path.iterdir()] == [folder.name]


def test_a_failed_write_leaves_nothing_behind(
    tiny_pairs: Pairs,
    tiny_tokenizers: Tokenizers,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fill_the_disk(*_: object, **__: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(ColumnFile, "append", fill_the_disk)
    with pytest.raises(OSError, match="No space left on device"):
        encode_corpus(tiny_pairs, tiny_tokenizers, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_faster_process_is_no_harm(
    tiny_pairs: Pairs,
    tiny_tokenizers: Tokenizers,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    elsewhere, here = tmp_path / "elsewhere", tmp_path / "here"
    expected = as_lists(encode_corpus(tiny_pairs, tiny_tokenizers, elsewhere))

    def be_slow(*arguments: object, **settings: object) -> None:
        write_ids(*arguments, **settings)
        shutil.copytree(elsewhere, here, dirs_exist_ok=True)

    monkeypatch.setattr(encoded, "write_ids", be_slow)
    assert as_lists(encode_corpus(tiny_pairs, tiny_tokenizers, here)) == expected
    assert len(list(here.iterdir())) == 1


def test_a_folder_that_cannot_be_written_is_an_error(
    tiny_pairs: Pairs, tiny_tokenizers: Tokenizers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Path, target: Path) -> None:
        raise OSError("Renaming is forbidden")

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(OSError, match="Renaming is forbidden"):
        encode_corpus(tiny_pairs, tiny_tokenizers, tmp_path)
    assert not list(tmp_path.iterdir())


def test_ids_come_back_the_same_from_another_process(
    tiny_pairs: Pairs, tiny_tokenizers: Tokenizers, tmp_path: Path
) -> None:
    pairs = encode_corpus(tiny_pairs, tiny_tokenizers, tmp_path, max_length=16)
    sent = pickle.dumps(pairs)
    assert len(sent) < 1000
    received = pickle.loads(sent)
    assert as_lists(received) == as_lists(pairs)
    assert received.rows.tolist() == pairs.rows.tolist()
