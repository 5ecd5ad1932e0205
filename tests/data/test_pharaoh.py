from collections.abc import Sequence
from itertools import islice

import numpy as np
import pytest
from corpus_files import or_error
from hypothesis import example, given
from hypothesis import strategies as st

from seq2seq.config import UNKNOWN_ID, ConfigurationError, TokenizerConfig
from seq2seq.data.alignments import links_of_pieces, places_of_pieces, with_alignments
from seq2seq.data.cleaning import clean_sentence
from seq2seq.data.corpus import Pairs
from seq2seq.data.tables import Chunk
from seq2seq.data.tokenizer import Tokenizer

SOURCES = ["ein kleiner Hund", "", "東京 に"]
TARGETS = ["a little dog", "", "to Tokyo ."]


def read(
    lines: Sequence[str],
    by_characters: tuple[bool, bool] = (False, False),
    sizes: tuple[int, ...] = (2, 1),
) -> list[str]:
    """The alignments of three pairs that come in chunks of such sizes."""
    sources, targets = iter(SOURCES), iter(TARGETS)
    chunks = [Chunk(list(islice(sources, size)), list(islice(targets, size))) for size in sizes]
    aligned = with_alignments(chunks, lines, by_characters=by_characters, where="my.align")
    found = []
    for chunk, size in zip(aligned, sizes, strict=True):
        assert chunk.alignments is not None and len(chunk.alignments) == len(chunk.sources) == size
        found += chunk.alignments
    return found


@pytest.mark.parametrize("sizes", [(3,), (2, 1), (1, 1, 1)], ids=str)
def test_words_become_places_that_count_no_spaces(sizes: tuple[int, ...]) -> None:
    found = read(["2-2  0-0", "", "1-0 0-1\r"], sizes=sizes)
    assert found == ["10 14 7 10 0 3 0 1", "", "2 3 0 2 0 2 2 7"]


def test_every_character_is_a_word_where_a_language_writes_no_spaces() -> None:
    assert read(["", "", "0-1 2-0"], (True, False))[2] == "0 1 2 7 2 3 0 2"
    assert read(["", "", "1-7"], (False, True))[2] == "2 3 7 8"


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["0-0", ""], r"^my\.align has 2 lines, but there are 3 pairs; each needs one\.$"),
        ([""] * 5, r"^my\.align has 5 lines, but there are 3 pairs; each needs one\.$"),
        ([], r"^my\.align has 0 lines, but there are 3 pairs"),
        (["", "", "0-0 1:1"], r"^There must be links such as 0-0 1-2 in line 3 of my\.align, but "),
        (["0--1", "", ""], r"in line 1 of my\.align, but there is '0--1'\.$"),
        (["٣-0", "", ""], r"in line 1 of my\.align"),
        (["", "0-0", ""], r"^0-0 in line 2 of my\.align links word 0 of a source that has 0 words"),
        (["1-3", "", ""], r"^1-3 in line 1 of my\.align links word 3 of a target that has 3 words"),
    ],
    ids=["few", "many", "none", "colon", "minus", "digits", "blank", "range"],
)
def test_what_is_no_alignment_names_its_line(lines: list[str], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        read(lines)


@given(st.lists(st.text("01- \t٣a9", max_size=9), max_size=5))
@example(["0-0", "", "99999999-0"])
def test_any_lines_are_links_or_refused_in_a_sentence(lines: list[str]) -> None:
    found = or_error(lambda: read(lines))
    assert found is None or list(map(bool, found)) == [bool(line.split()) for line in lines]


KINDS = [("unigram", True), ("bpe", True), ("bpe", False), ("character", False), ("byte", True)]
KINDS += [("word", False)]


@pytest.fixture(scope="module", params=KINDS, ids=lambda kind: f"{kind[0]}-{kind[1]}")
def tokenizer(request: pytest.FixtureRequest, tiny_pairs: Pairs) -> Tokenizer:
    kind, byte_fallback = request.param
    return Tokenizer.train(tiny_pairs.targets, TokenizerConfig(kind, byte_fallback=byte_fallback))


TEXT = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"])),
    st.text(st.sampled_from("a dog the▁\ue000\ue001Ω \u3000가🐶x")),
)


