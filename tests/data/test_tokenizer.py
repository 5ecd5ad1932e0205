import itertools
import pickle
import re
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pytest
import sentencepiece
from hypothesis import example, given
from hypothesis import strategies as st

from seq2seq.config import ConfigurationError, TokenizerConfig
from seq2seq.data.corpus import Pairs
from seq2seq.data.tokenizer import (
    TOKENIZERS,
    Tokenizer,
    are_draws_repeatable,
    train_tokenizers,
)

# Text in which every string that means something to SentencePiece stands as plain text.
TRICKY = [
    "a<s>b</s>c<unk>d<pad>e<0x41>f",
    "▁▁ x▁y \ue000\ue001 \ue000",
    "⁇ ▅ ⁇",
    "나는 고양이로소이다.",
]
# Vocabularies that leave some characters and some words of the text to the bytes.
SIZES = {"character": 275, "byte": 261, "word": 275}
ANY_TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=40)
FRAGMENTS = st.lists(
    st.sampled_from(
        ["▁", "\ue000", "\ue001", "\ue002", " ", "  ", "<s>", "</s>", "<0x41>", "é", "a"]
    )
).map("".join)


@pytest.fixture(scope="module", params=TOKENIZERS)
def tokenizer(request: pytest.FixtureRequest, tiny_pairs: Pairs) -> Tokenizer:
    text = tiny_pairs.sources + tiny_pairs.targets + TRICKY * 30
    return Tokenizer.train(text, TokenizerConfig(request.param, SIZES.get(request.param, 340)))


@given(text=ANY_TEXT | FRAGMENTS)
@example("")
@example(" ")
@example("  two  spaces  at  the  ends  ")
@example("\u2028line separator is text\u2029")
@example("<s> </s> <unk> <pad> <0x0A> ⁇")
@example("▁ \ue000 \ue000\ue001 ▁\u0301")
@example("e\u0301 \u1112\u1161\u11ab \ufb01 \ufeff \u200d \xad \U0001f1e9\U0001f1ea")
def test_any_text_comes_back(tokenizer: Tokenizer, text: str) -> None:
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == unicodedata.normalize("NFC", text)
    assert all(3 < token_id < tokenizer.vocabulary_size for token_id in ids)
    assert tokenizer.encode_batch([text, "x", text]) == [ids, tokenizer.encode("x"), ids]


@given(text=st.text(max_size=40))
def test_control_characters_become_spaces(tokenizer: Tokenizer, text: str) -> None:
    decoded = tokenizer.decode(tokenizer.encode(text))
    assert not any(unicodedata.category(character) in ("Cc", "Cs") for character in decoded)
    if text == unicodedata.normalize("NFC", text):
        assert len(decoded) == len(text)


@given(data=st.data())
def test_any_ids_decode_to_one_line(tokenizer: Tokenizer, data: st.DataObject) -> None:
    ids = data.draw(st.lists(st.integers(0, tokenizer.vocabulary_size - 1), max_size=20))
    text = tokenizer.decode(ids)
    assert not any(unicodedata.category(character) == "Cc" for character in text)
    assert len(tokenizer.pieces(ids)) == len(ids)


def test_a_newline_made_of_byte_pieces_is_a_space(tokenizer: Tokenizer) -> None:
    pieces = tokenizer.pieces(list(range(tokenizer.vocabulary_size)))
    newline, letter = pieces.index("<0x0A>"), tokenizer.encode("a")
    assert tokenizer.decode([*letter, newline, *letter]) == "a  a"


def test_special_ids_have_their_places_and_are_silent(tokenizer: Tokenizer) -> None:
    assert tokenizer.pieces([0, 1, 2, 3]) == ["<pad>", "<unk>", "<s>", "</s>"]
    ids = tokenizer.encode(" a dog")
    assert tokenizer.decode([2, 0, *ids[:2], 0, *ids[2:], 3, 0, 0]) == " a dog"
    assert tokenizer.decode([]) == ""
    assert tokenizer.decode([3]) == ""


