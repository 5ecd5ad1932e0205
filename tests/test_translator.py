import dataclasses
import itertools
import math

import pytest
import torch
from tiny_translator import SOURCES, TARGETS, train_tiny

from seq2seq import Recipe, Translator
from seq2seq.batches import TooLongError
from seq2seq.config import ConfigurationError
from seq2seq.decoding.beam_search import beam_search
from seq2seq.decoding.scoring import score_targets
from seq2seq.decoding.shortlist import Lexicon
from seq2seq.members import has_twins
from seq2seq.model_directory import load_model_directory
from seq2seq.models.encoder_decoder import EncoderDecoder
from seq2seq.models.products import is_plain
from seq2seq.source import Source
from seq2seq.translation import TargetScore
from seq2seq.translator import WINDOW_BATCHES


@pytest.fixture(scope="module")
def translator(tiny_directory):
    return Translator.load(tiny_directory, device="cpu", precision="float32")


@pytest.fixture
def network(tiny_directory):
    return load_model_directory(tiny_directory).model


@pytest.fixture(scope="module")
def fixed_context(tiny_recipe, known_pairs, tmp_path_factory):
    model = dataclasses.replace(tiny_recipe.model, attention="none")
    path = tmp_path_factory.mktemp("models") / "fixed"
    train_tiny(dataclasses.replace(tiny_recipe, model=model), known_pairs, path, num_steps=2)
    return Translator.load(path, device="cpu", precision="float32")


def test_a_sentence_becomes_a_translation(translator):
    translation = translator.translate("ein Hund schläft .")
    assert translation.text == "a dog sleeps ."
    assert translation.pieces[-1] == translation.source_pieces[-1] == "</s>"
    assert not translation.truncated


def test_a_list_keeps_its_order_whatever_the_lengths(translator):
    sources = SOURCES[::-1] + SOURCES
    translations = translator.translate(sources)
    assert [t.text for t in translations] == TARGETS[::-1] + TARGETS


def test_an_empty_list_gives_an_empty_list(translator):
    assert translator.translate([]) == []
    assert translator.score([], []) == []


@pytest.mark.parametrize("batch_size", [1, 7, 64])
def test_the_batch_does_not_change_a_translation(translator, batch_size):
    alone = [translator.translate(source) for source in SOURCES]
    together = translator.translate(SOURCES, batch_size=batch_size)
    assert [t.pieces for t in together] == [t.pieces for t in alone]
    assert [t.score for t in together] == pytest.approx([t.score for t in alone], abs=1e-5)


def test_score_is_log_probability_over_length(translator):
    translation = translator.translate(SOURCES[0], length_penalty=0.5)
    expected = translation.log_probability / len(translation.pieces) ** 0.5
    assert translation.score == pytest.approx(expected)


def test_alignment_rows_sum_to_one_over_the_own_source(translator):
    for translation in translator.translate(SOURCES):
        shape = (len(translation.pieces), len(translation.source_pieces))
        assert tuple(translation.alignment.shape) == shape
        torch.testing.assert_close(translation.alignment.sum(1), torch.ones(shape[0]))


def test_without_attention_there_is_no_alignment(fixed_context):
    assert fixed_context.translate(SOURCES[0]).alignment is None
    assert fixed_context.translate("").alignment is None


def test_alignments_are_left_out_if_so_asked(translator):
    sources = [SOURCES[0], ""]
    for translations in (
        translator.translate(sources, with_alignment=False),
        list(translator.stream(sources, with_alignment=False)),
    ):
        assert [t.alignment for t in translations] == [None, None]
        assert [t.text for t in translations] == [TARGETS[0], ""]
    assert translator.translate(SOURCES[0], with_alignment=False).alignment is None


def test_alternatives_are_the_n_best_with_the_translation_first(translator):
    translation = translator.translate(SOURCES[0], beam_size=4, n_best=3)
    alternatives = translation.alternatives
    assert len(alternatives) == 3
    assert alternatives[0] == dataclasses.replace(translation, alternatives=())
    scores = [alternative.score for alternative in alternatives]
    assert scores == sorted(scores, reverse=True)
    assert len({tuple(alternative.pieces) for alternative in alternatives}) == 3


