import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from seq2seq.config import EOS_ID, PAD_ID, UNKNOWN_ID, ConfigurationError
from seq2seq.decoding.shortlist import Lexicon, require_lexicon, with_ids

SOURCE_SIZE, TARGET_SIZE, WIDTH = 13, 29, 5


@st.composite
def lexicons(draw):
    ids = st.integers(1, TARGET_SIZE - 1)
    rows = draw(
        st.lists(
            st.lists(ids, max_size=WIDTH, unique=True), min_size=SOURCE_SIZE, max_size=SOURCE_SIZE
        )
    )
    padded = [row + [PAD_ID] * (WIDTH - len(row)) for row in rows]
    frequent = draw(st.lists(ids, max_size=7, unique=True))
    return Lexicon(
        torch.tensor(padded, dtype=torch.int32), torch.tensor(frequent, dtype=torch.int32)
    )


batches = st.lists(
    st.lists(st.integers(UNKNOWN_ID, SOURCE_SIZE - 1), max_size=8), min_size=1, max_size=4
)


def expected(lexicon, ids, per_piece):
    """The definition, piece by piece."""
    found = {EOS_ID, *lexicon.frequent.tolist()}
    for piece in [*ids, EOS_ID]:
        found.update(lexicon.translations[piece, :per_piece].tolist())
    return sorted(found - {PAD_ID})


def without_padding(row):
    return row[row != PAD_ID].tolist()


@given(lexicons(), batches, st.integers(1, WIDTH + 2))
def test_candidates_are_the_best_of_each_piece_and_the_frequent_ones(lexicon, batch, per_piece):
    rows = lexicon.candidates(batch, per_piece)
    assert rows.dtype == torch.int64
    found = [expected(lexicon, ids, per_piece) for ids in batch]
    width = max(map(len, found))
    assert rows.tolist() == [row + [PAD_ID] * (width - len(row)) for row in found]


@given(lexicons(), batches, st.data())
def test_a_row_depends_on_its_own_sentence_and_not_on_the_order_of_its_pieces(lexicon, batch, data):
    rows = lexicon.candidates(batch, 3)
    for ids, row in zip(batch, rows, strict=True):
        shuffled = data.draw(st.permutations(ids))
        alone = lexicon.candidates([[*shuffled, *ids[:1], EOS_ID]], 3)
        assert without_padding(alone[0]) == without_padding(row)


def test_a_lexicon_of_nothing_still_lets_sentences_end():
    lexicon = Lexicon(
        torch.zeros(SOURCE_SIZE, 1, dtype=torch.int32), torch.zeros(0, dtype=torch.int32)
    )
    assert lexicon.candidates([[], [UNKNOWN_ID, 12]], 10).tolist() == [[EOS_ID], [EOS_ID]]


def test_no_piece_at_all_may_not_be_asked_for():
    lexicon = Lexicon(torch.zeros(5, 1, dtype=torch.int32), torch.zeros(0, dtype=torch.int32))
    with pytest.raises(ValueError, match="`per_piece` must be at least 1, but is 0"):
        lexicon.candidates([[4]], 0)


def test_a_model_without_a_lexicon_is_told_how_to_get_one():
    with pytest.raises(ConfigurationError, match=r"`search.shortlist` needs .* `seq2seq lexicon "):
        require_lexicon(None, attention="bahdanau")
    with pytest.raises(ConfigurationError, match=r"`search.shortlist` needs .* with attention"):
        require_lexicon(None, attention="none")


def test_further_ids_of_a_sentence_join_its_candidates_alone():
    candidate_ids = torch.tensor([[3, 5, 8], [3, 4, PAD_ID]])
    joined = with_ids(candidate_ids, [[], [9, 4, 1]])
    assert joined.tolist() == [[3, 5, 8, PAD_ID], [1, 3, 4, 9]]
    assert torch.equal(with_ids(candidate_ids, [[], []]), candidate_ids)
