import dataclasses
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_translator import SOURCES, train_tiny

from seq2seq import Translator, selection
from seq2seq.alignments import find_words
from seq2seq.config import EOS_ID, UNKNOWN_ID, ConfigurationError, TokenizerConfig
from seq2seq.copying import copy_words, fill, mask_words
from seq2seq.data.tokenizer import Tokenizer
from seq2seq.decoding.beam_search import Hypothesis
from seq2seq.decoding.scoring import Forced
from seq2seq.formats import FORMATS
from seq2seq.source import Source
from seq2seq.translation import TargetScore

NAMES = ["Ведран", "🐶", "Ωmega", "김민수", "x–Ж"]


@pytest.fixture(scope="module")
def translator(tiny_directory):
    return Translator.load(tiny_directory, device="cpu", precision="float32")


@pytest.fixture(scope="module")
def tokenizer(translator):
    return translator.tokenizers.source


def masked(tokenizer, text, language="de", **asked):
    source, ids = Source(text, **asked), tokenizer.encode(text)
    (found,) = mask_words(source, [ids], tokenizer, language, unknown=True)
    return found


def test_a_word_with_unknown_characters_becomes_one_piece(tokenizer):
    found = masked(tokenizer, "ein Ведран schläft .")
    ein, rest = tokenizer.encode("ein"), tokenizer.encode("schläft .")
    assert found.ids == [*ein, UNKNOWN_ID, *rest]
    assert found.unknown == [("Ведран", len(ein))]


@pytest.mark.parametrize("text", [*SOURCES, "", "ein „Hund“ schläft – er"])
def test_known_words_and_punctuation_stay(tokenizer, text):
    assert masked(tokenizer, text) == (tokenizer.encode(text), [])


def test_capitals_of_known_letters_are_no_unknown_characters(tokenizer):
    assert "<0x54>" in tokenizer.pieces(tokenizer.encode("Test"))
    assert masked(tokenizer, "ein RENNT Ж").unknown[0].text == "Ж"


def test_punctuation_around_a_word_stays_in_the_source(tokenizer):
    found = masked(tokenizer, "isst „Ведран“ Brot.")
    assert [word.text for word in found.unknown] == ["Ведран"]
    assert tokenizer.decode(found.ids).replace(" ", "") == "isst„⁇“Brot."


def test_neighbours_are_words_of_their_own_unless_words_are_not_separated(tokenizer):
    assert [word.text for word in masked(tokenizer, "Ω Ж isst").unknown] == ["Ω", "Ж"]
    assert [word.text for word in masked(tokenizer, "東京Ω Ж", "ja").unknown] == ["東京Ω", "Ж"]


def test_unknown_pieces_of_a_vocabulary_without_bytes_are_words_too():
    config = TokenizerConfig(kind="word", byte_fallback=False, vocabulary_size=8)
    tokenizer = Tokenizer.train(SOURCES, config)
    text = "Otto Anna . Rex"
    found = masked(tokenizer, text)
    assert found.unknown == [("Otto Anna", 0), ("Rex", len(found.ids) - 1)]
    assert [found.ids[word.position] for word in found.unknown] == [UNKNOWN_ID] * 2


def test_a_word_that_was_cut_stays_as_it_is(tokenizer):
    ids = tokenizer.encode("ein ЖЖЖ isst")
    parts = [ids[:5], ids[5:]]
    assert mask_words(Source("ein ЖЖЖ isst"), parts, tokenizer, "de", unknown=True) == [
        (part, []) for part in parts
    ]


def test_words_of_terms_are_left_to_the_search(tokenizer):
    found = masked(tokenizer, "Ω isst Ж+1", terms=("Ж+1 x",))
    assert [word.text for word in found.unknown] == ["Ω"]


def test_parts_have_their_own_words(tokenizer):
    first, second = "Ω schläft .", "ein Ж isst Brot ."
    parts = [tokenizer.encode(first), tokenizer.encode(second)]
    found = mask_words(Source(f"{first} {second}"), parts, tokenizer, "de", unknown=True)
    assert found == [masked(tokenizer, first), masked(tokenizer, second)]


def test_copies_stand_between_spaces_but_not_before_punctuation(tokenizer):
    ids = [*tokenizer.encode("ein"), UNKNOWN_ID, *tokenizer.encode("isst"), UNKNOWN_ID]
    assert fill(ids, ("Ж", None), tokenizer, "de") == "ein Ж isst⁇"
    assert fill([UNKNOWN_ID, *tokenizer.encode("x.")[-1:]], ("Ж",), tokenizer, "de") == "Ж."
    assert fill(ids[:-1], ("Ж",), tokenizer, "ja") == "einЖ isst"


@settings(max_examples=15)
@given(st.data())
def test_every_unknown_word_stands_in_the_translation(translator, data):
    words = data.draw(st.sampled_from(SOURCES)).split()
    names = data.draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=3))
    for name in names:
        words.insert(data.draw(st.integers(0, len(words))), name)
    found = translator.translate(" ".join(words), copy_unknown=True, n_best=2)
    assert all(name in each.text.split() for name in names for each in found.alternatives)
    assert found.text == found.alternatives[0].text