def test_pieces_join_to_the_text(tokenizer: Tokenizer) -> None:
    pieces = tokenizer.pieces([*tokenizer.encode("the little child"), 3])
    assert pieces[-1] == "</s>"
    bytes_of_text = re.sub(
        r"<0x(..)>|[^<]",
        lambda piece: piece[1] or piece[0].encode().hex(),
        "".join(pieces[:-1]),
    )
    assert bytes.fromhex(bytes_of_text).decode() == "▁the▁little▁child"


@pytest.mark.parametrize(
    ("kind", "pieces"),
    [
        ("character", ["▁", "a", "▁", "d", "ó", "g"]),
        ("byte", ["▁", "<0x61>", "▁", "<0x64>", "<0xC3>", "<0xB3>", "<0x67>"]),
        ("word", ["▁a", "▁dóg"]),
    ],
)
def test_a_sentence_falls_into_pieces_of_the_kind(kind: str, pieces: list[str]) -> None:
    tokenizer = Tokenizer.train(["a dóg", "a dóg runs"], TokenizerConfig(kind))
    assert tokenizer.pieces(tokenizer.encode("a dóg")) == pieces


def test_a_word_model_without_byte_pieces_gives_unknown_words_a_place() -> None:
    config = TokenizerConfig("word", byte_fallback=False)
    tokenizer = Tokenizer.train(["a dog runs", "a cat sleeps"] * 2, config)
    for text, known in [
        ("a dog sleeps", "a dog sleeps"),
        ("birds sleeps", "⁇ sleeps"),
        ("a bird sleeps", "a ⁇ sleeps"),
        ("a dog flies", "a dog ⁇"),
    ]:
        assert tokenizer.decode(tokenizer.encode(text)) == known


@pytest.mark.parametrize(("kind", "sampling"), [("unigram", 0.1), ("bpe", 0.2)])
def test_sampled_segmentations_are_the_same_text_and_hang_on_the_seed_alone(
    tiny_pairs: Pairs, kind: str, sampling: float
) -> None:
    text = tiny_pairs.sources + tiny_pairs.targets + TRICKY * 30
    tokenizer = Tokenizer.train(text, TokenizerConfig(kind, vocabulary_size=340))
    sentences = [*tiny_pairs.targets[:60], *TRICKY, "", "  Ünseen 猫  "]
    drawn = tokenizer.sample_batch(sentences, sampling, seed=7)
    assert [tokenizer.decode(ids) for ids in drawn] == sentences
    best = tokenizer.encode_batch(sentences)
    assert sum(map(len, drawn)) > sum(map(len, best))
    assert tokenizer.sample_batch(sentences, sampling, seed=8) != drawn
    tokenizer._processor.encode(sentences[0], enable_sampling=True, nbest_size=-1, alpha=sampling)
    with ThreadPoolExecutor(1) as pool:
        again = pool.submit(tokenizer.sample_batch, sentences, sampling, seed=7).result()
    assert again == tokenizer.sample_batch(sentences, sampling, seed=7) == drawn
    assert tokenizer.encode_batch(sentences) == best


@pytest.mark.parametrize(
    ("version", "repeatable"),
    [("0.2.0", True), ("0.2.1", True), ("0.2.2", False), ("0.10.1", False)],
)
def test_later_versions_of_the_library_draw_anew_in_every_process(
    monkeypatch: pytest.MonkeyPatch, version: str, repeatable: bool
) -> None:
    monkeypatch.setattr(sentencepiece, "__version__", version)
    assert are_draws_repeatable() is repeatable


def test_without_byte_pieces_a_foreign_character_is_an_unknown_piece(tiny_pairs: Pairs) -> None:
    config = TokenizerConfig("bpe", vocabulary_size=60, byte_fallback=False)
    tokenizer = Tokenizer.train(tiny_pairs.targets, config)
    ids = tokenizer.encode("a 猫 dog")
    assert ids.count(1) == 1
    assert tokenizer.decode(ids) == "a ⁇ dog"


@pytest.mark.parametrize("kind", TOKENIZERS)
def test_the_same_text_gives_the_same_model(tiny_pairs: Pairs, kind: str) -> None:
    config = TokenizerConfig(kind)
    first, second = (Tokenizer.train(tiny_pairs.targets, config) for _ in range(2))
    assert first.to_bytes() == second.to_bytes()