def test_one_best_has_one_alternative(translator):
    (only,) = translator.translate(SOURCES[0]).alternatives
    assert only.text == TARGETS[0]


@pytest.mark.parametrize("blank", ["", " ", "\t\n", "\x00"])
def test_a_blank_source_has_a_blank_translation(translator, blank):
    translation = translator.translate(blank)
    assert translation.text == ""
    assert translation.pieces == translation.source_pieces == ["</s>"]
    assert translation.log_probability == pytest.approx(translator.score([""], [""])[0], abs=1e-4)
    assert translation.alignment.tolist() == [[1.0]]


def test_a_blank_source_leaves_its_neighbours_alone(translator):
    texts = [t.text for t in translator.translate(["", SOURCES[1], " ", SOURCES[0]])]
    assert texts == ["", TARGETS[1], "", TARGETS[0]]


def test_line_breaks_inside_a_sentence_count_as_spaces(translator):
    assert translator.translate("ein Hund\nschläft .\r\n").text == "a dog sleeps ."


def test_decomposed_characters_are_composed(translator):
    decomposed = "ein Hund schla\N{COMBINING DIAERESIS}ft ."
    assert translator.translate(decomposed).source_pieces == (
        translator.translate("ein Hund schläft .").source_pieces
    )


def test_spaces_are_removed_as_from_the_training_corpus(translator, network, known_pairs):
    recipe = translator.recipe
    for side, is_removed in (("source", True), ("both", True), ("target", False), (None, False)):
        corpus = dataclasses.replace(recipe.corpus, remove_spaces=side)
        other = Translator(
            network, translator.tokenizers, dataclasses.replace(recipe, corpus=corpus)
        )
        pieces = other.translate(known_pairs.sources[0]).source_pieces
        assert ("▁" in "".join(pieces)[1:]) is not is_removed


def test_a_lone_surrogate_is_translated_like_any_unknown_character(translator):
    assert isinstance(translator.translate("ein \ud800 Hund").text, str)


def test_a_long_source_has_finite_scores(translator):
    source = " ".join(["ein Hund schläft"] * 350)
    translation = translator.translate(source, max_length_ratio=0.02)
    assert len(translation.source_pieces) > 1000
    assert math.isfinite(translation.score)
    assert torch.isfinite(translation.alignment).all()


@pytest.fixture
def short_sighted(tiny_directory):
    """The translator with a limit that none of its sentences exceeds, but two of "Müller" do."""
    translator = Translator.load(tiny_directory, device="cpu", precision="float32")
    longest = max(map(len, translator.tokenizers.source.encode_batch(SOURCES)))
    translator.longest_source = longest
    return translator


def test_a_long_source_is_translated_in_parts_and_joined(short_sighted):
    chosen = [10, 9, 11]
    source = "  ".join(SOURCES[index] for index in chosen)
    before, joined, after = short_sighted.translate([SOURCES[0], source, SOURCES[2]])
    assert (before.text, after.text) == (TARGETS[0], TARGETS[2])
    assert joined.text == " ".join(TARGETS[index] for index in chosen)
    parts = short_sighted.translate([SOURCES[index] for index in chosen])
    assert joined.pieces == [piece for part in parts for piece in part.pieces]
    assert joined.source_pieces == [piece for part in parts for piece in part.source_pieces]
    log_probability = sum(part.log_probability for part in parts)
    assert joined.log_probability == pytest.approx(log_probability, abs=1e-4)
    assert joined.score == pytest.approx(log_probability / len(joined.pieces), abs=1e-5)
    assert not joined.truncated
    rows = columns = 0
    for part in parts:
        target_length, source_length = part.alignment.shape
        block = joined.alignment[rows : rows + target_length, columns : columns + source_length]
        torch.testing.assert_close(block, part.alignment, atol=1e-4, rtol=0)
        rows, columns = rows + target_length, columns + source_length
    assert joined.alignment.shape == (rows, columns)
    torch.testing.assert_close(joined.alignment.sum(1), torch.ones(rows), atol=1e-3, rtol=0)


