import math
import random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_language_model import CODE, RUNNING_TEXT, SENTENCES
from tiny_translator import TARGETS

from seq2seq.config import BOS_ID, EOS_ID, ConfigurationError, TokenizerConfig
from seq2seq.data.tokenizer import Tokenizer
from seq2seq.evaluation.text_loss import total
from seq2seq.language_config import LanguageNetworkConfig
from seq2seq.language_model import LanguageModel
from seq2seq.language_model_directory import ModelDirectoryError
from seq2seq.models.cells import CELLS
from seq2seq.models.language_inference import LanguageInference
from seq2seq.models.language_model import LanguageNetwork


@pytest.fixture(scope="module")
def sentences(language_directory):
    return LanguageModel.load(language_directory, "cpu")


@pytest.fixture(scope="module")
def text(text_directory):
    return LanguageModel.load(text_directory, "cpu")


@pytest.fixture(scope="module")
def korean():
    """Knows nothing, but no two states or pieces are alike to it."""
    lines = ["한국어 문장", "다른 문장"]
    config = TokenizerConfig(kind="character", character_coverage=1.0, byte_fallback=False)
    tokenizer = Tokenizer.train(lines, config)
    torch.manual_seed(2)
    network = LanguageNetwork(RUNNING_TEXT.model, tokenizer.vocabulary_size)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(3.0)
    return LanguageModel(network, tokenizer, RUNNING_TEXT)


def in_double(language_model):
    """The same network in float64."""
    network = LanguageNetwork(language_model.recipe.model, language_model.tokenizer.vocabulary_size)
    network.load_state_dict(language_model.network.state_dict())
    return network.eval().double().requires_grad_(False)


def plain_scores(language_model, lines, *, goes_on):
    """The log-probability of each line: a loop over pieces in float64."""
    network, scores = in_double(language_model), []
    state, last = network.start(1), EOS_ID
    for line in lines:
        if not goes_on:
            state, last = network.start(1), BOS_ID
        scores.append(0.0)
        for id_ in [*language_model.tokenizer.encode(line), EOS_ID]:
            logits, state = network.step(torch.tensor([last]), state)
            scores[-1] += float(logits[0].log_softmax(0)[id_])
            last = id_
    return scores


class TestScore:
    def test_sentences_stand_for_themselves(self, sentences):
        lines = [*TARGETS, "", "the man", TARGETS[3]]
        found = sentences.score(lines)
        expected = plain_scores(sentences, lines, goes_on=False)
        assert [-each.nats for each in found] == pytest.approx(expected, abs=1e-4)
        assert found[3].nats == pytest.approx(found[-1].nats, abs=1e-5)

    def test_lines_of_a_text_follow_one_another(self, text):
        lines = CODE * 12  # several chunks
        found = text.score(lines)
        assert sum(each.pieces for each in found) > 600
        expected = plain_scores(text, lines, goes_on=True)
        assert [-each.nats for each in found] == pytest.approx(expected, abs=1e-3)
        assert found[0].nats != pytest.approx(found[len(CODE)].nats, abs=1e-3)

    def test_lengths_count_the_end_of_the_line(self, sentences):
        (found,) = sentences.score(["the man sleeps ."])
        assert (found.words, found.characters) == (5, 17)
        assert found.pieces == len(sentences.tokenizer.encode("the man sleeps .")) + 1

    def test_perplexity_is_that_of_all_lines_together(self, sentences):
        scores = plain_scores(sentences, TARGETS, goes_on=False)
        pieces = sum(len(sentences.tokenizer.encode(line)) + 1 for line in TARGETS)
        characters = sum(len(line) + 1 for line in TARGETS)
        assert sentences.perplexity(TARGETS) == pytest.approx(
            math.exp(-sum(scores) / pieces), rel=1e-5
        )
        assert total(sentences.score(TARGETS)).bits_per_character == pytest.approx(
            -sum(scores) / math.log(2) / characters, rel=1e-5
        )

    def test_unknown_pieces_are_counted(self, text):
        assert [each.unknown for each in text.score(["한 x 글", "def f(x):"])] == [2, 0]

    def test_no_lines_have_no_scores(self, sentences, text):
        assert sentences.score([]) == [] == text.score([])

    def test_one_text_is_refused(self, text):
        with pytest.raises(ValueError, match="must be a list of lines, but is one text"):
            text.score("def f(x):")