@pytest.mark.parametrize("sentence", [" ".join(["word"] * 2000), "word\tword\x00word word\n"])
def test_long_lines_and_control_characters_are_learned_from(sentence: str) -> None:
    smallest = 4 + 256 + len("▁word")
    tokenizer = Tokenizer.train([sentence] * 9, TokenizerConfig("bpe", smallest + 4))
    assert tokenizer.pieces(tokenizer.encode("word")) == ["▁word"]


def test_only_some_of_very_many_sentences_are_learned_from(
    tiny_pairs: Pairs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("seq2seq.data.tokenizer._MOST_SENTENCES", 20)
    config = TokenizerConfig("bpe", vocabulary_size=290)
    models = [Tokenizer.train(tiny_pairs.targets, config, seed=n).to_bytes() for n in (1, 1, 2)]
    assert models[0] == models[1] != models[2]
    monkeypatch.undo()
    monkeypatch.setattr("seq2seq.data.tokenizer._MOST_CHARACTERS", 800)
    models += [Tokenizer.train(tiny_pairs.targets, config, seed=n).to_bytes() for n in (1, 1)]
    assert models[0] != models[3] == models[4]


@pytest.mark.parametrize("kind", ["unigram", "word"])
def test_another_process_learns_the_same_from_much_text(
    tiny_pairs: Pairs, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    config = TokenizerConfig(kind, vocabulary_size=285)
    here = Tokenizer.train(tiny_pairs.targets, config).to_bytes()
    monkeypatch.setattr("seq2seq.data.tokenizer._MOST_CHARACTERS_HERE", 100)
    assert Tokenizer.train(tiny_pairs.targets, config).to_bytes() == here
    with pytest.raises(ConfigurationError, match=r"must be at most \d+ for this text"):
        Tokenizer.train(tiny_pairs.targets, TokenizerConfig(kind, vocabulary_size=90_000))


def test_what_is_learned_from_is_spread_over_both_sides(
    tiny_pairs: Pairs, monkeypatch: pytest.MonkeyPatch
) -> None:
    learnt = []
    train = Tokenizer.train

    def spy(sentences: list[str], *arguments: object, **settings: object) -> Tokenizer:
        learnt.append(sentences)
        return train(sentences, *arguments, **settings)

    monkeypatch.setattr(Tokenizer, "train", spy)
    config = TokenizerConfig("bpe", vocabulary_size=290)
    train_tokenizers(tiny_pairs, config)
    assert learnt.pop() == [*tiny_pairs.sources, *tiny_pairs.targets]
    monkeypatch.setattr("seq2seq.data.tokenizer._MOST_SENTENCES", 20)
    train_tokenizers(tiny_pairs, config)
    assert len(learnt[0]) == 20
    assert set(learnt[0][:10]) <= set(tiny_pairs.sources)
    assert set(learnt[0][10:]) <= set(tiny_pairs.targets)


@pytest.mark.parametrize(
    ("kind", "byte_fallback"),
    [pair for pair in itertools.product(TOKENIZERS, [True, False]) if pair != ("byte", False)],
)
def test_a_vocabulary_that_is_too_large_says_what_works(
    tiny_pairs: Pairs, kind: str, byte_fallback: bool
) -> None:
    config = TokenizerConfig(kind, vocabulary_size=50_000, byte_fallback=byte_fallback)
    message = r"^`tokenizer.vocabulary_size` must be at most \d+ for this text, but is 50000.$"
    with pytest.raises(ConfigurationError, match=message) as error:
        Tokenizer.train(tiny_pairs.sources, config)
    largest = int(str(error.value).split("at most ")[1].split()[0])
    tokenizer = Tokenizer.train(tiny_pairs.sources, replace(config, vocabulary_size=largest))
    assert tokenizer.vocabulary_size == largest
    with pytest.raises(ConfigurationError, match=f"at most {largest} "):
        Tokenizer.train(tiny_pairs.sources, replace(config, vocabulary_size=largest + 1))


@pytest.mark.parametrize(
    ("kind", "byte_fallback"),
    [*((kind, True) for kind in TOKENIZERS), ("unigram", False), ("bpe", False)],
)
def test_a_vocabulary_that_is_too_small_says_what_works(
    tiny_pairs: Pairs, kind: str, byte_fallback: bool
) -> None:
    config = TokenizerConfig(kind, vocabulary_size=8, byte_fallback=byte_fallback)
    message = (
        r"^`tokenizer.vocabulary_size` must be at least \d+ for the "
        r"(characters of this text|special pieces and the bytes), but is 8.$"
    )
    with pytest.raises(ConfigurationError, match=message) as error:
        Tokenizer.train(tiny_pairs.sources, config)
    smallest = int(str(error.value).split("at least ")[1].split()[0])
    tokenizer = Tokenizer.train(tiny_pairs.sources, replace(config, vocabulary_size=smallest))
    assert tokenizer.vocabulary_size == smallest


def test_an_unknown_kind_is_an_error() -> None:
    message = "`tokenizer.kind` must be one of unigram, bpe, .*word, but is 'letter'."
    with pytest.raises(ConfigurationError, match=message):
        Tokenizer.train(["a"], TokenizerConfig("letter"))


def test_a_byte_model_without_bytes_is_an_error() -> None:
    message = "`tokenizer.byte_fallback` must be true where `tokenizer.kind` is 'byte'."
    with pytest.raises(ConfigurationError, match=message):
        Tokenizer.train(["a"], TokenizerConfig("byte", byte_fallback=False))


@pytest.mark.parametrize("sentences", [[], ["", "  ", "\n"]])
def test_no_text_is_an_error(sentences: list[str]) -> None:
    with pytest.raises(ConfigurationError, match="`tokenizer` needs text to learn from"):
        Tokenizer.train(sentences, TokenizerConfig())


def test_other_complaints_of_sentencepiece_become_one_sentence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def complain(**_: object) -> None:
        raise RuntimeError("Something\n  else")

    monkeypatch.setattr(sentencepiece.SentencePieceTrainer, "train", complain)
    message = "`tokenizer` does not fit the text, SentencePiece says: Something else"
    with pytest.raises(ConfigurationError, match=message):
        Tokenizer.train(["a"], TokenizerConfig())


def test_a_saved_tokenizer_is_the_same(tiny_tokenizer: Tokenizer, tmp_path: Path) -> None:
    tiny_tokenizer.save(tmp_path / "shared.model")
    copies = [
        Tokenizer.load(tmp_path / "shared.model"),
        Tokenizer.from_bytes(tiny_tokenizer.to_bytes()),
        pickle.loads(pickle.dumps(tiny_tokenizer)),
    ]
    for copy in copies:
        assert copy.encode("ein hund") == tiny_tokenizer.encode("ein hund")
        assert copy.to_bytes() == tiny_tokenizer.to_bytes()


@pytest.mark.parametrize("content", [b"", b"no model", b"\x00" * 100])
def test_a_file_that_is_no_model_is_an_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "shared.model"
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"shared.model is not a tokenizer of seq2seq"):
        Tokenizer.load(path)
    with pytest.raises(ConfigurationError, match=r"The tokenizer is not a SentencePiece model\."):
        Tokenizer.from_bytes(content)


def test_a_truncated_model_is_an_error(tiny_tokenizer: Tokenizer) -> None:
    with pytest.raises(ConfigurationError, match="The tokenizer"):
        Tokenizer.from_bytes(tiny_tokenizer.to_bytes()[:-500])


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"No tokenizer at .*absent.model. Train one with"):
        Tokenizer.load(tmp_path / "absent.model")
    with pytest.raises(ConfigurationError, match="is not a tokenizer of seq2seq"):
        Tokenizer.load(tmp_path)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "must have the ids 0 padding, 1 unknown, 2 <s>, 3 </s>, but has -1, 0, 1, 2."),
        (
            {"pad_id": 0, "unk_id": 1, "bos_id": 2, "eos_id": 3},
            "The tokenizer changes the text that it reads.",
        ),
    ],
)
def test_a_model_with_other_conventions_is_an_error(settings: dict, message: str) -> None:
    model = BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["a b c d e"] * 9),
        model_writer=model,
        vocab_size=12,
        model_type="bpe",
        minloglevel=2,
        **settings,
    )
    with pytest.raises(ConfigurationError, match=message):
        Tokenizer.from_bytes(model.getvalue())