def test_alternatives_of_a_long_source_join_those_of_its_parts(short_sighted):
    source = f"{SOURCES[10]} {SOURCES[11]}"
    search = {"beam_size": 4, "n_best": 3, "with_alignment": False}
    joined = short_sighted.translate(source, **search)
    parts = short_sighted.translate([SOURCES[10], SOURCES[11]], **search)
    texts = [
        " ".join(alternative.text for alternative in kth_best)
        for kth_best in zip(*(part.alternatives for part in parts), strict=True)
    ]
    assert [alternative.text for alternative in joined.alternatives] == texts
    assert joined.alternatives[0] == dataclasses.replace(joined, alternatives=())


def test_a_part_that_is_cut_off_marks_the_whole(short_sighted):
    source = f"{SOURCES[10]} {SOURCES[11]}"
    assert short_sighted.translate(source, min_length=10_000, beam_size=1).truncated


def test_a_source_stays_whole_up_to_the_longest_that_the_network_knows(short_sighted):
    source = f"{SOURCES[9]} {SOURCES[9]}"
    length = len(short_sighted.tokenizers.source.encode(source))
    for longest, num_parts in ((None, 1), (length, 1), (length - 1, 2)):
        short_sighted.longest_source = longest
        assert short_sighted.translate(source).source_pieces.count("</s>") == num_parts


@pytest.mark.parametrize("joint", [", ", " ", ""])
def test_a_sentence_that_is_too_long_is_cut(short_sighted, joint):
    source = joint.join(["ein Hund schläft"] * 30)
    clause = len(short_sighted.tokenizers.source.encode("ein Hund schläft,"))
    short_sighted.longest_source = 4 * clause + 1
    before, cut, after = short_sighted.translate([SOURCES[0], source, SOURCES[2]])
    assert (before.text, after.text) == (TARGETS[0], TARGETS[2])
    assert (before.cut, cut.cut, after.cut) == (False, True, False)
    assert cut.alternatives == (dataclasses.replace(cut, alternatives=()),)
    pieces = " ".join(cut.source_pieces)
    parts = [part.split() for part in pieces.split("</s>")[:-1]]
    assert all(0 < len(part) <= short_sighted.longest_source for part in parts)
    words = short_sighted.tokenizers.source
    ids = [words._processor.piece_to_id(piece) for part in parts for piece in part]
    assert words.decode(ids).replace(" ", "") == source.replace(" ", "")
    if joint == ", ":
        assert [part.count("<0x2C>") for part in parts] == [2] * 14 + [1]
    if joint:
        assert all(part[0].startswith("▁") for part in parts)


def test_sentences_beside_one_that_is_too_long_stay_whole(short_sighted):
    source = f"{SOURCES[9]} {' '.join(['Hund schläft'] * 30)} . {SOURCES[11]}"
    cut = short_sighted.translate(source.replace("Hund", "Müller", 1))
    assert cut.cut
    assert cut.text.startswith(TARGETS[9]) and cut.text.endswith(TARGETS[11])


def test_more_sentences_than_were_usual_are_translated_one_by_one(translator, network):
    two, three = " ".join(SOURCES[9:11]), " ".join(SOURCES[9:])
    for usual, num_parts in ((None, [1, 1]), (1, [2, 3]), (2, [1, 3]), (3, [1, 1])):
        other = Translator(
            network,
            translator.tokenizers,
            translator.recipe,
            sentences_per_source=usual,
        )
        found = other.translate([two, three])
        assert [t.source_pieces.count("</s>") for t in found] == num_parts
        assert not any(t.cut for t in found)
    one_by_one = Translator(
        network, translator.tokenizers, translator.recipe, sentences_per_source=1
    )
    assert one_by_one.translate(three).text == " ".join(TARGETS[9:])


def test_unspaced_languages_join_without_spaces(short_sighted):
    short_sighted.recipe = dataclasses.replace(short_sighted.recipe, target_language="ja")
    assert short_sighted.translate(f"{SOURCES[10]} {SOURCES[11]}").text == TARGETS[10] + TARGETS[11]