@given(TEXT)
@example("the ΩΩ dog Ω")
@example("Ω dogs dog")
@example("Ω thex the cat Ω")
@example("\u3000a dog")
@example("▁▁ \ue000\ue001")
def test_pieces_stand_at_their_characters(tokenizer: Tokenizer, text: str) -> None:
    sentence = clean_sentence(text)
    characters = [c for c in sentence if not c.isspace()]
    ids = tokenizer.encode(sentence)
    places = places_of_pieces(tokenizer, sentence, ids)
    assert places.shape == (len(ids), 2)
    covered: set[int] = set()
    for token_id, (start, end) in zip(ids, places.tolist(), strict=True):
        assert 0 <= start < end
        said = "".join(tokenizer.decode([token_id]).split())
        is_plain = token_id != UNKNOWN_ID and not set(said) & set("\ufffd\ue000\ue001\ue002")
        if said and is_plain:  # else a byte, or half of what stands for one character
            assert said == "".join(characters[start:end])
        covered |= set(range(start, end))
    assert covered >= set(range(len(characters)))
    assert np.all(np.diff(places[:, 0]) >= 0)


def test_an_unknown_piece_ends_where_known_text_begins() -> None:
    tokenizer = Tokenizer.train(["a b c ab"], TokenizerConfig("character", 8, byte_fallback=False))
    ids = tokenizer.encode("aΩΩb Ω a")
    assert ids.count(UNKNOWN_ID) == 2
    places = places_of_pieces(tokenizer, "aΩΩb Ω a", ids)
    unknown = [tuple(p) for p, i in zip(places.tolist(), ids, strict=True) if i == UNKNOWN_ID]
    assert unknown == [(1, 3), (4, 5)]


def test_bytes_stand_where_their_character_does(tiny_tokenizer: Tokenizer) -> None:
    ids = tiny_tokenizer.encode("a 가🐶 dog")
    places = places_of_pieces(tiny_tokenizer, "a 가🐶 dog", ids).tolist()
    pieces = tiny_tokenizer.pieces(ids)
    bytes_ = [place for piece, place in zip(pieces, places, strict=True) if piece[0] == "<"]
    assert bytes_ == [[1, 2]] * 3 + [[2, 3]] * 4
    assert places[pieces.index("<0xEA>") - 1] == [1, 2]  # the space before it


def test_all_pieces_of_a_word_are_linked_with_all_of_the_other() -> None:
    source = np.array([[0, 1], [1, 4], [4, 6], [6, 7]])  # ab|cd ef g
    target = np.array([[0, 2], [2, 3], [2, 3], [3, 5]])  # a bytes of one character
    assert links_of_pieces("", source, target).tolist() == []
    assert links_of_pieces("0 3 2 3", source, target).tolist() == [[0, 1], [0, 2], [1, 1], [1, 2]]
    assert links_of_pieces("6 7 0 2 4 6 3 5", source, target).tolist() == [[2, 3], [3, 0]]


def test_words_that_pieces_join_are_linked_together() -> None:
    """Without spaces a piece may hold the end of a word and the beginning of the next."""
    source = np.array([[0, 2], [2, 5], [5, 6]])
    assert links_of_pieces("0 3 0 1", source, np.array([[0, 1]])).tolist() == [[0, 0], [1, 0]]


def test_a_sentence_is_linked_as_its_words_are(tiny_tokenizer: Tokenizer) -> None:
    source, target = "das kleine kind malt", "the little child paints"
    chunk = Chunk([source], [target])
    (aligned,) = with_alignments(
        [chunk], ["0-0 2-2"], by_characters=(False, False), where="my.align"
    )
    assert aligned.alignments is not None
    ids = tiny_tokenizer.encode(source), tiny_tokenizer.encode(target)
    links = links_of_pieces(
        aligned.alignments[0],
        places_of_pieces(tiny_tokenizer, source, ids[0]),
        places_of_pieces(tiny_tokenizer, target, ids[1]),
    )
    said = [
        tiny_tokenizer.decode([ids[side][piece] for piece in sorted(set(links[:, side].tolist()))])
        for side in (0, 1)
    ]
    assert said == ["das kind", "the child"]