class TestGenerate:
    def test_the_same_arguments_give_the_same_text(self, text):
        (first,) = text.generate("def ", 40)
        assert text.generate("def ", 40) == [first]
        assert text.generate("def ", 40, seed=2) != [first]
        assert len(set(text.generate("def ", 40, n=3))) == 3

    def test_the_likeliest_text_is_that_of_a_loop(self, text):
        network, tokenizer = in_double(text), text.tokenizer
        state, last, ids = network.start(1), EOS_ID, []
        for _ in range(60):
            logits, state = network.step(torch.tensor([last]), state)
            logits[0, [0, BOS_ID]] = -math.inf
            last = int(logits.argmax())
            ids.append(last)
        lines = "".join(
            "\n" if id_ == EOS_ID else piece.replace("▁", " ")
            for id_, piece in zip(ids, tokenizer.pieces(ids), strict=True)
        ).split("\n")
        expected = "\n".join(line.removeprefix(" ") for line in lines)
        assert text.generate(length=60, temperature=0) == [expected]
        assert "\n" in expected

    @pytest.mark.parametrize(
        "prefix",
        ["", "def ", "def f(x):\n", "def f(x):\n    re", "\n\n", "    ", "x\n\ny"],
        ids=["nothing", "space", "newline", "inside", "blank lines", "indent", "after blank"],
    )
    def test_texts_begin_with_the_prefix_and_go_on_for_the_length(self, text, prefix):
        for found in text.generate(prefix, 30, n=4):
            assert found.startswith(prefix)
            ids = text.encode(found.split("\n"))[:-1]
            begin = text.encode(prefix.split("\n"))[:-1]
            # A piece of one character each, but that a blank line has no space before it.
            assert len(begin) + 24 <= len(ids) <= len(begin) + 36

    def test_what_follows_a_prefix_follows_all_of_it(self, korean):
        """After several lines the state and the last piece are those of the whole prefix."""
        network, prefix = in_double(korean), "한국어 문장\n다른\n"
        ids = [EOS_ID, *korean.encode(prefix.split("\n")[:-1])]
        expected = []
        for _ in range(6):
            features, _ = network(torch.tensor([ids]), network.start(1))
            logits = network.logits(features)[0, -1]
            logits[[0, BOS_ID]] = -math.inf
            expected.append(int(logits.argmax()))
            ids.append(expected[-1])
        (found,) = korean.generate(prefix, 6, temperature=0)
        said = "".join(
            "\n" if id_ == EOS_ID else korean.tokenizer.decode([id_]) or " " for id_ in expected
        )
        assert found.replace(" ", "") == prefix.replace(" ", "") + said.replace(" ", "")

    def test_all_lines_of_a_prefix_are_treated_alike(self, text):
        (found,) = text.generate("def\tf(x):\n    if\tx:", 5)
        assert found.startswith("def f(x):\n    if x:")  # the pieces know no tab
        for prefix in ("한\ndef", "def\n한"):
            with pytest.raises(ConfigurationError, match="vocabulary cannot write"):
                text.generate(prefix, 5)

    def test_the_length_counts_what_follows_the_prefix(self, korean):
        for found in korean.generate("다른 문", 9, n=5):
            assert found.startswith("다른 문")
            assert len(found.removeprefix("다른 문")) in (8, 9)  # a line's first piece is no text

    def test_a_sentence_ends_by_itself(self, sentences):
        (found,) = sentences.generate(temperature=0, length=100)
        assert found.endswith(" .") and "\n" not in found and len(found) < 60

    def test_a_prefix_may_end_within_a_piece(self, sentences):
        found = sentences.generate("the m", 30, n=8, temperature=0.5)
        assert all(each.startswith("the m") for each in found)
        assert any(each.startswith("the man ") for each in found)

    @settings(max_examples=15)
    @given(st.text(alphabet="ab é한\n", max_size=6), st.integers(1, 8))
    def test_any_prefix_is_kept_where_bytes_can_spell_it(self, sentences, prefix, length):
        (found,) = sentences.generate(prefix, length, top_p=0.9)
        assert found.startswith(prefix.replace("\n", " ").rstrip(" "))

    def test_top_k_of_one_is_the_likeliest(self, text):
        assert text.generate("def", 30, top_k=1) == text.generate("def", 30, temperature=0)

    def test_what_cannot_be_spelt_is_refused(self, text):
        with pytest.raises(ConfigurationError, match="`prefix` asks for '한', which the pieces"):
            text.generate("한")

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"n": 0}, "`n` must be from 1 to 1000, but is 0"),
            ({"length": 0}, "`length` must be from 1 to 1000000, but is 0"),
            ({"temperature": -1.0}, "temperature` must be from 0 to 100"),
            ({"top_p": 1.5}, "top_p` must be from 0 to 1"),
            ({"top_k": -1}, "top_k` must be from 0 to"),
        ],
        ids=["n", "length", "temperature", "top_p", "top_k"],
    )
    def test_arguments_out_of_range_are_refused(self, text, arguments, message):
        with pytest.raises(ConfigurationError, match=message):
            text.generate(**{"length": 3, **arguments})