def test_what_the_network_knows_stands_in_the_model_directory(own_directory):
    assert Translator.load(own_directory).longest_source is None
    assert Translator.load(own_directory).sentences_per_source is None
    recipe_file = own_directory / "recipe.yaml"
    recipe_file.write_text(
        recipe_file.read_text().replace(
            "decode:", "decode:\n  longest_source: 7\n  sentences_per_source: 2"
        )
    )
    assert Translator.load(own_directory).longest_source == 7
    assert Translator.load(own_directory).sentences_per_source == 2


def test_the_maximum_length_is_the_sentences_own_and_marks_what_it_cuts(translator):
    long = " ".join(SOURCES)
    short, _ = translator.translate(["Hund", long], min_length=10_000, beam_size=1)
    assert short.truncated
    assert len(short.pieces) == 2 * len(short.source_pieces) + 10


def test_min_length_counts_pieces_without_the_end(translator):
    assert len(translator.translate(SOURCES[0], min_length=9).pieces) >= 10


@pytest.fixture
def small_memory(monkeypatch):
    """A search that has memory for two sentences at once, or for as many pieces."""

    def limit(num_sentences=2, num_pieces=10**9):
        def search(step, state, *, max_lengths, **settings):
            if len(max_lengths) > num_sentences or max(max_lengths) > num_pieces:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.")
            return beam_search(step, state, max_lengths=max_lengths, **settings)

        given_back = []
        monkeypatch.setattr("seq2seq.engine.beam_search", search)
        monkeypatch.setattr("seq2seq.batches.give_back_memory", lambda: given_back.append(1))
        return given_back

    return limit


def test_a_batch_that_does_not_fit_into_memory_is_halved(translator, small_memory):
    expected = [t.text for t in translator.translate([*SOURCES, ""])]
    before = translator.engine.batches.num_halved
    given_back = small_memory()
    assert [t.text for t in translator.translate([*SOURCES, ""])] == expected
    assert [t.text for t in translator.stream([*SOURCES, ""])] == expected
    assert translator.engine.batches.num_halved - before == 8, "batches of 5, 5 and 2, twice"
    assert len(given_back) == 8


def test_a_sentence_that_does_not_fit_into_memory_is_named(short_sighted, small_memory):
    in_two_parts, long = f"{SOURCES[10]} {SOURCES[9]}", "Hund" * 9
    num_pieces = len(short_sighted.tokenizers.source.encode(long)) + 1
    short_sighted.longest_source = num_pieces - 1
    small_memory(num_pieces=2 * num_pieces + 9)
    with pytest.raises(TooLongError) as caught:
        short_sighted.translate([in_two_parts, long, SOURCES[2]], beam_size=4)
    assert caught.value.index == 1
    assert str(caught.value) == (
        f"sentence 2 does not fit into memory: {num_pieces} pieces; give a smaller "
        f"`search.beam_size`, or split it."
    )


def test_scoring_halves_batches_too(translator, monkeypatch):
    expected = translator.score(SOURCES, TARGETS)

    def score(step, state, targets, **settings):
        if len(targets) > 3:
            raise MemoryError
        return score_targets(step, state, targets, **settings)

    monkeypatch.setattr("seq2seq.engine.score_targets", score)
    assert translator.score(SOURCES, TARGETS) == pytest.approx(expected, abs=1e-5)


def test_stream_equals_translate_and_reads_one_window_at_a_time(translator):
    window = WINDOW_BATCHES * translator.recipe.search.batch_size
    taken = itertools.count()
    endless = (SOURCES[next(taken) % len(SOURCES)] for _ in itertools.count())
    stream = translator.stream(endless)
    first = [translation.text for translation in itertools.islice(stream, window + 1)]
    assert first == [TARGETS[index % len(TARGETS)] for index in range(window + 1)]
    assert next(taken) == 2 * window


def test_long_sentences_end_a_window_of_a_stream(translator, monkeypatch):
    monkeypatch.setattr("seq2seq.translator.WINDOW_CHARACTERS", len(SOURCES[0]) + 1)
    taken = []
    stream = translator.stream(taken.append(source) or source for source in SOURCES)
    assert next(stream).text == TARGETS[0]
    assert len(taken) == 2