@pytest.mark.parametrize(
    "natural",
    ["the ⁇ sleeps .", "the dog ⁇ sleeps .", "the dog ⁇ .", "⁇ sleeps .", "the ⁇ dog sleeps ."],
)
def test_the_word_stands_where_the_network_finds_the_rest_most_probable(translator, natural):
    """Of replacing words that attended to it and of standing beside them."""
    tokenizer = translator.tokenizers.target
    source = masked(tokenizer, "der Ж schläft .")
    hypothesis = hypothesis_of(tokenizer, "the dog sleeps .")
    weights = {"the": 0.5, "dog": 0.9, "sleeps": 0.4}
    tried = []

    def force(source_ids, target_ids):
        assert source_ids == [source.ids] * len(target_ids)
        texts = [tokenizer.decode(ids) for ids in target_ids]
        tried.extend(texts)
        return [
            Forced(
                say(ids, written(text) == natural),
                [0.0] * len(ids),
                attend(tokenizer, ids, weights, source),
            )
            for ids, text in zip(target_ids, texts, strict=True)
        ]

    ((found,),) = copy_words(
        [source], [[hypothesis]], [Source("der Ж schläft .")], force, tokenizer, "en"
    )
    text = fill(found.hypothesis.ids, found.copies, tokenizer, "en")
    assert text == natural.replace("⁇", "Ж")
    assert len(tried) == len(set(tried))


def say(ids, is_natural):
    """Log-probabilities: how improbable the unknown piece is says nothing."""
    rest, unknown = (-1.0, -50.0) if is_natural else (-2.0, -0.1)
    num_rest = sum(id_ != UNKNOWN_ID for id_ in ids)
    return [unknown if id_ == UNKNOWN_ID else rest / num_rest for id_ in ids]


def written(text):
    """Decoded text with the space that a copy gets."""
    return " ".join(text.replace("⁇", " ⁇ ").split())


def hypothesis_of(tokenizer, text):
    return Hypothesis([*tokenizer.encode(text), EOS_ID], -1.0, -1.0, None, False)


def attend(tokenizer, ids, weights, source):
    """Gives the pieces of each word so much attention on the unknown source piece."""
    pieces = tokenizer.pieces(ids)
    text = tokenizer.decode(ids).replace("⁇", " ⁇ ")
    alignment = torch.zeros(len(ids), len(source.ids) + 1)
    for word in find_words(text, pieces, "en"):
        weight = weights.get(text[word.start : word.end], 0.0)
        alignment[word.first : word.last, source.unknown[0].position] = weight
    return alignment


def test_sentences_that_are_known_stay_as_they_are(translator):
    plain = translator.translate(SOURCES, n_best=2)
    copied = translator.translate([*SOURCES, "Ж", ""], n_best=2, copy_unknown=True)
    for before, after in zip(plain, copied, strict=False):
        assert [each.text for each in after.alternatives] == [e.text for e in before.alternatives]
        assert after.score == pytest.approx(before.score, abs=1e-5)
    assert "Ж" in copied[-2].text.split()
    assert copied[-1].text == ""


def test_the_batch_does_not_change_what_is_copied(translator):
    sources = [f"{name} {verb}" for name in NAMES for verb in ("schläft .", "rennt im Park .")]
    together = translator.translate(sources, copy_unknown=True)
    alone = [translator.translate(source, copy_unknown=True).text for source in sources]
    assert [each.text for each in together] == alone


def test_details_know_the_copied_word(translator):
    found = translator.translate("Ведран isst Brot .", copy_unknown=True, with_details=True)
    assert found.source_words == ("Ведран", "isst", "Brot", ".")
    assert [word.text for word in found.words] == found.text.split()
    assert all(found.text[w.start : w.start + len(w.text)] == w.text for w in found.words)
    copied = next(word for word in found.words if word.text == "Ведран")
    assert copied.sources == (0,)
    assert "<unk>" in found.pieces
    assert len(found.piece_entropies) == len(found.pieces) == len(found.alignment)
    assert math.isfinite(found.log_probability)


def test_copies_obey_what_the_translation_must(translator):
    source = Source("Ведран isst Brot .", prefix="the ma", terms=("bread",), forbidden=("dog",))
    found = translator.translate(source, copy_unknown=True)
    assert found.text.startswith("the ma")
    assert {"bread", "Ведран"} <= set(found.text.split())
    forbidden = translator.translate("Ведран isst Brot .", copy_unknown=True, forbidden=["Ведран"])
    assert "Ведран" not in forbidden.text
    asked = translator.translate("Ведран isst Brot .", copy_unknown=True, terms=["Ведран"])
    assert asked.text.split().count("Ведран") == 1


