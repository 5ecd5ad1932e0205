"""Tables learnt from a network whose attention is known, and from one that has learnt."""

import dataclasses
from types import SimpleNamespace

import pytest
import torch
from torch.nn.functional import one_hot

from seq2seq.config import EOS_ID, PAD_ID, ConfigurationError, ModelConfig
from seq2seq.data.batch import make_batch
from seq2seq.data.corpus import Pairs
from seq2seq.model_directory import load_model_directory, save_model_directory
from seq2seq.models.encoder_decoder import build_model
from seq2seq.training import lexicon as module
from seq2seq.training.hardware import Hardware
from seq2seq.training.lexicon import learn_lexicon, learn_lexicon_of_directory

SOURCE_SIZE, TARGET_SIZE = 19, 23
CPU = Hardware(torch.device("cpu"), bfloat16=False)


class WordByWord:
    """Attends to the source piece at the place of the target piece, a little to the first one.

    Args:
        elsewhere: Weight of the first source piece.
    """

    def __init__(self, elsewhere=0.0):
        self.elsewhere = elsewhere
        self.encoder = SimpleNamespace(embedding=SimpleNamespace(num_embeddings=SOURCE_SIZE))
        self.decoder = SimpleNamespace(
            embedding=SimpleNamespace(num_embeddings=TARGET_SIZE), align=self.align
        )

    def start(self, source_ids, source_lengths):
        return SimpleNamespace(decoder=0, memory=source_lengths)

    def align(self, target_input_ids, start, source_lengths):
        positions = torch.arange(start, target_input_ids.shape[1])
        places = torch.minimum(positions, source_lengths.unsqueeze(1) - 1)
        length = int(source_lengths.max())
        alignments = (1 - self.elsewhere) * one_hot(places, length).float()
        alignments[:, :, 0] += self.elsewhere
        return alignments


def learn(source_ids, target_ids, *, network=None, shared=False, max_pairs=1000, rows=3):
    batches = [
        make_batch(source_ids[first : first + rows], target_ids[first : first + rows])
        for first in range(0, len(source_ids), rows)
    ]
    return learn_lexicon(network or WordByWord(), batches, CPU, max_pairs=max_pairs, shared=shared)


def row(lexicon, source_id):
    ids = lexicon.translations[source_id]
    return ids[ids != PAD_ID].tolist()


@pytest.fixture(autouse=True)
def one_frequent(monkeypatch):
    """In these corpora the end symbol alone is frequent."""
    monkeypatch.setattr(module, "NUM_FREQUENT", 1)


# 4 means 14; 5 means 15, rarely 16; 6 means 16. Sentences have several lengths.
SOURCES = [[4, 5], [5, 6, 4], [5], [6, 6, 5, 4], [5, 4]]
TARGETS = [[14, 15], [15, 16, 14], [16], [16, 16, 15, 14], [15, 14]]


def test_it_finds_the_dictionary_the_best_first():
    lexicon = learn(SOURCES, TARGETS)
    assert lexicon.translations.dtype == lexicon.frequent.dtype == torch.int32
    assert lexicon.translations.shape == (SOURCE_SIZE, 2)
    assert [row(lexicon, piece) for piece in (4, 5, 6)] == [[14], [15, 16], [16]]
    assert all(row(lexicon, piece) == [] for piece in (PAD_ID, EOS_ID, 7))
    assert lexicon.frequent.tolist() == [EOS_ID]


def test_the_batches_do_not_matter():
    # The source of the last pair is shorter than its target, whose end it attends to.
    sources, targets = [*SOURCES, [4]], [*TARGETS, [14, 17]]
    alone, together = (learn(sources, targets, rows=rows) for rows in (1, 6))
    assert row(alone, EOS_ID) == [17]
    assert torch.equal(alone.translations, together.translations)


def test_frequent_pieces_are_in_no_row(monkeypatch):
    monkeypatch.setattr(module, "NUM_FREQUENT", 2)
    lexicon = learn(SOURCES, TARGETS)
    assert lexicon.frequent.tolist() == [EOS_ID, 14]
    assert row(lexicon, 4) == []


def test_of_equally_frequent_pieces_the_lower_id_counts(monkeypatch):
    monkeypatch.setattr(module, "NUM_FREQUENT", 3)
    lexicon = learn([[4], [5], [6]], [[22], [9], [11]])
    assert lexicon.frequent.tolist() == [EOS_ID, 9, 11]


def test_pieces_that_never_occur_are_not_frequent(monkeypatch):
    monkeypatch.setattr(module, "NUM_FREQUENT", 10)
    assert learn([[4]], [[14]]).frequent.tolist() == [EOS_ID, 14]


def test_rows_keep_the_best(monkeypatch):
    monkeypatch.setattr(module, "MOST_TRANSLATIONS", 1)
    assert row(learn(SOURCES, TARGETS), 5) == [15]