def test_stream_ends_with_its_input(translator):
    assert [t.text for t in translator.stream(iter(SOURCES))] == TARGETS


def test_stream_refuses_one_string(translator):
    with pytest.raises(ValueError, match="`sentences` must be an iterable of sentences"):
        translator.stream("ein Hund")


def test_scoring_agrees_with_the_search(translator):
    translations = translator.translate(SOURCES)
    scores = translator.score(SOURCES, [t.text for t in translations])
    assert scores == pytest.approx([t.log_probability for t in translations], abs=1e-4)


def test_perplexity_is_that_of_a_piece_or_word(translator):
    short, long = translator.score_targets(SOURCES[:2], TARGETS[:2])
    assert [short.log_probability, long.log_probability] == pytest.approx(
        translator.score(SOURCES[:2], TARGETS[:2])
    )
    assert (short.num_words, long.num_words) == (5, 8)  # with </s>
    assert short.num_pieces == len(translator.translate(SOURCES[0]).pieces)
    assert short.perplexity == pytest.approx(math.exp(-short.log_probability / short.num_pieces))
    both = short + long
    assert both.word_perplexity == pytest.approx(math.exp(-both.log_probability / 13))
    assert both.num_pieces == short.num_pieces + long.num_pieces


def test_perplexity_has_no_bounds_but_needs_something():
    assert TargetScore(-10_000.0, 2, 1).perplexity == math.inf
    assert TargetScore(-math.inf, 2, 1).word_perplexity == math.inf
    with pytest.raises(ValueError, match="There is no perplexity of no targets"):
        _ = TargetScore().perplexity


def test_scoring_prefers_the_right_target(translator):
    right, wrong = translator.score(SOURCES[:1] * 2, [TARGETS[0], TARGETS[5]])
    assert wrong < right < 0


def test_scoring_cleans_both_sides(translator):
    clean = translator.score(SOURCES[:1], TARGETS[:1])
    assert translator.score([f" {SOURCES[0]} "], [f" {TARGETS[0]} \n"]) == clean


def test_scoring_needs_as_many_targets_as_sources(translator):
    with pytest.raises(ValueError, match=r"as many sentences as `sources` \(2\), but has 1"):
        translator.score(["a", "b"], ["a"])
    with pytest.raises(ValueError, match="must be lists of sentences"):
        translator.score("a", "b")


def test_an_unknown_search_setting_is_refused_with_a_suggestion(translator):
    with pytest.raises(ConfigurationError, match="unknown search setting `beam`; did you mean"):
        translator.translate("x", beam=3)


def test_a_search_setting_out_of_range_is_refused(translator):
    with pytest.raises(ConfigurationError, match=r"`search\.beam_size` must be from 1 to 10000"):
        translator.translate("x", beam_size=0)
    with pytest.raises(ConfigurationError, match=r"`search\.length_penalty_kind` must be one of"):
        translator.translate([], length_penalty_kind="linear")


def test_none_keeps_the_recipes_setting(translator):
    assert translator.translate(SOURCES[0], beam_size=None).text == TARGETS[0]


@pytest.mark.parametrize(
    ("precision", "plain"), [("bfloat16", False), ("bfloat16", True), ("int8", False)]
)
def test_low_precision_finds_what_float32_finds_on_sentences_known_by_heart(
    tiny_directory, precision, plain
):
    low = Translator.load(tiny_directory, device="cpu", precision=precision, plain=plain)
    assert (low.precision, low.plain) == (precision, plain)
    translations = low.translate(SOURCES)
    assert [t.text for t in translations] == TARGETS
    assert translations[0].alignment.dtype == torch.float32


def test_auto_precision_needs_fast_hardware_and_a_record(
    tiny_directory, own_directory, monkeypatch
):
    recipe_file = own_directory / "recipe.yaml"
    recipe_file.write_text(recipe_file.read_text().replace("bfloat16: false", "bfloat16: true"))
    monkeypatch.setattr("seq2seq.members.is_bfloat16_fast", lambda device: True)
    assert Translator.load(tiny_directory, device="cpu").precision == "float32"
    assert Translator.load(own_directory, device="cpu").precision == "bfloat16"
    monkeypatch.setattr("seq2seq.members.is_bfloat16_fast", lambda device: False)
    assert Translator.load(own_directory, device="cpu").precision == "float32"