@pytest.mark.parametrize("cell", sorted(CELLS))
@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("num_layers", [1, 3])
def test_the_fast_network_gives_the_numbers_of_the_plain_one(cell, tied, num_layers):
    config = LanguageNetworkConfig(
        cell=cell, embedding_size=9, hidden_size=14, num_layers=num_layers, tie_embeddings=tied
    )
    torch.manual_seed(4)
    network = LanguageNetwork(config, 23).eval()
    fast = LanguageInference(network)
    ids = torch.randint(4, 23, (5, 3))  # [length, rows]
    with torch.inference_mode():
        expected, after = network(ids.t(), network.start(3))
        expected = network.logits(expected).transpose(0, 1).flatten(0, 1)
        found, state = fast.read(ids.flatten(), fast.start(3), rows=3)
        steps, stepped = [], fast.start(3)
        for row in ids:
            logits, stepped = fast.step(row, stepped)
            steps.append(logits)
    assert torch.allclose(found, expected, atol=1e-5)
    assert torch.allclose(torch.cat(steps), expected, atol=1e-5)
    for ours, theirs in ((state, after), (stepped, after)):
        for layer, expected_layer in zip(ours.layers, theirs.layers, strict=True):
            for part, expected_part in zip(layer, expected_layer, strict=True):
                assert torch.allclose(part, expected_part, atol=1e-5)


def test_byte_pieces_make_whole_characters():
    lines = ["한국어 문장", "다른 문장"]
    tokenizer = Tokenizer.train(lines, TokenizerConfig(kind="byte"))
    torch.manual_seed(2)
    network = LanguageNetwork(SENTENCES.model, tokenizer.vocabulary_size)
    for recipe in (SENTENCES, RUNNING_TEXT):
        for found in LanguageModel(network, tokenizer, recipe).generate("한", 40, n=4):
            assert found.startswith("한") and "\ufffd" not in found


def test_a_translator_is_no_language_model(tiny_directory):
    with pytest.raises(ModelDirectoryError, match="holds a translator, not a language model"):
        LanguageModel.load(tiny_directory)


def test_scores_do_not_depend_on_what_stands_beside(sentences):
    lines = [*TARGETS] * 7
    shuffled = random.Random(1).sample(lines, len(lines))
    found = {line: each.nats for line, each in zip(lines, sentences.score(lines), strict=True)}
    for line, each in zip(shuffled, sentences.score(shuffled), strict=True):
        assert each.nats == pytest.approx(found[line], abs=1e-5)