def test_capitals_and_copies_go_together(translator):
    found = translator.translate("ВЕДРАН ISST BROT .", copy_unknown=True, keep_case=True)
    quiet = translator.translate("Ведран isst Brot .", copy_unknown=True)
    assert found.text == quiet.text.upper()
    assert "ВЕДРАН" in found.text


@pytest.fixture(scope="module")
def fixed(tiny_recipe, known_pairs, tmp_path_factory):
    model = dataclasses.replace(tiny_recipe.model, attention="none")
    path = tmp_path_factory.mktemp("models") / "fixed"
    train_tiny(dataclasses.replace(tiny_recipe, model=model), known_pairs, path, num_steps=1)
    return Translator.load(path, device="cpu", precision="float32")


def test_copies_need_attention(fixed):
    with pytest.raises(ConfigurationError, match="copy_unknown` needs a model with attention"):
        fixed.translate(SOURCES[0], copy_unknown=True)
    assert fixed.translate(SOURCES[0].upper(), keep_case=True).text.isupper()


def test_phrases_that_are_not_translated_are_hidden_in_their_order(tokenizer):
    found = masked(tokenizer, "ein Hund, ein Hund im Park", copied=("ein Hund", "x", "im Park"))
    assert [word.text for word in found.unknown] == ["ein Hund", "im Park"]
    assert tokenizer.decode(found.ids).replace(" ", "") == "⁇,einHund⁇"
    (known,) = mask_words(
        Source("Ж isst", copied=("isst",)),
        [[*tokenizer.encode("Ж isst")]],
        tokenizer,
        "de",
        unknown=False,
    )
    assert [word.text for word in known.unknown] == ["isst"]


def test_what_is_copied_stands_in_the_translation_as_it_was(translator):
    sources = [
        Source("EIN HUND SCHLÄFT .", copied=("HUND",)),
        Source("der Mann isst Brot . ein Hund schläft .", copied=("Mann isst", "Hund")),
    ]
    loud, several = translator.translate(sources, keep_case=True)
    assert "HUND" in loud.text.split()
    assert loud.text.isupper()
    assert "Mann isst" in several.text
    assert "Hund" in several.text


def test_phrases_are_cleaned_as_sentences_are(translator):
    source = Source("der Cafe\u0301 isst\x07Brot .", copied=("Cafe\u0301 isst\x07Brot", "Ж"))
    assert "Café isst Brot" in translator.translate(source).text


def test_phrases_may_come_with_lines_of_jsonl(translator):
    line = '{"source": "ein Hund isst Brot .", "copied": ["Hund"]}'
    assert "Hund" in translator.translate(FORMATS["jsonl"].read(line, 1)).text.split()


def test_phrases_need_attention(fixed):
    with pytest.raises(ConfigurationError, match="`copied` needs a model with attention"):
        fixed.translate(Source("ein Hund", copied=("Hund",)))


def test_html_keeps_code(translator):
    (translation,) = translator.translate([HTML.read(CODE, 1)], with_details=True)
    assert "f( 1 < x )" in translation.text
    assert "Katze" in translation.text
    found = HTML.write(CODE, translation)
    assert "<code>f( 1 &lt; x )</code>" in found
    assert "<b translate='no'>Katze</b>" in found


HTML = FORMATS["html"]
CODE = "ein Hund <code>f( 1 &lt; x )</code> isst <b translate='no'>Katze</b> ."


class TestOrderedAnew:
    """Who orders hypotheses anew reads them with their copies."""

    sources = ("ein Ведран schläft .", "der Hund isst 🐶 .", SOURCES[0])

    def test_by_minimum_risk(self, translator, monkeypatch):
        read = []
        order = selection.order_by_risk

        def note(hypotheses, texts, search):
            read.append(texts)
            return order(hypotheses, texts, search)

        monkeypatch.setattr(selection, "order_by_risk", note)
        found = translator.translate(self.sources, copy_unknown=True, mbr=True)
        assert [len(texts) for texts in read] == [3, 3, 3]
        for word, texts, translation in zip(("Ведран", "🐶", ""), read, found, strict=True):
            assert all(word in text and "⁇" not in text for text in texts)
            assert translation.text in texts

    def test_by_a_reverse_model(self, translator, monkeypatch):
        class Reverse:
            def score_targets(self, sources, targets):
                self.read = sources, targets
                return [TargetScore(-float(len(text)), 1) for text in sources]

        monkeypatch.setattr(translator, "reverse", Reverse())
        options = {"copy_unknown": True, "reverse_weight": 9.0, "n_best": 3}
        found = translator.translate(self.sources, **options)
        hypotheses, sources = translator.reverse.read
        assert sources == [text for text in self.sources for _ in range(3)]
        texts = [each.text for translation in found for each in translation.alternatives]
        assert sorted(hypotheses) == sorted(texts)
        for translation in found:
            lengths = [len(each.text) for each in translation.alternatives]
            assert lengths == sorted(lengths)
            assert [
                each.reverse_log_probability for each in translation.alternatives
            ] == pytest.approx([-length for length in lengths])