@pytest.mark.parametrize("wrong", [-1, 320])
def test_an_id_outside_the_vocabulary_is_an_error(tiny_tokenizer: Tokenizer, wrong: int) -> None:
    message = rf"An id must be in \[0, 320\), but is {wrong}."
    with pytest.raises(ValueError, match=message):
        tiny_tokenizer.decode([5, wrong])
    with pytest.raises(ValueError, match=message):
        tiny_tokenizer.pieces([wrong, 5])


def test_both_sides_share_one_tokenizer_or_have_their_own(tiny_pairs: Pairs) -> None:
    config = TokenizerConfig("bpe", vocabulary_size=300)
    shared = train_tokenizers(tiny_pairs, config)
    assert shared.shared and shared.source is shared.target
    own = train_tokenizers(tiny_pairs, replace(config, shared=False))
    assert not own.shared
    assert own.source.to_bytes() == Tokenizer.train(tiny_pairs.sources, config).to_bytes()
    assert own.target.to_bytes() == Tokenizer.train(tiny_pairs.targets, config).to_bytes()


def test_training_is_quiet(tiny_pairs: Pairs, capfd: pytest.CaptureFixture[str]) -> None:
    Tokenizer.train(tiny_pairs.targets, TokenizerConfig("unigram", vocabulary_size=295))
    with pytest.raises(ConfigurationError):
        Tokenizer.train(tiny_pairs.targets, TokenizerConfig("bpe", vocabulary_size=9000))
    assert capfd.readouterr() == ("", "")