def test_the_plain_path_finds_the_same(translator, tiny_directory):
    plain = Translator.load(tiny_directory, device="cpu", precision="float32", plain=True)
    sources = [*SOURCES, "", " ".join(SOURCES)]
    for ours, theirs in zip(translator.translate(sources), plain.translate(sources), strict=True):
        assert ours.pieces == theirs.pieces
        assert ours.log_probability == pytest.approx(theirs.log_probability, abs=1e-4)
        torch.testing.assert_close(ours.alignment, theirs.alignment, atol=1e-5, rtol=0)
    scores = translator.score(SOURCES, TARGETS)
    assert scores == pytest.approx(plain.score(SOURCES, TARGETS), abs=1e-4)


def test_the_plain_path_computes_plainly(tiny_directory, monkeypatch):
    seen = []
    start = EncoderDecoder.start

    def spy(self, *args):
        seen.append(is_plain())
        return start(self, *args)

    monkeypatch.setattr(EncoderDecoder, "start", spy)
    plain = Translator.load(tiny_directory, device="cpu", plain=True)
    plain.translate(SOURCES[0])
    plain.score(SOURCES[:1], TARGETS[:1])
    assert seen == [True, True]


def test_where_there_is_no_int8_the_fastest_stands_in(tiny_directory, monkeypatch):
    monkeypatch.setattr("seq2seq.members.is_int8_there", lambda: False)
    for is_fast, expected in ((True, "bfloat16"), (False, "float32")):
        monkeypatch.setattr(
            "seq2seq.members.is_bfloat16_fast", lambda device, is_fast=is_fast: is_fast
        )
        found = Translator.load(tiny_directory, device="cpu", precision="int8")
        assert found.precision == expected


@pytest.fixture
def with_lexicon(network, translator):
    """A translator with a lexicon of all target pieces, or of the first ones alone."""

    def make(frequent: range) -> Translator:
        lexicon = Lexicon(
            torch.zeros(translator.tokenizers.source.vocabulary_size, 0, dtype=torch.int32),
            torch.tensor(frequent, dtype=torch.int32),
        )
        return Translator(
            network, translator.tokenizers, translator.recipe, lexicon=lexicon, plain=True
        )

    return make


def test_a_shortlist_of_all_pieces_changes_nothing(translator, with_lexicon):
    everything = range(1, translator.tokenizers.target.vocabulary_size)
    found = with_lexicon(everything).translate([*SOURCES, ""], shortlist=1)
    expected = translator.translate([*SOURCES, ""])
    assert [t.text for t in found] == [t.text for t in expected]
    assert [t.score for t in found] == pytest.approx([t.score for t in expected], abs=1e-3)


def test_a_translation_is_made_of_its_shortlist(with_lexicon):
    translator = with_lexicon(range(60, 90))
    listed = {translator.tokenizers.target._processor.id_to_piece(i) for i in range(60, 90)}
    found = translator.translate(SOURCES, shortlist=1, min_length=3)
    assert {piece for t in found for piece in t.pieces} <= {*listed, "</s>"}
    assert translator.translate(SOURCES[0]).text == TARGETS[0]
    settings = translator.search_settings(shortlist=7)
    assert translator.describe(settings).endswith("target pieces: 7 for each source piece")


def test_a_shortlist_needs_a_lexicon(translator, fixed_context):
    with pytest.raises(ConfigurationError, match=r"needs a model with lexicon\.safetensors"):
        translator.translate("x", shortlist=5)
    with pytest.raises(ConfigurationError, match="needs a model with attention"):
        fixed_context.translate("x", shortlist=5)