def test_what_has_a_small_share_is_left_out(monkeypatch):
    monkeypatch.setattr(module, "LEAST_SHARE", 0.3)  # piece 5 is 16 in one of five cases
    assert row(learn(SOURCES, TARGETS), 5) == [15]


def test_weights_that_almost_nothing_has_do_not_count():
    seen = learn([[7, 4]], [[17, 14]], network=WordByWord(elsewhere=0.1))
    assert row(seen, 7) == [17, 14]
    unseen = learn([[7, 4]], [[17, 14]], network=WordByWord(elsewhere=0.01))
    assert row(unseen, 7) == [17]


def test_reading_stops_at_the_batch_that_completes_the_pairs():
    assert row(learn([[4]] * 4, [[14], [15], [16], [17]], rows=2, max_pairs=1), 4) == [14, 15]


def test_adding_up_now_and_then_changes_nothing(monkeypatch):
    whole = learn(SOURCES, TARGETS, rows=1)
    monkeypatch.setattr(module, "_MOST_PENDING", 2)
    assert torch.equal(learn(SOURCES, TARGETS, rows=1).translations, whole.translations)


def test_with_one_vocabulary_what_never_occurred_stands_for_itself():
    lexicon = learn(SOURCES, TARGETS, shared=True)
    assert row(lexicon, 4) == [14]
    assert row(lexicon, 7) == [7]


def test_without_attention_there_is_nothing_to_learn_from():
    config = ModelConfig(attention="none", embedding_size=3, hidden_size=4)
    network = build_model(config, SOURCE_SIZE, TARGET_SIZE).eval()
    with pytest.raises(ValueError, match="learnt from attention, but the network has none"):
        learn([[4]], [[14]], network=network)


def test_a_learnt_translation_has_all_of_its_pieces(own_directory, known_pairs):
    blank = Pairs([*known_pairs.sources, "", "Hund"], [*known_pairs.targets, "dog", " "])
    file = learn_lexicon_of_directory(own_directory, blank, max_pairs=1000, device="cpu")
    assert file == own_directory / "lexicon.safetensors"
    loaded = load_model_directory(own_directory)
    sources, targets = (
        tokenizer.encode_batch(side)
        for tokenizer, side in (
            (loaded.tokenizers.source, known_pairs.sources),
            (loaded.tokenizers.target, known_pairs.targets),
        )
    )
    assert len(loaded.lexicon.frequent) == 1  # so the rows hold the others
    candidates = loaded.lexicon.candidates(sources, per_piece=100)
    for ids, found in zip(targets, candidates.tolist(), strict=True):
        assert {*ids, EOS_ID} <= set(found)


@pytest.mark.parametrize("earlier", [b"damaged", None])
def test_a_lexicon_is_replaced_whatever_it_was(own_directory, known_pairs, earlier):
    file = own_directory / "lexicon.safetensors"
    if earlier is None:
        learn_lexicon_of_directory(own_directory, Pairs(["Hund"], ["dog"]), max_pairs=10)
    else:
        file.write_bytes(earlier)
    learn_lexicon_of_directory(own_directory, known_pairs, max_pairs=10)
    replaced = load_model_directory(own_directory).lexicon
    file.unlink()
    learn_lexicon_of_directory(own_directory, known_pairs, max_pairs=10)
    fresh = load_model_directory(own_directory).lexicon
    assert torch.equal(replaced.translations, fresh.translations)


def test_no_pairs_may_not_be_asked_for(own_directory, known_pairs):
    with pytest.raises(ConfigurationError, match=r"`max_pairs` must be at least 1, but is 0\."):
        learn_lexicon_of_directory(own_directory, known_pairs, max_pairs=0)


def test_files_without_a_usable_pair(own_directory, monkeypatch):
    with pytest.raises(ConfigurationError, match="no pair to learn from: all are blank or longer"):
        learn_lexicon_of_directory(own_directory, Pairs([""], ["dog"]), max_pairs=10)
    monkeypatch.setattr(module, "_LONGEST", 2)
    with pytest.raises(ConfigurationError, match="are blank or longer than 2 pieces"):
        learn_lexicon_of_directory(own_directory, Pairs(["Hund"], ["dog . . ."]), max_pairs=10)
    assert not (own_directory / "lexicon.safetensors").exists()


def test_a_directory_without_attention_gets_none(tmp_path, tiny_recipe, tiny_directory):
    loaded = load_model_directory(tiny_directory)
    config = ModelConfig(attention="none", embedding_size=3, hidden_size=4)
    recipe = dataclasses.replace(tiny_recipe, model=config)
    size = loaded.tokenizers.source.vocabulary_size
    network = build_model(config, size, size)
    save_model_directory(tmp_path, recipe, network.state_dict(), loaded.tokenizers)
    with pytest.raises(ConfigurationError, match=r"trained with `model.attention` none, so there"):
        learn_lexicon_of_directory(tmp_path, Pairs(["Hund"], ["dog"]), max_pairs=10)