def test_a_vocabulary_that_nobody_asked_for_fits_the_text():
    few = ["a dog runs", "a cat sleeps", "the dog sleeps"]
    many = [f"sentence {number} of {number * 7919}" for number in range(4000)]
    sizes = [Tokenizer.train(text, TokenizerConfig()).vocabulary_size for text in (few, many)]
    assert 260 < sizes[0] < 300 < sizes[1] < 8000


@pytest.mark.parametrize(
    ("kind", "size"),
    [("character", 4 + 256 + 1 + 900), ("byte", 4 + 256 + 1), ("word", 4 + 256 + 900)],
)
def test_a_chosen_vocabulary_suits_the_kind(kind, size):
    text = [f"{chr(0x4E00 + number)} {chr(0x4E00 + number)}" for number in range(900)]
    config = TokenizerConfig(kind=kind, character_coverage=1.0)
    chosen = Tokenizer.train(text, config)
    assert chosen.vocabulary_size == size
    assert [chosen.decode(ids) for ids in chosen.encode_batch(text)] == text


@pytest.mark.parametrize("byte_fallback", [True, False])
def test_a_chosen_word_vocabulary_has_the_words_that_are_seen_twice(
    monkeypatch: pytest.MonkeyPatch, byte_fallback: bool
) -> None:
    text = ["a dog of us runs", "a cat of us runs", "a\tdog"]
    config = TokenizerConfig(kind="word", byte_fallback=byte_fallback)
    special = 4 + 256 * byte_fallback
    words = Tokenizer.train(text, config)
    assert words.pieces(list(range(special, words.vocabulary_size))) == [
        *("▁a", "▁dog", "▁of", "▁runs", "▁us")
    ]
    none_twice = Tokenizer.train(["none of us is twice there"], config)
    assert none_twice.vocabulary_size == max(special + 1, 8)
    monkeypatch.setattr("seq2seq.data.tokenizer._MOST_WORDS", 4)
    assert Tokenizer.train(text, config).vocabulary_size == special + 4


@pytest.mark.parametrize("kind", ["unigram", "bpe"])
def test_a_chosen_vocabulary_works_with_more_characters_than_pieces(kind):
    text = [chr(0x4E00 + number) * 2 for number in range(900)]
    config = TokenizerConfig(kind=kind, byte_fallback=False, character_coverage=1.0)
    assert Tokenizer.train(text, config).vocabulary_size > 900