def test_loading_refuses_what_is_out_of_range(tiny_directory):
    with pytest.raises(ConfigurationError, match="`plain` has no `precision` int8"):
        Translator.load(tiny_directory, precision="int8", plain=True)
    with pytest.raises(ConfigurationError, match="`threads` must be from 1 to 4096, but is 0"):
        Translator.load(tiny_directory, threads=0)
    with pytest.raises(ConfigurationError, match="`precision` must be one of auto, float32"):
        Translator.load(tiny_directory, precision="float16")
    with pytest.raises(ConfigurationError, match="`device` must be one of auto, cpu"):
        Translator.load(tiny_directory, device="abacus")
    with pytest.raises(ConfigurationError, match="`device` is cuda:99, but there is no such"):
        Translator.load(tiny_directory, device="cuda:99")


def test_threads_are_those_of_torch(tiny_directory):
    before = torch.get_num_threads()
    Translator.load(tiny_directory, threads=1)
    assert torch.get_num_threads() == 1
    torch.set_num_threads(before)


def test_the_recipe_of_a_translator_is_the_one_it_was_trained_with(translator, tiny_recipe):
    assert translator.recipe == tiny_recipe
    assert isinstance(translator.recipe, Recipe)


def test_details_hold_the_values_of_each_piece(translator):
    plain = translator.translate(SOURCES, n_best=2)
    for with_alignment in (True, False):
        detailed = translator.translate(
            SOURCES, n_best=2, with_details=True, with_alignment=with_alignment
        )
        for before, after in zip(plain, detailed, strict=True):
            assert after.pieces == before.pieces
            assert len(after.piece_log_probabilities) == len(after.pieces)
            assert sum(after.piece_log_probabilities) == pytest.approx(
                before.log_probability, abs=1e-4
            )
            assert len(after.piece_entropies) == len(after.pieces)
            assert min(after.piece_entropies) >= 0
            torch.testing.assert_close(after.alignment, before.alignment)
            first, second = after.alternatives
            assert first.piece_entropies == after.piece_entropies
            assert second.piece_entropies is None
            assert (second.alignment is None) == (not with_alignment)


def test_details_are_there_only_if_asked_for(translator):
    translation = translator.translate(SOURCES[0])
    assert translation.piece_log_probabilities is translation.piece_entropies is None


def test_details_of_blank_and_split_sources_are_joined_like_their_pieces(own_directory):
    translator = Translator.load(own_directory, device="cpu", precision="float32")
    translator.longest_source = 8
    blank, split = translator.translate(["", f"{SOURCES[0]} {SOURCES[4]}"], with_details=True)
    assert blank.pieces == ["</s>"]
    assert list(blank.piece_log_probabilities) == pytest.approx([blank.log_probability], abs=1e-5)
    assert split.pieces.count("</s>") > 1
    assert len(split.piece_log_probabilities) == len(split.piece_entropies) == len(split.pieces)
    assert sum(split.piece_log_probabilities) == pytest.approx(split.log_probability, abs=1e-4)


def test_a_fixed_context_aligns_nothing(fixed_context):
    with pytest.raises(ConfigurationError, match="none, so it aligns no words"):
        fixed_context.align(SOURCES, TARGETS)


def test_pairs_are_aligned_as_translations_are(translator):
    translations = translator.translate(SOURCES, with_details=True)
    aligned = translator.align(SOURCES, TARGETS)
    assert [each.links for each in aligned] == [list(each.links) for each in translations]
    with pytest.raises(ValueError, match="as many sentences as `sources`"):
        translator.align(SOURCES, TARGETS[1:])


def test_details_of_a_fixed_context_have_no_alignment(fixed_context):
    translation = fixed_context.translate(SOURCES[0], with_details=True)
    assert translation.alignment is None
    assert len(translation.piece_entropies) == len(translation.pieces)


def test_the_batch_does_not_change_the_details(translator):
    together = translator.translate(SOURCES, with_details=True)
    for source, translation in zip(SOURCES, together, strict=True):
        alone = translator.translate(source, with_details=True)
        assert alone.piece_log_probabilities == pytest.approx(
            translation.piece_log_probabilities, abs=1e-5
        )
        assert alone.piece_entropies == pytest.approx(translation.piece_entropies, abs=1e-5)


class TestTypes:
    """What is of the wrong type is one sentence."""

    @pytest.mark.parametrize("name", ["terms", "forbidden"])
    def test_one_text_is_no_list(self, translator, name):
        message = f"`{name}` must be a list of texts, but is 'dog'; give \\['dog'\\]"
        with pytest.raises(ConfigurationError, match=message):
            translator.translate(SOURCES[0], **{name: "dog"})
        with pytest.raises(ConfigurationError, match=message):
            list(translator.stream([SOURCES[0]], **{name: "dog"}))
        with pytest.raises(ConfigurationError, match=message):
            Source(SOURCES[0], **{name: "dog"})

    def test_lists_are_as_good_as_tuples(self, translator):
        asked = Source(SOURCES[0], terms=["park"], forbidden=["the"], copied=[])
        assert asked == Source(SOURCES[0], terms=("park",), forbidden=("the",))
        assert translator.translate(asked, terms=["cat"]).text == (
            translator.translate(SOURCES[0], terms=["park", "cat"], forbidden=["the"]).text
        )

    @pytest.mark.parametrize(
        ("sentences", "options", "message"),
        [
            (None, {}, r"`sentences` must be a text, a `Source` or a list of them, but is None\."),
            (["a", None], {}, r"sentence 2 must be a text or a `Source`, but is None\."),
            ("a", {"prefix": ["The", "A"]}, r"`prefix` must be a text, but is \['The', 'A'\]\."),
            ("a", {"terms": [3]}, r"`terms` must be a list of texts, but is \[3\]\."),
            ("a", {"terms": 3}, r"`terms` must be a list of texts, but is 3\."),
            ("a", {"beam_size": "5"}, r"`search\.beam_size` must be a whole number, but is '5'\."),
        ],
        ids=["none", "none among others", "prefix", "no texts", "no list", "beam size"],
    )
    def test_other_types_are_refused(self, translator, sentences, options, message):
        with pytest.raises(ConfigurationError, match=f"^{message}"):
            translator.translate(sentences, **options)

    def test_no_completions_are_refused(self, translator):
        with pytest.raises(ConfigurationError, match="`n` must be at least 1, but is 0"):
            translator.complete(SOURCES[0], "a", n=0)


@pytest.mark.parametrize(
    ("name", "value", "other"),
    [
        ("temperature", 0.5, {"samples": 2}),
        ("top_k", 3, {"samples": 2}),
        ("top_p", 0.5, {"samples": 2}),
        ("diversity_strength", 1.0, {"diversity_groups": 3}),
        ("low_confidence", "withhold", {"min_confidence": 0.1}),
    ],
)
def test_what_changes_nothing_is_refused(translator, tiny_recipe, name, value, other, monkeypatch):
    monkeypatch.setattr(translator, "quality", object())
    message = f"^`search.{name}` changes nothing without `search.{next(iter(other))}`; give both"
    with pytest.raises(ConfigurationError, match=message):
        translator.search_settings(**{name: value})
    assert getattr(translator.search_settings(**{name: value}, **other), name) == value
    waiting = dataclasses.replace(tiny_recipe.search, **{name: value})
    monkeypatch.setattr(translator, "recipe", dataclasses.replace(tiny_recipe, search=waiting))
    assert translator.search_settings(**{name: value}) == waiting


@pytest.mark.parametrize("given", [{"ensemble_weights": [1.0]}, {"ensemble_kind": "arithmetic"}])
def test_settings_of_no_ensemble_are_refused(tiny_directory, given):
    (name,) = given
    with pytest.raises(ConfigurationError, match=f"`{name}` changes nothing without `ensemble`"):
        Translator.load(tiny_directory, **given)


def test_other_weights_of_one_shape_are_no_twins(tiny_directory):
    ours, other = (load_model_directory(tiny_directory).model for _ in range(2))
    assert has_twins([ours, other])
    next(other.parameters()).data.add_(1)
    assert not has_twins([ours, other])


def test_a_model_beside_itself_is_told(tiny_directory, member_directory):
    settings = {"device": "cpu", "precision": "float32"}
    for other, said in (
        (tiny_directory, "2 models (not all different) together, "),
        (member_directory, "2 models together, "),
    ):
        both = Translator.load(tiny_directory, ensemble=[other], **settings)
        assert both.describe(both.search_settings()).startswith(said)
